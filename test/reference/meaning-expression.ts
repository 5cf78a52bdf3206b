import type { ArithmeticOp, CompareOp, Expr, RelationOp } from '../../src/language/ast.js'
import type { ListItem } from '../../src/language/checked.js'
import type { ViewName } from '../../src/language/vocabulary.js'
import type { Call } from '../../src/model/call.js'
import { addresseesIn, isInWindow, textsIn } from './fields.js'
import type { Parts, Views } from './views.js'

/** Conditions of the plain evaluator: an interpreter over the tree, in which unknown is `undefined`. */
class Time {
  constructor(
    readonly ms: number,
    readonly isPoint: boolean,
  ) {}
}
class Range {
  constructor(readonly text: string) {}
}
class View {
  constructor(
    readonly name: ViewName,
    readonly fields: Parts,
  ) {}
}

/** What names stand for where an expression is read. */
export interface Env {
  readonly call: Call
  readonly nowMs: number
  readonly declared: readonly string[] | null
  readonly lists: ReadonlyMap<string, readonly ListItem[]>
  readonly variables: readonly { readonly name: string; readonly value: unknown }[]
  readonly views: Views
}

export function evaluate(expr: Expr, env: Env): unknown {
  const value = (child: Expr): unknown => evaluate(child, env)
  switch (expr.kind) {
    case 'literal':
      return expr.value
    case 'duration':
      return new Time(expr.ms, false)
    case 'timestamp':
      return new Time(expr.ms, true)
    case 'cidr':
      return new Range(expr.text)
    case 'list-literal':
      return expr.items.map(value)
    case 'map-literal':
      return new Map(expr.entries.map((entry) => [entry.key, value(entry.value)]))
    case 'name': {
      const bound = env.variables.findLast(({ name }) => name === expr.name)
      return bound === undefined ? env.lists.get(expr.name) : bound.value
    }
    case 'reference':
      return reference(expr.root, expr.path, env)
    case 'field':
      return field(value(expr.of), expr.field)
    case 'index': {
      const [of, index] = [value(expr.of), value(expr.index)]
      if (Array.isArray(of)) return typeof index === 'number' ? of[index] : undefined
      return typeof index === 'string' ? field(of, index) : undefined
    }
    case 'call':
      if (expr.args.length !== 1) return undefined
      if (expr.fn === 'undeclared') return undeclared(value(expr.args[0]!), env.declared)
      return call(expr.fn, value(expr.args[0]!), env.views)
    case 'not':
      return negation(value(expr.operand))
    case 'negate': {
      const operand = value(expr.operand)
      return operand instanceof Time ? calculate('*', operand, -1) : calculate('-', 0, operand)
    }
    case 'and':
      return allOf(expr.operands.map(value))
    case 'or':
      return anyOf(expr.operands.map(value))
    case 'arithmetic':
      return calculate(expr.op, value(expr.left), value(expr.right))
    case 'compare':
      return compare(expr.op, value(expr.left), value(expr.right))
    case 'relation':
      return relate(expr.op, value(expr.left), value(expr.right), env.views)
    case 'matches': {
      const text = value(expr.subject)
      return typeof text === 'string' ? env.views.matches(expr.pattern, expr.flags, text) : undefined
    }
    case 'exists':
      return value(expr.operand) !== undefined
    case 'quantifier': {
      const items = value(expr.over)
      if (!Array.isArray(items)) return undefined
      const limit = Math.min(limitOf(expr, env.variables.length), domainLimit(expr, env, items))
      const truths = items.slice(0, limit).map((item: unknown) => {
        const variables = [...env.variables, { name: expr.variable.name, value: item }]
        return evaluate(expr.body, { ...env, variables })
      })
      if (items.length > limit) truths.push(undefined)
      return expr.quantifier === 'any' ? anyOf(truths) : allOf(truths)
    }
    case 'time-window': {
      const time = value(expr.subject)
      return time instanceof Time && time.isPoint ? isInWindow(time.ms, expr) : undefined
    }
  }
}

function limitOf(expr: Extract<Expr, { kind: 'quantifier' }>, around: number): number {
  const levels = around + levelsOf(expr)
  return levels === 1 ? 10_000 : levels === 2 ? 100 : 20
}

