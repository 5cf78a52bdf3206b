import { assertNever } from '../model/assert-never.js'
import type { Span } from '../model/span.js'
import type { Expr, RelationOp } from './ast.js'
import type { ListItem } from './checked.js'
import type { Code } from './codes.js'
import { isAddress } from './resolve-lists.js'
import { didYouMean, suggest } from './suggest.js'
import type { ToolsInScope } from './tool-index.js'
import { commonType, comparable, typeName } from './types.js'
import {
  ANY,
  BOOLEAN,
  FUNCTIONS,
  type FunctionName,
  NUMBER,
  OP_WORDS,
  STRING,
  type Type,
  VIEWS,
  type ViewName,
} from './vocabulary.js'

/** What an expression is judged against. */
export interface Surroundings {
  /** Tools that the rule is about; null where they are not known yet, as in a template. */
  readonly tools: ToolsInScope | null
  readonly lists: ReadonlyMap<string, readonly ListItem[]>
  /** Parameters of the template that the expression stands in; they may be anything. */
  readonly parameters: ReadonlySet<string>
  /** Arguments that the rule asks for with `exists` somewhere, so that tools without them were thought of. */
  readonly guarded: ReadonlySet<string>
  readonly excerpt: (span: Span) => string
  readonly report: (code: Code, span: Span, message: string, hint?: string) => void
}

type Variables = ReadonlyMap<string, Type>

const TIMESTAMP: Type = { kind: 'timestamp' }
const DURATION: Type = { kind: 'duration' }
const NULL: Type = { kind: 'null' }
const CIDR: Type = { kind: 'cidr' }
const ROOTS = ['args', 'agent', 'principal', 'session', 'context', 'tool', 'env', 'now']
const MAP: Type = { kind: 'map', fields: null }

export const isView = (name: string): name is ViewName => Object.hasOwn(VIEWS, name)
export const isFunction = (name: string): name is FunctionName => Object.hasOwn(FUNCTIONS, name)

/**
 * Checks a condition: every name is known, every operator gets what it can work on. A part that was reported has type
 * `any`, so that one mistake is told once.
 */
export function checkCondition(expr: Expr, surroundings: Surroundings): void {
  new Inferrer(surroundings).truth(expr, new Map())
}

/** The type of a value that stands by itself; reports what it cannot read. */
export function typeOfValue(expr: Expr, surroundings: Surroundings): Type {
  return new Inferrer(surroundings).type(expr, new Map())
}

class Inferrer {
  readonly #in: Surroundings

  constructor(surroundings: Surroundings) {
    this.#in = surroundings
  }

  truth(expr: Expr, variables: Variables): void {
    const type = this.type(expr, variables)
    if (type.kind === 'boolean' || type.kind === 'any') return
    const hint = type.kind === 'view' ? this.#partHint(type.view) : 'compare it with something'
    this.#report('POL2109', expr, `${this.#quote(expr)} is ${typeName(type)}, not a condition`, hint)
  }

