# allow [with obligation, …]    deny ["why"]    deny ["why"] except approval from …    require approval from …
@lexer lexer
effect ->
    "allow" {% ([at]) => build.effectClause(build.allow(at, null)) %}
  | "allow" "with" obligations {% ([at, , obligations]) => build.effectClause(build.allow(at, obligations)) %}
  | "deny" description {% ([at, why]) => build.effectClause(build.deny(at, why)) %}
  | "deny" description "except" approval {% ([at, why, , except]) => build.denyExcept(at, why, except) %}
  | "require" approval {% ([at, required]) => build.requireApproval(at, required) %}

obligations ->
    obligation {% ([item]) => build.chain(null, item) %}
  | obligations "," obligation {% ([before, , item]) => build.chain(before, item) %}
obligation ->
    "redact" dotted_name {% ([at, target]) => build.redactOrMask(at, target) %}
  | "mask" dotted_name {% ([at, target]) => build.redactOrMask(at, target) %}
  | "max_rows" %number {% ([at, rows]) => build.maxRows(at, rows) %}
  | "notify" free_name {% ([at, target]) => build.notify(at, target) %}
