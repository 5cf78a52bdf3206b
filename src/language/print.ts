import { assertNever } from '../model/assert-never.js'
import type {
  ApprovalClause,
  ApprovalStageNode,
  Declaration,
  DefaultEffect,
  Expectation,
  Expr,
  GivenCall,
  Identifier,
  NamePattern,
  ObligationNode,
  Parameter,
  Rule,
  RuleBody,
  RuleEffect,
  ScopeTerm,
  TimeWindow,
  TypeNode,
} from './ast.js'
import { isGlobWord, isReserved, isTagWord, isWord } from './lexer.js'
import { DAY_NAMES, printDuration, printString, printTimeOfDay, printTimestamp } from './literals.js'
import { UNDECLARED } from './patterns.js'
import { OP_WORDS } from './vocabulary.js'

/**
 * Trees to text that parses to the same tree, in the one layout that `fmt` writes. With `source`, the text that the tree
 * was parsed from, single literals keep their spelling (`1_000`, `90m`, a bare word in brackets); without it they get a
 * canonical one.
 */
export interface PrintOptions {
  readonly source?: string
  /** Lists and tool declarations that must have one entry a line whatever their length; `fmt` asks where comments stand inside. */
  readonly spread?: boolean
}

/** A printed line: where in the source its content starts (`at`, null for none of its own), and how deep it is indented. */
export interface Line {
  readonly text: string
  /** Parts of a one-line declaration that `fmt` puts under those of its neighbours; joined by blanks they are the text. */
  readonly cells?: readonly string[]
  readonly indent: number
  readonly at: number | null
}

/** Lines longer than this are broken where their construct allows it. */
export const MAX_WIDTH = 120

/** One declaration as text, without a final line break. */
export function printDeclaration(node: Declaration, options: PrintOptions = {}): string {
  return declarationLines(node, options)
    .map((line) => ' '.repeat(line.indent) + line.text)
    .join('\n')
}

export function declarationLines(node: Declaration, options: PrintOptions): readonly Line[] {
  const print = new Printer(options)
  switch (node.kind) {
    case 'policy': {
      const name = `${node.fleet ? 'fleet ' : ''}policy ${node.name.name}${print.description(node.description)}`
      const lines = [line(0, name, node.span.start)]
      if (node.authors.length > 0) {
        const authors = node.authors.map((author) => freeName(author.name)).join(', ')
        lines.push(line(0, `authors [${authors}]`, node.authors[0]!.span.start))
      }
      const [first] = node.speaksFor
      if (first !== undefined) lines.push(line(0, `for ${print.scope(node.speaksFor)}`, first.span.start))
      if (node.defaultEffect !== null) {
        lines.push(...print.defaultEffect(node.defaultEffect))
      }
      return lines
    }
    case 'list':
      return print.list(node)
    case 'tool':
      return print.tool(node)
    case 'tool-import':
      return [
        row([`import tools from ${printString(node.path)}`, print.tags(node.tags), receipt(node)], node.span.start),
      ]
    case 'rule':
      return print.body(`rule ${node.id.name}${print.description(node.description)}`, node, node.body)
    case 'template': {
      const parameters = node.parameters.map((parameter) => parameter.name).join(', ')
      const head = `template ${node.name.name}(${parameters})${print.description(node.description)}`
      return print.body(head, node, node.body)
    }
    case 'use': {
      const args = node.arguments.map((argument) => print.expr(argument)).join(', ')
      const text = `use ${node.template.name}(${args}) as ${node.id.name}${print.description(node.description)}`
      return [line(0, text, node.span.start)]
    }
    case 'test': {
      const lines = [line(0, `test ${printString(node.name)} {`, node.span.start)]
      for (const given of node.given) lines.push(line(2, print.given(given), given.span.start))
      lines.push(line(2, print.expectation(node.expect), node.expect.span.start))
      lines.push(line(0, '}', node.span.end - 1))
      return lines
    }
    default:
      return assertNever(node)
  }
}

export const printExpr = (expr: Expr, options: PrintOptions = {}): string => new Printer(options).expr(expr)
export const printScope = (terms: readonly ScopeTerm[]): string => new Printer({}).scope(terms)
/** The text of a rule, for expanded templates. */
export const printRule = (rule: Rule): string => printDeclaration(rule)

const receipt = (node: { readonly receipt: boolean }): string => (node.receipt ? 'receipt' : '')

