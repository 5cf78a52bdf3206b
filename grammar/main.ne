# One declaration of a policy file. Each construct has a file of its own, included here and named in `declaration`.
# Every part names the lexer again, since nearley would otherwise split its keywords into letters.
# House rules: left recursion only (right recursion is quadratic in nearley), no EBNF repetition (`:*` copies its list at
# every step), postprocessors pure (see src/language/build/), and one way only to derive any text.
@preprocessor typescript
@{%
import type { Identifier } from '../ast.js'
import * as build from '../build/index.js'
import { lexer, type Token } from '../lexer.js'
%}
@lexer lexer

main -> declaration {% build.only %}

declaration ->
    header {% build.only %}
  | list {% ([node]) => build.built(node) %}
  | tool {% ([node]) => build.built(node) %}
  | tool_import {% ([node]) => build.built(node) %}
  | rule {% build.only %}
  | template {% build.only %}
  | template_use {% ([node]) => build.built(node) %}
  | test {% build.only %}

@include "words.ne"
@include "header.ne"
@include "list.ne"
@include "tool.ne"
@include "rule.ne"
@include "scope.ne"
@include "condition.ne"
@include "value.ne"
@include "effect.ne"
@include "approval.ne"
@include "template.ne"
@include "test.ne"