/** Items until the body would ask for the domain of the 401st that is no plain host, or address at one. */
function domainLimit(expr: Extract<Expr, { kind: 'quantifier' }>, env: Env, items: readonly unknown[]): number {
  const variables = new Set([...env.variables.map(({ name }) => name), expr.variable.name])
  const count = (node: unknown, around: ReadonlySet<unknown>): number => {
    if (typeof node !== 'object' || node === null) return 0
    const inner = 'variable' in node ? new Set([...around, (node.variable as { name: unknown }).name]) : around
    const parts = Object.values(node).reduce((sum: number, part) => sum + count(part, inner), 0)
    const { kind, fn } = node as AnyNode
    const asks = kind === 'call' && fn === 'domain' && has(node, (part) => part.kind === 'name' && inner.has(part.name))
    return parts + Number(asks)
  }
  const domains = count(expr.body, variables)
  if (domains === 0) return items.length
  const odd = items.flatMap((item, i) => (typeof item === 'string' && isPlainAddress(item) ? [] : [i]))
  return odd[Math.floor(400 / domains)] ?? items.length
}

/** Labels of small letters, digits and single hyphens within, the last of which begins with a letter. */
function isPlainAddress(text: string): boolean {
  const host = (text.endsWith('>') ? text.slice(0, -1) : text).split('@').at(-1)!
  const labels = host.split('.')
  const isLabel = (label: string) => /^[a-z0-9-]{1,63}$/.test(label) && !/^-|-$/.test(label)
  const isShort = text.length <= 320 && host.length <= 253
  return isShort && !host.includes('--') && labels.every(isLabel) && /^[a-z]/.test(labels.at(-1)!)
}

/** How deep quantifiers stand in one another; one that parses each item counts twice. */
function levelsOf(node: unknown): number {
  if (typeof node !== 'object' || node === null) return 0
  const deepest = Object.values(node).reduce((most: number, part) => Math.max(most, levelsOf(part)), 0)
  if (!('kind' in node) || node.kind !== 'quantifier') return deepest
  if (deepest > 0) return deepest + 1
  return 'body' in node && has(node.body, ({ kind, fn }) => kind === 'call' && TEXT_VIEWS.has(fn)) ? 2 : 1
}

interface AnyNode {
  readonly kind?: unknown
  readonly fn?: unknown
  readonly name?: unknown
}

function has(node: unknown, what: (node: AnyNode) => boolean): boolean {
  if (typeof node !== 'object' || node === null) return false
  return what(node) || Object.values(node).some((part) => has(part, what))
}

const TEXT_VIEWS: ReadonlySet<unknown> = new Set(['sql', 'url', 'email', 'path', 'ip', 'shell', 'json'])

export function allOf(truths: readonly unknown[]): boolean | undefined {
  if (truths.includes(false)) return false
  return truths.every((truth) => truth === true) ? true : undefined
}
function anyOf(truths: readonly unknown[]): boolean | undefined {
  return negation(allOf(truths.map(negation)))
}
function negation(truth: unknown): boolean | undefined {
  return typeof truth === 'boolean' ? !truth : undefined
}

function reference(root: string, path: readonly string[], { call: c, nowMs }: Env): unknown {
  switch (root) {
    case 'args':
    case 'context':
      return path.reduce<unknown>(field, root === 'args' ? c.arguments : c.context)
    case 'agent':
    case 'principal': {
      const subject = root === 'agent' ? c.agent : c.principal
      if (subject === null) return undefined
      if (path.join('.') === 'id' && path.length === 1) return subject.id
      const label = path.length === 1 ? path[0] : path.length === 2 && path[0] === 'labels' ? path[1] : undefined
      return label === undefined ? undefined : field(subject.labels, label)
    }
    case 'session':
      return path.length === 1 && path[0] === 'id' && c.sessionId !== '' ? c.sessionId : undefined
    case 'tool':
      return path.length === 1 && path[0] === 'name' ? c.tool : undefined
    case 'env':
      return path.length === 0 ? c.environment : undefined
    default:
      return path.length === 0 ? new Time(nowMs, true) : undefined
  }
}

function isMap(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    ![Time, Range, View].some((c) => value instanceof c)
  )
}

function field(of: unknown, name: string): unknown {
  const holder = of instanceof View ? of.fields : of
  if (holder instanceof Map) return holder.get(name)
  if (!(of instanceof View) && !isMap(of)) return undefined
  return new Map<string, unknown>(Object.entries(holder as object)).get(name)
}

