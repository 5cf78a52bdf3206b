# test "…" { given tool NAME, env NAME, agent NAME {labels}, args {…}, context {…}, at "…"  expect OUTCOME [by RULE, …] }
@lexer lexer
test -> "test" %string "{" givens expectation "}" {% ([at, name, , givens, expect, close]) => build.testCase(at, name, givens, expect, close) %}

givens -> given {% ([call]) => build.chain(null, call) %} | givens given {% ([before, call]) => build.chain(before, call) %}
given -> "given" given_parts {% ([at, parts]) => build.given(at, parts) %}
given_parts ->
    given_part {% ([part]) => build.chain(null, part) %}
  | given_parts "," given_part {% ([before, , part]) => build.chain(before, part) %}
given_part ->
    "tool" free_dotted_name {% ([at, name]) => build.givenText(at, name) %}
  | "env" free_dotted_name {% ([at, name]) => build.givenText(at, name) %}
  | "session" free_dotted_name {% ([at, name]) => build.givenText(at, name) %}
  | "tenant" free_dotted_name {% ([at, name]) => build.givenText(at, name) %}
  | subject free_dotted_name {% ([at, name]) => build.givenSubject(at, name, null) %}
  | subject free_dotted_name map_literal {% ([at, name, labels]) => build.givenSubject(at, name, labels) %}
  | "args" map_literal {% ([at, value]) => build.givenMap(at, value) %}
  | "context" map_literal {% ([at, value]) => build.givenMap(at, value) %}
  | "at" %string {% ([at, time]) => build.givenTime(at, time) %}
  | "at" %timestamp {% ([at, time]) => build.givenTime(at, time) %}

expectation ->
    "expect" "allow" expected_rules {% ([at, last, by]) => build.expectation(at, 'ALLOW', last, null, by) %}
  | "expect" "deny" expected_rules {% ([at, last, by]) => build.expectation(at, 'DENY', last, null, by) %}
  | "expect" "require" "approval" expected_roles expected_rules
      {% ([at, , last, roles, by]) => build.expectation(at, 'REQUIRE_APPROVAL', last, roles, by) %}
expected_roles -> null {% () => null %} | "from" role_items {% ([, roles]) => roles %}
role_items ->
    free_name {% ([role]) => build.chain<Identifier>(null, role) %}
  | role_items "and" free_name {% ([before, , role]) => build.chain<Identifier>(before, role) %}
expected_rules -> null {% () => null %} | "by" rule_id_items {% ([, ids]) => ids %}
rule_id_items ->
    %word {% ([id]) => build.chain<Token>(null, id) %}
  | rule_id_items "," %word {% ([before, , id]) => build.chain<Token>(before, id) %}
