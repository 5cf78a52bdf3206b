import type { Call } from '../../model/call.js'
import type { Truth } from './truth.js'
import type { Value } from './value.js'

export type TruthFn = (frame: Frame) => Truth
export type ValueFn = (frame: Frame) => Value

const NO_CALL: Call = {
  requestId: '',
  tenant: '',
  agent: { id: '', labels: {} },
  principal: null,
  sessionId: '',
  delegationChain: [],
  tool: '',
  environment: '',
  arguments: {},
  context: {},
}

const MAX_GENERATION = 0x1fff_ffff

/**
 * The scratch space of one decision: memos of predicates and of projected values, stamped with a generation so that a new
 * decision invalidates them all by adding one. Reused from decision to decision, never shared between two at a time:
 * deciding is synchronous and calls nothing that decides.
 */
export class Frame {
  call: Call = NO_CALL
  nowMs = 0
  /** Values of quantifier variables, by nesting depth. */
  readonly variables: Value[] = []
  /** Entries that matched, as `entry << 1 | indeterminate`; the first `matchedCount` are valid. */
  readonly matched: Int32Array
  matchedCount = 0
  /** Room for what a search through ranges finds; valid until the next search. */
  readonly fitting: Int32Array
  readonly #predicates: readonly TruthFn[]
  /** `generation << 2 | truth` of each predicate. */
  readonly #memo: Int32Array
  readonly #stamps: Int32Array
  readonly #slots: Value[]
  readonly #filled: Int32Array
  #filledCount = 0
  #generation = 0

  constructor(predicates: readonly TruthFn[], slots: number, entries: number) {
    this.#predicates = predicates
    this.#memo = new Int32Array(predicates.length)
    this.#stamps = new Int32Array(slots)
    this.#slots = new Array<Value>(slots).fill(undefined)
    this.#filled = new Int32Array(slots)
    this.matched = new Int32Array(entries)
    this.fitting = new Int32Array(entries)
  }

  begin(call: Call, nowMs: number): void {
    this.call = call
    this.nowMs = nowMs
    this.matchedCount = 0
    if (this.#generation === MAX_GENERATION) {
      this.#memo.fill(0)
      this.#stamps.fill(0)
      this.#generation = 0
    }
    this.#generation++
  }

  /** Lets go of the call, so that no argument outlives its decision. */
  end(): void {
    for (let i = 0; i < this.#filledCount; i++) this.#slots[this.#filled[i]!] = undefined
    this.#filledCount = 0
    if (this.variables.length > 0) this.variables.length = 0
    this.call = NO_CALL
  }

  /** Evaluates a predicate at most once a decision. */
  truth(predicate: number): Truth {
    const memo = this.#memo[predicate]!
    if (memo >> 2 === this.#generation) return (memo & 3) as Truth
    const truth = this.#predicates[predicate]!(this)
    this.#memo[predicate] = (this.#generation << 2) | truth
    return truth
  }

  /** Evaluates what fills a slot at most once a decision. */
  slot(slot: number, fill: ValueFn): Value {
    if (this.#stamps[slot] === this.#generation) return this.#slots[slot]
    const value = fill(this)
    this.#stamps[slot] = this.#generation
    this.#slots[slot] = value
    this.#filled[this.#filledCount++] = slot
    return value
  }
}
