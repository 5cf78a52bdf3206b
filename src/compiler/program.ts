import type { Feature, Key, KeyValue } from './lift.js'

/** An entry as the index sees it, once tool and environment are settled. */
export interface Indexed {
  readonly entry: number
  /** Predicates left to evaluate, cheap first. */
  readonly predicates: readonly number[]
  readonly unknownMatches: boolean
  readonly keys: readonly Key[]
}

/**
 * What to evaluate for a call: a program over the entries that nothing more tells apart, and branches over those that a
 * value of the call does.
 *
 * The program is a row of `entry, predicates << 1 | unknownMatches, predicate…`, as integers in one array, so that
 * deciding walks memory in order.
 */
export interface Program {
  readonly code: Int32Array
  readonly branches: readonly Branch[]
}

export interface Branch {
  readonly feature: Feature
  readonly table: ReadonlyMap<KeyValue, Program>
  /** All entries of the branch, for a value that is missing or of another type: their conditions are unknown then. */
  readonly all: () => Program
}

/** Fewer entries than this are walked; a table would not pay. */
const MIN_BRANCH_ENTRIES = 8
const MIN_BRANCH_VALUES = 4

export const EMPTY_PROGRAM: Program = { code: new Int32Array(0), branches: [] }

export function buildProgram(entries: readonly Indexed[]): Program {
  if (entries.length === 0) return EMPTY_PROGRAM
  const branches: Branch[] = []
  let rest = entries
  for (let best = bestFeature(rest); best !== undefined; best = bestFeature(rest)) {
    const feature = best
    branches.push(
      buildBranch(
        feature,
        rest.filter((one) => keyOf(one, feature) !== undefined),
      ),
    )
    rest = rest.filter((one) => keyOf(one, feature) === undefined)
  }
  return { code: encode(rest), branches }
}

function buildBranch(feature: Feature, entries: readonly Indexed[]): Branch {
  const groups = new Map<KeyValue, Indexed[]>()
  for (const one of entries) {
    const key = keyOf(one, feature)!
    const left = { ...one, keys: one.keys.filter((other) => other !== key) }
    for (const value of new Set(key.values)) {
      const group = groups.get(value)
      if (group === undefined) groups.set(value, [left])
      else group.push(left)
    }
  }
  const table = new Map([...groups].map(([value, group]) => [value, buildProgram(group)]))
  let all: Program | undefined
  return { feature, table, all: () => (all ??= { code: encode(entries), branches: [] }) }
}

function keyOf(one: Indexed, feature: Feature): Key | undefined {
  return one.keys.find((key) => key.feature.key === feature.key)
}

/** The feature that most entries demand, if it tells enough of them apart. */
function bestFeature(entries: readonly Indexed[]): Feature | undefined {
  if (entries.length < MIN_BRANCH_ENTRIES) return undefined
  const uses = new Map<string, { readonly feature: Feature; entries: number; readonly values: Set<KeyValue> }>()
  for (const one of entries) {
    const seen = new Set<string>()
    for (const { feature, values } of one.keys) {
      if (seen.has(feature.key)) continue
      seen.add(feature.key)
      const use = uses.get(feature.key) ?? { feature, entries: 0, values: new Set<KeyValue>() }
      use.entries++
      for (const value of values) use.values.add(value)
      uses.set(feature.key, use)
    }
  }
  let best: { feature: Feature; entries: number } | undefined
  for (const use of uses.values()) {
    if (use.entries < MIN_BRANCH_ENTRIES || use.values.size < MIN_BRANCH_VALUES) continue
    if (best === undefined || use.entries > best.entries) best = use
  }
  return best?.feature
}

function encode(entries: readonly Indexed[]): Int32Array {
  let length = 0
  for (const one of entries) length += 2 + one.predicates.length
  const code = new Int32Array(length)
  let at = 0
  for (const { entry, predicates, unknownMatches } of entries) {
    code[at++] = entry
    code[at++] = (predicates.length << 1) | (unknownMatches ? 1 : 0)
    for (const predicate of predicates) code[at++] = predicate
  }
  return code
}
