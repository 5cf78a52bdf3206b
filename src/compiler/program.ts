import { TreeBuilder, type TreeSection } from './interval-tree.js'
import { Ints } from './ints.js'
import type { EqualityKey, Feature, KeyValue, RangeKey } from './lift.js'
import type { StringPoolBuilder } from './string-pool.js'
import { hashNumber, hashText, type TableRow, tableLength, writeTable } from './text-table.js'

/**
 * What to evaluate for a call, as integers, so that deciding walks memory in order. A program is a head `end of its records,
 * branches, branch…`, then the records of the entries that nothing more tells apart. A record is `entry, predicates << 1 |
 * unknownMatches, predicate…`, cheap predicates first.
 */
export interface ProgramSection {
  readonly code: Int32Array<ArrayBuffer>
  /** By pattern of the tools: where its program begins in the code, or -1. */
  readonly byPattern: Int32Array<ArrayBuffer>
  /** The same for each pattern that the tools' rows list, in their order: a known tool takes no way by its patterns. */
  readonly byRow: Int32Array<ArrayBuffer>
  /** Where the program of the entries that name no tool begins. */
  readonly everyTool: number
  readonly tables: Int32Array<ArrayBuffer>
  readonly tableNumbers: Float64Array<ArrayBuffer>
  readonly trees: TreeSection
  /** The most entries that can match one call, each as often as programs hold it. */
  readonly mostMatches: number
}

/** What the code says of a branch, which stands beside the programs that it leads to. */
export const BRANCH = {
  kind: 0,
  slot: 1,
  /** All records of the branch, for a value that is missing or of another type: their conditions are unknown then. */
  allStart: 2,
  allEnd: 3,
  /** The table and its length, or the root of the tree; of environments, a place in the code. */
  base: 4,
  length: 5,
  /** 1 where a missing value is simply no match. */
  isScope: 6,
  /** Length of the longest text of the table: a longer one is in no table, and need not be hashed. */
  longest: 7,
} as const

/**
 * Entries that demand one of some environments, by its row: pairs of row and program, ascending. Entries that demand one of
 * some values, by the value: a table of programs. Entries that set bounds to a number: a tree of records.
 *
 * Only the records that a tree finds are looked at; their comparisons are evaluated all the same, so that the tree may round
 * and take every bound as included.
 */
export const BRANCH_KIND = { environment: 0, string: 1, number: 2, boolean: 3, range: 4 } as const

/** An entry as the index sees it. */
export interface Indexed {
  readonly entry: number
  /** Predicates left to evaluate, cheap first. */
  readonly predicates: readonly number[]
  readonly unknownMatches: boolean
  /** Rows of the environments of which the call must name one, and the predicate that says the same; null for an entry that demands nothing so plain. */
  readonly environments: { readonly rows: readonly number[]; readonly predicate: number } | null
  readonly equalities: readonly EqualityKey[]
  readonly ranges: readonly RangeKey[]
}

/** Fewer entries than this are walked; a table would not pay. */
const MIN_BRANCH_ENTRIES = 8
const MIN_BRANCH_VALUES = 4
/** A search costs more than a look-up. */
const MIN_RANGE_ENTRIES = 16
/** Telling environments apart costs next to nothing, and spares a look at every record of another environment. */
const MIN_ENVIRONMENT_ENTRIES = 2

/** Writes programs one after the other. */
export class ProgramWriter {
  readonly #strings: StringPoolBuilder
  readonly #code = new Ints()
  readonly #tables = new Ints()
  readonly #tableNumbers: number[] = []
  readonly #trees = new TreeBuilder()
  /** By entry: the feature by which the first program that tells it from others does so. */
  readonly told: (Feature | undefined)[] = []

  constructor(strings: StringPoolBuilder) {
    this.#strings = strings
  }

