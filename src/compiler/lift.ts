import type { Expr, NamePattern, ScopeTerm } from '../language/ast.js'
import type { ListItem } from '../language/checked.js'
import type { Subject } from '../model/call.js'
import { compileGlob } from './glob.js'
import type { NamePatterns, Pattern } from './names.js'
import { isNumeric } from './predicate/compare.js'
import type { TruthFn, ValueFn } from './predicate/frame.js'
import { constantValue } from './predicate/lower.js'
import { readLabel } from './predicate/reference.js'
import { toTruth } from './predicate/truth.js'
import { isList, type Value } from './predicate/value.js'
import type { Predicates } from './predicates.js'

/** A list longer than this is left to its predicate: a table entry for each item costs more than it saves. */
const MAX_KEY_VALUES = 64

export type KeyValue = string | number | boolean

/** A value of the call that rules test, so that a table or a tree can pick those that this one may fit. One object a value and type. */
export interface Feature {
  readonly key: string
  readonly type: 'string' | 'number' | 'boolean'
  readonly read: ValueFn
  /** A scope term is false where the value is missing; a condition is unknown there, and its rules must be looked at. */
  readonly isScope: boolean
}

/** The value of the feature must be one of these. */
export interface EqualityKey {
  readonly feature: Feature
  readonly values: readonly KeyValue[]
  readonly source: ScopeTerm | Expr
}

/**
 * The feature must be a number from `low` to `high`. An open end is infinite. What fits the conditions lies within, but not the
 * other way round: big integers are rounded, and a bound that the conditions leave out is included.
 */
export interface RangeKey {
  readonly feature: Feature
  low: number
  high: number
  readonly sources: Expr[]
}

/** The indexable part of a rule or a policy. */
export interface Lifted {
  /** Pattern numbers; one of each term must be fitted by the tool's name or tags. */
  readonly toolTerms: (readonly number[])[]
  /** Where set, tools that fit these are left out: another entry of the same rule has them. */
  exceptToolTerms: readonly (readonly number[])[] | null
  readonly envTerms: (readonly number[])[]
  /** How many of the terms come from `on`; those after them were lifted out of conditions. */
  scopeToolTerms: number
  scopeEnvTerms: number
  readonly equalities: EqualityKey[]
  readonly ranges: RangeKey[]
  /** Predicates of agent, principal and labels. */
  readonly scope: number[]
  /** Conjuncts that tool and environment settle: they need no predicate. */
  readonly settled: Expr[]
  /** What tool and environment decide, for explain-index. */
  readonly sources: (ScopeTerm | Expr)[]
}

/** What the rules of a policy set test: patterns of names, and values of the call. */
export interface Vocabulary {
  readonly tools: NamePatterns
  readonly environments: NamePatterns
  readonly features: Map<string, Feature>
  readonly predicates: Predicates
}

export function nothingLifted(): Lifted {
  return {
    toolTerms: [],
    exceptToolTerms: null,
    envTerms: [],
    scopeToolTerms: 0,
    scopeEnvTerms: 0,
    equalities: [],
    ranges: [],
    scope: [],
    settled: [],
    sources: [],
  }
}

/** The same in as little memory as it takes: an array that has grown keeps room for more, which a hundred thousand rules have no use for. */
export function trimmed(lifted: Lifted): Lifted {
  return {
    toolTerms: exact(lifted.toolTerms),
    exceptToolTerms: lifted.exceptToolTerms,
    envTerms: exact(lifted.envTerms),
    scopeToolTerms: lifted.scopeToolTerms,
    scopeEnvTerms: lifted.scopeEnvTerms,
    equalities: exact(lifted.equalities),
    ranges: exact(lifted.ranges),
    scope: exact(lifted.scope),
    settled: exact(lifted.settled),
    sources: exact(lifted.sources),
  }
}

const NONE: never[] = []
Object.freeze(NONE)

function exact<T>(items: T[]): T[] {
  return items.length === 0 ? NONE : items.slice()
}

/**
 * Lifts a scope term.
 *
 * @param kinds whose tags `tool tag T` means, and whose declarations `tool undeclared`
 * @returns false when the term can never hold for this tenant
 */
