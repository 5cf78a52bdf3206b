import { TreeBuilder, TreeJoiner, type TreeSection } from './interval-tree.js'
import { Ints } from './ints.js'
import type { EqualityKey, Feature, KeyValue, RangeKey } from './lift.js'
import type { Pattern } from './names.js'
import type { Numbered } from './numbered.js'
import type { Predicate } from './predicates.js'
import type { Text, Texts, TextWriter } from './string-pool.js'
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
  readonly entry: Numbered
  /** Predicates left to evaluate, cheap first. */
  readonly predicates: readonly Predicate[]
  readonly unknownMatches: boolean
  /** The environments of which the call must name one, and the predicate that says the same; null for an entry that demands nothing so plain. */
  readonly environments: { readonly names: readonly Pattern[]; readonly predicate: Predicate } | null
  readonly equalities: readonly EqualityKey[]
  readonly ranges: readonly RangeKey[]
}

/**
 * A program as it was written, before an image says where it stands and what the numbers are of what it names: of each of
 * its integers there is one of {@link MEANING}.
 */
export interface Fragment {
  /** What it is the program of, in order. */
  readonly entries: readonly Indexed[]
  /** Those that no branch took. */
  readonly walked: readonly Indexed[]
  /** By entry: the feature by which it is told from others first. */
  readonly told: ReadonlyMap<Numbered, Feature>
  readonly start: number
  readonly code: Int32Array
  readonly meanings: Uint8Array
  readonly tables: Int32Array
  readonly tableMeanings: Uint8Array
  readonly tableNumbers: readonly number[]
  readonly trees: TreeSection | null
  readonly named: readonly Numbered[]
  readonly texts: readonly Text[]
}

/** What is added to an integer of a fragment, or stands in its place. */
const MEANING = {
  plain: 0,
  /** A place in the code. */
  code: 1,
  /** A place in the tables. */
  table: 2,
  /** A node of the trees, or -1. */
  tree: 3,
  /** The number of what is `named`. */
  named: 4,
  /** The row of a name that is `named`. */
  row: 5,
  /** In a row of a table: the number of one of the `texts`, plus 1. */
  text: 6,
  /** In a row of a table: the place of one of the `tableNumbers`, plus 1. */
  number: 7,
} as const

/** Fewer entries than this are walked; a table would not pay. */
const MIN_BRANCH_ENTRIES = 8
const MIN_BRANCH_VALUES = 4
/** A search costs more than a look-up. */
const MIN_RANGE_ENTRIES = 16
/** Telling environments apart costs next to nothing, and spares a look at every record of another environment. */
const MIN_ENVIRONMENT_ENTRIES = 2

/** Writes the program of some entries. */
export function writeFragment(entries: readonly Indexed[], texts: Texts): Fragment {
  return new FragmentWriter(texts).finish(entries)
}

class FragmentWriter {
  readonly #texts: Texts
  readonly #code = new Ints()
  readonly #meanings = new Ints()
  readonly #tables = new Ints()
  readonly #tableMeanings = new Ints()
  readonly #tableNumbers: number[] = []
  readonly #tableTexts: Text[] = []
  readonly #trees = new TreeBuilder()
  readonly #named: Numbered[] = []
  readonly #told = new Map<Numbered, Feature>()

  constructor(texts: Texts) {
    this.#texts = texts
  }

