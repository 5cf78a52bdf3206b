# approval from A [(region = args.region, …)] [and 2 of B] [then from C [if …]], then options in any order:
# [within D [else deny | else escalate to R]] [escalate to R after D] [valid for D] [not by requester] [not by author]
# [reason required [on approval | on rejection]] [may edit args.x, …] [may remember exact | tool | args.x, … for D
# [at most N times]] [break glass by R]
@lexer lexer
approval -> "approval" stages approval_options {% ([at, stages, options]) => build.approval(at, stages, options) %}

stages ->
    stage {% ([stage]) => build.chain(null, stage) %}
  | stages "then" stage {% ([before, , stage]) => build.chain(before, stage) %}
# A condition on the first stage reads, so that the checker can say why there is none.
stage ->
    "from" voter_groups {% ([, groups]) => build.stage(groups, null) %}
  | "from" voter_groups "if" expr {% ([, groups, , condition]) => build.stage(groups, condition) %}
voter_groups ->
    voters {% ([group]) => build.chain(null, group) %}
  | voter_groups "and" voters {% ([before, , group]) => build.chain(before, group) %}
voters ->
    free_name attributes {% ([role, where]) => build.voters(null, role, where) %}
  | %number "of" free_name attributes {% ([count, , role, where]) => build.voters(count, role, where) %}
attributes -> null {% () => null %} | "(" attribute_items trailing_comma ")" {% ([, items, , close]) => ({ items, close }) %}
attribute_items ->
    attribute {% ([item]) => build.chain(null, item) %}
  | attribute_items "," attribute {% ([before, , item]) => build.chain(before, item) %}
attribute ->
    any_word "=" sum {% ([name, , value]) => build.attribute(build.identifier(name), value) %}
  | %string "=" sum {% ([name, , value]) => build.attribute(build.quotedIdentifier(name), value) %}

approval_options ->
    null {% () => null %}
  | approval_options approval_option {% ([before, option]) => build.chain(before, option) %}
approval_option ->
    "within" %duration {% ([at, time]) => build.within(at, time, time, null) %}
  | "within" %duration "else" "deny" {% ([at, time, , last]) => build.within(at, time, last, { kind: 'deny' }) %}
  | "within" %duration "else" "escalate" "to" free_name {% ([at, time, , , , role]) => build.within(at, time, role, { kind: 'escalate', role }) %}
  | "escalate" "to" free_name "after" %duration {% ([at, , role, , time]) => build.escalate(at, role, time) %}
  | "valid" "for" %duration {% ([at, , time]) => build.valid(at, time) %}
  | "not" "by" "requester" {% ([at, , last]) => build.notBy('not-by-requester', at, last) %}
  | "not" "by" "author" {% ([at, , last]) => build.notBy('not-by-author', at, last) %}
  | "reason" "required" {% ([at, last]) => build.reasonRequired(at, last, 'both') %}
  | "reason" "required" "on" "approval" {% ([at, , , last]) => build.reasonRequired(at, last, 'approval') %}
  | "reason" "required" "on" "rejection" {% ([at, , , last]) => build.reasonRequired(at, last, 'rejection') %}
  | "may" "edit" value_paths {% ([at, , paths]) => build.mayEdit(at, paths) %}
  | "may" "remember" remembered "for" %duration {% ([at, , what, , time]) => build.mayRemember(at, what, time, null, time) %}
  | "may" "remember" remembered "for" %duration "at" "most" %number "times"
      {% ([at, , what, , time, , , most, last]) => build.mayRemember(at, what, time, most, last) %}
  | "break" "glass" "by" free_name {% ([at, , , role]) => build.breakGlass(at, role) %}

remembered ->
    "exact" {% () => ({ scope: 'exact', paths: null }) %}
  | "tool" {% () => ({ scope: 'tool', paths: null }) %}
  | value_paths {% ([paths]) => ({ scope: 'fields', paths }) %}
value_paths ->
    value_path {% ([path]) => build.chain(null, path) %}
  | value_paths "," value_path {% ([before, , path]) => build.chain(before, path) %}
# At least one step, so that `exact` and `tool` are no paths.
value_path ->
    %word "." any_word {% ([root, , field]) => build.member(build.word(root), field) %}
  | %word "[" %string "]" {% ([root, , key, close]) => build.index(build.word(root), build.stringLiteral(key), close) %}
  | value_path "." any_word {% ([of, , field]) => build.member(of, field) %}
  | value_path "[" %string "]" {% ([of, , key, close]) => build.index(of, build.stringLiteral(key), close) %}