export function liftScopeTerm(
  term: ScopeTerm,
  tenant: string,
  kinds: { readonly tag: Pattern['kind']; readonly undeclared: Pattern['kind'] },
  lifted: Lifted,
  vocabulary: Vocabulary,
): boolean {
  if (term.kind === 'scope-label') {
    const label = term.label.name
    liftSubject(term, `${term.on} ${label}`, readLabel(label), lifted, vocabulary)
    return true
  }
  const { tools, environments } = vocabulary
  switch (term.on) {
    case 'tenant':
      return term.patterns.some((pattern) => fits(pattern)(tenant))
    case 'tool':
      if (term.patterns.some(isEverything)) return true
      lifted.toolTerms.push(
        term.patterns.map(({ kind, text }) =>
          tools.intern(kind === 'tag' || kind === 'undeclared' ? kinds[kind] : kind, text),
        ),
      )
      lifted.scopeToolTerms++
      lifted.sources.push(term)
      return true
    case 'env':
      if (term.patterns.some(isEverything)) return true
      lifted.envTerms.push(term.patterns.map(({ kind, text }) => environments.intern(kind, text)))
      lifted.scopeEnvTerms++
      lifted.sources.push(term)
      return true
    default:
      liftSubject(term, term.on, (subject) => subject.id, lifted, vocabulary)
      return true
  }
}

/** `*` demands nothing, whatever stands beside it in the brackets. */
export function isEverything({ kind, text }: NamePattern): boolean {
  return kind === 'glob' && /^\*+$/.test(text)
}

function liftSubject(
  term: ScopeTerm,
  name: string,
  read: (subject: Subject) => string | undefined,
  lifted: Lifted,
  { predicates, features }: Vocabulary,
): void {
  const { patterns } = term
  const on = term.on === 'principal' ? 'principal' : 'agent'
  const value = (call: { agent: Subject; principal: Subject | null }) => {
    const subject = call[on]
    return subject === null ? undefined : read(subject)
  }
  const spelled = patterns.map((pattern) => `${pattern.kind}:${pattern.text}`).sort()
  const allLiteral = patterns.every((pattern) => pattern.kind === 'literal')
  const key = JSON.stringify([name, ...spelled])
  lifted.scope.push(predicates.ofScope(key, allLiteral ? 1 : 3, () => subjectPredicate(value, patterns)))
  if (!allLiteral || patterns.length > MAX_KEY_VALUES) return
  const feature = intern(features, `scope ${name}`, 'string', true, () => (frame) => value(frame.call))
  lifted.equalities.push({ feature, values: patterns.map((pattern) => pattern.text), source: term })
}

function intern(
  features: Map<string, Feature>,
  key: string,
  type: Feature['type'],
  isScope: boolean,
  reader: () => ValueFn,
): Feature {
  const known = features.get(key)
  if (known !== undefined) return known
  const feature = { key, type, isScope, read: reader() }
  features.set(key, feature)
  return feature
}

function subjectPredicate(
  read: (call: { agent: Subject; principal: Subject | null }) => string | undefined,
  among: readonly NamePattern[],
): TruthFn {
  const literals = new Set(among.filter((pattern) => pattern.kind === 'literal').map((pattern) => pattern.text))
  const globs = among.filter((pattern) => pattern.kind === 'glob').map(fits)
  if (literals.size === 1 && globs.length === 0) {
    const [only] = literals
    return (frame) => toTruth(read(frame.call) === only)
  }
  return (frame) => {
    const text = read(frame.call)
    return toTruth(text !== undefined && (literals.has(text) || globs.some((glob) => glob(text))))
  }
}

function fits(pattern: NamePattern): (name: string) => boolean {
  return pattern.kind === 'glob'
    ? compileGlob(pattern.text)
    : (name) => pattern.kind === 'literal' && name === pattern.text
}

/** Lifts an equality, a membership or a bound of a conjunct, if it is one. */
export function liftConjunct(
  expr: Expr,
  lists: ReadonlyMap<string, readonly ListItem[]>,
  lifted: Lifted,
  vocabulary: Vocabulary,
): void {
  const bound = boundOf(expr, lists)
  if (bound !== undefined) liftBound(bound, expr, lists, lifted, vocabulary)
  const demand = demandOf(expr, lists)
  if (demand === undefined) return
  const { reference, values } = demand
  const names = values.filter((value) => typeof value === 'string')
  const isText = names.length === values.length
  if (isText && reference.root === 'env' && reference.path.length === 0) {
    lifted.envTerms.push(names.map((name) => vocabulary.environments.intern('literal', name)))
  } else if (isText && reference.root === 'tool' && reference.path.length === 1 && reference.path[0] === 'name') {
    lifted.toolTerms.push(names.map((name) => vocabulary.tools.intern('literal', name)))
  } else {
    liftKey(demand, expr, lists, lifted, vocabulary)
    return
  }
  lifted.settled.push(expr)
  lifted.sources.push(expr)
}

