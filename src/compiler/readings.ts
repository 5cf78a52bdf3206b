import type { Expr } from '../language/ast.js'
import { VIEWS } from '../language/vocabulary.js'
import { children } from '../language/walk.js'

/**
 * The work that grows with what a call says: what the conditions of a tool read of it, in nanoseconds by size. Each reading
 * alone fits {@link READING_BUDGET_NS}; where those of all rules about a tool together do not, none is done (see `Budgets`).
 *
 * The size of a text is its length in UTF-16 units; of a list or map 1 for each part, and the sizes of the parts and the keys.
 */
export interface Weight {
  /** For each unit of size. */
  readonly ns: number
  /** The most that one takes: a view that refuses longer texts, a loop that looks at no more items. */
  readonly mostNs: number
}

/** What all readings of one call may take. */
export const READING_BUDGET_NS = 1_800_000

/** The largest size that is told: of the arguments of a request of 64 KiB. */
export const MOST_SIZE = 64 * 1024

/**
 * Measured by `npm run bench -- worst`: the slowest text of each kind, rounded up. `sql` takes 2 µs a word, up to 800 of them;
 * the others that have an end are refused over the limits of their views. `strings` and `recipients` are those of parts of
 * twenty characters: of the shortest parts that there are, they take twice as much.
 */
export const WEIGHTS = {
  sql: weight(550, 1_300_000),
  shell: weight(550, 1_700_000),
  json: weight(55, 1_750_000),
  path: weight(160, 660_000),
  url: weight(25, 200_000),
  matches: weight(8),
  /** `contains any of`, `contains all of` a list of the policy. */
  words: weight(11),
  /** `contains` of a short text of the policy, and of any other. */
  contains: weight(1),
  'contains-long': weight(4),
  /** What a call brings is searched for what it brings: it grows with the product. */
  search: weight(2_000),
  /** `intersects`, `subset of`. */
  members: weight(12),
  strings: weight(4),
  recipients: weight(8),
  /** `sum`, `min`, `max`. */
  numbers: weight(11),
  /** Items of a quantifier; of one within another, which looks at few. */
  loop: weight(3),
  'inner-loop': weight(6_500, 650_000),
} as const satisfies Record<string, Weight>

export type ReadingKind = keyof typeof WEIGHTS

function weight(ns: number, mostNs = ns * MOST_SIZE): Weight {
  return { ns, mostNs }
}

/** By how many quantifiers stand around it: how often a reading is repeated (see `NESTED_LIMITS`). */
const REPEATED: readonly number[] = [1, 1, 100, 400]

/** A text of the policy up to this length is searched for in no time worth speaking of. */
const SHORT_NEEDLE = 64

type Reference = Extract<Expr, { kind: 'reference' }>

/** Something that an expression reads of a call, and takes long where that is long. */
export interface Reading extends Weight {
  readonly kind: ReadingKind
  readonly of: Reference
  /** Equal ones are done once a decision. */
  readonly key: string
}

interface Loop {
  readonly name: string
  readonly sources: readonly Reference[]
}

/** @param spellList what stands for a list in the key: equal for equal lists */
export function readingsOf(expr: Expr, layer: string, spellList: (name: string) => string): readonly Reading[] {
  const found: Reading[] = []
  const visit = (node: Expr, loops: readonly Loop[]): void => {
    const work = workOf(node, loops)
    if (work !== null) {
      const sources = sourcesOf(work.operand, loops)
      const spelled = sources.length === 0 ? '' : spell(node, loops, layer, spellList)
      // What does not vary is read once, before the loop as it were.
      const depth = readsVariable(node, loops) ? loops.length : 0
      const { ns, mostNs } = weightIn(work.kind, depth)
      for (const of of sources) {
        const key = `${work.kind} ${depth} ${JSON.stringify([of.root, of.path])} ${spelled}`
        found.push({ kind: work.kind, of, ns, mostNs, key })
      }
    }
    if (node.kind !== 'quantifier') {
      for (const child of children(node)) visit(child, loops)
      return
    }
    visit(node.over, loops)
    visit(node.body, [...loops, { name: node.variable.name, sources: sourcesOf(node.over, loops) }])
  }
  visit(expr, [])
  return found
}