  type(expr: Expr, variables: Variables): Type {
    switch (expr.kind) {
      case 'literal':
        return this.#literal(expr)
      case 'duration':
        return DURATION
      case 'timestamp':
        return TIMESTAMP
      case 'cidr':
        return this.#address(expr)
      case 'list-literal':
        return { kind: 'list', item: commonType(expr.items.map((item) => this.#item(item, variables))) }
      case 'map-literal':
        return this.#map(expr, variables)
      case 'reference':
        return this.#reference(expr)
      case 'name':
        return this.#name(expr, variables)
      case 'field':
        return this.#field(expr, this.type(expr.of, variables), expr.field)
      case 'index':
        return this.#index(expr, variables)
      case 'call':
        return this.#call(expr, variables)
      case 'not':
        this.truth(expr.operand, variables)
        return BOOLEAN
      case 'and':
      case 'or':
        for (const operand of expr.operands) this.truth(operand, variables)
        return BOOLEAN
      case 'negate':
        return this.#negate(expr, variables)
      case 'arithmetic':
        return this.#arithmetic(expr, variables)
      case 'compare':
        this.#compare(expr, variables)
        return BOOLEAN
      case 'relation':
        this.#relation(expr, this.type(expr.left, variables), variables)
        return BOOLEAN
      case 'matches':
        this.#wantText(expr.subject, this.type(expr.subject, variables), '`matches` works on a text')
        return BOOLEAN
      case 'exists':
        this.type(expr.operand, variables)
        return BOOLEAN
      case 'quantifier':
        this.#quantifier(expr, variables)
        return BOOLEAN
      case 'time-window': {
        const type = this.type(expr.subject, variables)
        if (type.kind !== 'timestamp' && type.kind !== 'any') {
          this.#mismatch(expr.subject, type, 'a time window is about a point in time', 'write `now in 09:00..17:00`')
        }
        return BOOLEAN
      }
      default:
        return assertNever(expr)
    }
  }

  // -------------------------------------------------------------- values

  #literal(expr: Extract<Expr, { kind: 'literal' }>): Type {
    if (expr.value === null) return NULL
    if (typeof expr.value === 'string') return STRING
    if (typeof expr.value === 'boolean') return BOOLEAN
    if (Number.isInteger(expr.value) && !Number.isSafeInteger(expr.value)) {
      const message = `${this.#quote(expr)} is larger than a number can hold exactly (2^53 - 1)`
      this.#report('POL2112', expr, message, 'write account numbers and the like as texts, in double quotes')
    }
    return NUMBER
  }

  #address(expr: Extract<Expr, { kind: 'cidr' }>): Type {
    if (!isAddress(expr.text)) {
      this.#report(
        'POL2111',
        expr,
        `${this.#quote(expr)} is no IP address or range`,
        'write 192.0.2.1, 10.0.0.0/8 or fe80::/10',
      )
    }
    return CIDR
  }

