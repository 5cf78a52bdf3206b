import type { Span } from '../model/span.js'
import type {
  ActiveDates,
  ApprovalClause,
  ApprovalStageNode,
  ArithmeticOp,
  CompareOp,
  ConditionClause,
  Declaration,
  DefaultEffect,
  Expectation,
  Expr,
  GivenCall,
  Identifier,
  NamePattern,
  ObligationNode,
  Parameter,
  ReferenceRoot,
  RelationOp,
  RuleBody,
  RuleEffect,
  ScopeTerm,
} from './ast.js'
import type { Token } from './lexer.js'
import { DAY_NAMES, parseDuration, parseNumber, parseString, parseTimeOfDay, parseTimestamp } from './literals.js'

/**
 * What the grammar's postprocessors call: tokens and nodes in, one new node out. All of it is pure, because an Earley
 * parser completes every prefix of a text and would see what a longer parse wrote into a shared node.
 */

/** A left-recursive list while it grows; {@link toArray} flattens it once its closing token was seen. */
export type Chain<T> = { readonly before: Chain<T>; readonly item: T } | null

export const chain = <T>(before: Chain<T>, item: T): Chain<T> => ({ before, item })

export function toArray<T>(last: Chain<T>): readonly T[] {
  const items: T[] = []
  for (let link = last; link !== null; link = link.before) items.push(link.item)
  return items.reverse()
}

/** A mistake that the grammar lets pass so that it can be told in plain words: a clause given twice, an effect left out. */
export interface BuildFault {
  readonly code: 'POL1004' | 'POL1005' | 'POL1006'
  readonly message: string
  readonly hint?: string
  readonly span: Span
}

/** What parsing one declaration yields. */
export interface Built {
  readonly node: Declaration
  readonly faults: readonly BuildFault[]
}

export const built = (node: Declaration, faults: readonly BuildFault[] = []): Built => ({ node, faults })

// ---------------------------------------------------------------- places

type Piece = Token | { readonly span: Span }

const startOf = (piece: Piece): number => ('offset' in piece ? piece.offset : piece.span.start)
const endOf = (piece: Piece): number => ('offset' in piece ? piece.offset + piece.text.length : piece.span.end)

/** From the first character of `first` to the last of `last`. */
export const spanOf = (first: Piece, last: Piece = first): Span => ({ start: startOf(first), end: endOf(last) })

// ---------------------------------------------------------------- names

export const identifier = (token: Token): Identifier => ({ kind: 'identifier', name: token.text, span: spanOf(token) })

export const quotedIdentifier = (token: Token): Identifier => ({
  kind: 'identifier',
  name: parseString(token.text),
  span: spanOf(token),
})

/** `payments` `.` `transfer` */
export const dotted = (left: Identifier, right: Token): Identifier => ({
  kind: 'identifier',
  name: `${left.name}.${right.text}`,
  span: spanOf(left, right),
})

export const text = (token: Token | null): string => (token === null ? '' : parseString(token.text))

// ---------------------------------------------------------------- expressions

const ROOTS: ReadonlySet<string> = new Set<ReferenceRoot>([
  'args',
  'agent',
  'principal',
  'session',
  'context',
  'tool',
  'env',
  'now',
])

/** Words that begin a reference wherever an expression stands. */
export const isRoot = (name: string): name is ReferenceRoot => ROOTS.has(name)

export const constant = (value: string | number | boolean | null, at: Token): Expr => ({
  kind: 'literal',
  value,
  span: spanOf(at),
})
export const stringLiteral = (at: Token): Expr => constant(parseString(at.text), at)
export const bareWord = (at: Token): Expr => constant(at.text, at)
export const numberLiteral = (at: Token): Expr => constant(parseNumber(at.text), at)
export const duration = (at: Token): Expr => ({ kind: 'duration', ms: parseDuration(at.text), span: spanOf(at) })
export const cidr = (at: Token): Expr => ({ kind: 'cidr', text: at.text, span: spanOf(at) })

/** The lexer's faults have been told by now, so an impossible date cannot come this far. */
const instantOf = (at: Token): number =>
  parseTimestamp(at.type === 'string' ? parseString(at.text) : at.text) ?? Number.NaN
export const timestamp = (at: Token): Expr => ({ kind: 'timestamp', ms: instantOf(at), span: spanOf(at) })

/** A root word starts a reference; any other word is a name for the checker to resolve. */
export const word = (at: Token): Expr =>
  isRoot(at.text)
    ? { kind: 'reference', root: at.text, path: [], span: spanOf(at) }
    : { kind: 'name', name: at.text, span: spanOf(at) }

