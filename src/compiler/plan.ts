import { Ints } from './ints.js'
import type { Frame } from './predicate/frame.js'
import type { Literal } from './predicate/literals.js'
import type { LivePredicates } from './predicate/live-predicates.js'
import { FALSE, TRUE, UNKNOWN } from './predicate/truth.js'
import type { Value } from './predicate/value.js'

/**
 * How the calls of one tool in one environment are judged, as integers: what {@link PlanWriter} writes and {@link runPlan}
 * reads. A plan is `blocks, block…`; a block judges up to 32 entries at once, each a bit of a mask.
 *
 * Of a block:
 *
 * - `end, entries, all, columns, tests`, `entry` for each entry; `all` is the mask of its entries.
 * - Columns: everything that entries ask of one slot and that a look at its value settles. A cell says what a value means
 *   for all entries: a mask of those that it keeps from matching, a mask of those that it makes indeterminate.
 * - Tests, cheap first: `predicate, mask of the entries that ask it, mask of those of them that match when it is unknown`.
 *   One is evaluated where an entry that asks it may still match.
 */
export const BLOCK = { end: 0, entries: 1, all: 2, columns: 3, tests: 4, size: 5 } as const

/** Then texts, cells of texts, cells of numbers, and predicates with their masks for values of other types. */
export const COLUMN = {
  end: 0,
  slot: 1,
  /** The entries that ask the slot. */
  asked: 2,
  numbers: 3,
  /** Where the numbers begin among the plans' numbers. */
  numberBase: 4,
  texts: 5,
  /** Where the predicates begin. */
  others: 6,
  whenMissing: 7,
  whenNull: 9,
  whenFalse: 11,
  whenTrue: 13,
  /** A text that no entry asks for. */
  otherText: 15,
  size: 17,
} as const

const CELL = 2
export const TEST = 3
/** Entries of a block. */
export const BLOCK_ENTRIES = 32
/** Texts and numbers that one column tells apart. */
const MOST_LITERALS = 64

/** An entry as a program has it. */
export interface PlannedEntry {
  readonly entry: number
  readonly unknownMatches: boolean
  readonly predicates: readonly number[]
}

/** A predicate of a block, and the entries that ask it. */
interface Asked {
  readonly predicate: number
  mask: number
}

/** Writes plans, one after the other. */
export class PlanWriter {
  readonly #predicates: LivePredicates
  readonly #frame: Frame
  /** Numbers of the texts that columns tell apart. */
  readonly textIds = new Map<string, number>()
  readonly code = new Ints()
  readonly numbers: number[] = []

  constructor(predicates: LivePredicates, frame: Frame) {
    this.#predicates = predicates
    this.#frame = frame
  }

  /** @param entries ascending */
  write(entries: readonly PlannedEntry[]): number {
    const start = this.code.push(Math.ceil(entries.length / BLOCK_ENTRIES))
    for (let first = 0; first < entries.length; first += BLOCK_ENTRIES) {
      this.#writeBlock(entries.slice(first, first + BLOCK_ENTRIES))
    }
    return start
  }