  #item(item: Expr, variables: Variables): Type {
    if (item.kind !== 'name') return this.type(item, variables)
    if (variables.has(item.name)) {
      const message = `\`list ${item.name}\` in brackets takes a list that is declared, and \`${item.name}\` is a variable`
      this.#report('POL2103', item, message)
      return ANY
    }
    const list = this.#name(item, variables)
    return list.kind === 'list' ? list.item : ANY
  }

  #map(expr: Extract<Expr, { kind: 'map-literal' }>, variables: Variables): Type {
    const keys = new Set<string>()
    for (const { key, value } of expr.entries) {
      if (keys.has(key))
        this.#report('POL2113', value, `the key \`${key}\` stands twice in this map`, 'keep one of the two')
      keys.add(key)
      this.type(value, variables)
    }
    return MAP
  }

  #reference(expr: Extract<Expr, { kind: 'reference' }>): Type {
    const [first, second] = expr.path
    switch (expr.root) {
      case 'args':
        return this.#argument(expr)
      case 'context':
        return first === undefined ? MAP : ANY
      case 'env':
        return expr.path.length === 0
          ? STRING
          : this.#noPart(expr, '`env` is the name of the environment and has no parts')
      case 'now':
        return expr.path.length === 0 ? TIMESTAMP : this.#noPart(expr, '`now` is a point in time and has no parts')
      case 'session':
        return first === 'id' && expr.path.length === 1
          ? STRING
          : this.#noPart(expr, 'of a session `session.id` is known')
      case 'tool':
        return first === 'name' && expr.path.length === 1
          ? STRING
          : this.#noPart(expr, 'of a tool `tool.name` is known; its tags are for the scope: `on tool tag NAME`')
      case 'agent':
      case 'principal': {
        const isLabel = expr.path.length === 1 || (expr.path.length === 2 && first === 'labels' && second !== undefined)
        const known = `write \`${expr.root}.id\`, or a label such as \`${expr.root}.team\``
        return isLabel && !(expr.path.length === 1 && first === 'labels') ? STRING : this.#noPart(expr, known)
      }
      default:
        return assertNever(expr.root)
    }
  }

  #noPart(expr: Expr, hint: string): Type {
    this.#report('POL2107', expr, `${this.#quote(expr)} is nothing that a condition can read`, hint)
    return ANY
  }

  #argument(expr: Extract<Expr, { kind: 'reference' }>): Type {
    const [name, ...rest] = expr.path
    const { tools } = this.#in
    if (name === undefined) return MAP
    if (tools === null || tools.declared.length === 0) return ANY
    let type = tools.typeOf(name)
    if (type === null) {
      if (tools.namesUndeclared || (tools.open && this.#in.guarded.has(name))) return ANY
      this.#unknownArgument(expr, name, tools)
      return ANY
    }
    for (const field of rest) type = this.#field(expr, type, field)
    return type
  }

  #unknownArgument(expr: Expr, name: string, { declared, open }: ToolsInScope): void {
    const known = new Map(declared.flatMap(({ parameters }) => [...parameters].map(([key, { type }]) => [key, type])))
    const meant = suggest(name, known.keys())
    const hint =
      meant === null
        ? `${known.size === 0 ? 'it takes no arguments' : `declared are ${listed([...known.keys()])}`}`
        : `did you mean \`args.${meant}\` (${typeName(known.get(meant) ?? ANY)})?`
    const [only] = declared
    if (open) {
      const message = `no declared tool that this rule is about has an argument \`${name}\`, so the condition is unknown for all of them`
      this.#report('POL2102', expr, message, hint)
    } else {
      const whose = declared.length === 1 ? `of tool \`${only?.name}\`` : 'of any tool that this rule is about'
      this.#report('POL2101', expr, `\`args.${name}\` is not an argument ${whose}`, hint)
    }
  }

  #name(expr: Extract<Expr, { kind: 'name' }>, variables: Variables): Type {
    const variable = variables.get(expr.name)
    if (variable !== undefined) return variable
    if (this.#in.parameters.has(expr.name)) return ANY
    const list = this.#in.lists.get(expr.name)
    if (list !== undefined) return typeOfList(list)
    const known = [...variables.keys(), ...this.#in.parameters, ...this.#in.lists.keys(), ...ROOTS]
    const hint =
      didYouMean(expr.name, known) ?? `write \`"${expr.name}"\` for the text, or declare \`list ${expr.name} = […]\``
    this.#report('POL2103', expr, `there is no list or variable \`${expr.name}\``, hint)
    return ANY
  }

  #field(expr: Expr, of: Type, field: string): Type {
    switch (of.kind) {
      case 'any':
        return ANY
      case 'view': {
        const fields: Readonly<Record<string, Type>> = VIEWS[of.view]
        if (Object.hasOwn(fields, field)) return fields[field] as Type
        const hint = didYouMean(field, Object.keys(fields)) ?? this.#partHint(of.view)
        this.#report('POL2106', expr, `\`${of.view}(…)\` has no part \`${field}\``, hint)
        return ANY
      }
      case 'map': {
        if (of.fields === null) return ANY
        const known = of.fields.get(field)
        if (known !== undefined) return known.type
        const hint = didYouMean(field, of.fields.keys()) ?? `declared are ${listed([...of.fields.keys()])}`
        this.#report('POL2101', expr, `${this.#quote(expr)} reads \`${field}\`, which its type does not have`, hint)
        return ANY
      }
      default: {
        const hint = of.kind === 'list' ? 'write `any x in LIST: …` or `all x in LIST: …`' : undefined
        this.#report('POL2108', expr, `${typeName(of)} has no field \`${field}\``, hint)
        return ANY
      }
    }
  }

  #index(expr: Extract<Expr, { kind: 'index' }>, variables: Variables): Type {
    const of = this.type(expr.of, variables)
    const at = this.type(expr.index, variables)
    if (of.kind === 'list') {
      if (at.kind === 'number' || at.kind === 'any') return of.item
      this.#mismatch(expr.index, at, 'a list is indexed by a number, from 0')
    } else if (of.kind === 'map') {
      if (expr.index.kind === 'literal' && typeof expr.index.value === 'string')
        return this.#field(expr, of, expr.index.value)
      if (at.kind !== 'string' && at.kind !== 'any') this.#mismatch(expr.index, at, 'a map is indexed by a text')
    } else if (of.kind !== 'any') this.#mismatch(expr.of, of, 'only lists and maps have items')
    return ANY
  }

  #call(expr: Extract<Expr, { kind: 'call' }>, variables: Variables): Type {
    const { fn } = expr
    const types = expr.args.map((argument) => this.type(argument, variables))
    if (!isView(fn) && !isFunction(fn)) {
      const known = [...Object.keys(VIEWS), ...Object.keys(FUNCTIONS)]
      const hint = didYouMean(fn, known) ?? `functions are ${listed(known)}`
      this.#report('POL2104', expr, `there is no function \`${fn}\``, hint)
      return ANY
    }
    const wanted: readonly Type[] = isView(fn) ? [STRING] : FUNCTIONS[fn].args
    if (types.length !== wanted.length) {
      this.#report('POL2105', expr, `\`${fn}\` takes ${wanted.length} argument, not ${types.length}`)
    } else {
      if (fn === 'undeclared') this.#wholeArguments(expr.args[0] as Expr)
      for (const [at, type] of types.entries()) {
        if (comparable(type, wanted[at] as Type) && type.kind !== 'null') continue
        const hint =
          type.kind === 'list'
            ? `write \`any x in ${this.#in.excerpt((expr.args[at] as Expr).span)}: ${fn}(x) …\``
            : undefined
        this.#mismatch(expr.args[at] as Expr, type, `\`${fn}\` takes ${typeName(wanted[at] as Type)}`, hint)
      }
    }
    if (fn === 'json') return ANY
    return isView(fn) ? { kind: 'view', view: fn } : FUNCTIONS[fn].result
  }

  /** Declarations name the arguments of a call, not what is inside them. */
  #wholeArguments(argument: Expr): void {
    if (argument.kind === 'reference' && argument.root === 'args' && argument.path.length === 0) return
    const message = `${this.#quote(argument)} is declared nowhere by name; \`undeclared\` takes all arguments of the call`
    this.#report('POL2108', argument, message, 'write `undeclared(args)`')
  }

  // -------------------------------------------------------------- operators

  #negate(expr: Extract<Expr, { kind: 'negate' }>, variables: Variables): Type {
    const type = this.type(expr.operand, variables)
    if (type.kind === 'number' || type.kind === 'duration' || type.kind === 'any') return type
    this.#mismatch(expr.operand, type, '`-` works on numbers and durations')
    return ANY
  }

  #arithmetic(expr: Extract<Expr, { kind: 'arithmetic' }>, variables: Variables): Type {
    const left = this.type(expr.left, variables)
    const right = this.type(expr.right, variables)
    if (left.kind === 'any' || right.kind === 'any') return ANY
    const result = ARITHMETIC[`${left.kind} ${expr.op} ${right.kind}`]
    if (result !== undefined) return result
    const message = `\`${expr.op}\` does not work on ${typeName(left)} and ${typeName(right)}`
    this.#report('POL2108', expr, message, 'numbers with numbers, and points in time with durations')
    return ANY
  }

  #compare(expr: Extract<Expr, { kind: 'compare' }>, variables: Variables): void {
    const left = this.type(expr.left, variables)
    const right = this.type(expr.right, variables)
    for (const [operand, type] of [
      [expr.left, left],
      [expr.right, right],
    ] as const) {
      if (type.kind !== 'view') continue
      this.#mismatch(operand, type, 'a comparison takes a single value', this.#partHint(type.view))
      return
    }
    const isEquality = expr.op === '==' || expr.op === '!='
    if (!comparable(left, right)) {
      const claim = isEquality ? 'can never be equal' : 'have no order'
      const message = `${this.#quote(expr.left)} is ${typeName(left)} and ${this.#quote(expr.right)} is ${typeName(right)}; the two ${claim}`
      this.#report('POL2108', expr, message, compareHint(left, right))
      return
    }
    if (isEquality) return
    for (const [operand, type] of [
      [expr.left, left],
      [expr.right, right],
    ] as const) {
      if (ORDERED.has(type.kind)) continue
      const hint = type.kind === 'list' ? `did you mean \`count(${this.#in.excerpt(operand.span)})\`?` : undefined
      this.#mismatch(operand, type, `\`${expr.op}\` orders numbers, points in time and durations`, hint)
      return
    }
  }

  #relation(expr: Extract<Expr, { kind: 'relation' }>, left: Type, variables: Variables): void {
    const right = this.type(expr.right, variables)
    const { op } = expr
    switch (op) {
      case 'in':
      case 'not-in':
        this.#membership(expr, left, right)
        return
      case 'contains':
        if (left.kind === 'list') this.#sameKind(expr, left.item, right)
        // What may be anything may be a list, and lists hold more than texts.
        else if (left.kind !== 'any' || !SCALARS.has(right.kind)) this.#onTexts(expr, left, right)
        return
      case 'contains-any':
      case 'contains-all':
        if (!this.#wantList(expr.right, right, op)) return
        if (left.kind === 'list') this.#sameKind(expr, left.item, itemOf(right))
        else if (this.#wantText(expr.left, left, `\`${OP_WORDS[op]}\` works on a text or a list`)) {
          this.#boundWords(expr.right)
          this.#sameKind(expr, STRING, itemOf(right))
        }
        return
      case 'intersects':
      case 'subset':
        if (this.#wantList(expr.left, left, op) && this.#wantList(expr.right, right, op)) {
          this.#sameKind(expr, itemOf(left), itemOf(right))
        }
        return
      case 'starts-with':
      case 'ends-with':
      case 'like':
        this.#onTexts(expr, left, right)
        return
      case 'under': {
        const isPath = left.kind === 'any' || (left.kind === 'view' && left.view === 'path')
        const hint = left.kind === 'string' ? `write \`path(${this.#in.excerpt(expr.left.span)}) under …\`` : undefined
        if (!isPath) this.#mismatch(expr.left, left, '`under` works on a path', hint)
        else if (!comparable(itemOf(right), STRING)) this.#mismatch(expr.right, right, 'a folder is a text')
        return
      }
      default:
        assertNever(op)
    }
  }

  #membership(expr: Extract<Expr, { kind: 'relation' }>, left: Type, right: Type): void {
    const isIp = left.kind === 'view' && left.view === 'ip'
    if (left.kind === 'view' && !isIp) {
      this.#mismatch(expr.left, left, '`in` takes a single value', this.#partHint(left.view))
      return
    }
    if (right.kind === 'string') {
      const turned = `${this.#in.excerpt(expr.right.span)} contains ${this.#in.excerpt(expr.left.span)}`
      this.#mismatch(expr.right, right, '`in` takes a list', `for part of a text write \`${turned}\``)
      return
    }
    const ranges = right.kind === 'cidr' || (right.kind === 'list' && right.item.kind === 'cidr')
    if (ranges && !isIp && left.kind !== 'any') {
      this.#mismatch(
        expr.left,
        left,
        'an address range holds addresses',
        `write \`ip(${this.#in.excerpt(expr.left.span)}) in …\``,
      )
      return
    }
    if (right.kind === 'cidr' || right.kind === 'any') return
    if (right.kind !== 'list') {
      this.#mismatch(expr.right, right, '`in` takes a list or an address range')
      return
    }
    if (isIp) {
      // A list file holds texts, which may spell addresses.
      if (!ranges && right.item.kind !== 'string' && right.item.kind !== 'any') {
        this.#mismatch(expr.right, right, 'an address is in ranges such as `10.0.0.0/8`')
      } else this.#addresses(expr.right)
      return
    }
    this.#sameKind(expr, left, right.item)
  }

  /** Looking for many words in a text costs what the words are long; the engine was measured up to this many. */
  #boundWords(list: Expr): void {
    const words =
      list.kind === 'name'
        ? this.#in.lists.get(list.name)?.length
        : list.kind === 'list-literal'
          ? list.items.length
          : 0
    if (words === undefined || words <= MAX_WORDS) return
    const message = `${this.#quote(list)} has ${words} words to look for in a text; the limit is ${MAX_WORDS}`
    this.#report('POL2306', list, message, 'look for whole values with `in`, or parse the text with a view')
  }

  /** Texts of a list that addresses are looked up in must spell some. */
  #addresses(list: Expr): void {
    const named = list.kind === 'name' ? (this.#in.lists.get(list.name) ?? []) : []
    const written =
      list.kind === 'list-literal' ? list.items.map((item) => (item.kind === 'literal' ? item.value : null)) : []
    const odd = [...named, ...written].find((entry) => typeof entry === 'string' && !isAddress(entry))
    if (odd === undefined) return
    const message = `\`${String(odd).slice(0, 60)}\` in ${this.#quote(list)} is no IP address or range`
    this.#report('POL2308', list, message, 'write 192.0.2.1, 10.0.0.0/8 or fe80::/10')
  }

  /** Also looks into a list that is written out, where one odd item among many is the likely slip. */
  #sameKind(expr: Extract<Expr, { kind: 'relation' }>, left: Type, right: Type): void {
    if (!comparable(left, right)) {
      const message = `\`${OP_WORDS[expr.op]}\` compares ${typeName(left)} with ${typeName(right)} here, which can never be equal`
      this.#report('POL2108', expr, message, compareHint(left, right))
      return
    }
    if (expr.right.kind !== 'list-literal' || expr.op === 'contains') return
    for (const item of expr.right.items) {
      const type = item.kind === 'name' ? ANY : this.#quietly(item)
      if (comparable(left, type)) continue
      this.#mismatch(item, type, `the others are compared with ${typeName(left)}`, compareHint(left, type))
    }
  }

  /** The type of something that was already reported on. */
  #quietly(expr: Expr): Type {
    return new Inferrer({ ...this.#in, report: () => {} }).type(expr, new Map())
  }

  #onTexts(expr: Extract<Expr, { kind: 'relation' }>, left: Type, right: Type): void {
    const what = `\`${OP_WORDS[expr.op]}\` works on texts`
    if (this.#wantText(expr.left, left, what)) this.#wantText(expr.right, right, what)
  }

  #wantText(expr: Expr, type: Type, what: string): boolean {
    if (type.kind === 'string' || type.kind === 'any') return true
    const text = this.#in.excerpt(expr.span)
    const hint =
      type.kind === 'list'
        ? `write \`any x in ${text}: x …\``
        : type.kind === 'view'
          ? this.#partHint(type.view)
          : undefined
    this.#mismatch(expr, type, what, hint)
    return false
  }

  #wantList(expr: Expr, type: Type, op: RelationOp): boolean {
    if (type.kind === 'list' || type.kind === 'any') return true
    const hint = type.kind === 'view' ? this.#partHint(type.view) : undefined
    this.#mismatch(expr, type, `\`${OP_WORDS[op]}\` takes a list`, hint)
    return false
  }

  #quantifier(expr: Extract<Expr, { kind: 'quantifier' }>, variables: Variables): void {
    const { name } = expr.variable
    const over = this.type(expr.over, variables)
    if (over.kind !== 'list' && over.kind !== 'any') {
      this.#mismatch(expr.over, over, `\`${expr.quantifier} ${name} in …\` goes through a list`)
    }
    if (variables.has(name) || this.#in.lists.has(name) || this.#in.parameters.has(name) || ROOTS.includes(name)) {
      const message = `the variable \`${name}\` hides something else of that name`
      this.#report('POL2110', expr.variable, message, 'choose another name for the variable')
    }
    this.truth(expr.body, new Map([...variables, [name, itemOf(over)]]))
  }

  // -------------------------------------------------------------- words

  #mismatch(expr: Expr, type: Type, wanted: string, hint?: string): void {
    this.#report('POL2108', expr, `${wanted}, and ${this.#quote(expr)} is ${typeName(type)}`, hint)
  }

  #partHint(view: ViewName): string {
    if (view === 'json') return 'name a field of it'
    return `its parts are ${listed(Object.keys(VIEWS[view]).map((part) => `.${part}`))}`
  }

  #quote(expr: Expr): string {
    const text = this.#in.excerpt(expr.span).replace(/\s+/g, ' ')
    return `\`${text.length > 60 ? `${text.slice(0, 59)}…` : text}\``
  }

  #report(code: Code, at: { readonly span: Span }, message: string, hint?: string): void {
    this.#in.report(code, at.span, message, hint)
  }
}