function liftKey(
  { reference, values }: Demand,
  source: Expr,
  lists: ReadonlyMap<string, readonly ListItem[]>,
  lifted: Lifted,
  vocabulary: Vocabulary,
): void {
  const type = typeof values[0]
  if (values.length > MAX_KEY_VALUES || values.some((value) => typeof value !== type)) return
  if (type !== 'string' && type !== 'number' && type !== 'boolean') return
  lifted.equalities.push({ feature: featureOf(reference, type, lists, vocabulary), values, source })
}

function liftBound(
  { reference, low, high }: Bound,
  source: Expr,
  lists: ReadonlyMap<string, readonly ListItem[]>,
  lifted: Lifted,
  vocabulary: Vocabulary,
): void {
  const feature = featureOf(reference, 'number', lists, vocabulary)
  const known = lifted.ranges.find((range) => range.feature === feature)
  if (known === undefined) {
    lifted.ranges.push({ feature, low, high, sources: [source] })
    return
  }
  known.low = Math.max(known.low, low)
  known.high = Math.min(known.high, high)
  known.sources.push(source)
}

function featureOf(
  reference: Reference,
  type: Feature['type'],
  lists: ReadonlyMap<string, readonly ListItem[]>,
  { predicates, features }: Vocabulary,
): Feature {
  const key = `${type} ${reference.root} ${JSON.stringify(reference.path)}`
  return intern(features, key, type, false, () => predicates.reader(reference, lists))
}

type Reference = Extract<Expr, { kind: 'reference' }>

interface Demand {
  readonly reference: Reference
  readonly values: readonly KeyValue[]
}

/** `reference == literal`, either way round, or `reference in [literals]`. */
function demandOf(expr: Expr, lists: ReadonlyMap<string, readonly ListItem[]>): Demand | undefined {
  if (expr.kind === 'compare' && expr.op === '==') {
    return equality(expr.left, expr.right, lists) ?? equality(expr.right, expr.left, lists)
  }
  if (expr.kind !== 'relation' || expr.op !== 'in' || expr.left.kind !== 'reference') return undefined
  const constant = constantValue(expr.right, { lists, variables: [] })?.value
  if (!isList(constant) || constant.length === 0 || !constant.every(isKeyValue)) return undefined
  return { reference: expr.left, values: constant }
}

function equality(reference: Expr, literal: Expr, lists: ReadonlyMap<string, readonly ListItem[]>): Demand | undefined {
  if (reference.kind !== 'reference') return undefined
  const value = constantValue(literal, { lists, variables: [] })?.value
  return isKeyValue(value) ? { reference, values: [value] } : undefined
}

function isKeyValue(value: Value): value is KeyValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

interface Bound {
  readonly reference: Reference
  readonly low: number
  readonly high: number
}

type OrderOp = '<' | '<=' | '>' | '>='
const MIRRORED: Readonly<Record<OrderOp, OrderOp>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' }

/** An order comparison of an argument or of context with a constant number, either way round. */
function boundOf(expr: Expr, lists: ReadonlyMap<string, readonly ListItem[]>): Bound | undefined {
  if (expr.kind !== 'compare' || expr.op === '==' || expr.op === '!=') return undefined
  return bound(expr.left, expr.op, expr.right, lists) ?? bound(expr.right, MIRRORED[expr.op], expr.left, lists)
}

function bound(
  reference: Expr,
  op: OrderOp,
  limit: Expr,
  lists: ReadonlyMap<string, readonly ListItem[]>,
): Bound | undefined {
  if (reference.kind !== 'reference' || (reference.root !== 'args' && reference.root !== 'context')) return undefined
  const value = constantValue(limit, { lists, variables: [] })?.value
  if (!isNumeric(value)) return undefined
  const number = Number(value)
  return op === '<' || op === '<='
    ? { reference, low: Number.NEGATIVE_INFINITY, high: number }
    : { reference, low: number, high: Number.POSITIVE_INFINITY }
}
