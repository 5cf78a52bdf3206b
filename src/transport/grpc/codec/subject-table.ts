import type { Subject } from '../../../model/call.js'

/** Longer ones are read each time. */
const MOST_BYTES = 160

/**
 * Subjects by the bytes they were sent as, compared byte for byte. Bounded by construction: every text of bytes has one slot by
 * its hash, and the newest stays. What is kept is frozen, since calls share it.
 */
export class SubjectTable {
  readonly #subjects: (Subject | null)[]
  readonly #bytes: Uint8Array
  readonly #lengths: Uint8Array
  readonly #mask: number
  #slot = 0

  /** @param slots a power of two */
  constructor(slots: number) {
    this.#subjects = new Array<Subject | null>(slots).fill(null)
    this.#bytes = new Uint8Array(slots * MOST_BYTES)
    this.#lengths = new Uint8Array(slots)
    this.#mask = slots - 1
  }

  get(bytes: Buffer, from: number, to: number): Subject | null {
    const length = to - from
    if (length > MOST_BYTES) return null
    let hash = length
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
    const slot = (hash ^ (hash >>> 15)) & this.#mask
    this.#slot = slot
    if (this.#lengths[slot] !== length) return null
    const kept = this.#bytes
    const start = slot * MOST_BYTES
    for (let i = 0; i < length; i++) if (kept[start + i] !== bytes[from + i]) return null
    return this.#subjects[slot]!
  }

  /** Keeps a subject that {@link get} did not find just now. */
  set(bytes: Buffer, from: number, to: number, subject: Subject): void {
    const length = to - from
    if (length > MOST_BYTES) return
    const slot = this.#slot
    this.#subjects[slot] = subject
    this.#lengths[slot] = length
    this.#bytes.set(bytes.subarray(from, to), slot * MOST_BYTES)
  }
}
