import { Ints } from './ints.js'

/** Numbers from `low` to `high`, both included; an open end is infinite. */
export interface Interval {
  readonly low: number
  readonly high: number
}

/**
 * Finds those of n intervals that hold a value in O(log n + found) steps: Edelsbrunner's interval trees (1980), flat, many in
 * one set of arrays. A node has the intervals that hold its centre, once by ascending low and once by descending high end, so
 * that a value left or right of the centre looks at those that hold it and at one more. What stands for an interval is an
 * integer of the caller's.
 */
export interface TreeSection {
  readonly centres: Float64Array<ArrayBuffer>
  /** Nodes, or -1. */
  readonly left: Int32Array<ArrayBuffer>
  readonly right: Int32Array<ArrayBuffer>
  /** By node, and one more: where its intervals begin. */
  readonly first: Int32Array<ArrayBuffer>
  readonly byLow: Int32Array<ArrayBuffer>
  readonly lows: Float64Array<ArrayBuffer>
  readonly byHigh: Int32Array<ArrayBuffer>
  readonly highs: Float64Array<ArrayBuffer>
}

/** Sections put one after the other. */
export class TreeJoiner {
  readonly #parts: { readonly trees: TreeSection; readonly offset: number }[] = []
  #nodes = 0

  /**
   * @param offset what is added to what stands for each interval
   * @returns what is added to the roots
   */
  add(trees: TreeSection, offset: number): number {
    const base = this.#nodes
    this.#parts.push({ trees, offset })
    this.#nodes += trees.centres.length
    return base
  }

  finish(): TreeSection {
    const intervals = this.#parts.reduce((sum, { trees }) => sum + trees.lows.length, 0)
    const joined: TreeSection = {
      centres: new Float64Array(this.#nodes),
      left: new Int32Array(this.#nodes),
      right: new Int32Array(this.#nodes),
      first: new Int32Array(this.#nodes + 1),
      byLow: new Int32Array(intervals),
      lows: new Float64Array(intervals),
      byHigh: new Int32Array(intervals),
      highs: new Float64Array(intervals),
    }
    let node = 0
    let interval = 0
    for (const { trees, offset } of this.#parts) {
      joined.centres.set(trees.centres, node)
      joined.lows.set(trees.lows, interval)
      joined.highs.set(trees.highs, interval)
      joined.byLow.set(
        trees.byLow.map((item) => item + offset),
        interval,
      )
      joined.byHigh.set(
        trees.byHigh.map((item) => item + offset),
        interval,
      )
      const base = node
      for (let at = 0; at < trees.centres.length; at++, node++) {
        joined.left[node] = trees.left[at]! < 0 ? -1 : trees.left[at]! + base
        joined.right[node] = trees.right[at]! < 0 ? -1 : trees.right[at]! + base
        joined.first[node] = trees.first[at]! + interval
      }
      interval += trees.lows.length
    }
    joined.first[node] = interval
    return joined
  }
}

export class TreeBuilder {
  readonly #centres: number[] = []
  readonly #left = new Ints()
  readonly #right = new Ints()
  readonly #first = new Ints()
  readonly #byLow = new Ints()
  readonly #lows: number[] = []
  readonly #byHigh = new Ints()
  readonly #highs: number[] = []

  get isEmpty(): boolean {
    return this.#centres.length === 0
  }

  /**
   * @param items what stands for each interval; empty intervals are never found
   * @returns the root, or -1
   */
  add(intervals: readonly Interval[], items: ArrayLike<number>): number {
    const numbers = [...intervals.keys()].filter((at) => intervals[at]!.low <= intervals[at]!.high)
    return this.#build(numbers, intervals, items)
  }

  finish(): TreeSection {
    this.#first.push(this.#byLow.length)
    return {
      centres: Float64Array.from(this.#centres),
      left: this.#left.toArray(),
      right: this.#right.toArray(),
      first: this.#first.toArray(),
      byLow: this.#byLow.toArray(),
      lows: Float64Array.from(this.#lows),
      byHigh: this.#byHigh.toArray(),
      highs: Float64Array.from(this.#highs),
    }
  }

  /** The median of the ends is the centre: at most half of the intervals lie wholly on either side of it. */
  #build(numbers: readonly number[], intervals: readonly Interval[], items: ArrayLike<number>): number {
    if (numbers.length === 0) return -1
    const ends = new Float64Array(2 * numbers.length)
    numbers.forEach((at, i) => {
      ends[2 * i] = intervals[at]!.low
      ends[2 * i + 1] = intervals[at]!.high
    })
    const centre = ends.sort()[numbers.length]!
    const node = this.#centres.push(centre) - 1
    this.#left.push(-1)
    this.#right.push(-1)
    this.#first.push(this.#byLow.length)
    const before: number[] = []
    const members: number[] = []
    const after: number[] = []
    for (const at of numbers) {
      const { low, high } = intervals[at]!
      if (high < centre) before.push(at)
      else if (low > centre) after.push(at)
      else members.push(at)
    }
    this.#addMembers(members, intervals, items)
    this.#left.set(node, this.#build(before, intervals, items))
    this.#right.set(node, this.#build(after, intervals, items))
    return node
  }

  #addMembers(members: number[], intervals: readonly Interval[], items: ArrayLike<number>): void {
    for (const at of members.sort((a, b) => compare(intervals[a]!.low, intervals[b]!.low))) {
      this.#byLow.push(items[at]!)
      this.#lows.push(intervals[at]!.low)
    }
    for (const at of members.sort((a, b) => compare(intervals[b]!.high, intervals[a]!.high))) {
      this.#byHigh.push(items[at]!)
      this.#highs.push(intervals[at]!.high)
    }
  }
}

/** Without subtracting: infinity less infinity is no number. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * @param value any number but NaN
 * @param found takes what stands for each interval that holds the value, in no order; must have room for all
 * @returns how many there are
 */
export function findIntervals(tree: TreeSection, root: number, value: number, found: Int32Array): number {
  const { centres, first, byLow, lows, byHigh, highs, left, right } = tree
  let count = 0
  for (let node = root; node >= 0; ) {
    const centre = centres[node]!
    const end = first[node + 1]!
    let at = first[node]!
    if (value <= centre) {
      while (at < end && lows[at]! <= value) found[count++] = byLow[at++]!
      node = value === centre ? -1 : left[node]!
    } else {
      while (at < end && highs[at]! >= value) found[count++] = byHigh[at++]!
      node = right[node]!
    }
  }
  return count
}
