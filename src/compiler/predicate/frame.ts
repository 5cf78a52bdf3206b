import type { Call } from '../../model/call.js'
import { NOT_COMPARISON, OP } from '../predicates.js'
import { COMPARISONS } from './compare.js'
import { type LivePredicates, SOURCE } from './live-predicates.js'
import { FALSE, TRUE, type Truth, UNKNOWN } from './truth.js'
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

const NO_IDS = new Int32Array(0)

const MAX_GENERATION = 0x1fff_ffff

/** The patterns that a name fits: those of `ids` from `start` up to `end`, ascending. */
export interface Fitted {
  ids: Int32Array
  start: number
  end: number
}

/**
 * The scratch space of one decision: memos of predicates and of projected values, stamped with a generation so that a new
 * decision invalidates them all by adding one. Reused from decision to decision, never shared between two at a time:
 * deciding is synchronous and calls nothing that decides.
 */
export class Frame {
  call: Call = NO_CALL
  nowMs = 0
  readonly tool: Fitted = { ids: NO_IDS, start: 0, end: 0 }
  readonly environment: Fitted = { ids: NO_IDS, start: 0, end: 0 }
  /** The row of the environment's name, or -1. */
  environmentRow = -1
  /** The call is too long for all readings of the rules about its tool: conditions with readings are unknown. */
  isTooLong = false
  /** Values of quantifier variables, by nesting depth. */
  readonly variables: Value[] = []
  /** Entries that matched, as `entry << 1 | indeterminate`; the first `matchedCount` are valid. */
  readonly matched: Int32Array
  matchedCount = 0
  /** Room for what a search through ranges finds; valid until the next search. */
  readonly fitting: Int32Array
  readonly #predicates: LivePredicates
  readonly #ops: Uint8Array
  readonly #operands: Int32Array
  readonly #numbers: Float64Array
  readonly #reads: Uint8Array
  /** `generation << 2 | truth` of each predicate. */
  readonly #memo: Int32Array
  readonly #stamps: Int32Array
  readonly #slots: Value[]
  readonly #filled: Int32Array
  /** By slot: one of {@link SOURCE}, and the key that is read. */
  readonly #sources: Uint8Array
  readonly #keys: string[]
  #filledCount = 0
  #generation = 0

  /** @param matches the most that can match one call */
  constructor(predicates: LivePredicates, matches: number) {
    const { ops, operands, numbers, reads, slots } = predicates.section
    this.#predicates = predicates
    this.#ops = ops
    this.#operands = operands
    this.#numbers = numbers
    this.#reads = reads
    this.#memo = new Int32Array(ops.length)
    this.#stamps = new Int32Array(slots.length)
    this.#slots = new Array<Value>(slots.length).fill(undefined)
    this.#filled = new Int32Array(slots.length)
    this.#sources = new Uint8Array(slots.length)
    this.#keys = new Array<string>(slots.length).fill('')
    this.matched = new Int32Array(matches)
    this.fitting = new Int32Array(matches)
  }

  begin(call: Call, nowMs: number): void {
    // A decision that threw has left values behind.
    if (this.#filledCount > 0) this.end()
    this.call = call
    this.nowMs = nowMs
    this.matchedCount = 0
    this.isTooLong = false
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
    const truth = this.#evaluate(predicate)
    this.#memo[predicate] = (this.#generation << 2) | truth
    return truth
  }

  /** The value of a slot, read or computed at most once a decision. */
  slot(slot: number): Value {
    if (this.#stamps[slot] === this.#generation) return this.#slots[slot]
    const value = this.#read(slot)
    this.#stamps[slot] = this.#generation
    this.#slots[slot] = value
    this.#filled[this.#filledCount++] = slot
    return value
  }

  /** Most slots are an argument or a label, and take no call of a closure. */
  #read(slot: number): Value {
    switch (this.#sources[slot]) {
      case SOURCE.argument:
        return this.call.arguments[this.#keys[slot]!]
      case SOURCE.label:
        return this.call.agent.labels[this.#keys[slot]!]
      case SOURCE.unresolved:
        this.#resolve(slot)
        return this.#read(slot)
      default:
        return this.#predicates.reader(slot)(this)
    }
  }

  #resolve(slot: number): void {
    const { source, key } = this.#predicates.sourceOf(slot)
    this.#sources[slot] = source
    // As the name of a property, so that looking it up in a call takes no detour.
    this.#keys[slot] = Object.keys({ [key]: true })[0]!
  }

  /** The truth of a comparison or a test of a slot for any value of that slot. */
  truthFor(predicate: number, value: Value): Truth {
    const op = this.#ops[predicate]!
    if (op >= NOT_COMPARISON) return this.#predicates.test(predicate)(value)
    const number = this.#numbers[predicate]!
    // A NaN is neither; the general comparison says what that means.
    if (typeof value !== 'number' || Number.isNaN(value)) return compareOthers(op, value, number)
    return ((op >> (Number(value >= number) + Number(value > number))) & 1) as Truth
  }

  #evaluate(predicate: number): Truth {
    if (this.isTooLong && this.#reads[predicate] === 1) return UNKNOWN
    const op = this.#ops[predicate]!
    const operand = this.#operands[predicate]!
    if (op < NOT_COMPARISON) return this.truthFor(predicate, this.slot(operand))
    switch (op) {
      case OP.test:
        return this.#predicates.test(predicate)(this.slot(operand))
      case OP.general:
        return this.#predicates.truth(predicate)(this)
      case OP.environment:
        return this.#predicates.meets(operand, this.environment) ? TRUE : FALSE
      case OP.tool:
        return this.#predicates.meets(operand, this.tool) ? TRUE : FALSE
      default:
        return this.#predicates.meets(operand, this.tool) ? FALSE : TRUE
    }
  }
}

function compareOthers(op: number, value: Value, number: number): Truth {
  return value === undefined ? UNKNOWN : BY_OP.get(op)!(value, number)
}

const COMPARE_OPS = ['<', '<=', '>', '>=', '==', '!='] as const
const BY_OP = new Map(COMPARE_OPS.map((name) => [OP[name] as number, COMPARISONS[name]]))