const line = (indent: number, text: string, at: number | null): Line => ({ indent, text, at })

function row(parts: readonly string[], at: number): Line {
  const cells = parts.filter((part) => part !== '')
  return { text: cells.join(' '), cells, indent: 0, at }
}

/** How tightly an expression binds; an operand that binds looser than its place asks for gets parentheses. */
enum Level {
  Open = 0,
  Or = 1,
  And = 2,
  Not = 3,
  Comparison = 4,
  Sum = 5,
  Product = 6,
  Unary = 7,
  Postfix = 8,
}

class Printer {
  readonly #source: string | undefined
  readonly #spread: boolean

  constructor({ source, spread = false }: PrintOptions) {
    this.#source = source
    this.#spread = spread
  }

  // -------------------------------------------------------------- expressions

  expr(expr: Expr, least: Level = Level.Open): string {
    return levelOf(expr) < least ? `(${this.#bare(expr)})` : this.#bare(expr, least === Level.Open)
  }

  /** `open`: nothing follows inside the same brackets, so a quantifier may stand last without parentheses. */
  #bare(expr: Expr, open = true): string {
    switch (expr.kind) {
      case 'literal':
        return this.#literal(expr)
      case 'duration':
        return this.#spelling(expr, /^\d+[a-z0-9]*$/) ?? printDuration(expr.ms)
      case 'timestamp':
        return this.#spelling(expr, /^\d{4}-[^\s()]*$/) ?? printTimestamp(expr.ms)
      case 'cidr':
        return expr.text
      case 'list-literal':
        return `[${expr.items.map((item) => this.#item(item)).join(', ')}]`
      case 'map-literal':
        return this.#map(expr.entries)
      case 'reference':
        return expr.root + expr.path.map((step) => (isPlainWord(step) ? `.${step}` : `[${printString(step)}]`)).join('')
      case 'name':
        return expr.name
      case 'field':
        return `${this.#owner(expr.of)}.${expr.field}`
      case 'index':
        return `${this.#indexed(expr.of)}[${this.expr(expr.index)}]`
      case 'call':
        return `${expr.fn}(${expr.args.map((argument) => this.expr(argument)).join(', ')})`
      case 'not':
        return `not ${this.expr(expr.operand, negatesPlainly(expr.operand) ? Level.Not : Level.Postfix)}`
      case 'negate':
        return `-${this.expr(expr.operand, Level.Unary)}`
      case 'and':
      case 'or':
        return this.operands(expr, open).join(` ${expr.kind} `)
      case 'arithmetic': {
        const own = levelOf(expr)
        return `${this.expr(expr.left, own)} ${expr.op} ${this.expr(expr.right, own + 1)}`
      }
      case 'compare':
        return `${this.expr(expr.left, Level.Sum)} ${expr.op} ${this.expr(expr.right, Level.Sum)}`
      case 'relation':
        return `${this.expr(expr.left, Level.Sum)} ${OP_WORDS[expr.op]} ${this.expr(expr.right, Level.Sum)}`
      case 'matches':
        return `${this.expr(expr.subject, Level.Sum)} matches /${expr.pattern}/${expr.flags}`
      case 'exists':
        return `exists ${this.expr(expr.operand, Level.Postfix)}`
      case 'quantifier':
        return `${expr.quantifier} ${expr.variable.name} in ${this.expr(expr.over, Level.Sum)}: ${this.expr(expr.body)}`
      case 'time-window':
        return this.#window(expr)
      default:
        return assertNever(expr)
    }
  }

  /** An `and` within an `or` gets the parentheses that few readers could do without. */
  operands(expr: Extract<Expr, { kind: 'and' | 'or' }>, open: boolean): readonly string[] {
    const last = expr.operands.length - 1
    return expr.operands.map((operand, at) => {
      const isOpen = open && at === last && operand.kind === 'quantifier'
      return this.expr(operand, isOpen ? Level.Open : Level.Not)
    })
  }

  /** The source's spelling of a single token, where there is a source and it is one. */
  #spelling(expr: Expr, form: RegExp): string | null {
    const text = this.#source?.slice(expr.span.start, expr.span.end)
    return text !== undefined && form.test(text) ? text : null
  }

  #literal(expr: Extract<Expr, { kind: 'literal' }>): string {
    if (typeof expr.value === 'string') return this.#spelling(expr, /^"[^\r\n]*"$/) ?? printString(expr.value)
    if (typeof expr.value === 'number') return this.#spelling(expr, /^-?\d[\d_.eE+-]*$/) ?? String(expr.value)
    return String(expr.value)
  }

  /** In brackets a lone word means a text, so a name needs `list` before it and a lone root needs parentheses. */
  #item(item: Expr): string {
    switch (item.kind) {
      case 'literal':
        return typeof item.value === 'string' ? (this.#bareWord(item) ?? this.#literal(item)) : this.#literal(item)
      case 'duration':
      case 'timestamp':
      case 'cidr':
      case 'list-literal':
      case 'map-literal':
      case 'call':
        return this.#bare(item)
      case 'name':
        return `list ${item.name}`
      default:
        return isItemPath(item) ? this.#bare(item) : `(${this.#bare(item)})`
    }
  }

  #bareWord(item: Extract<Expr, { kind: 'literal' }>): string | null {
    const word = this.#spelling(item, /^[A-Za-z_][A-Za-z0-9_-]*$/)
    return word !== null && isWord(word) ? word : null
  }

  #map(entries: readonly { readonly key: string; readonly value: Expr }[]): string {
    if (entries.length === 0) return '{}'
    const printed = entries.map(({ key, value }) => `${isPlainWord(key) ? key : printString(key)}: ${this.expr(value)}`)
    return `{ ${printed.join(', ')} }`
  }

  /** `tags [` begins a set of tags, in which a pattern or a subtraction is none. */
  #indexed(of: Expr): string {
    return of.kind === 'name' && of.name === 'tags' ? '(tags)' : this.#owner(of)
  }

  #owner(of: Expr): string {
    const plain = ['name', 'reference', 'call', 'field', 'index'].includes(of.kind)
    return plain ? this.#bare(of) : `(${this.#bare(of)})`
  }

  #window(window: TimeWindow): string {
    const span = `${printTimeOfDay(window.fromMinute)}..${printTimeOfDay(window.untilMinute)}`
    const zone = window.zone === 'UTC' ? '' : ` ${printString(window.zone)}`
    const days = window.days === null ? '' : ` on ${printDays(window.days)}`
    return `${this.expr(window.subject, Level.Sum)} in ${span}${zone}${days}`
  }

  // -------------------------------------------------------------- scope

  scope(terms: readonly ScopeTerm[]): string {
    return terms.map((term) => this.#scopeTerm(term)).join(', ')
  }

  #scopeTerm(term: ScopeTerm): string {
    const [first] = term.patterns
    const single = term.patterns.length === 1 && first !== undefined
    // Tools and environments are families of names (`db.*`); other globs read better as texts.
    const quote = term.kind === 'scope-label' || (term.on !== 'tool' && term.on !== 'env')
    const print = term.kind === 'scope' && term.on === 'tool' ? printToolPattern : printPattern
    const set = `[${term.patterns.map((pattern) => print(pattern, quote)).join(', ')}]`
    if (term.kind === 'scope') return `${term.on} ${single ? print(first, quote) : set}`
    const label = `${term.on} ${term.label.name}`
    if (!single) return `${label} in ${set}`
    const pattern = printPattern(first, quote)
    return pattern.startsWith('like ') ? `${label} ${pattern}` : `${label} = ${pattern}`
  }

  // -------------------------------------------------------------- declarations

  description(text: string): string {
    return text === '' ? '' : ` ${printString(text)}`
  }

  tags(tags: readonly Identifier[]): string {
    return tags.length === 0 ? '' : printTags(tags)
  }

  list(node: Extract<Declaration, { kind: 'list' }>): readonly Line[] {
    const head = `list ${node.name.name}`
    if (node.source.kind === 'file') {
      return [row([head, `from ${printString(node.source.path)}`], node.span.start)]
    }
    const items = node.source.items.map((item) => this.#item(item))
    const flat = row([head, `= [${items.join(', ')}]`], node.span.start)
    if (!this.#spread && flat.text.length <= MAX_WIDTH) return [flat]
    const anchors = node.source.items.map((item) => item.span.start)
    return [line(0, `${head} = [`, node.span.start), ...this.#fill(items, anchors), line(0, ']', node.span.end - 1)]
  }

  /** As many items a line as fit, or one where each may have a comment. */
  #fill(items: readonly string[], anchors: readonly number[]): readonly Line[] {
    const lines: { text: string; at: number }[] = []
    for (const [index, item] of items.entries()) {
      const last = lines.at(-1)
      const longer = last === undefined ? '' : `${last.text} ${item},`
      if (last === undefined || this.#spread || longer.length + 2 > MAX_WIDTH) {
        lines.push({ text: `${item},`, at: anchors[index] ?? 0 })
      } else last.text = longer
    }
    return lines.map(({ text, at }) => line(2, text, at))
  }

  tool(node: Extract<Declaration, { kind: 'tool' }>): readonly Line[] {
    const head = `tool ${dottedName(node.name.name)}`
    const tags = this.tags(node.tags)
    const parameters = node.parameters.map((parameter) => this.#parameter(parameter))
    const flat = row([head, inBraces(parameters), tags, receipt(node)], node.span.start)
    if (!this.#spread && flat.text.length <= MAX_WIDTH) return [flat]
    const close = node.tags[0]?.span.start ?? node.span.end - 1
    return [
      line(0, `${head} {`, node.span.start),
      ...node.parameters.map((parameter, at) => line(2, `${parameters[at]},`, parameter.span.start)),
      line(0, ['}', tags, receipt(node)].filter((part) => part !== '').join(' '), close),
    ]
  }

  #parameter({ name, optional, type }: Parameter): string {
    return `${isPlainWord(name.name) ? name.name : printString(name.name)}${optional ? '?' : ''}: ${this.type(type)}`
  }

  type(type: TypeNode): string {
    switch (type.kind) {
      case 'type-name':
        return type.name
      case 'type-list':
        return `list<${this.type(type.item)}>`
      case 'type-object':
        return inBraces(type.fields.map((field) => this.#parameter(field)))
      default:
        return assertNever(type)
    }
  }

  body(
    head: string,
    node: { readonly span: { readonly start: number; readonly end: number } },
    body: RuleBody,
  ): Line[] {
    const lines = [line(0, `${head} {`, node.span.start)]
    const [firstTerm] = body.scope
    if (firstTerm !== undefined) lines.push(line(2, `on   ${this.scope(body.scope)}`, firstTerm.span.start))
    for (const { kind, expr, span } of body.conditions) lines.push(...this.#condition(kind, expr, span.start))
    lines.push(...this.#effect(body.effect))
    if (body.severity !== null) lines.push(line(2, `severity ${body.severity.value}`, body.severity.span.start))
    const [firstTag] = body.tags
    if (firstTag !== undefined) lines.push(line(2, printTags(body.tags), firstTag.span.start))
    if (body.monitor) lines.push(line(2, 'mode monitor', null))
    if (body.active !== null) lines.push(line(2, printActive(body.active), body.active.span.start))
    if (body.unknownMeansNoMatch) lines.push(line(2, 'unknown means no match', null))
    lines.push(line(0, '}', node.span.end - 1))
    return lines
  }

  /** A long conjunction or disjunction gets a line for each operand. */
  #condition(kind: 'when' | 'unless', expr: Expr, at: number): readonly Line[] {
    const flat = `${kind} ${this.expr(expr)}`
    if (flat.length + 2 <= MAX_WIDTH || (expr.kind !== 'and' && expr.kind !== 'or')) return [line(2, flat, at)]
    return this.operands(expr, true).map((operand, index) =>
      index === 0
        ? line(2, `${kind} ${operand}`, at)
        : line(4, `${expr.kind} ${operand}`, (expr.operands[index] as Expr).span.start),
    )
  }

  #effect(effect: RuleEffect): readonly Line[] {
    const at = effect.span.start
    switch (effect.kind) {
      case 'allow': {
        const obligations = effect.obligations.map(printObligation).join(', ')
        return [line(2, obligations === '' ? 'allow' : `allow with ${obligations}`, at)]
      }
      case 'deny':
        return [line(2, `deny${this.description(effect.why)}`, at)]
      case 'deny-except':
        return this.#approval(2, `deny${this.description(effect.why)} except`, effect.approval, at)
      case 'require-approval':
        return this.#approval(2, 'require', effect.approval, at)
      default:
        return assertNever(effect)
    }
  }

  defaultEffect(effect: DefaultEffect): readonly Line[] {
    const at = effect.span.start
    switch (effect.kind) {
      case 'default-allow':
        return [line(0, 'default allow', at)]
      case 'default-deny':
        return [line(0, 'default deny', at)]
      case 'default-approval':
        return this.#approval(0, 'default require', effect.approval, at)
      default:
        return assertNever(effect)
    }
  }

  /** A long clause gets a line for each later stage and each option. */
  #approval(indent: number, head: string, clause: ApprovalClause, at: number): readonly Line[] {
    const [first = '', ...others] = clause.stages.map((stage) => this.#stage(stage))
    const parts = [`${head} approval ${first}`, ...others.map((stage) => `then ${stage}`), ...this.#options(clause)]
    const flat = parts.join(' ')
    if (flat.length + indent <= MAX_WIDTH) return [line(indent, flat, at)]
    return parts.map((part, place) => (place === 0 ? line(indent, part, at) : line(indent + 2, part, null)))
  }

  #stage({ from, condition }: ApprovalStageNode): string {
    const groups = from.map(({ count, role, where }) => {
      const attributes = where.map(({ attribute, value }) => {
        const name = isPlainWord(attribute.name) ? attribute.name : printString(attribute.name)
        return `${name} = ${this.expr(value, Level.Sum)}`
      })
      const held = attributes.length === 0 ? '' : ` (${attributes.join(', ')})`
      return `${count === 1 ? '' : `${count} of `}${freeName(role.name)}${held}`
    })
    return `from ${groups.join(' and ')}${condition === null ? '' : ` if ${this.expr(condition)}`}`
  }

  #options(clause: ApprovalClause): readonly string[] {
    const { withinMs, onTimeout, validForMs, reasonRequired, mayEdit, breakGlass } = clause
    const paths = (exprs: readonly Expr[]): string => exprs.map((path) => this.expr(path)).join(', ')
    const parts: string[] = []
    if (withinMs !== null) parts.push(`within ${printDuration(withinMs)}${printTimeout(onTimeout)}`)
    for (const { role, afterMs } of clause.escalations) {
      parts.push(`escalate to ${freeName(role.name)} after ${printDuration(afterMs)}`)
    }
    if (validForMs !== null) parts.push(`valid for ${printDuration(validForMs)}`)
    if (clause.notByRequester) parts.push('not by requester')
    if (clause.notByAuthor !== null) parts.push('not by author')
    if (reasonRequired !== null) {
      parts.push(`reason required${reasonRequired === 'both' ? '' : ` on ${reasonRequired}`}`)
    }
    if (mayEdit.length > 0) parts.push(`may edit ${paths(mayEdit)}`)
    for (const { scope, paths: of, forMs, atMost } of clause.mayRemember) {
      const what = scope === 'fields' ? paths(of) : scope
      const most = atMost === null ? '' : ` at most ${atMost} times`
      parts.push(`may remember ${what} for ${printDuration(forMs)}${most}`)
    }
    if (breakGlass !== null) parts.push(`break glass by ${freeName(breakGlass.name)}`)
    return parts
  }

  // -------------------------------------------------------------- tests

  given(call: GivenCall): string {
    const parts = [`tool ${freeDottedName(call.tool)}`]
    if (call.env !== null) parts.push(`env ${freeDottedName(call.env)}`)
    if (call.agent !== null) parts.push(this.#subject('agent', call.agent, call.agentLabels))
    if (call.principal !== null) parts.push(this.#subject('principal', call.principal, call.principalLabels))
    if (call.session !== null) parts.push(`session ${printString(call.session)}`)
    if (call.tenant !== null) parts.push(`tenant ${freeDottedName(call.tenant)}`)
    if (call.args !== null) parts.push(`args ${this.expr(call.args)}`)
    if (call.context !== null) parts.push(`context ${this.expr(call.context)}`)
    if (call.atMs !== null) parts.push(`at "${printTimestamp(call.atMs)}"`)
    return `given ${parts.join(', ')}`
  }

  #subject(kind: 'agent' | 'principal', id: string, labels: Expr | null): string {
    return `${kind} ${printString(id)}${labels === null ? '' : ` ${this.expr(labels)}`}`
  }

  expectation({ outcome, roles, by }: Expectation): string {
    const words = { ALLOW: 'allow', DENY: 'deny', REQUIRE_APPROVAL: 'require approval' } as const
    const from = roles.length === 0 ? '' : ` from ${roles.map(freeName).join(' and ')}`
    return `expect ${words[outcome]}${from}${by.length === 0 ? '' : ` by ${by.join(', ')}`}`
  }
}

function levelOf(expr: Expr): Level {
  switch (expr.kind) {
    case 'quantifier':
      return Level.Open
    case 'or':
      return Level.Or
    case 'and':
      return Level.And
    case 'not':
      return Level.Not
    case 'compare':
    case 'relation':
    case 'matches':
    case 'exists':
    case 'time-window':
      return Level.Comparison
    case 'arithmetic':
      return expr.op === '+' || expr.op === '-' ? Level.Sum : Level.Product
    case 'negate':
      return Level.Unary
    case 'literal':
      return typeof expr.value === 'number' && expr.value < 0 ? Level.Unary : Level.Postfix
    default:
      return Level.Postfix
  }
}

/** `not args.x == 1` is right but reads wrong; only what can be mistaken for nothing else goes without parentheses. */
const negatesPlainly = (operand: Expr): boolean => operand.kind === 'not' || operand.kind === 'exists'

/** `word.field…` or `call(…)…`: the paths that stand in brackets as they are. */
function isItemPath(item: Expr): boolean {
  if (item.kind === 'reference') return isPlainWord(item.path[0] ?? '')
  if (item.kind === 'field' && item.of.kind === 'name') return true
  return item.kind === 'call' || ((item.kind === 'field' || item.kind === 'index') && isItemPath(item.of))
}

/** A word where reserved words may stand, too: after a dot, as a key. */
const isPlainWord = (text: string): boolean => isWord(text) || isReserved(text)

const freeName = (name: string): string => (isWord(name) ? name : printString(name))

const isDotted = (name: string): boolean => {
  const [first = '', ...rest] = name.split('.')
  return isWord(first) && rest.every(isPlainWord)
}
const freeDottedName = (name: string): string => (isDotted(name) ? name : printString(name))
const dottedName = freeDottedName

const inBraces = (parts: readonly string[]): string => (parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`)

function printPattern(pattern: NamePattern, quoteGlobs: boolean): string {
  switch (pattern.kind) {
    case 'literal':
      return freeDottedName(pattern.text)
    case 'tag':
      return `tag ${freeName(pattern.text)}`
    case 'undeclared':
      return UNDECLARED
    case 'glob':
      return pattern.text === '*' || (!quoteGlobs && isGlobWord(pattern.text))
        ? pattern.text
        : `like ${printString(pattern.text)}`
    default:
      return assertNever(pattern.kind)
  }
}

/** Under `tool` the bare word means tools without a declaration; a tool that is called so has quotes. */
const printToolPattern = (pattern: NamePattern, quoteGlobs: boolean): string =>
  pattern.kind === 'literal' && pattern.text === UNDECLARED
    ? printString(pattern.text)
    : printPattern(pattern, quoteGlobs)

const printTags = (tags: readonly Identifier[]): string =>
  `tags [${tags.map(({ name }) => (isTagWord(name) ? name : printString(name))).join(', ')}]`

function printObligation(obligation: ObligationNode): string {
  switch (obligation.kind) {
    case 'redact':
    case 'mask':
      return `${obligation.kind} ${obligation.target}`
    case 'max_rows':
      return `max_rows ${obligation.rows}`
    case 'notify':
      return `notify ${freeName(obligation.target)}`
    default:
      return assertNever(obligation)
  }
}

function printTimeout(onTimeout: ApprovalClause['onTimeout']): string {
  if (onTimeout === null) return ''
  return onTimeout.kind === 'deny' ? ' else deny' : ` else escalate to ${freeName(onTimeout.role.name)}`
}

function printActive({ fromMs, untilMs }: { readonly fromMs: number | null; readonly untilMs: number | null }): string {
  const from = fromMs === null ? '' : ` from ${printTimestamp(fromMs)}`
  const until = untilMs === null ? '' : ` until ${printTimestamp(untilMs)}`
  return `active${from}${until}`
}

const MONDAY_FIRST = [1, 2, 3, 4, 5, 6, 0] as const

function printDays(days: readonly number[]): string {
  const places = MONDAY_FIRST.flatMap((day, place) => (days.includes(day) ? [place] : []))
  const names = places.map((place) => DAY_NAMES[MONDAY_FIRST[place] as number] as string)
  if (names.length === 1) return names.join('')
  const [first = 0] = places
  const unbroken = places.every((place, at) => place === first + at)
  return unbroken && names.length > 2 ? `${names[0]}..${names.at(-1)}` : `[${names.join(', ')}]`
}
