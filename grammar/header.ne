# [fleet] policy NAME "what it is for"  [authors [NAME, …]]  [for SCOPE, …]  [default allow | default deny | default require approval from …]
@lexer lexer
header -> fleet "policy" %word description authors speaks_for default
    {% ([fleet, at, name, description, authors, terms, fallback]) =>
      build.policyHeader(fleet, at, name, description, authors, terms, fallback) %}

fleet -> null {% () => null %} | "fleet" {% build.only %}
authors ->
    null {% () => null %}
  | "authors" "[" author_items trailing_comma "]" {% ([at, , items, , close]) => build.authors(at, items, close) %}
author_items ->
    free_name {% ([author]) => build.chain<Identifier>(null, author) %}
  | author_items "," free_name {% ([before, , author]) => build.chain<Identifier>(before, author) %}
speaks_for -> null {% () => null %} | "for" scope_terms {% ([, terms]) => terms %}
default ->
    null {% () => null %}
  | "default" "allow" {% ([at, last]) => build.defaultEffect(at, 'default-allow', last) %}
  | "default" "deny" {% ([at, last]) => build.defaultEffect(at, 'default-deny', last) %}
  | "default" "require" approval {% ([at, , required]) => build.defaultApproval(at, required) %}
