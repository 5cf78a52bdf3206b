/** Numbers from `low` to `high`, both included; an open end is infinite. */
export interface Interval {
  readonly low: number
  readonly high: number
}

interface Node {
  readonly centre: number
  readonly members: readonly number[]
  readonly left: Node | null
  readonly right: Node | null
}

/**
 * Finds those of n intervals that hold a value in O(log n + found) steps: Edelsbrunner's interval tree (1980), flat. A node
 * has the intervals that hold its centre, once by ascending low and once by descending high end, so that a value left or
 * right of the centre looks at those that hold it and at one more. Intervals are named by their position; empty ones are
 * never found.
 */
export class IntervalTree {
  readonly #centres: Float64Array
  /** Nodes, or -1. */
  readonly #left: Int32Array
  readonly #right: Int32Array
  /** A node's intervals stand from here up to the next node's. */
  readonly #first: Int32Array
  readonly #byLow: Int32Array
  readonly #lows: Float64Array
  readonly #byHigh: Int32Array
  readonly #highs: Float64Array

  constructor(intervals: readonly Interval[]) {
    const numbers = intervals.flatMap(({ low, high }, at) => (low <= high ? [at] : []))
    const nodes: Node[] = []
    build(numbers, intervals, nodes)
    const places = new Map(nodes.map((node, at) => [node, at]))
    const placeOf = (node: Node | null) => (node === null ? -1 : places.get(node)!)
    this.#centres = Float64Array.from(nodes, ({ centre }) => centre)
    this.#left = Int32Array.from(nodes, ({ left }) => placeOf(left))
    this.#right = Int32Array.from(nodes, ({ right }) => placeOf(right))
    this.#first = new Int32Array(nodes.length + 1)
    nodes.forEach(({ members }, at) => {
      this.#first[at + 1] = this.#first[at]! + members.length
    })
    const low = (at: number) => intervals[at]!.low
    const high = (at: number) => intervals[at]!.high
    this.#byLow = Int32Array.from(nodes.flatMap(({ members }) => [...members].sort((a, b) => compare(low(a), low(b)))))
    this.#byHigh = Int32Array.from(
      nodes.flatMap(({ members }) => [...members].sort((a, b) => compare(high(b), high(a)))),
    )
    this.#lows = Float64Array.from(this.#byLow, low)
    this.#highs = Float64Array.from(this.#byHigh, high)
  }

  /**
   * @param value any number but NaN
   * @param found takes the intervals that hold the value, in no order; must have room for all
   * @returns how many there are
   */
  find(value: number, found: Int32Array): number {
    let count = 0
    let node = this.#centres.length === 0 ? -1 : 0
    while (node >= 0) {
      const centre = this.#centres[node]!
      const end = this.#first[node + 1]!
      let at = this.#first[node]!
      if (value <= centre) {
        while (at < end && this.#lows[at]! <= value) found[count++] = this.#byLow[at++]!
        node = value === centre ? -1 : this.#left[node]!
      } else {
        while (at < end && this.#highs[at]! >= value) found[count++] = this.#byHigh[at++]!
        node = this.#right[node]!
      }
    }
    return count
  }
}

/** The median of the ends is the centre: at most half of the intervals lie wholly on either side of it. */
function build(numbers: readonly number[], intervals: readonly Interval[], nodes: Node[]): Node | null {
  if (numbers.length === 0) return null
  const ends = Float64Array.from(numbers.flatMap((at) => [intervals[at]!.low, intervals[at]!.high])).sort()
  const centre = ends[numbers.length]!
  const place = nodes.length
  const node = {
    centre,
    members: numbers.filter((at) => intervals[at]!.low <= centre && centre <= intervals[at]!.high),
    left: null as Node | null,
    right: null as Node | null,
  }
  nodes[place] = node
  node.left = build(
    numbers.filter((at) => intervals[at]!.high < centre),
    intervals,
    nodes,
  )
  node.right = build(
    numbers.filter((at) => intervals[at]!.low > centre),
    intervals,
    nodes,
  )
  return node
}

/** Without subtracting: infinity less infinity is no number. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}