export const nameOf = (at: Token): Expr => ({ kind: 'name', name: at.text, span: spanOf(at) })

export const member = (of: Expr, field: Token): Expr =>
  of.kind === 'reference'
    ? { ...of, path: [...of.path, field.text], span: spanOf(of, field) }
    : { kind: 'field', of, field: field.text, span: spanOf(of, field) }

/** `args["odd name"]` is the same reference as a dotted one, so that it is typed and indexed like one. */
export const index = (of: Expr, at: Expr, close: Token): Expr =>
  of.kind === 'reference' && at.kind === 'literal' && typeof at.value === 'string'
    ? { ...of, path: [...of.path, at.value], span: spanOf(of, close) }
    : { kind: 'index', of, index: at, span: spanOf(of, close) }

export const call = (fn: Token, args: Chain<Expr>, close: Token): Expr => ({
  kind: 'call',
  fn: fn.text,
  args: toArray(args),
  span: spanOf(fn, close),
})

/** Parentheses leave no node; the span grows, so that an excerpt shows them. */
export const group = (open: Token, inner: Expr, close: Token): Expr => ({ ...inner, span: spanOf(open, close) })

export const list = (open: Token, items: Chain<Expr>, close: Token): Expr => ({
  kind: 'list-literal',
  items: toArray(items),
  span: spanOf(open, close),
})

export interface MapEntry {
  readonly key: string
  readonly value: Expr
}
export const entry = (key: Token, value: Expr): MapEntry => ({
  key: key.type === 'string' ? parseString(key.text) : key.text,
  value,
})
export const map = (open: Token, entries: Chain<MapEntry>, close: Token): Expr => ({
  kind: 'map-literal',
  entries: toArray(entries),
  span: spanOf(open, close),
})

export const not = (at: Token, operand: Expr): Expr => ({ kind: 'not', operand, span: spanOf(at, operand) })

/** A minus before a number is part of the number. */
export const negate = (at: Token, operand: Expr): Expr =>
  operand.kind === 'literal' && typeof operand.value === 'number'
    ? { kind: 'literal', value: operand.value === 0 ? 0 : -operand.value, span: spanOf(at, operand) }
    : { kind: 'negate', operand, span: spanOf(at, operand) }

/** Flattens: `a and b and c` is one node with three operands, however it was bracketed. */
export const logical = (kind: 'and' | 'or', left: Expr, right: Expr): Expr => ({
  kind,
  operands: [...operandsOf(kind, left), ...operandsOf(kind, right)],
  span: spanOf(left, right),
})

const operandsOf = (kind: 'and' | 'or', expr: Expr): readonly Expr[] => (expr.kind === kind ? expr.operands : [expr])

export const arithmetic = (op: Token, left: Expr, right: Expr): Expr => ({
  kind: 'arithmetic',
  op: op.text as ArithmeticOp,
  left,
  right,
  span: spanOf(left, right),
})

export const compare = (op: Token, left: Expr, right: Expr): Expr => ({
  kind: 'compare',
  op: op.text as CompareOp,
  left,
  right,
  span: spanOf(left, right),
})

export const relation = (op: RelationOp, left: Expr, right: Expr): Expr => ({
  kind: 'relation',
  op,
  left,
  right,
  span: spanOf(left, right),
})

export function matches(subject: Expr, regex: Token): Expr {
  const close = regex.text.lastIndexOf('/')
  return {
    kind: 'matches',
    subject,
    pattern: regex.text.slice(1, close),
    flags: regex.text.slice(close + 1),
    span: spanOf(subject, regex),
  }
}

export const exists = (at: Token, operand: Expr): Expr => ({ kind: 'exists', operand, span: spanOf(at, operand) })

export const quantifier = (at: Token, variable: Token, over: Expr, body: Expr): Expr => ({
  kind: 'quantifier',
  quantifier: at.text as 'any' | 'all',
  variable: identifier(variable),
  over,
  body,
  span: spanOf(at, body),
})

export interface Days {
  readonly days: readonly number[]
  readonly span: Span
}

const dayNumber = (token: Token): number => DAY_NAMES.indexOf(token.text as (typeof DAY_NAMES)[number])

export const oneDay = (day: Token): Days => ({ days: [dayNumber(day)], span: spanOf(day) })

