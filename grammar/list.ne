# list NAME = [item, …]    list NAME from "file"
@lexer lexer
list ->
    "list" %word "=" list_literal
      {% ([at, name, , items]) => ({
        kind: 'list', name: build.identifier(name), span: build.spanOf(at, items),
        source: { kind: 'inline', items: items.items, span: items.span },
      }) %}
  | "list" %word "from" %string
      {% ([at, name, , path]) => ({
        kind: 'list', name: build.identifier(name), span: build.spanOf(at, path),
        source: { kind: 'file', path: build.text(path), span: build.spanOf(path) },
      }) %}
