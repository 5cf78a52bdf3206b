import type { Expr, NamePattern, ScopeTerm } from '../language/ast.js'
import type { ListItem } from '../language/checked.js'
import { compileGlob } from '../model/glob.js'
import type { NamePatterns, Pattern } from './names.js'
import type { Predicate, Predicates, Slot } from './predicates.js'
import type { Term } from './term.js'

/** A list longer than this is left to its predicate: a table entry for each item costs more than it saves. */
const MAX_KEY_VALUES = 64

export type KeyValue = string | number | boolean

/** A value of the call that rules test, so that a table or a tree can pick those that this one may fit. One object a value and type. */
export interface Feature {
  readonly type: 'string' | 'number' | 'boolean'
  /** The slot that the value is read into. */
  readonly slot: Slot
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
  /** One pattern of each term must be fitted by the tool's name or tags. */
  readonly toolTerms: (readonly Pattern[])[]
  readonly envTerms: (readonly Pattern[])[]
  /** How many of the terms come from `on`; those after them were lifted out of conditions. */
  scopeToolTerms: number
  scopeEnvTerms: number
  readonly equalities: EqualityKey[]
  readonly ranges: RangeKey[]
  /** Predicates of agent, principal and labels. */
  readonly scope: Predicate[]
  /** Those of them that ask for the tenant. */
  readonly tenants: Predicate[]
  /** Conjuncts that tool and environment settle: they need no predicate. */
  readonly settled: Expr[]
  /** What tool and environment decide, for explain-index. */
  readonly sources: (ScopeTerm | Expr)[]
}

/** What the rules of a policy set test: patterns of names, and values of the call. */
export interface Vocabulary {
  readonly tools: NamePatterns
  readonly environments: NamePatterns
  readonly predicates: Predicates
}

export function nothingLifted(): Lifted {
  return {
    toolTerms: [],
    envTerms: [],
    scopeToolTerms: 0,
    scopeEnvTerms: 0,
    equalities: [],
    ranges: [],
    scope: [],
    tenants: [],
    settled: [],
    sources: [],
  }
}

/** The same in as little memory as it takes: an array that has grown keeps room for more, which a hundred thousand rules have no use for. */
export function trimmed(lifted: Lifted): Lifted {
  return {
    toolTerms: exact(lifted.toolTerms),
    envTerms: exact(lifted.envTerms),
    scopeToolTerms: lifted.scopeToolTerms,
    scopeEnvTerms: lifted.scopeEnvTerms,
    equalities: exact(lifted.equalities),
    ranges: exact(lifted.ranges),
    scope: exact(lifted.scope),
    tenants: exact(lifted.tenants),
    settled: exact(lifted.settled),
    sources: exact(lifted.sources),
  }
}

const NONE: never[] = []
Object.freeze(NONE)

/** The items in an array of just their length. */
export function exact<T>(items: T[]): T[] {
  return items.length === 0 ? NONE : items.slice()
}

/**
 * Lifts a scope term.
 *
 * @param tenant null where it is the call that tells: its tenant has no policies of its own
 * @param kinds whose tags `tool tag T` means, and whose declarations `tool undeclared`
 * @returns false when the term can never hold for this tenant
 */
export function liftScopeTerm(
  term: ScopeTerm,
  tenant: string | null,
  kinds: { readonly tag: Pattern['kind']; readonly undeclared: Pattern['kind'] },
  lifted: Lifted,
  vocabulary: Vocabulary,
): boolean {
  if (term.kind === 'scope-label') {
    const label = term.label.name
    liftSubject(term, { kind: 'reference', root: term.on, path: ['labels', label] }, lifted, vocabulary)
    return true
  }
  const { tools, environments } = vocabulary
  switch (term.on) {
    case 'tenant':
      if (tenant !== null) return term.patterns.some((pattern) => fits(pattern)(tenant))
      if (term.patterns.some(isEverything)) return true
      liftSubject(term, { kind: 'tenant' }, lifted, vocabulary)
      return true
    case 'tool':
      if (term.patterns.some(isEverything)) return true
      lifted.toolTerms.push(
        term.patterns.map(({ kind, text }) =>
          tools.of(kind === 'tag' || kind === 'undeclared' ? kinds[kind] : kind, text),
        ),
      )
      lifted.scopeToolTerms++
      lifted.sources.push(term)
      return true
    case 'env':
      if (term.patterns.some(isEverything)) return true
      lifted.envTerms.push(term.patterns.map(({ kind, text }) => environments.of(kind, text)))
      lifted.scopeEnvTerms++
      lifted.sources.push(term)
      return true
    default:
      liftSubject(term, { kind: 'reference', root: term.on, path: ['id'] }, lifted, vocabulary)
      return true
  }
}

/** `*` demands nothing, whatever stands beside it in the brackets. */
export function isEverything({ kind, text }: NamePattern): boolean {
  return kind === 'glob' && text.startsWith('*') && /^\*+$/.test(text)
}

