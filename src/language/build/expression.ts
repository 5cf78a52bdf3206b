import type { Span } from '../../model/span.js'
import type { ArithmeticOp, CompareOp, Expr, ReferenceRoot, RelationOp } from '../ast.js'
import type { Token } from '../lexer.js'
import { DAY_NAMES, parseDuration, parseNumber, parseString, parseTimeOfDay, parseTimestamp } from '../literals.js'
import { type Chain, toArray } from './chain.js'
import { identifier, spanOf } from './words.js'

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
export const instantOf = (at: Token): number =>
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
