# tool NAME { parameter: type, optional?: type } [tags […]] [receipt]    import tools from "file.json" [tags […]] [receipt]
@lexer lexer
tool -> "tool" dotted_name "{" parameters "}" tool_tags receipt
    {% ([at, name, , parameters, close, tags, receipt]) => ({
      kind: 'tool', name, parameters: build.toArray(parameters), tags: tags?.tags ?? [], receipt: receipt !== null,
      span: build.spanOf(at, receipt ?? tags ?? close),
    }) %}
  | "tool" %string "{" parameters "}" tool_tags receipt
    {% ([at, name, , parameters, close, tags, receipt]) => ({
      kind: 'tool', name: build.quotedIdentifier(name), parameters: build.toArray(parameters), tags: tags?.tags ?? [],
      receipt: receipt !== null, span: build.spanOf(at, receipt ?? tags ?? close),
    }) %}

tool_import -> "import" "tools" "from" %string tool_tags receipt
    {% ([at, , , path, tags, receipt]) => ({
      kind: 'tool-import', path: build.text(path), tags: tags?.tags ?? [], receipt: receipt !== null,
      span: build.spanOf(at, receipt ?? tags ?? path),
    }) %}

receipt -> null {% () => null %} | "receipt" {% build.only %}
tool_tags -> null {% () => null %} | tag_set {% build.only %}

parameters -> null {% () => null %} | parameter_items trailing_comma {% ([items]) => items %}
parameter_items ->
    parameter {% ([item]) => build.chain(null, item) %}
  | parameter_items "," parameter {% ([before, , item]) => build.chain(before, item) %}
parameter ->
    parameter_name ":" type {% ([name, , type]) => build.parameter(name, false, type) %}
  | parameter_name "?" ":" type {% ([name, , , type]) => build.parameter(name, true, type) %}
parameter_name -> any_word {% ([name]) => build.identifier(name) %} | %string {% ([name]) => build.quotedIdentifier(name) %}

type ->
    type_word {% ([[name]]) => ({ kind: 'type-name', name: name.text, span: build.spanOf(name) }) %}
  | "list" "<" type ">" {% ([at, , item, close]) => ({ kind: 'type-list', item, span: build.spanOf(at, close) }) %}
  | "{" parameters "}" {% ([at, fields, close]) => ({ kind: 'type-object', fields: build.toArray(fields), span: build.spanOf(at, close) }) %}
type_word -> "string" | "number" | "boolean" | "map" | "any"