/** `fri..mon` runs over the week's end. */
export function dayRange(first: Token, last: Token): Days {
  const from = dayNumber(first)
  const length = ((dayNumber(last) - from + 7) % 7) + 1
  const days = Array.from({ length }, (_, step) => (from + step) % 7)
  return { days: days.sort((a, b) => a - b), span: spanOf(first, last) }
}

export const daySet = (open: Token, days: Chain<Token>, close: Token): Days => ({
  days: [...new Set(toArray(days).map(dayNumber))].sort((a, b) => a - b),
  span: spanOf(open, close),
})

export const timeWindow = (subject: Expr, from: Token, until: Token, zone: Token | null, days: Days | null): Expr => ({
  kind: 'time-window',
  subject,
  fromMinute: parseTimeOfDay(from.text),
  untilMinute: parseTimeOfDay(until.text),
  zone: zone === null ? 'UTC' : parseString(zone.text),
  days: days === null ? null : days.days,
  span: spanOf(subject, days ?? zone ?? until),
})

// ---------------------------------------------------------------- scope

export const namePattern = (name: Identifier): NamePattern => ({ kind: 'literal', text: name.name, span: name.span })
export const globPattern = (at: Token): NamePattern => ({ kind: 'glob', text: at.text, span: spanOf(at) })
export const likePattern = (at: Token, glob: Token): NamePattern => ({
  kind: 'glob',
  text: parseString(glob.text),
  span: spanOf(at, glob),
})
export const tagPattern = (at: Token, tag: Identifier): NamePattern => ({
  kind: 'tag',
  text: tag.name,
  span: spanOf(at, tag),
})

export interface Patterns {
  readonly patterns: readonly NamePattern[]
  readonly span: Span
}
export const onePattern = (pattern: NamePattern): Patterns => ({ patterns: [pattern], span: pattern.span })
export const patternSet = (open: Token, patterns: Chain<NamePattern>, close: Token): Patterns => ({
  patterns: toArray(patterns),
  span: spanOf(open, close),
})

export const scope = (on: Token, patterns: Patterns): ScopeTerm => ({
  kind: 'scope',
  on: on.text as 'tool' | 'env' | 'agent' | 'principal' | 'tenant',
  patterns: patterns.patterns,
  span: spanOf(on, patterns),
})

export const labelScope = (on: Token, label: Identifier, patterns: Patterns): ScopeTerm => ({
  kind: 'scope-label',
  on: on.text as 'agent' | 'principal',
  label,
  patterns: patterns.patterns,
  span: spanOf(on, patterns),
})

// ---------------------------------------------------------------- effects and approvals

type Voters = ApprovalStageNode['from'][number]

export const voters = (count: Token | null, role: Identifier): Voters => ({
  count: count === null ? 1 : parseNumber(count.text),
  role,
  span: count === null ? role.span : spanOf(count, role),
})

export const stage = (groups: Chain<Voters>): ApprovalStageNode => ({ from: toArray(groups) })

export type ApprovalOption = { readonly span: Span } & (
  | { readonly kind: 'within'; readonly ms: number; readonly onTimeout: ApprovalClause['onTimeout'] }
  | { readonly kind: 'escalate'; readonly role: Identifier; readonly afterMs: number }
  | { readonly kind: 'valid'; readonly ms: number }
  | { readonly kind: 'not-by-requester' }
)

export const within = (
  at: Token,
  time: Token,
  last: Piece,
  onTimeout: ApprovalClause['onTimeout'],
): ApprovalOption => ({
  kind: 'within',
  ms: parseDuration(time.text),
  onTimeout,
  span: spanOf(at, last),
})
export const escalate = (at: Token, role: Identifier, time: Token): ApprovalOption => ({
  kind: 'escalate',
  role,
  afterMs: parseDuration(time.text),
  span: spanOf(at, time),
})
export const valid = (at: Token, time: Token): ApprovalOption => ({
  kind: 'valid',
  ms: parseDuration(time.text),
  span: spanOf(at, time),
})
export const notByRequester = (at: Token, last: Token): ApprovalOption => ({
  kind: 'not-by-requester',
  span: spanOf(at, last),
})

/** An approval clause, and the options of it that were given twice. */
export interface BuiltApproval {
  readonly clause: ApprovalClause
  readonly faults: readonly BuildFault[]
  readonly span: Span
}

