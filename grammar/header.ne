# [fleet] policy NAME "what it is for"  [for SCOPE, …]  [default allow | default deny | default require approval from …]
@lexer lexer
header -> fleet "policy" %word description speaks_for default
    {% ([fleet, at, name, description, terms, fallback]) => build.policyHeader(fleet, at, name, description, terms, fallback) %}

fleet -> null {% () => null %} | "fleet" {% build.only %}
speaks_for -> null {% () => null %} | "for" scope_terms {% ([, terms]) => terms %}
default ->
    null {% () => null %}
  | "default" "allow" {% ([at, last]) => build.defaultEffect(at, 'default-allow', last) %}
  | "default" "deny" {% ([at, last]) => build.defaultEffect(at, 'default-deny', last) %}
  | "default" "require" approval {% ([at, , required]) => build.defaultApproval(at, required) %}
