import { IntervalTree } from './interval-tree.js'
import type { EqualityKey, Feature, KeyValue, RangeKey } from './lift.js'

/** An entry as the index sees it, once tool and environment are settled. */
export interface Indexed {
  readonly entry: number
  /** Predicates left to evaluate, cheap first. */
  readonly predicates: readonly number[]
  readonly unknownMatches: boolean
  readonly equalities: readonly EqualityKey[]
  readonly ranges: readonly RangeKey[]
}

/**
 * A row of `entry, predicates << 1 | unknownMatches, predicate…`, as integers, so that deciding walks memory in order.
 * Many programs share one array.
 */
export interface Code {
  readonly memory: Int32Array
  readonly start: number
  readonly end: number
}

/** What to evaluate for a call: the code of entries that nothing more tells apart, and branches over those that a value of the call does. */
export interface Program {
  readonly code: Code
  readonly branches: readonly Branch[]
}

export type Branch = ValueBranch | RangeBranch

interface BranchBase {
  readonly feature: Feature
  /** All entries of the branch, for a value that is missing or of another type: their conditions are unknown then. */
  readonly all: Code
}

/** Entries that demand one of some values, by the value. */
export interface ValueBranch extends BranchBase {
  readonly kind: 'value'
  readonly table: ReadonlyMap<KeyValue, Program>
}

/**
 * Entries that set bounds to a number. Only those that the number fits are looked at; their comparisons are evaluated all the
 * same, so that the tree may round and take every bound as included.
 */
export interface RangeBranch extends BranchBase {
  readonly kind: 'range'
  readonly tree: IntervalTree
  /** Where the code of each interval of the tree starts; one more marks the end of the last. */
  readonly starts: Int32Array
}

/** Fewer entries than this are walked; a table would not pay. */
const MIN_BRANCH_ENTRIES = 8
const MIN_BRANCH_VALUES = 4
/** A search costs more than a look-up. */
const MIN_RANGE_ENTRIES = 16

const NO_CODE: Code = { memory: new Int32Array(0), start: 0, end: 0 }
export const EMPTY_PROGRAM: Program = { code: NO_CODE, branches: [] }

const FIRST_CHUNK = 1_024
const LARGEST_CHUNK = 65_536

/** Gives out room for code in few large arrays. */
export class CodeMemory {
  #chunk = NO_CODE.memory
  #used = 0

  /** @param isShared false gives each program arrays of its own, so that it can be let go of alone */
  constructor(readonly isShared: boolean) {}

