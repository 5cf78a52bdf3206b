import type { Decision } from '../model/decision.js'
import type { Frame } from './predicate/frame.js'

/** Powers of two. */
const FIRST_SLOTS = 64
const MOST_SLOTS = 32_768
/** Integers that the lists of matches may take, in all. */
const MOST_KEYS = 512 * 1_024
/** A longer list is not kept. */
const MOST_MATCHES = 128 * 1_024

/** What follows from what matched. */
export interface Answer {
  readonly decision: Decision
  /** Where approvals also depend on the call itself: the decision with them, in a frame that was begun for the call. Else null. */
  readonly complete: ((frame: Frame) => Decision) | null
}

/**
 * Answers made before, by the exact list of what matched. Not a cache of decisions: every call is judged anew, and only the
 * wording of the answer, which follows from the matches alone, is used again. Lists stand one after the other in one array,
 * so that a look touches little memory; when there is no more room, all is let go.
 */
export class Answers {
  /** Hash table, open addressing: where a list begins, plus 1. */
  #slots = new Int32Array(FIRST_SLOTS)
  /** `matches << 1 | isUndeclaredTool`, number of the answer, then the matches. */
  #keys = new Int32Array(8 * FIRST_SLOTS)
  #used = 0
  #answers: Answer[] = []

  /** @param matched of which the first `count` are what matched */
  get(matched: Int32Array, count: number, isUndeclaredTool: boolean): Answer | undefined {
    const slots = this.#slots
    const keys = this.#keys
    const mask = slots.length - 1
    const head = (count << 1) | (isUndeclaredTool ? 1 : 0)
    for (let slot = hash(matched, 0, count) & mask; ; slot = (slot + 1) & mask) {
      const at = slots[slot]! - 1
      if (at < 0) return undefined
      if (keys[at] === head && isSame(keys, at + 2, matched, count)) return this.#answers[keys[at + 1]!]
    }
  }

  set(matched: Int32Array, count: number, isUndeclaredTool: boolean, answer: Answer): void {
    if (count > MOST_MATCHES) return
    if (2 * this.#answers.length >= this.#slots.length) this.#makeRoom()
    if (this.#used + 2 + count > this.#keys.length) this.#growKeys(2 + count)
    const at = this.#used
    this.#keys[at] = (count << 1) | (isUndeclaredTool ? 1 : 0)
    this.#keys[at + 1] = this.#answers.push(answer) - 1
    this.#keys.set(matched.subarray(0, count), at + 2)
    this.#used += 2 + count
    this.#place(at)
  }

  #place(at: number): void {
    const mask = this.#slots.length - 1
    let slot = hash(this.#keys, at + 2, this.#keys[at]! >> 1) & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = at + 1
  }

  /** Twice the slots; or all anew, where there are as many as may be. */
  #makeRoom(): void {
    if (this.#slots.length === MOST_SLOTS) {
      this.#clear()
      return
    }
    this.#slots = new Int32Array(2 * this.#slots.length)
    for (let at = 0; at < this.#used; at += 2 + (this.#keys[at]! >> 1)) this.#place(at)
  }

  /** Room for so many integers more; or all anew, where there are as many as may be. */
  #growKeys(needed: number): void {
    if (this.#used + needed > MOST_KEYS) this.#clear()
    let length = this.#keys.length
    while (length < this.#used + needed) length *= 2
    if (length === this.#keys.length) return
    const larger = new Int32Array(length)
    larger.set(this.#keys.subarray(0, this.#used))
    this.#keys = larger
  }

  #clear(): void {
    this.#slots.fill(0)
    this.#used = 0
    this.#answers = []
  }
}

function isSame(keys: Int32Array, start: number, matched: Int32Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (keys[start + i] !== matched[i]) return false
  return true
}

function hash(matched: Int32Array, start: number, count: number): number {
  let hash = count
  for (let i = start; i < start + count; i++) hash = Math.imul(hash ^ matched[i]!, 0x9e3779b1) ^ (hash >>> 15)
  return hash ^ (hash >>> 16)
}