/** The most words of `contains any of` and `contains all of` over a text. */
const MAX_WORDS = 2_000

/** Kinds that an item of a list may well have. */
const SCALARS: ReadonlySet<string> = new Set(['number', 'boolean', 'null', 'string', 'any'])

const ORDERED: ReadonlySet<string> = new Set(['number', 'timestamp', 'duration', 'any'])

const ARITHMETIC: Readonly<Record<string, Type>> = {
  'number + number': NUMBER,
  'number - number': NUMBER,
  'number * number': NUMBER,
  'number / number': NUMBER,
  'timestamp - timestamp': DURATION,
  'timestamp + duration': TIMESTAMP,
  'timestamp - duration': TIMESTAMP,
  'duration + timestamp': TIMESTAMP,
  'duration + duration': DURATION,
  'duration - duration': DURATION,
  'duration / duration': NUMBER,
  'duration * number': DURATION,
  'duration / number': DURATION,
  'number * duration': DURATION,
}

const itemOf = (type: Type): Type => (type.kind === 'list' ? type.item : type.kind === 'string' ? STRING : ANY)

function compareHint(left: Type, right: Type): string | undefined {
  const kinds = new Set([left.kind, right.kind])
  if (kinds.has('string') && kinds.has('number')) return 'a number stands without quotes, a text in double quotes'
  if (kinds.has('string') && kinds.has('timestamp')) return 'an argument that is a text is never a point in time'
  return kinds.has('list') ? 'ask about its items: `contains`, `in`, `any x in …:` or `count(…)`' : undefined
}

const LIST_TYPES = new WeakMap<readonly ListItem[], Type>()

/** Lists are long and named often. */
function typeOfList(list: readonly ListItem[]): Type {
  let type = LIST_TYPES.get(list)
  if (type === undefined) {
    type = { kind: 'list', item: commonType(list.map(typeOfItem)) }
    LIST_TYPES.set(list, type)
  }
  return type
}

function typeOfItem(item: ListItem): Type {
  switch (typeof item) {
    case 'string':
      return STRING
    case 'number':
      return NUMBER
    case 'boolean':
      return BOOLEAN
    default:
      return NULL
  }
}

const listed = (names: readonly string[]): string => {
  const shown = names.slice(0, 12).map((name) => `\`${name}\``)
  return shown.join(', ') + (names.length > shown.length ? ' and more' : '')
}
