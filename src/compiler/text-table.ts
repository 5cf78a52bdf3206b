import type { StringPool } from './string-pool.js'

/**
 * Hash tables from texts or numbers to integers as rows of three integers (hash, key + 1, value) in an Int32Array, so that a
 * table of any size is there without being built: open addressing, linear probing, at most half full. The contents come
 * from policies alone, so that nobody who sends calls can lengthen a probe.
 */
export interface TableRow {
  readonly hash: number
  /** Number of a text in the pool, or position of a number. */
  readonly key: number
  readonly value: number
}

const ROW = 3

/** Integers that a table with room for so many rows takes. */
export function tableLength(rows: number): number {
  let capacity = 2
  while (capacity < 2 * rows) capacity *= 2
  return ROW * capacity
}

/** Writes a table into `into`, from `base`; the integers there must be 0. */
export function writeTable(rows: readonly TableRow[], into: Int32Array, base: number): void {
  const mask = tableLength(rows.length) / ROW - 1
  for (const { hash, key, value } of rows) {
    let at = hash & mask
    while (into[base + ROW * at + 1] !== 0) at = (at + 1) & mask
    into[base + ROW * at] = hash
    into[base + ROW * at + 1] = key + 1
    into[base + ROW * at + 2] = value
  }
}

export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash ^ (hash >>> 15)
}

const double = new Float64Array(1)
const halves = new Int32Array(double.buffer)

/** Equal for 0 and -0, which are equal. */
export function hashNumber(value: number): number {
  double[0] = value + 0
  const hash = Math.imul(halves[0]! ^ Math.imul(halves[1]!, 0x9e3779b1), 0x85ebca6b)
  return hash ^ (hash >>> 15)
}

/**
 * @param length of the table, in integers
 * @returns the value of the text, or -1
 */
export function findText(table: Int32Array, base: number, length: number, strings: StringPool, text: string): number {
  const hash = hashText(text)
  const mask = length / ROW - 1
  for (let at = hash & mask; ; at = (at + 1) & mask) {
    const row = base + ROW * at
    const key = table[row + 1]!
    if (key === 0) return -1
    if (table[row] === hash && strings.equals(key - 1, text)) return table[row + 2]!
  }
}

/** @returns the value of the number, or -1 */
export function findNumber(
  table: Int32Array,
  base: number,
  length: number,
  numbers: Float64Array,
  value: number,
): number {
  const hash = hashNumber(value)
  const mask = length / ROW - 1
  for (let at = hash & mask; ; at = (at + 1) & mask) {
    const row = base + ROW * at
    const key = table[row + 1]!
    if (key === 0) return -1
    if (table[row] === hash && numbers[key - 1] === value) return table[row + 2]!
  }
}