export function approval(
  at: Token,
  stageChain: Chain<ApprovalStageNode>,
  optionChain: Chain<ApprovalOption>,
): BuiltApproval {
  const stages = toArray(stageChain)
  const options = toArray(optionChain)
  const last = options.at(-1) ?? stages.at(-1)?.from.at(-1) ?? at
  const span = spanOf(at, last)
  const within = options.find((o) => o.kind === 'within')
  const valid = options.find((o) => o.kind === 'valid')
  const clause: ApprovalClause = {
    kind: 'approval',
    stages,
    withinMs: within?.ms ?? null,
    onTimeout: within?.onTimeout ?? null,
    escalations: options
      .filter((o) => o.kind === 'escalate')
      .map(({ role, afterMs, span }) => ({ role, afterMs, span })),
    validForMs: valid?.ms ?? null,
    notByRequester: options.some((o) => o.kind === 'not-by-requester'),
    span,
  }
  const written: Record<ApprovalOption['kind'], string> = {
    within: 'within',
    escalate: 'escalate',
    valid: 'valid for',
    'not-by-requester': 'not by requester',
  }
  const once = options.filter((o) => o.kind !== 'escalate')
  return { clause, faults: repeated(once, (o) => written[o.kind]), span }
}

const repeated = <T extends { readonly kind: string; readonly span: Span }>(
  clauses: readonly T[],
  name: (clause: T) => string,
): readonly BuildFault[] =>
  clauses
    .filter((clause, at) => clauses.findIndex((earlier) => earlier.kind === clause.kind) !== at)
    .map((clause) => ({
      code: 'POL1004',
      message: `\`${name(clause)}\` is given twice`,
      hint: 'keep one of the two',
      span: clause.span,
    }))

export const redactOrMask = (at: Token, target: Identifier): ObligationNode => ({
  kind: at.text as 'redact' | 'mask',
  target: target.name,
  span: spanOf(at, target),
})
export const maxRows = (at: Token, rows: Token): ObligationNode => ({
  kind: 'max_rows',
  rows: parseNumber(rows.text),
  span: spanOf(at, rows),
})
export const notify = (at: Token, target: Identifier): ObligationNode => ({
  kind: 'notify',
  target: target.name,
  span: spanOf(at, target),
})

export const allow = (at: Token, obligations: Chain<ObligationNode>): RuleEffect => ({
  kind: 'allow',
  obligations: toArray(obligations),
  span: obligations === null ? spanOf(at) : spanOf(at, obligations.item),
})
export const deny = (at: Token, why: Token | null): RuleEffect => ({
  kind: 'deny',
  why: text(why),
  span: spanOf(at, why ?? at),
})

// ---------------------------------------------------------------- rules

/** One line of a rule's body. The grammar takes them in any order and number; {@link ruleBody} sorts them out. */
export type Clause = { readonly span: Span } & (
  | { readonly kind: 'on'; readonly scope: readonly ScopeTerm[] }
  | { readonly kind: 'condition'; readonly clause: ConditionClause }
  | { readonly kind: 'effect'; readonly effect: RuleEffect; readonly faults: readonly BuildFault[] }
  | { readonly kind: 'severity'; readonly value: Token }
  | { readonly kind: 'tags'; readonly tags: readonly Identifier[] }
  | { readonly kind: 'mode' }
  | { readonly kind: 'active'; readonly dates: ActiveDates }
  | { readonly kind: 'unknown' }
)

export function onClause(at: Token, terms: Chain<ScopeTerm>): Clause {
  const scope = toArray(terms)
  return { kind: 'on', scope, span: spanOf(at, scope.at(-1) ?? at) }
}

export function condition(at: Token, expr: Expr): Clause {
  const span = spanOf(at, expr)
  return { kind: 'condition', clause: { kind: at.text as 'when' | 'unless', expr, span }, span }
}

export const effectClause = (effect: RuleEffect): Clause => ({ kind: 'effect', effect, faults: [], span: effect.span })

export function denyExcept(at: Token, why: Token | null, except: BuiltApproval): Clause {
  const span = spanOf(at, except)
  const effect: RuleEffect = { kind: 'deny-except', why: text(why), approval: except.clause, span }
  return { kind: 'effect', effect, faults: except.faults, span }
}

export function requireApproval(at: Token, required: BuiltApproval): Clause {
  const span = spanOf(at, required)
  return {
    kind: 'effect',
    effect: { kind: 'require-approval', approval: required.clause, span },
    faults: required.faults,
    span,
  }
}