  #writeBlock(entries: readonly PlannedEntry[]): void {
    const { code } = this
    const all = entries.length === BLOCK_ENTRIES ? -1 : (1 << entries.length) - 1
    const start = code.length
    const head = [0, entries.length, all, 0, 0]
    for (const item of head) code.push(item)
    let whenUnknown = 0
    entries.forEach(({ entry, unknownMatches }, bit) => {
      code.push(entry)
      if (unknownMatches) whenUnknown |= 1 << bit
    })
    const asked = askedBy(entries)
    const columns = this.#columnsOf(asked)
    for (const [slot, column] of columns) this.#writeColumn(slot, column, whenUnknown)
    const inColumns = new Set([...columns.values()].flatMap(({ tests }) => tests))
    const { costs } = this.#predicates.section
    const rest = asked.filter((one) => !inColumns.has(one)).sort((a, b) => costs[a.predicate]! - costs[b.predicate]!)
    for (const { predicate, mask } of rest) for (const item of [predicate, mask, mask & whenUnknown]) code.push(item)
    code.set(start + BLOCK.end, code.length)
    code.set(start + BLOCK.columns, columns.size)
    code.set(start + BLOCK.tests, rest.length)
  }

  /** By slot: the tests of it that its value settles. */
  #columnsOf(asked: readonly Asked[]): ReadonlyMap<number, Column> {
    const { operands } = this.#predicates.section
    const columns = new Map<number, Column>()
    for (const one of asked) {
      const literals = this.#predicates.literalsOf(one.predicate)
      if (literals === null) continue
      const slot = operands[one.predicate]!
      let column = columns.get(slot)
      if (column === undefined) {
        column = new Column()
        columns.set(slot, column)
      }
      column.add(one, literals)
    }
    return columns
  }

  #writeColumn(slot: number, { tests, texts, numbers }: Column, whenUnknown: number): void {
    const { code } = this
    const start = code.length
    const sorted = [...numbers].sort((a, b) => a - b)
    const asked = tests.reduce((mask, one) => mask | one.mask, 0)
    for (const item of [0, slot, asked, sorted.length, this.numbers.length, texts.size, 0]) code.push(item)
    const cell = (value: Value) => this.#writeCell(tests, value, whenUnknown)
    for (const value of [undefined, null, false, true, otherThan(texts)]) cell(value)
    for (const text of texts) code.push(this.#textId(text))
    for (const text of texts) cell(text)
    for (const number of numbersAround(sorted)) cell(number)
    code.set(start + COLUMN.others, code.length)
    for (const { predicate, mask } of tests) for (const item of [predicate, mask, mask & whenUnknown]) code.push(item)
    code.set(start + COLUMN.end, code.length)
    for (const number of sorted) this.numbers.push(number)
  }

  #writeCell(tests: readonly Asked[], value: Value, whenUnknown: number): void {
    let out = 0
    let unknown = 0
    for (const { predicate, mask } of tests) {
      const truth = this.#frame.truthFor(predicate, value)
      if (truth === FALSE) out |= mask
      else if (truth === UNKNOWN) unknown |= mask
    }
    this.code.push(out | (unknown & ~whenUnknown))
    this.code.push(unknown & whenUnknown)
  }

  #textId(text: string): number {
    const known = this.textIds.get(text)
    if (known !== undefined) return known
    this.textIds.set(text, this.textIds.size)
    return this.textIds.size - 1
  }
}

function askedBy(entries: readonly PlannedEntry[]): readonly Asked[] {
  const asked = new Map<number, Asked>()
  entries.forEach(({ predicates }, bit) => {
    for (const predicate of predicates) {
      const known = asked.get(predicate)
      if (known === undefined) asked.set(predicate, { predicate, mask: 1 << bit })
      else known.mask |= 1 << bit
    }
  })
  return [...asked.values()]
}

/** Tests of one slot. */
class Column {
  readonly tests: Asked[] = []
  readonly texts = new Set<string>()
  readonly numbers = new Set<number>()

  /** Takes a test, unless it would have to tell too many values apart. */
  add(one: Asked, literals: readonly Literal[]): void {
    if (this.texts.size + this.numbers.size + literals.length > MOST_LITERALS) return
    this.tests.push(one)
    for (const literal of literals) {
      if (typeof literal === 'string') this.texts.add(literal)
      // 0 and -0 are one number, and one key of a set.
      else if (typeof literal === 'number') this.numbers.add(literal + 0)
    }
  }
}

/** A text that is none of these. */
function otherThan(texts: ReadonlySet<string>): string {
  let longest = 0
  for (const { length } of texts) longest = Math.max(longest, length)
  return 'x'.repeat(longest + 1)
}