/** Sorted by code unit, one name after the other. */
function undeclared(value: unknown, declared: readonly string[] | null): unknown {
  if (declared === null || !(value instanceof Map || isMap(value))) return undefined
  const names: string[] = []
  for (const name of value instanceof Map ? value.keys() : Object.keys(value)) {
    if (declared.includes(name)) continue
    const at = names.findIndex((other) => other > name)
    names.splice(at < 0 ? names.length : at, 0, name)
  }
  return names
}

function call(fn: string, value: unknown, views: Views): unknown {
  const numbers = Array.isArray(value) && value.every(isNumber) ? (value as (number | bigint)[]) : undefined
  const best = (wins: (a: unknown, b: unknown) => unknown) =>
    numbers?.reduce<unknown>((a, b) => (a === undefined || wins(b, a) === true ? b : a), undefined)
  switch (fn) {
    case 'domain':
      return typeof value === 'string' ? views.domain(value) : undefined
    case 'count':
      return Array.isArray(value) ? value.length : undefined
    case 'length':
      return Array.isArray(value) ? value.length : typeof value === 'string' ? [...value].length : undefined
    case 'lower':
      return typeof value === 'string' ? value.toLowerCase() : undefined
    case 'sum':
      return numbers?.reduce<unknown>((total, one) => calculate('+', total, one), 0)
    case 'min':
      return best((a, b) => compare('<', a, b))
    case 'max':
      return best((a, b) => compare('>', a, b))
    case 'strings':
      return ifJson(value, textsIn)
    case 'recipients':
      return ifJson(value, addresseesIn)
    default: {
      const view = typeof value === 'string' ? views.view(fn as ViewName, value) : undefined
      return view === undefined || fn === 'json' ? view : new View(fn as ViewName, view as Parts)
    }
  }
}

/** Unknown where anything in the value is unknown or no JSON. */
function ifJson(value: unknown, apply: (json: unknown) => unknown): unknown {
  const plain = (part: unknown): boolean => {
    if (part === undefined) return false
    if (Array.isArray(part)) return part.every(plain)
    return typeof part !== 'object' || part === null || (isMap(part) && [...entries(part).values()].every(plain))
  }
  if (!plain(value)) return undefined
  return apply(value instanceof Map ? Object.fromEntries(value) : value)
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || (typeof value === 'number' && !Number.isNaN(value))
}

const BIG = 1n << 1024n

function calculate(op: ArithmeticOp, a: unknown, b: unknown): unknown {
  if (a instanceof Time || b instanceof Time) return calculateTime(op, a, b)
  if (!isNumber(a) || !isNumber(b)) return undefined
  if (typeof a === 'number' && typeof b === 'number') {
    const result = { '+': a + b, '-': a - b, '*': a * b, '/': a / b }[op]
    return Number.isFinite(result) ? result : undefined
  }
  if (![a, b].every((n) => typeof n === 'bigint' || Number.isInteger(n))) return undefined
  const [x, y] = [BigInt(a), BigInt(b)]
  if ([x, y].some((n) => n > BIG || n < -BIG) || (op === '/' && (y === 0n || x % y !== 0n))) return undefined
  const result = op === '+' ? x + y : op === '-' ? x - y : op === '*' ? x * y : x / y
  return result > BIG || result < -BIG ? undefined : canonical(result)
}

/** An integer is one value, whatever it came from: a number where a double holds it exactly, else a big integer. */
function canonical(integer: bigint): number | bigint {
  const double = Number(integer)
  return Number.isFinite(double) && BigInt(double) === integer ? double : integer
}

function calculateTime(op: ArithmeticOp, a: unknown, b: unknown): unknown {
  if (a instanceof Time && b instanceof Time) {
    if (op === '/') return a.isPoint || b.isPoint ? undefined : calculate('/', a.ms, b.ms)
    if (op === '*' || (op === '-' ? b.isPoint && !a.isPoint : a.isPoint && b.isPoint)) return undefined
    return new Time(
      op === '+' ? a.ms + b.ms : a.ms - b.ms,
      op === '+' ? a.isPoint || b.isPoint : a.isPoint && !b.isPoint,
    )
  }
  const [time, by] = a instanceof Time ? [a, b] : [b as Time, a]
  const scales = op === '*' || (op === '/' && a instanceof Time)
  if (time.isPoint || typeof by !== 'number' || !scales) return undefined
  const ms = op === '*' ? time.ms * by : time.ms / by
  return Number.isFinite(ms) ? new Time(ms, false) : undefined
}

