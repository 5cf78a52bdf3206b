# Values that are written out.
@lexer lexer
value -> scalar {% build.only %} | list_literal {% build.only %} | map_literal {% build.only %}

scalar ->
    %string {% ([at]) => build.stringLiteral(at) %}
  | %number {% ([at]) => build.numberLiteral(at) %}
  | "true" {% ([at]) => build.constant(true, at) %}
  | "false" {% ([at]) => build.constant(false, at) %}
  | "null" {% ([at]) => build.constant(null, at) %}
  | %duration {% ([at]) => build.duration(at) %}
  | %timestamp {% ([at]) => build.timestamp(at) %}
  | %cidr {% ([at]) => build.cidr(at) %}

list_literal -> "[" list_items "]" {% ([open, items, close]) => build.list(open, items, close) %}
list_items -> null {% () => null %} | item_chain trailing_comma {% ([items]) => items %}
item_chain ->
    item {% ([item]) => build.chain(null, item) %}
  | item_chain "," item {% ([before, , item]) => build.chain(before, item) %}

# In brackets a bare word is a text and `list NAME` stands for the entries of a list; sums and comparisons need parentheses.
item ->
    value {% build.only %}
  | "-" %number {% ([at, number]) => build.negate(at, build.numberLiteral(number)) %}
  | %word {% ([at]) => build.bareWord(at) %}
  | "list" %word {% ([, name]) => build.nameOf(name) %}
  | "(" expr ")" {% ([open, inner, close]) => build.group(open, inner, close) %}
  | item_path {% build.only %}
item_path ->
    call {% build.only %}
  | %word "." any_word {% ([root, , field]) => build.member(build.word(root), field) %}
  | item_path "." any_word {% ([of, , field]) => build.member(of, field) %}
  | item_path "[" expr "]" {% ([of, , at, close]) => build.index(of, at, close) %}

map_literal -> "{" map_entries "}" {% ([open, entries, close]) => build.map(open, entries, close) %}
map_entries -> null {% () => null %} | entry_chain trailing_comma {% ([entries]) => entries %}
entry_chain ->
    entry {% ([entry]) => build.chain(null, entry) %}
  | entry_chain "," entry {% ([before, , entry]) => build.chain(before, entry) %}
entry ->
    any_word ":" expr {% ([key, , value]) => build.entry(key, value) %}
  | %string ":" expr {% ([key, , value]) => build.entry(key, value) %}