/** A number below all, then for each number itself and one between it and the next, or above all. */
function* numbersAround(sorted: readonly number[]): Iterable<number> {
  yield Number.NEGATIVE_INFINITY
  for (const [i, number] of sorted.entries()) {
    yield number
    const next = sorted[i + 1]
    // Of two neighbours it is one of them: no value lies between them, so that nobody looks there.
    yield next === undefined ? Number.POSITIVE_INFINITY : number / 2 + next / 2
  }
}

/** What running a plan takes beside it. */
export interface PlanTables {
  readonly code: Int32Array
  readonly numbers: readonly number[]
  readonly textIds: ReadonlyMap<string, number>
}

/** Leaves the entries of the plan that match in the frame, in their order, each as `entry << 1 | indeterminate`. */
export function runPlan({ code, numbers, textIds }: PlanTables, plan: number, frame: Frame): void {
  let block = plan + 1
  for (let left = code[plan]!; left > 0; left--) {
    const end = code[block + BLOCK.end]!
    const first = block + BLOCK.size
    let alive = code[block + BLOCK.all]!
    let unknown = 0
    let at = first + code[block + BLOCK.entries]!
    for (let columns = code[block + BLOCK.columns]!; columns > 0; columns--) {
      const column = at
      at = code[column + COLUMN.end]!
      if ((alive & code[column + COLUMN.asked]!) === 0) continue
      const value = frame.slot(code[column + COLUMN.slot]!)
      const cell = cellOf(code, numbers, textIds, column, value)
      if (cell >= 0) {
        alive &= ~code[cell]!
        unknown |= code[cell + 1]!
        continue
      }
      for (let test = code[column + COLUMN.others]!; test < at; test += TEST) {
        const truth = frame.truth(code[test]!)
        if (truth === TRUE) continue
        const matching = truth === UNKNOWN ? code[test + 2]! : 0
        alive &= ~(code[test + 1]! & ~matching)
        unknown |= matching
      }
    }
    for (; at < end && alive !== 0; at += TEST) {
      const asked = code[at + 1]!
      if ((alive & asked) === 0) continue
      const truth = frame.truth(code[at]!)
      if (truth === TRUE) continue
      const matching = truth === UNKNOWN ? code[at + 2]! : 0
      alive &= ~(asked & ~matching)
      unknown |= matching
    }
    while (alive !== 0) {
      const bit = 31 - Math.clz32(alive & -alive)
      alive &= alive - 1
      frame.matched[frame.matchedCount++] = (code[first + bit]! << 1) | ((unknown >>> bit) & 1)
    }
    block = end
  }
}

/** Where the column has what the value means, or -1 for a value that takes a closer look. */
function cellOf(
  code: Int32Array,
  numbers: readonly number[],
  textIds: ReadonlyMap<string, number>,
  column: number,
  value: Value,
): number {
  switch (typeof value) {
    case 'string':
      return textCell(code, column, textIds.get(value))
    case 'number':
      return Number.isNaN(value) ? -1 : numberCell(code, numbers, column, value)
    case 'boolean':
      return column + (value ? COLUMN.whenTrue : COLUMN.whenFalse)
    case 'undefined':
      return column + COLUMN.whenMissing
    default:
      return value === null ? column + COLUMN.whenNull : -1
  }
}

function textCell(code: Int32Array, column: number, id: number | undefined): number {
  if (id === undefined) return column + COLUMN.otherText
  const first = column + COLUMN.size
  const texts = code[column + COLUMN.texts]!
  for (let i = 0; i < texts; i++) if (code[first + i] === id) return first + texts + CELL * i
  return column + COLUMN.otherText
}

function numberCell(code: Int32Array, numbers: readonly number[], column: number, value: number): number {
  const count = code[column + COLUMN.numbers]!
  const base = code[column + COLUMN.numberBase]!
  let low = 0
  while (low < count && numbers[base + low]! < value) low++
  const place = 2 * low + (low < count && numbers[base + low] === value ? 1 : 0)
  return column + COLUMN.size + (1 + CELL) * code[column + COLUMN.texts]! + CELL * place
}