/** In a loop a view meets many texts, and its limit holds for each alone. */
function weightIn(kind: ReadingKind, loops: number): Weight {
  const { ns, mostNs } = WEIGHTS[kind]
  const times = REPEATED[Math.min(loops, REPEATED.length - 1)]!
  if (kind === 'inner-loop') return { ns, mostNs }
  return loops === 0 ? { ns, mostNs } : { ns: ns * times, mostNs: ns * times * MOST_SIZE }
}

function workOf(node: Expr, loops: readonly Loop[]): { readonly kind: ReadingKind; readonly operand: Expr } | null {
  switch (node.kind) {
    case 'call': {
      const kind = BY_FUNCTION.get(node.fn)
      const [operand] = node.args
      return kind === undefined || operand === undefined ? null : { kind, operand }
    }
    case 'matches':
      return { kind: 'matches', operand: node.subject }
    case 'quantifier':
      return { kind: loops.length === 0 ? 'loop' : 'inner-loop', operand: node.over }
    case 'relation': {
      const kind = kindOfRelation(node, loops)
      return kind === null ? null : { kind, operand: node.left }
    }
    default:
      return null
  }
}

const BY_FUNCTION: ReadonlyMap<string, ReadingKind> = new Map([
  ['sql', 'sql'],
  ['shell', 'shell'],
  ['json', 'json'],
  ['path', 'path'],
  ['url', 'url'],
  ['strings', 'strings'],
  ['recipients', 'recipients'],
  ['sum', 'numbers'],
  ['min', 'numbers'],
  ['max', 'numbers'],
])

function kindOfRelation(
  { op, right }: Extract<Expr, { kind: 'relation' }>,
  loops: readonly Loop[],
): ReadingKind | null {
  const isOfCall = readsCall(right, loops)
  switch (op) {
    case 'contains':
      return right.kind === 'literal' && String(right.value).length <= SHORT_NEEDLE ? 'contains' : 'contains-long'
    case 'contains-any':
    case 'contains-all':
      return isOfCall ? 'search' : 'words'
    case 'like':
    case 'under':
      return isOfCall ? 'search' : null
    case 'intersects':
    case 'subset':
      return 'members'
    default:
      return null
  }
}

const readsCall = (expr: Expr, loops: readonly Loop[]): boolean =>
  expr.kind === 'reference' || readsVariable(expr, loops) || children(expr).some((child) => readsCall(child, loops))

const readsVariable = (expr: Expr, loops: readonly Loop[]): boolean =>
  expr.kind === 'name'
    ? loops.some(({ name }) => name === expr.name)
    : children(expr).some((child) => readsVariable(child, loops))

/** The parts of the call that an operand is made of. What a view shows is short, but for `json`, which shows its text. */
function sourcesOf(expr: Expr, loops: readonly Loop[]): readonly Reference[] {
  if (expr.kind === 'reference') return expr.root === 'args' || expr.root === 'context' ? [expr] : []
  if (expr.kind === 'name') return loops.findLast(({ name }) => name === expr.name)?.sources ?? []
  if (expr.kind === 'call' && isRecord(expr.fn)) return []
  return children(expr).flatMap((child) => sourcesOf(child, loops))
}

const isRecord = (fn: string): boolean => (Object.hasOwn(VIEWS, fn) && fn !== 'json') || fn === 'domain'

/** Equal where expressions mean the same: variables by their loop, lists by what they hold, and no places. */
function spell(expr: Expr, loops: readonly Loop[], layer: string, spellList: (name: string) => string): string {
  const names = loops.map(({ name }) => name)
  const spelled = (node: unknown, variables: readonly string[]): unknown => {
    if (Array.isArray(node)) return node.map((part) => spelled(part, variables))
    if (typeof node !== 'object' || node === null) return node
    const { span: _span, ...parts } = node as { readonly [part: string]: unknown }
    if (parts['kind'] === 'name') {
      const depth = variables.lastIndexOf(String(parts['name']))
      return depth >= 0 ? { variable: depth } : { list: spellList(String(parts['name'])) }
    }
    if (parts['kind'] === 'quantifier') {
      const { variable, over, body, ...rest } = parts
      const inner = [...variables, (variable as { readonly name: string }).name]
      return { ...rest, over: spelled(over, variables), body: spelled(body, inner) }
    }
    const all = Object.entries(parts).map(([part, value]) => [part, spelled(value, variables)])
    return { ...Object.fromEntries(all), ...(parts['fn'] === 'undeclared' ? { layer } : {}) }
  }
  return JSON.stringify(spelled(expr, names))
}