  /** @returns where the program begins, and the entries that no branch took */
  write(entries: readonly Indexed[]): { readonly start: number; readonly walked: readonly Indexed[] } {
    const branches: number[] = []
    let rest = entries
    const demanding = rest.filter(({ environments }) => environments !== null)
    if (demanding.length >= MIN_ENVIRONMENT_ENTRIES) {
      branches.push(this.#writeEnvironments(demanding))
      rest = rest.filter(({ environments }) => environments === null)
    }
    // An equality tells more entries apart than a bound does, and comes first.
    for (const kind of [EQUALITIES, RANGES]) {
      for (let best = bestFeature(rest, kind); best !== undefined; best = bestFeature(rest, kind)) {
        const feature = best
        const isTold = (one: Indexed) => kind.keysOf(one).some((key) => key.feature === feature)
        const told = rest.filter(isTold)
        for (const { entry } of told) this.told[entry] ??= feature
        branches.push(kind === RANGES ? this.#writeRanges(feature, told) : this.#writeValues(feature, told))
        rest = rest.filter((one) => !isTold(one))
      }
    }
    const start = this.#code.push(0)
    this.#code.push(branches.length)
    for (const branch of branches) this.#code.push(branch)
    this.#writeRecords(rest)
    this.#code.set(start, this.#code.length)
    return { start, walked: rest }
  }

  finish(): Omit<ProgramSection, 'byPattern' | 'byRow' | 'everyTool' | 'mostMatches'> {
    return {
      code: this.#code.toArray(),
      tables: this.#tables.toArray(),
      tableNumbers: Float64Array.from(this.#tableNumbers),
      trees: this.#trees.finish(),
    }
  }

  #writeEnvironments(entries: readonly Indexed[]): number {
    const groups = new Map<number, Indexed[]>()
    for (const one of entries) {
      const { rows, predicate } = one.environments!
      const predicates = one.predicates.filter((other) => other !== predicate)
      const settled = { ...one, predicates, environments: null }
      for (const row of rows) push(groups, row, settled)
    }
    const pairs = [...groups].map(([row, group]) => [row, this.write(group).start] as const)
    const base = this.#code.length
    for (const [row, program] of pairs.sort(([a], [b]) => a - b)) {
      this.#code.push(row)
      this.#code.push(program)
    }
    return this.#addBranch({ kind: BRANCH_KIND.environment, base, length: 2 * pairs.length })
  }

  #writeValues(feature: Feature, entries: readonly Indexed[]): number {
    const all = this.#writeRecords(entries)
    const groups = new Map<KeyValue, Indexed[]>()
    for (const one of entries) {
      const key = one.equalities.find((other) => other.feature === feature)!
      const left = { ...one, equalities: one.equalities.filter((other) => other !== key) }
      for (const value of new Set(key.values)) push(groups, value, left)
    }
    let longest = 0
    const rows = [...groups].map(([value, group]): TableRow => {
      const program = this.write(group).start
      if (typeof value === 'string') {
        longest = Math.max(longest, value.length)
        return { hash: hashText(value), key: this.#strings.intern(value), value: program }
      }
      const number = Number(value)
      return { hash: hashNumber(number), key: this.#tableNumbers.push(number) - 1, value: program }
    })
    const table = new Int32Array(tableLength(rows.length))
    writeTable(rows, table, 0)
    const base = this.#tables.length
    for (const item of table) this.#tables.push(item)
    const { slot, type } = feature
    const isScope = feature.isScope ? 1 : 0
    return this.#addBranch({ kind: BRANCH_KIND[type], slot, ...all, base, length: table.length, isScope, longest })
  }

  #writeRanges(feature: Feature, entries: readonly Indexed[]): number {
    const starts: number[] = []
    const all = this.#writeRecords(entries, starts)
    const intervals = entries.map(({ ranges }) => ranges.find((range) => range.feature === feature)!)
    const base = this.#trees.add(intervals, starts)
    return this.#addBranch({ kind: BRANCH_KIND.range, slot: feature.slot, ...all, base })
  }

  #addBranch(row: Partial<Record<keyof typeof BRANCH, number>>): number {
    const at = this.#code.length
    for (const place of Object.keys(BRANCH) as (keyof typeof BRANCH)[]) this.#code.push(row[place] ?? 0)
    return at
  }

  #writeRecords(
    entries: readonly Indexed[],
    starts?: number[],
  ): { readonly allStart: number; readonly allEnd: number } {
    const allStart = this.#code.length
    for (const { entry, predicates, unknownMatches } of entries) {
      starts?.push(this.#code.length)
      this.#code.push(entry)
      this.#code.push((predicates.length << 1) | (unknownMatches ? 1 : 0))
      for (const predicate of predicates) this.#code.push(predicate)
    }
    return { allStart, allEnd: this.#code.length }
  }
}

function push<K>(groups: Map<K, Indexed[]>, key: K, one: Indexed): void {
  const group = groups.get(key)
  if (group === undefined) groups.set(key, [one])
  else group.push(one)
}

interface KeyKind {
  readonly keysOf: (one: Indexed) => readonly (EqualityKey | RangeKey)[]
  readonly fewest: number
}

const EQUALITIES: KeyKind = { keysOf: ({ equalities }) => equalities, fewest: MIN_BRANCH_ENTRIES }
const RANGES: KeyKind = { keysOf: ({ ranges }) => ranges, fewest: MIN_RANGE_ENTRIES }

/** The feature that most entries test, if it tells enough of them apart. */
function bestFeature(entries: readonly Indexed[], { keysOf, fewest }: KeyKind): Feature | undefined {
  if (entries.length < fewest) return undefined
  const uses = new Map<Feature, number>()
  for (const one of entries) {
    for (const { feature } of keysOf(one)) uses.set(feature, (uses.get(feature) ?? 0) + 1)
  }
  let best: Feature | undefined
  let most = fewest - 1
  for (const [feature, count] of uses) {
    if (count <= most || !isTelling(feature, entries, keysOf)) continue
    best = feature
    most = count
  }
  return best
}

/** True when the entries test the feature for enough different values. */
function isTelling(feature: Feature, entries: readonly Indexed[], keysOf: KeyKind['keysOf']): boolean {
  const values = new Set<KeyValue>()
  for (const one of entries) {
    const key = keysOf(one).find((other) => other.feature === feature)
    if (key === undefined) continue
    for (const value of 'values' in key ? key.values : [key.low, key.high]) values.add(value)
    if (values.size >= MIN_BRANCH_VALUES) return true
  }
  return false
}

/** Every record of a program that may apply in an environment, branches included. */
export function* recordsOf(programs: ProgramSection, program: number, environmentRow: number): Iterable<number> {
  const { code } = programs
  const first = program + 2 + code[program + 1]!
  yield* recordsIn(code, first, code[program]!)
  for (let at = program + 2; at < first; at++) {
    const branch = code[at]!
    const base = code[branch + BRANCH.base]!
    const end = base + code[branch + BRANCH.length]!
    if (code[branch + BRANCH.kind] !== BRANCH_KIND.environment) {
      yield* recordsIn(code, code[branch + BRANCH.allStart]!, code[branch + BRANCH.allEnd]!)
      continue
    }
    for (let pair = base; pair < end; pair += 2) {
      if (code[pair] === environmentRow) yield* recordsOf(programs, code[pair + 1]!, environmentRow)
    }
  }
}

/** Records that a value of another type has all looked at, where they are more than these integers. */
const BROAD = 2_000

/** The predicates of the records that one value may have a call ask all at once, in portions; some come more than once. */
export function* broadPredicates(programs: ProgramSection): Iterable<Int32Array> {
  for (const program of [...programs.byPattern, programs.everyTool]) {
    if (program >= 0) yield* broadIn(programs, program)
  }
}

function* broadIn(programs: ProgramSection, program: number): Iterable<Int32Array> {
  const { code } = programs
  for (const branch of code.subarray(program + 2, program + 2 + code[program + 1]!)) {
    const start = code[branch + BRANCH.allStart]!
    const end = code[branch + BRANCH.allEnd]!
    if (end - start > BROAD) {
      for (const at of recordsIn(code, start, end)) yield code.subarray(at + 2, at + 2 + (code[at + 1]! >> 1))
    }
    if (code[branch + BRANCH.kind] !== BRANCH_KIND.environment) continue
    const base = code[branch + BRANCH.base]!
    const length = code[branch + BRANCH.length]!
    for (let pair = base; pair < base + length; pair += 2) yield* broadIn(programs, code[pair + 1]!)
  }
}

function* recordsIn(code: Int32Array, start: number, end: number): Iterable<number> {
  for (let at = start; at < end; at += 2 + (code[at + 1]! >> 1)) yield at
}
