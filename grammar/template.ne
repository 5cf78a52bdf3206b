# template NAME(p, q) "what it is for" { clauses }    use NAME(argument, …) as RULE_ID "what it is for"
@lexer lexer
template -> "template" %word "(" template_parameters ")" description "{" clauses "}"
    {% ([at, name, , parameters, , description, , clauses, close]) => build.template(at, name, parameters, description, clauses, close) %}
template_parameters -> null {% () => null %} | template_parameter_items {% build.only %}
template_parameter_items ->
    %word {% ([name]) => build.chain<Token>(null, name) %}
  | template_parameter_items "," %word {% ([before, , name]) => build.chain<Token>(before, name) %}

template_use -> "use" %word "(" arguments ")" "as" %word description
    {% ([at, name, , args, , , id, description]) => ({
      kind: 'use', template: build.identifier(name), arguments: build.toArray(args), id: build.identifier(id),
      description: build.text(description), span: build.spanOf(at, description ?? id),
    }) %}