function compare(op: CompareOp, a: unknown, b: unknown): boolean | undefined {
  if (op === '==') return same(a, b)
  if (op === '!=') return negation(same(a, b))
  const sign = order(a, b)
  return sign === undefined ? undefined : { '<': sign < 0, '<=': sign <= 0, '>': sign > 0, '>=': sign >= 0 }[op]
}

function same(a: unknown, b: unknown, depth = 0): boolean | undefined {
  if (a === undefined || b === undefined) return undefined
  if (a === null || b === null) return a === b
  if (typeof a === 'boolean' || typeof a === 'string') return typeof b === typeof a ? a === b : undefined
  if (a instanceof Range) return b instanceof Range ? a.text === b.text : undefined
  if (Array.isArray(a) || isMap(a)) {
    if (depth === 64 || (Array.isArray(a) ? !Array.isArray(b) : !isMap(b))) return undefined
    const [left, right] = [entries(a), entries(b as object)]
    if (left.size !== right.size || [...left.keys()].some((key) => !right.has(key))) return false
    return allOf([...left].map(([key, item]) => same(item, right.get(key), depth + 1)))
  }
  const sign = order(a, b)
  return sign === undefined ? undefined : sign === 0
}

function entries(of: object): Map<string, unknown> {
  return of instanceof Map ? of : new Map(Object.entries(of))
}

function order(a: unknown, b: unknown): number | undefined {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0
  if (a instanceof Time && b instanceof Time) return a.isPoint === b.isPoint ? a.ms - b.ms : undefined
  return undefined
}

function relate(op: RelationOp, a: unknown, b: unknown, views: Views): boolean | undefined {
  const related = (op: RelationOp, a: unknown, b: unknown) => relate(op, a, b, views)
  const some = (items: unknown, holds: (item: unknown) => boolean | undefined) =>
    Array.isArray(items) ? anyOf(items.map(holds)) : undefined
  const every = (items: unknown, holds: (item: unknown) => boolean | undefined) =>
    Array.isArray(items) ? allOf(items.map(holds)) : undefined
  const texts = (holds: (a: string, b: string) => boolean) =>
    typeof a === 'string' && typeof b === 'string' ? holds(a, b) : undefined
  switch (op) {
    case 'in':
      return b instanceof Range ? item(a, b, views) : some(b, (one) => item(a, one, views))
    case 'not-in':
      return negation(related('in', a, b))
    case 'contains':
      return typeof a === 'string' ? texts((text, part) => text.includes(part)) : some(a, (one) => item(b, one, views))
    case 'contains-any':
      return typeof a === 'string' || Array.isArray(a) ? some(b, (one) => related('contains', a, one)) : undefined
    case 'contains-all':
      return typeof a === 'string' || Array.isArray(a) ? every(b, (one) => related('contains', a, one)) : undefined
    case 'intersects':
      return Array.isArray(b) ? some(a, (one) => related('in', one, b)) : undefined
    case 'subset':
      return Array.isArray(b) ? every(a, (one) => related('in', one, b)) : undefined
    case 'starts-with':
      return texts((text, part) => text.startsWith(part))
    case 'ends-with':
      return texts((text, part) => text.endsWith(part))
    case 'like':
      return texts((text, pattern) => glob(pattern, text))
    case 'under':
      if (!(a instanceof View) || a.name !== 'path') return undefined
      if (Array.isArray(b)) return some(b, (base) => related('under', a, base))
      return typeof b === 'string' ? views.under(a.fields, b) : undefined
  }
}

/** Equality with an item of a list, which may be a range of addresses. */
function item(value: unknown, one: unknown, views: Views): boolean | undefined {
  if (!(one instanceof Range) || value === null) return same(value, one)
  return value instanceof View && value.name === 'ip' ? views.inRange(value.fields, one.text) : undefined
}

/** Positions of the pattern that remain possible after each character of the text. */
export function glob(pattern: string, text: string): boolean {
  let at = skipStars(pattern, new Set([0]))
  for (const unit of text.split('')) {
    const next = new Set<number>()
    for (const i of at) {
      if (pattern[i] === '*') next.add(i)
      else if (pattern[i] === unit) next.add(i + 1)
    }
    at = skipStars(pattern, next)
  }
  return at.has(pattern.length)
}

function skipStars(pattern: string, at: Set<number>): Set<number> {
  for (const i of at) if (pattern[i] === '*') at.add(i + 1)
  return at
}
