# Which calls: `tool [a, b.*, tag money], env prod, agent team = billing`. A comma is AND, a bracketed set is OR.
@lexer lexer
scope_terms ->
    scope_term {% ([term]) => build.chain(null, term) %}
  | scope_terms "," scope_term {% ([before, , term]) => build.chain(before, term) %}

scope_term ->
    "tool" tool_patterns {% ([on, patterns]) => build.scope(on, patterns) %}
  | "env" patterns {% ([on, patterns]) => build.scope(on, patterns) %}
  | "tenant" patterns {% ([on, patterns]) => build.scope(on, patterns) %}
  | subject patterns {% ([on, patterns]) => build.scope(on, patterns) %}
  | subject label "=" pattern {% ([on, label, , pattern]) => build.labelScope(on, label, build.onePattern(pattern)) %}
  | subject label "in" pattern_set {% ([on, label, , patterns]) => build.labelScope(on, label, patterns) %}
  | subject label "like" %string {% ([on, label, at, glob]) => build.labelScope(on, label, build.onePattern(build.likePattern(at, glob))) %}

subject -> "agent" {% build.only %} | "principal" {% build.only %}
label -> %word {% ([name]) => build.identifier(name) %}

patterns -> pattern {% ([pattern]) => build.onePattern(pattern) %} | pattern_set {% build.only %} | "in" pattern_set {% ([, set]) => set %}
pattern_set -> "[" pattern_items trailing_comma "]" {% ([open, items, , close]) => build.patternSet(open, items, close) %}
pattern_items ->
    pattern {% ([item]) => build.chain(null, item) %}
  | pattern_items "," pattern {% ([before, , item]) => build.chain(before, item) %}

pattern -> free_dotted_name {% ([name]) => build.namePattern(name) %} | glob_pattern {% build.only %}
glob_pattern ->
    %glob {% ([glob]) => build.globPattern(glob) %}
  | "*" {% ([glob]) => build.globPattern(glob) %}
  | "like" %string {% ([at, glob]) => build.likePattern(at, glob) %}

# Tags and the bare word `undeclared` stand under `tool` only.
tool_patterns ->
    tool_pattern {% ([pattern]) => build.onePattern(pattern) %}
  | tool_pattern_set {% build.only %}
  | "in" tool_pattern_set {% ([, set]) => set %}
tool_pattern_set -> "[" tool_pattern_items trailing_comma "]" {% ([open, items, , close]) => build.patternSet(open, items, close) %}
tool_pattern_items ->
    tool_pattern {% ([item]) => build.chain(null, item) %}
  | tool_pattern_items "," tool_pattern {% ([before, , item]) => build.chain(before, item) %}
tool_pattern ->
    dotted_name {% ([name]) => build.toolPattern(name) %}
  | %string {% ([name]) => build.namePattern(build.quotedIdentifier(name)) %}
  | glob_pattern {% build.only %}
  | "tag" free_name {% ([at, tag]) => build.tagPattern(at, tag) %}
