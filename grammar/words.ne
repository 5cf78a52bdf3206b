# Names and texts that many constructs share.
@lexer lexer

# After a dot, as a key and inside brackets a reserved word is a word like any other.
any_word -> %word {% build.only %} | %keyword {% build.only %}

# `payments.transfer`; the first segment is no reserved word.
dotted_name ->
    %word {% ([name]) => build.identifier(name) %}
  | dotted_name "." any_word {% ([left, , right]) => build.dotted(left, right) %}

# A name that may hold anything when it is quoted.
free_name -> %word {% ([name]) => build.identifier(name) %} | %string {% ([name]) => build.quotedIdentifier(name) %}
free_dotted_name -> dotted_name {% build.only %} | %string {% ([name]) => build.quotedIdentifier(name) %}

description -> null {% () => null %} | %string {% build.only %}
trailing_comma -> null {% () => null %} | "," {% build.only %}

tag_set -> "tags" "[" tag_items trailing_comma "]" {% ([at, , items, , close]) => build.tags(at, items, close) %}
tag_items ->
    tag {% ([tag]) => build.chain<Identifier>(null, tag) %}
  | tag_items "," tag {% ([before, , tag]) => build.chain(before, tag) %}
tag -> %tag_word {% ([tag]) => build.identifier(tag) %} | %string {% ([tag]) => build.quotedIdentifier(tag) %}
