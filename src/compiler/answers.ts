import type { Decision } from '../model/decision.js'

/** Powers of two: a slot takes two lines of the cache, and most policy sets give few different answers. */
const FIRST_SLOTS = 64
const MOST_SLOTS = 16_384
/** Integers of a slot: how many matched, and what. */
const SLOT = 32
const MOST_INLINE = SLOT - 1

/**
 * Answers made before, by the exact list of what matched. Not a cache of decisions: every call is judged anew, and only the
 * wording of the answer, which follows from the matches alone, is used again. Two slots a hash; the older answer goes. Lists
 * that are too long for a slot are not kept: making their answer costs no more than finding the matches did.
 */
export class Answers {
  /** `matches << 1 | isUndeclaredTool`, plus 1, then the matches. */
  #keys = new Int32Array(SLOT * FIRST_SLOTS)
  #decisions = new Array<Decision | undefined>(FIRST_SLOTS).fill(undefined)
  #mask = FIRST_SLOTS - 1
  /** Answers kept since there was last more room. */
  #kept = 0

  /** @param matched of which the first `count` are what matched */
  get(matched: Int32Array, count: number, isUndeclaredTool: boolean): Decision | undefined {
    if (count > MOST_INLINE) return undefined
    const head = headOf(count, isUndeclaredTool)
    const slot = slotOf(matched, 0, count) & this.#mask
    if (this.#isAt(slot, matched, count, head)) return this.#decisions[slot]
    return this.#isAt(slot ^ 1, matched, count, head) ? this.#decisions[slot ^ 1] : undefined
  }

  set(matched: Int32Array, count: number, isUndeclaredTool: boolean, decision: Decision): void {
    if (count > MOST_INLINE) return
    if (++this.#kept > this.#mask >> 1 && this.#mask + 1 < MOST_SLOTS) this.#grow()
    const slot = slotOf(matched, 0, count) & this.#mask
    const older = slot ^ 1
    this.#keys.copyWithin(SLOT * older, SLOT * slot, SLOT * (slot + 1))
    this.#decisions[older] = this.#decisions[slot]
    this.#keys[SLOT * slot] = headOf(count, isUndeclaredTool)
    this.#keys.set(matched.subarray(0, count), SLOT * slot + 1)
    this.#decisions[slot] = decision
  }

  #isAt(slot: number, matched: Int32Array, count: number, head: number): boolean {
    const at = SLOT * slot
    if (this.#keys[at] !== head) return false
    for (let i = 0; i < count; i++) if (this.#keys[at + 1 + i] !== matched[i]) return false
    return true
  }

  /** Twice the room; what is kept moves to where it is now looked for. */
  #grow(): void {
    const keys = this.#keys
    const decisions = this.#decisions
    const slots = 2 * decisions.length
    this.#keys = new Int32Array(SLOT * slots)
    this.#decisions = new Array<Decision | undefined>(slots).fill(undefined)
    this.#mask = slots - 1
    this.#kept = 0
    for (const [old, decision] of decisions.entries()) {
      if (decision === undefined) continue
      const count = (keys[SLOT * old]! - 1) >> 1
      const home = slotOf(keys, SLOT * old + 1, count) & this.#mask
      const slot = this.#decisions[home] === undefined ? home : home ^ 1
      this.#keys.set(keys.subarray(SLOT * old, SLOT * (old + 1)), SLOT * slot)
      this.#decisions[slot] = decision
    }
  }
}

/** Never 0, which is an empty slot. */
function headOf(count: number, isUndeclaredTool: boolean): number {
  return ((count << 1) | (isUndeclaredTool ? 1 : 0)) + 1
}

/** A hash; its low bits are a slot. */
function slotOf(matched: Int32Array, start: number, count: number): number {
  let hash = count
  for (let i = start; i < start + count; i++) hash = Math.imul(hash ^ matched[i]!, 0x9e3779b1) ^ (hash >>> 15)
  return hash >>> 8
}