function liftSubject(term: ScopeTerm, subject: Term, lifted: Lifted, { predicates }: Vocabulary): void {
  const { patterns } = term
  const texts = (kind: NamePattern['kind']) => {
    const found = patterns.filter((pattern) => pattern.kind === kind).map(({ text }) => text)
    return [...new Set(found)].sort()
  }
  const names = texts('literal')
  const globs = texts('glob')
  const slot = predicates.slot(subject, NONE)
  const condition = { kind: 'fits', subject: { kind: 'slot', slot: slot.id }, names, globs } as const
  const predicate = predicates.ofScope(condition, [slot], globs.length === 0 ? 1 : 3)
  lifted.scope.push(predicate)
  if (subject.kind === 'tenant') lifted.tenants.push(predicate)
  if (globs.length > 0 || names.length > MAX_KEY_VALUES) return
  lifted.equalities.push({ feature: slot.feature('string', true), values: names, source: term })
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
  const bound = boundOf(expr)
  if (bound !== undefined) liftBound(bound, expr, lifted, vocabulary)
  const demand = demandOf(expr, lists)
  if (demand === undefined) return
  const { reference, values } = demand
  const names = values.filter((value) => typeof value === 'string')
  const isText = names.length === values.length
  if (isText && reference.root === 'env' && reference.path.length === 0) {
    lifted.envTerms.push(names.map((name) => vocabulary.environments.of('literal', name)))
  } else if (isText && reference.root === 'tool' && reference.path.length === 1 && reference.path[0] === 'name') {
    lifted.toolTerms.push(names.map((name) => vocabulary.tools.of('literal', name)))
  } else {
    liftKey(demand, expr, lifted, vocabulary)
    return
  }
  lifted.settled.push(expr)
  lifted.sources.push(expr)
}

function liftKey({ reference, values }: Demand, source: Expr, lifted: Lifted, vocabulary: Vocabulary): void {
  const type = typeof values[0]
  if (values.length > MAX_KEY_VALUES || values.some((value) => typeof value !== type)) return
  if (type !== 'string' && type !== 'number' && type !== 'boolean') return
  lifted.equalities.push({ feature: featureOf(reference, type, vocabulary), values, source })
}

function liftBound({ reference, low, high }: Bound, source: Expr, lifted: Lifted, vocabulary: Vocabulary): void {
  const feature = featureOf(reference, 'number', vocabulary)
  const known = lifted.ranges.find((range) => range.feature === feature)
  if (known === undefined) {
    lifted.ranges.push({ feature, low, high, sources: [source] })
    return
  }
  known.low = Math.max(known.low, low)
  known.high = Math.min(known.high, high)
  known.sources.push(source)
}

function featureOf(reference: Reference, type: Feature['type'], { predicates }: Vocabulary): Feature {
  const slot = predicates.slot({ kind: 'reference', root: reference.root, path: reference.path }, NONE)
  return slot.feature(type, false)
}

type Reference = Extract<Expr, { kind: 'reference' }>

interface Demand {
  readonly reference: Reference
  readonly values: readonly KeyValue[]
}

/** `reference == literal`, either way round, or `reference in [literals]`. */
function demandOf(expr: Expr, lists: ReadonlyMap<string, readonly ListItem[]>): Demand | undefined {
  if (expr.kind === 'compare' && expr.op === '==') {
    return equality(expr.left, expr.right) ?? equality(expr.right, expr.left)
  }
  if (expr.kind !== 'relation' || expr.op !== 'in' || expr.left.kind !== 'reference') return undefined
  const items = keyList(expr.right, lists)
  return items && items.length > 0 ? { reference: expr.left, values: items } : undefined
}

function equality(reference: Expr, literal: Expr): Demand | undefined {
  if (reference.kind !== 'reference') return undefined
  const value = keyValue(literal)
  return value === undefined ? undefined : { reference, values: [value] }
}

/** The texts, numbers and booleans of a constant list; undefined for any other expression, and for a list of anything else. */
function keyList(expr: Expr, lists: ReadonlyMap<string, readonly ListItem[]>): readonly KeyValue[] | undefined {
  const items =
    expr.kind === 'list-literal' ? expr.items.map(keyValue) : expr.kind === 'name' ? lists.get(expr.name) : undefined
  return items?.every((item) => item !== undefined && item !== null) ? items : undefined
}

function keyValue(expr: Expr): KeyValue | undefined {
  if (expr.kind === 'negate') {
    const value = keyValue(expr.operand)
    return typeof value === 'number' ? -value : undefined
  }
  return expr.kind === 'literal' && expr.value !== null ? expr.value : undefined
}

interface Bound {
  readonly reference: Reference
  readonly low: number
  readonly high: number
}

type OrderOp = '<' | '<=' | '>' | '>='
const MIRRORED: Readonly<Record<OrderOp, OrderOp>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' }

/** An order comparison of an argument or of context with a constant number, either way round. */
function boundOf(expr: Expr): Bound | undefined {
  if (expr.kind !== 'compare' || expr.op === '==' || expr.op === '!=') return undefined
  return bound(expr.left, expr.op, expr.right) ?? bound(expr.right, MIRRORED[expr.op], expr.left)
}

function bound(reference: Expr, op: OrderOp, limit: Expr): Bound | undefined {
  if (reference.kind !== 'reference' || (reference.root !== 'args' && reference.root !== 'context')) return undefined
  const number = keyValue(limit)
  if (typeof number !== 'number') return undefined
  return op === '<' || op === '<='
    ? { reference, low: Number.NEGATIVE_INFINITY, high: number }
    : { reference, low: number, high: Number.POSITIVE_INFINITY }
}