export const severity = (at: Token, value: Token): Clause => ({ kind: 'severity', value, span: spanOf(at, value) })
export const tags = (at: Token, names: Chain<Identifier>, close: Token): Clause => ({
  kind: 'tags',
  tags: toArray(names),
  span: spanOf(at, close),
})
export const monitor = (at: Token, last: Token): Clause => ({ kind: 'mode', span: spanOf(at, last) })
export const unknownClause = (at: Token, last: Token): Clause => ({ kind: 'unknown', span: spanOf(at, last) })
export function active(at: Token, from: Token | null, until: Token | null): Clause {
  const span = spanOf(at, until ?? from ?? at)
  const dates: ActiveDates = {
    fromMs: from === null ? null : instantOf(from),
    untilMs: until === null ? null : instantOf(until),
    span,
  }
  return { kind: 'active', dates, span }
}

const CLAUSE_WORDS: Record<Exclude<Clause['kind'], 'condition'>, string> = {
  on: 'on',
  effect: 'an effect',
  severity: 'severity',
  tags: 'tags',
  mode: 'mode',
  active: 'active',
  unknown: 'unknown means no match',
}

/** The body of a rule or template, and what is wrong with the number of its clauses. `owner` names it in messages. */
export function ruleBody(
  owner: string,
  ownerSpan: Span,
  chained: Chain<Clause>,
): { readonly body: RuleBody; readonly faults: readonly BuildFault[] } {
  const clauses = toArray(chained)
  const first = <K extends Clause['kind']>(kind: K) =>
    clauses.find((clause): clause is Extract<Clause, { kind: K }> => clause.kind === kind)
  const effect = first('effect')
  const severity = first('severity')
  const faults: BuildFault[] = []
  for (const [at, clause] of clauses.entries()) {
    if (clause.kind === 'condition') continue
    if (clauses.findIndex((earlier) => earlier.kind === clause.kind) === at) continue
    faults.push(
      clause.kind === 'effect'
        ? {
            code: 'POL1005',
            message: `${owner} has two effects`,
            hint: 'a rule has one effect; make a second rule',
            span: clause.span,
          }
        : {
            code: 'POL1004',
            message: `\`${CLAUSE_WORDS[clause.kind]}\` is given twice`,
            hint: clause.kind === 'on' ? 'join the two with a comma, which means and' : 'keep one of the two',
            span: clause.span,
          },
    )
  }
  if (effect === undefined) {
    faults.push({
      code: 'POL1006',
      message: `${owner} has no effect`,
      hint: 'say `allow`, `deny` or `require approval from ROLE` in it',
      span: ownerSpan,
    })
  }
  const body: RuleBody = {
    scope: first('on')?.scope ?? [],
    conditions: clauses.filter((clause) => clause.kind === 'condition').map((clause) => clause.clause),
    // Never read: a declaration with a fault has no node for later phases.
    effect: effect?.effect ?? { kind: 'deny', why: '', span: ownerSpan },
    severity:
      severity === undefined
        ? null
        : { value: severity.value.text as 'low' | 'medium' | 'high' | 'critical', span: spanOf(severity.value) },
    tags: first('tags')?.tags ?? [],
    monitor: first('mode') !== undefined,
    active: first('active')?.dates ?? null,
    unknownMeansNoMatch: first('unknown') !== undefined,
  }
  return { body, faults: [...faults, ...(effect?.faults ?? [])] }
}

export function rule(at: Token, id: Token, description: Token | null, clauses: Chain<Clause>, close: Token): Built {
  const { body, faults } = ruleBody(`rule \`${id.text}\``, spanOf(id), clauses)
  return built(
    { kind: 'rule', id: identifier(id), description: text(description), body, span: spanOf(at, close) },
    faults,
  )
}

export function template(
  at: Token,
  name: Token,
  parameters: Chain<Token>,
  description: Token | null,
  clauses: Chain<Clause>,
  close: Token,
): Built {
  const { body, faults } = ruleBody(`template \`${name.text}\``, spanOf(name), clauses)
  return built(
    {
      kind: 'template',
      name: identifier(name),
      parameters: toArray(parameters).map(identifier),
      description: text(description),
      body,
      span: spanOf(at, close),
    },
    faults,
  )
}

// ---------------------------------------------------------------- headers, tools

export interface BuiltDefault {
  readonly effect: DefaultEffect
  readonly faults: readonly BuildFault[]
  readonly span: Span
}
export function defaultEffect(at: Token, kind: 'default-allow' | 'default-deny', last: Token): BuiltDefault {
  const span = spanOf(at, last)
  return { effect: { kind, span }, faults: [], span }
}
export function defaultApproval(at: Token, required: BuiltApproval): BuiltDefault {
  const span = spanOf(at, required)
  return { effect: { kind: 'default-approval', approval: required.clause, span }, faults: required.faults, span }
}