  reserve(length: number): Code {
    if (length === 0) return NO_CODE
    if (!this.isShared) return { memory: new Int32Array(length), start: 0, end: length }
    if (this.#used + length > this.#chunk.length) {
      const next = Math.min(Math.max(FIRST_CHUNK, 2 * this.#chunk.length), LARGEST_CHUNK)
      this.#chunk = new Int32Array(Math.max(next, length))
      this.#used = 0
    }
    const start = this.#used
    this.#used += length
    return { memory: this.#chunk, start, end: this.#used }
  }
}

export function buildProgram(entries: readonly Indexed[], memory: CodeMemory): Program {
  if (entries.length === 0) return EMPTY_PROGRAM
  if (entries.length < MIN_BRANCH_ENTRIES) return { code: encode(entries, memory), branches: NO_BRANCHES }
  const branches: Branch[] = []
  let rest = entries
  // An equality tells more entries apart than a bound does, and comes first.
  for (const { keysOf, fewest, build } of [EQUALITIES, RANGES]) {
    for (let best = bestFeature(rest, keysOf, fewest); best !== undefined; best = bestFeature(rest, keysOf, fewest)) {
      const feature = best
      const isDemanding = (one: Indexed) => keysOf(one).some((key) => key.feature === feature)
      branches.push(build(feature, rest.filter(isDemanding), memory))
      rest = rest.filter((one) => !isDemanding(one))
    }
  }
  return { code: encode(rest, memory), branches }
}

const NO_BRANCHES: readonly never[] = []

interface BranchKind {
  readonly keysOf: (one: Indexed) => readonly (EqualityKey | RangeKey)[]
  readonly fewest: number
  readonly build: (feature: Feature, entries: readonly Indexed[], memory: CodeMemory) => Branch
}

const EQUALITIES: BranchKind = {
  keysOf: ({ equalities }) => equalities,
  fewest: MIN_BRANCH_ENTRIES,
  build: buildValueBranch,
}
const RANGES: BranchKind = { keysOf: ({ ranges }) => ranges, fewest: MIN_RANGE_ENTRIES, build: buildRangeBranch }

function buildValueBranch(feature: Feature, entries: readonly Indexed[], memory: CodeMemory): ValueBranch {
  const groups = new Map<KeyValue, Indexed[]>()
  for (const one of entries) {
    const key = one.equalities.find((other) => other.feature === feature)!
    const left = { ...one, equalities: one.equalities.filter((other) => other !== key) }
    for (const value of new Set(key.values)) {
      const group = groups.get(value)
      if (group === undefined) groups.set(value, [left])
      else group.push(left)
    }
  }
  const table = new Map([...groups].map(([value, group]) => [value, buildProgram(group, memory)]))
  return { kind: 'value', feature, table, all: encode(entries, memory) }
}

function buildRangeBranch(feature: Feature, entries: readonly Indexed[], memory: CodeMemory): RangeBranch {
  const tree = new IntervalTree(entries.map(({ ranges }) => ranges.find((range) => range.feature === feature)!))
  const all = encode(entries, memory)
  return { kind: 'range', feature, tree, all, starts: Int32Array.from([...startsIn(all), all.end]) }
}

/** The feature that most entries test, if it tells enough of them apart. */
function bestFeature(entries: readonly Indexed[], keysOf: BranchKind['keysOf'], fewest: number): Feature | undefined {
  if (entries.length < fewest) return undefined
  const uses = new Map<Feature, number>()
  for (const one of entries) {
    for (const { feature } of keysOf(one)) uses.set(feature, (uses.get(feature) ?? 0) + 1)
  }
  let best: Feature | undefined
  let most = fewest - 1
  for (const [feature, count] of uses) {
    if (count <= most || !isTelling(feature, entries, keysOf, fewest)) continue
    best = feature
    most = count
  }
  return best
}

/** True when enough entries test the feature, and for enough different values. */
function isTelling(
  feature: Feature,
  entries: readonly Indexed[],
  keysOf: BranchKind['keysOf'],
  fewest: number,
): boolean {
  const values = new Set<KeyValue>()
  let count = 0
  for (const one of entries) {
    const key = keysOf(one).find((other) => other.feature === feature)
    if (key === undefined) continue
    count++
    for (const value of 'values' in key ? key.values : [key.low, key.high]) values.add(value)
    if (count >= fewest && values.size >= MIN_BRANCH_VALUES) return true
  }
  return false
}

function encode(entries: readonly Indexed[], memory: CodeMemory): Code {
  let length = 0
  for (const one of entries) length += 2 + one.predicates.length
  const code = memory.reserve(length)
  let at = code.start
  for (const { entry, predicates, unknownMatches } of entries) {
    code.memory[at++] = entry
    code.memory[at++] = (predicates.length << 1) | (unknownMatches ? 1 : 0)
    for (const predicate of predicates) code.memory[at++] = predicate
  }
  return code
}

function* startsIn({ memory, start, end }: Code): Iterable<number> {
  for (let at = start; at < end; at += 2 + (memory[at + 1]! >> 1)) yield at
}

/** The entries of a piece of code, in its order. */
export function* entriesIn(code: Code): Iterable<number> {
  for (const at of startsIn(code)) yield code.memory[at]!
}

/** The entries of a program and of all its branches, each as often as it stands there. */
export function* entriesOf({ code, branches }: Program): Iterable<number> {
  yield* entriesIn(code)
  for (const { all } of branches) yield* entriesIn(all)
}

/** Integers that a program holds, roughly; at least 1. */
export function sizeOf({ code, branches }: Program): number {
  let size = 1 + code.end - code.start
  for (const branch of branches) {
    size += branch.all.end - branch.all.start
    if (branch.kind === 'range') size += 8 * branch.starts.length
    else for (const part of branch.table.values()) size += sizeOf(part)
  }
  return size
}
