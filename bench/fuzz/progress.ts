/** In place of a seed: before the first step of a thread. */
export const OPENING = -1

/** What a fuzzer's thread has done so far, in memory that outlives the thread: nothing is lost when it hangs or dies. */
export class Progress {
  readonly #cells: Float64Array

  constructor(readonly memory = new SharedArrayBuffer(6 * Float64Array.BYTES_PER_ELEMENT)) {
    this.#cells = new Float64Array(memory)
  }

  /** Of the step at hand, or {@link OPENING}. */
  get seed(): number {
    return this.#cells[0]!
  }
  set seed(seed: number) {
    this.#cells[0] = seed
  }
  get steps(): number {
    return this.#cells[1]!
  }
  get decisions(): number {
    return this.#cells[2]!
  }
  get inputs(): number {
    return this.#cells[3]!
  }
  get mismatches(): number {
    return this.#cells[4]!
  }
  get crashes(): number {
    return this.#cells[5]!
  }

  addStep(counts: { readonly decisions: number; readonly inputs: number; readonly mismatches: number }): void {
    this.#cells[1]! += 1
    this.#cells[2]! += counts.decisions
    this.#cells[3]! += counts.inputs
    this.#cells[4]! += counts.mismatches
  }

  /** A step that threw, never ended, or took the thread with it. */
  addCrash(): void {
    this.#cells[1]! += 1
    this.#cells[5]! += 1
  }
}
