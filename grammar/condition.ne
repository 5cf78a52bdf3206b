# Conditions, loosest binding first: or, and, not, comparison, + -, * /, unary minus, fields.
# A quantifier's body runs as far to the right as it can (`any r in xs: a and b` is about both). So an expression that
# ends with a quantifier is "open" and may only stand last; this split is what keeps the grammar unambiguous.
@lexer lexer
expr -> closed_or {% build.only %} | open_or {% build.only %}

closed_or -> closed_and {% build.only %} | closed_or "or" closed_and {% ([left, , right]) => build.logical('or', left, right) %}
open_or -> open_and {% build.only %} | closed_or "or" open_and {% ([left, , right]) => build.logical('or', left, right) %}

closed_and -> closed_not {% build.only %} | closed_and "and" closed_not {% ([left, , right]) => build.logical('and', left, right) %}
open_and -> open_not {% build.only %} | closed_and "and" open_not {% ([left, , right]) => build.logical('and', left, right) %}

closed_not -> comparison {% build.only %} | "not" closed_not {% ([at, operand]) => build.not(at, operand) %}
open_not -> quantifier {% build.only %} | "not" open_not {% ([at, operand]) => build.not(at, operand) %}

quantifier ->
    "any" %word "in" sum ":" expr {% ([at, name, , over, , body]) => build.quantifier(at, name, over, body) %}
  | "all" %word "in" sum ":" expr {% ([at, name, , over, , body]) => build.quantifier(at, name, over, body) %}

# Comparisons do not chain.
comparison ->
    sum {% build.only %}
  | sum compare_op sum {% ([left, [op], right]) => build.compare(op, left, right) %}
  | sum "in" sum {% ([left, , right]) => build.relation('in', left, right) %}
  | sum "not" "in" sum {% ([left, , , right]) => build.relation('not-in', left, right) %}
  | sum "contains" sum {% ([left, , right]) => build.relation('contains', left, right) %}
  | sum "contains" "any" "of" sum {% ([left, , , , right]) => build.relation('contains-any', left, right) %}
  | sum "contains" "all" "of" sum {% ([left, , , , right]) => build.relation('contains-all', left, right) %}
  | sum "intersects" sum {% ([left, , right]) => build.relation('intersects', left, right) %}
  | sum "subset" "of" sum {% ([left, , , right]) => build.relation('subset', left, right) %}
  | sum "starts" "with" sum {% ([left, , , right]) => build.relation('starts-with', left, right) %}
  | sum "ends" "with" sum {% ([left, , , right]) => build.relation('ends-with', left, right) %}
  | sum "like" sum {% ([left, , right]) => build.relation('like', left, right) %}
  | sum "under" sum {% ([left, , right]) => build.relation('under', left, right) %}
  | sum "matches" %regex {% ([subject, , regex]) => build.matches(subject, regex) %}
  | sum "in" %time ".." %time zone days {% ([subject, , from, , until, zone, days]) => build.timeWindow(subject, from, until, zone, days) %}
  | "exists" postfix {% ([at, operand]) => build.exists(at, operand) %}
compare_op -> "==" | "!=" | "<" | "<=" | ">" | ">="

zone -> null {% () => null %} | %string {% build.only %}
days ->
    null {% () => null %}
  | "on" day {% ([, day]) => build.oneDay(day) %}
  | "on" day ".." day {% ([, first, , last]) => build.dayRange(first, last) %}
  | "on" "[" day_items trailing_comma "]" {% ([, open, items, , close]) => build.daySet(open, items, close) %}
day_items ->
    day {% ([day]) => build.chain<Token>(null, day) %}
  | day_items "," day {% ([before, , day]) => build.chain<Token>(before, day) %}
day -> day_word {% ([[day]]) => day %}
day_word -> "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun"

sum -> product {% build.only %} | sum sum_op product {% ([left, [op], right]) => build.arithmetic(op, left, right) %}
sum_op -> "+" | "-"
product -> unary {% build.only %} | product product_op unary {% ([left, [op], right]) => build.arithmetic(op, left, right) %}
product_op -> "*" | "/"
unary -> postfix {% build.only %} | "-" unary {% ([at, operand]) => build.negate(at, operand) %}

postfix ->
    value {% build.only %}
  | %word {% ([name]) => build.word(name) %}
  | "(" expr ")" {% ([open, inner, close]) => build.group(open, inner, close) %}
  | call {% build.only %}
  | postfix "." any_word {% ([of, , field]) => build.member(of, field) %}
  | postfix "[" expr "]" {% ([of, , at, close]) => build.index(of, at, close) %}

call -> %word "(" arguments ")" {% ([fn, , args, close]) => build.call(fn, args, close) %}
arguments -> null {% () => null %} | argument_items {% build.only %}
argument_items ->
    expr {% ([item]) => build.chain(null, item) %}
  | argument_items "," expr {% ([before, , item]) => build.chain(before, item) %}