  finish(entries: readonly Indexed[]): Fragment {
    const { start, walked } = this.#write(entries)
    return {
      entries,
      walked,
      told: this.#told,
      start,
      code: this.#code.toArray(),
      meanings: Uint8Array.from(this.#meanings.toArray()),
      tables: this.#tables.toArray(),
      tableMeanings: Uint8Array.from(this.#tableMeanings.toArray()),
      tableNumbers: this.#tableNumbers,
      trees: this.#trees.isEmpty ? null : this.#trees.finish(),
      named: this.#named,
      texts: this.#tableTexts,
    }
  }

  /** @returns where the program begins, and the entries that no branch took */
  #write(entries: readonly Indexed[]): { readonly start: number; readonly walked: readonly Indexed[] } {
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
        for (const { entry } of told) if (!this.#told.has(entry)) this.#told.set(entry, feature)
        branches.push(kind === RANGES ? this.#writeRanges(feature, told) : this.#writeValues(feature, told))
        rest = rest.filter((one) => !isTold(one))
      }
    }
    const start = this.#push(0, MEANING.code)
    this.#push(branches.length)
    for (const branch of branches) this.#push(branch, MEANING.code)
    this.#writeRecords(rest)
    this.#code.set(start, this.#code.length)
    return { start, walked: rest }
  }

  #writeEnvironments(entries: readonly Indexed[]): number {
    const groups = new Map<Pattern, Indexed[]>()
    for (const one of entries) {
      const { names, predicate } = one.environments!
      const predicates = one.predicates.filter((other) => other !== predicate)
      const settled = { ...one, predicates, environments: null }
      for (const name of names) push(groups, name, settled)
    }
    // Rows are in the order of their names.
    const pairs = [...groups].sort(([a], [b]) => (a.text < b.text ? -1 : 1))
    const programs = pairs.map(([name, group]) => ({ name, program: this.#write(group).start }))
    const base = this.#code.length
    for (const { name, program } of programs) {
      this.#push(this.#named.push(name) - 1, MEANING.row)
      this.#push(program, MEANING.code)
    }
    return this.#addBranch({ kind: BRANCH_KIND.environment, base, length: 2 * pairs.length }, { base: MEANING.code })
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
      const program = this.#write(group).start
      if (typeof value === 'string') {
        longest = Math.max(longest, value.length)
        const key = this.#tableTexts.push(this.#texts.shared(value)) - 1
        return { hash: hashText(value), key, value: program }
      }
      const number = Number(value)
      return { hash: hashNumber(number), key: this.#tableNumbers.push(number) - 1, value: program }
    })
    const base = this.#tables.length
    this.#writeTable(rows, feature.type === 'string' ? MEANING.text : MEANING.number)
    const slot = this.#named.push(feature.slot) - 1
    const isScope = feature.isScope ? 1 : 0
    const length = this.#tables.length - base
    const row = { kind: BRANCH_KIND[feature.type], slot, ...all, base, length, isScope, longest }
    return this.#addBranch(row, { slot: MEANING.named, base: MEANING.table })
  }

  #writeTable(rows: readonly TableRow[], key: number): void {
    const table = new Int32Array(tableLength(rows.length))
    writeTable(rows, table, 0)
    for (let at = 0; at < table.length; at += 3) {
      const isEmpty = table[at + 1] === 0
      for (let place = 0; place < 3; place++) this.#tables.push(table[at + place]!)
      this.#tableMeanings.push(MEANING.plain)
      this.#tableMeanings.push(isEmpty ? MEANING.plain : key)
      this.#tableMeanings.push(isEmpty ? MEANING.plain : MEANING.code)
    }
  }

  #writeRanges(feature: Feature, entries: readonly Indexed[]): number {
    const starts: number[] = []
    const all = this.#writeRecords(entries, starts)
    const intervals = entries.map(({ ranges }) => ranges.find((range) => range.feature === feature)!)
    const base = this.#trees.add(intervals, starts)
    const slot = this.#named.push(feature.slot) - 1
    return this.#addBranch({ kind: BRANCH_KIND.range, slot, ...all, base }, { slot: MEANING.named, base: MEANING.tree })
  }

  #addBranch(row: Partial<Record<BranchPlace, number>>, meanings: Partial<Record<BranchPlace, number>>): number {
    const at = this.#code.length
    const all = { allStart: MEANING.code, allEnd: MEANING.code, ...meanings }
    for (const place of Object.keys(BRANCH) as BranchPlace[]) {
      const number = row[place]
      if (number === undefined) this.#push(0)
      else this.#push(number, all[place as keyof typeof all])
    }
    return at
  }

  #writeRecords(
    entries: readonly Indexed[],
    starts?: number[],
  ): { readonly allStart: number; readonly allEnd: number } {
    const allStart = this.#code.length
    for (const { entry, predicates, unknownMatches } of entries) {
      starts?.push(this.#code.length)
      this.#push(this.#named.push(entry) - 1, MEANING.named)
      this.#push((predicates.length << 1) | (unknownMatches ? 1 : 0))
      for (const predicate of predicates) this.#push(this.#named.push(predicate) - 1, MEANING.named)
    }
    return { allStart, allEnd: this.#code.length }
  }

  #push(item: number, meaning: number = MEANING.plain): number {
    this.#meanings.push(meaning)
    return this.#code.push(item)
  }
}

type BranchPlace = keyof typeof BRANCH

/** Puts fragments one after the other, with the numbers that an image has for what they name. */
export class ProgramJoiner {
  readonly #writer: TextWriter
  readonly #code = new Ints()
  readonly #tables = new Ints()
  readonly #tableNumbers: number[] = []
  readonly #trees = new TreeJoiner()

  constructor(writer: TextWriter) {
    this.#writer = writer
  }

  /** @returns where the program begins */
  add(fragment: Fragment): number {
    const { start, code, meanings, tables, tableMeanings, tableNumbers, trees, named, texts } = fragment
    const codeBase = this.#code.length
    const tableBase = this.#tables.length
    const numberBase = this.#tableNumbers.length
    const treeBase = trees === null ? 0 : this.#trees.add(trees, codeBase)
    const meant = (item: number, meaning: number): number => {
      switch (meaning) {
        case MEANING.code:
          return item + codeBase
        case MEANING.table:
          return item + tableBase
        case MEANING.tree:
          return item < 0 ? item : item + treeBase
        case MEANING.named:
          return named[item]!.number
        case MEANING.row:
          return (named[item] as Pattern).row
        case MEANING.text:
          return this.#writer.add(texts[item - 1]!) + 1
        case MEANING.number:
          return item + numberBase
        default:
          return item
      }
    }
    for (let at = 0; at < code.length; at++) this.#code.push(meant(code[at]!, meanings[at]!))
    for (let at = 0; at < tables.length; at++) this.#tables.push(meant(tables[at]!, tableMeanings[at]!))
    for (const number of tableNumbers) this.#tableNumbers.push(number)
    return codeBase + start
  }

  finish(): Pick<ProgramSection, 'code' | 'tables' | 'tableNumbers' | 'trees'> {
    return {
      code: this.#code.toArray(),
      tables: this.#tables.toArray(),
      tableNumbers: Float64Array.from(this.#tableNumbers),
      trees: this.#trees.finish(),
    }
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
