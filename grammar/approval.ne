# approval from A [and 2 of B] [then from C] [within D [else deny | else escalate to R]] [escalate to R after D]
# [valid for D] [not by requester], the options in any order.
@lexer lexer
approval -> "approval" stages approval_options {% ([at, stages, options]) => build.approval(at, stages, options) %}

stages ->
    "from" voter_groups {% ([, groups]) => build.chain(null, build.stage(groups)) %}
  | stages "then" "from" voter_groups {% ([before, , , groups]) => build.chain(before, build.stage(groups)) %}
voter_groups ->
    voters {% ([group]) => build.chain(null, group) %}
  | voter_groups "and" voters {% ([before, , group]) => build.chain(before, group) %}
voters ->
    free_name {% ([role]) => build.voters(null, role) %}
  | %number "of" free_name {% ([count, , role]) => build.voters(count, role) %}

approval_options ->
    null {% () => null %}
  | approval_options approval_option {% ([before, option]) => build.chain(before, option) %}
approval_option ->
    "within" %duration {% ([at, time]) => build.within(at, time, time, null) %}
  | "within" %duration "else" "deny" {% ([at, time, , last]) => build.within(at, time, last, { kind: 'deny' }) %}
  | "within" %duration "else" "escalate" "to" free_name {% ([at, time, , , , role]) => build.within(at, time, role, { kind: 'escalate', role }) %}
  | "escalate" "to" free_name "after" %duration {% ([at, , role, , time]) => build.escalate(at, role, time) %}
  | "valid" "for" %duration {% ([at, , time]) => build.valid(at, time) %}
  | "not" "by" "requester" {% ([at, , last]) => build.notByRequester(at, last) %}