export function policyHeader(
  fleet: Token | null,
  at: Token,
  name: Token,
  description: Token | null,
  terms: Chain<ScopeTerm>,
  fallback: BuiltDefault | null,
): Built {
  const last = fallback ?? terms?.item ?? description ?? name
  return built(
    {
      kind: 'policy',
      fleet: fleet !== null,
      name: identifier(name),
      description: text(description),
      speaksFor: toArray(terms),
      defaultEffect: fallback?.effect ?? null,
      span: spanOf(fleet ?? at, last),
    },
    fallback?.faults ?? [],
  )
}

export const parameter = (name: Identifier, optional: boolean, type: Parameter['type']): Parameter => ({
  name,
  optional,
  type,
  span: spanOf(name, type),
})

// ---------------------------------------------------------------- tests

/** One `key value` of a `given`; a later one of the same key is a fault. */
export interface GivenPart {
  readonly kind: 'tool' | 'env' | 'session' | 'tenant' | 'agent' | 'principal' | 'args' | 'context' | 'at'
  readonly text: string
  /** Arguments, context, or the labels of a subject. */
  readonly map: Expr | null
  /** For `at`; NaN where the text is no instant. */
  readonly ms: number
  readonly span: Span
}

const kindOf = (at: Token): GivenPart['kind'] => at.text as GivenPart['kind']

export const givenText = (at: Token, name: Identifier): GivenPart => givenSubject(at, name, null)
export const givenSubject = (at: Token, name: Identifier, labels: Expr | null): GivenPart => ({
  kind: kindOf(at),
  text: name.name,
  map: labels,
  ms: 0,
  span: spanOf(at, labels ?? name),
})
export const givenMap = (at: Token, value: Expr): GivenPart => ({
  kind: kindOf(at),
  text: '',
  map: value,
  ms: 0,
  span: spanOf(at, value),
})
export const givenTime = (at: Token, time: Token): GivenPart => ({
  kind: 'at',
  text: '',
  map: null,
  ms: instantOf(time),
  span: spanOf(at, time),
})

export interface BuiltGiven {
  readonly given: GivenCall
  readonly faults: readonly BuildFault[]
}
export function given(at: Token, chained: Chain<GivenPart>): BuiltGiven {
  const parts = toArray(chained)
  const first = (kind: GivenPart['kind']) => parts.find((part) => part.kind === kind)
  const textOf = (kind: GivenPart['kind']) => first(kind)?.text ?? null
  const mapOf = (kind: GivenPart['kind']) => first(kind)?.map ?? null
  const span = spanOf(at, parts.at(-1) ?? at)
  const faults: BuildFault[] = [...repeated(parts, (part) => part.kind)]
  const tool = first('tool')
  const time = first('at')
  if (tool === undefined) {
    faults.push({ code: 'POL1006', message: 'this call names no tool', hint: 'say `given tool NAME, …`', span })
  }
  if (time !== undefined && Number.isNaN(time.ms)) {
    faults.push({
      code: 'POL1006',
      message: 'this is no instant',
      hint: 'write at "2026-01-05T10:00Z"',
      span: time.span,
    })
  }
  const call: GivenCall = {
    tool: tool?.text ?? '',
    env: textOf('env'),
    agent: textOf('agent'),
    agentLabels: mapOf('agent'),
    principal: textOf('principal'),
    principalLabels: mapOf('principal'),
    session: textOf('session'),
    tenant: textOf('tenant'),
    args: mapOf('args'),
    context: mapOf('context'),
    atMs: time?.ms ?? null,
    span,
  }
  return { given: call, faults }
}

export function expectation(
  at: Token,
  outcome: Expectation['outcome'],
  last: Token,
  roles: Chain<Identifier>,
  by: Chain<Token>,
): Expectation {
  return {
    outcome,
    roles: toArray(roles).map((role) => role.name),
    by: toArray(by).map((id) => id.text),
    span: spanOf(at, by?.item ?? roles?.item ?? last),
  }
}

export function testCase(at: Token, name: Token, calls: Chain<BuiltGiven>, expect: Expectation, close: Token): Built {
  const parts = toArray(calls)
  return built(
    { kind: 'test', name: text(name), given: parts.map((p) => p.given), expect, span: spanOf(at, close) },
    parts.flatMap((p) => p.faults),
  )
}
