# rule ID "what it is for" { on …  when …  unless …  EFFECT  modifiers }, the clauses in any order.
@lexer lexer
rule -> "rule" %word description "{" clauses "}"
    {% ([at, id, description, , clauses, close]) => build.rule(at, id, description, clauses, close) %}

clauses -> null {% () => null %} | clauses clause {% ([before, clause]) => build.chain(before, clause) %}

clause ->
    "on" scope_terms {% ([at, terms]) => build.onClause(at, terms) %}
  | "when" expr {% ([at, expr]) => build.condition(at, expr) %}
  | "unless" expr {% ([at, expr]) => build.condition(at, expr) %}
  | effect {% build.only %}
  | "severity" severity {% ([at, [value]]) => build.severity(at, value) %}
  | tag_set {% build.only %}
  | "mode" "monitor" {% ([at, last]) => build.monitor(at, last) %}
  | "active" "from" %timestamp {% ([at, , from]) => build.active(at, from, null) %}
  | "active" "until" %timestamp {% ([at, , until]) => build.active(at, null, until) %}
  | "active" "from" %timestamp "until" %timestamp {% ([at, , from, , until]) => build.active(at, from, until) %}
  | "unknown" "means" "no" "match" {% ([at, , , last]) => build.unknownClause(at, last) %}

severity -> "low" | "medium" | "high" | "critical"
