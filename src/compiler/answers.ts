import type { Decision } from '../model/decision.js'

interface Kept {
  readonly matches: Int32Array
  readonly isUndeclaredTool: boolean
  readonly decision: Decision
}

/** Powers of two: a slot costs 8 bytes, and a small policy set has few different answers. */
const FEWEST_SLOTS = 256
const MOST_SLOTS = 32_768
/** Rules match in more combinations than there are rules. */
const ANSWERS_PER_ENTRY = 8

/**
 * Answers made before, by the exact list of what matched. Not a cache of decisions: every call is judged anew, and only the
 * wording of the answer, which follows from the matches alone, is used again. Two slots a hash; the older answer goes.
 */
export class Answers {
  readonly #slots: (Kept | undefined)[]

  /** @param entries of the policy set */
  constructor(entries: number) {
    let slots = FEWEST_SLOTS
    while (slots < MOST_SLOTS && slots < ANSWERS_PER_ENTRY * entries) slots *= 2
    this.#slots = new Array<Kept | undefined>(slots).fill(undefined)
  }

  /** @param matched of which the first `count` are what matched */
  get(matched: Int32Array, count: number, isUndeclaredTool: boolean): Decision | undefined {
    const slot = this.#slotOf(matched, count)
    const first = this.#slots[slot]
    if (first !== undefined && isSame(first, matched, count, isUndeclaredTool)) return first.decision
    const second = this.#slots[slot ^ 1]
    return second !== undefined && isSame(second, matched, count, isUndeclaredTool) ? second.decision : undefined
  }

  /** @param matches is kept, and must not change */
  set(matches: Int32Array, isUndeclaredTool: boolean, decision: Decision): void {
    const slot = this.#slotOf(matches, matches.length)
    this.#slots[slot ^ 1] = this.#slots[slot]
    this.#slots[slot] = { matches, isUndeclaredTool, decision }
  }

  #slotOf(matched: Int32Array, count: number): number {
    let hash = count
    for (let i = 0; i < count; i++) hash = Math.imul(hash ^ matched[i]!, 0x9e3779b1) ^ (hash >>> 15)
    return (hash >>> 8) & (this.#slots.length - 1)
  }
}

function isSame(kept: Kept, matched: Int32Array, count: number, isUndeclaredTool: boolean): boolean {
  if (kept.matches.length !== count || kept.isUndeclaredTool !== isUndeclaredTool) return false
  for (let i = 0; i < count; i++) if (kept.matches[i] !== matched[i]) return false
  return true
}
