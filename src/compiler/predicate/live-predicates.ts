import { NOT_COMPARISON, OP, type PredicateSection } from '../predicates.js'
import type { StringPool } from '../string-pool.js'
import type { Term } from '../term.js'
import type { Fitted, TruthFn, ValueFn } from './frame.js'
import { type Literal, literalsOf } from './literals.js'
import { type LowerScope, lowerTest, lowerTruth, lowerValue } from './lower.js'
import { labelOf } from './reference.js'
import type { Truth } from './truth.js'
import type { Value } from './value.js'

/** Where the value of a slot comes from: what most slots read has a short way. */
export const SOURCE = { unresolved: 0, general: 1, argument: 2, label: 3 } as const

type Test = (value: Value) => Truth

/** The predicates of a live policy set: each is made from its term when it is first asked for, or beforehand by {@link prepare}. */
export class LivePredicates {
  readonly section: PredicateSection
  readonly #strings: StringPool
  readonly #demands: Int32Array
  readonly #scope: LowerScope
  readonly #tests: (Test | undefined)[]
  readonly #truths: (TruthFn | undefined)[]
  readonly #readers: (ValueFn | undefined)[]
  readonly #lists = new Map<number, readonly Value[]>()

  constructor(
    section: PredicateSection,
    strings: StringPool,
    demands: Int32Array,
    parametersOf: LowerScope['parametersOf'],
  ) {
    this.section = section
    this.#strings = strings
    this.#demands = demands
    this.#scope = {
      list: (list) => this.#list(list),
      automaton: (automaton) => section.automata[automaton]!,
      parametersOf,
    }
    // Not filled: opening must not take longer the more predicates there are.
    this.#tests = new Array<Test | undefined>(section.ops.length)
    this.#truths = new Array<TruthFn | undefined>(section.ops.length)
    this.#readers = new Array<ValueFn | undefined>(section.slots.length)
  }

  /** The test that a predicate makes of a slot. */
  test(predicate: number): Test {
    return this.#tests[predicate] ?? this.#makeTest(predicate)
  }

  /** The constants by which a predicate tells the values of its slot apart; null where it is no such test. */
  literalsOf(predicate: number): readonly Literal[] | null {
    const { ops, numbers, terms, reads } = this.section
    // Its value does not settle a condition that is unknown when there is too much to read.
    if (reads[predicate] === 1) return null
    const op = ops[predicate]!
    if (op < NOT_COMPARISON) return Number.isFinite(numbers[predicate]) ? [numbers[predicate]!] : null
    return op === OP.test ? literalsOf(this.#term(terms[predicate]!)) : null
  }

  /** How a predicate is evaluated that is more than a test of a slot. */
  truth(predicate: number): TruthFn {
    return this.#truths[predicate] ?? this.#makeTruth(predicate)
  }

  /** How a slot is filled. */
  reader(slot: number): ValueFn {
    return this.#readers[slot] ?? this.#makeReader(slot)
  }

  /** Where the value of a slot comes from; `key` is of the arguments or of the agent's labels. */
  sourceOf(slot: number): { readonly source: number; readonly key: string } {
    const term = this.#term(this.section.slots[slot]!)
    if (term.kind === 'reference') {
      const [first] = term.path
      // Keys that every object inherits take a closer look than the short way.
      const isOwn = (key: string | undefined): key is string => key !== undefined && !(key in Object.prototype)
      if (term.root === 'args' && term.path.length === 1 && isOwn(first)) return { source: SOURCE.argument, key: first }
      const label = term.root === 'agent' ? labelOf(term.path) : undefined
      if (isOwn(label)) return { source: SOURCE.label, key: label }
    }
    return { source: SOURCE.general, key: '' }
  }

  /** A demand is `terms, (patterns, pattern…)…`: of each term one pattern must be among the fitted. */
  meets(demand: number, fitted: Fitted): boolean {
    const demands = this.#demands
    let at = demand + 1
    for (let terms = demands[demand]!; terms > 0; terms--) {
      const end = at + 1 + demands[at]!
      let isMet = false
      for (at++; at < end; at++) isMet ||= has(fitted, demands[at]!)
      if (!isMet) return false
    }
    return true
  }

  /** Makes what takes long to make, step by step; a step takes a millisecond or two at most. */
  *prepare(): Iterable<void> {
    const { slow } = this.section
    for (const list of this.section.listStarts.keys()) {
      if (list + 1 < this.section.listStarts.length) yield* this.#readList(list)
    }
    for (const predicate of slow) {
      this.make(predicate)
      yield
    }
  }

  /** Makes what a predicate is evaluated by, where that takes anything. */
  make(predicate: number): void {
    const op = this.section.ops[predicate]
    if (op === OP.test) this.test(predicate)
    else if (op === OP.general) this.truth(predicate)
  }

  #makeTest(predicate: number): Test {
    const test = lowerTest(this.#term(this.section.terms[predicate]!), this.#scope)
    this.#tests[predicate] = test
    return test
  }

  #makeTruth(predicate: number): TruthFn {
    const truth = lowerTruth(this.#term(this.section.terms[predicate]!), this.#scope)
    this.#truths[predicate] = truth
    return truth
  }

  #makeReader(slot: number): ValueFn {
    const reader = lowerValue(this.#term(this.section.slots[slot]!), this.#scope)
    this.#readers[slot] = reader
    return reader
  }

  #term(text: number): Term {
    return JSON.parse(this.#strings.get(text)) as Term
  }

  #list(list: number): readonly Value[] {
    const steps = this.#readList(list)[Symbol.iterator]()
    while (steps.next().done !== true);
    return this.#lists.get(list)!
  }

  *#readList(list: number): Iterable<void> {
    if (this.#lists.has(list)) return
    const { listStarts, listChunks } = this.section
    const items: Value[] = []
    for (let at = listStarts[list]!; at < listStarts[list + 1]!; at++) {
      for (const item of JSON.parse(this.#strings.get(listChunks[at]!)) as Value[]) items.push(item)
      yield
    }
    this.#lists.set(list, items)
  }
}

function has({ ids, start, end }: Fitted, pattern: number): boolean {
  for (let at = start; at < end; at++) if (ids[at] === pattern) return true
  return false
}
