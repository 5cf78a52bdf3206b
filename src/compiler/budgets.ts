import { LRUCache } from 'lru-cache'
import type { Call } from '../model/call.js'
import { ALLOW_RANK, type Draft } from './draft.js'
import { Ints } from './ints.js'
import type { NameIndex } from './name-index.js'
import type { Frame } from './predicate/frame.js'
import type { LivePredicates } from './predicate/live-predicates.js'
import { TRUE } from './predicate/truth.js'
import { isList, isMap, type Value } from './predicate/value.js'
import type { SlotReading } from './predicates.js'
import { MOST_SIZE, READING_BUDGET_NS } from './readings.js'

/**
 * What rules read of calls, by the tools, environments and tenants that they are about. Empty where all of it together fits
 * the budget.
 */
export interface BudgetSection {
  /** By reading: the slot that it reads, nanoseconds for a unit of size, and the most that it takes. */
  readonly slots: Int32Array<ArrayBuffer>
  readonly ns: Int32Array<ArrayBuffer>
  readonly mostNs: Float64Array<ArrayBuffer>
  /** Groups: `demand of the tool, demand of the environment, must be read, tenants, predicate…, readings, reading…` */
  readonly code: Int32Array<ArrayBuffer>
  /** By pattern of a tool, and one more: where the groups begin in `groups` that only a tool which fits it can be about. */
  readonly starts: Int32Array<ArrayBuffer>
  /** Places of groups in `code`, by pattern. */
  readonly groups: Int32Array<ArrayBuffer>
  /** Places of the groups that are about every tool. */
  readonly everyTool: Int32Array<ArrayBuffer>
  /** 1 where some of it is about tenants that only the call tells. */
  readonly asksTenant: boolean
}

/** Of its own for each image, since its buffers go where the image goes. */
const nothing = (): BudgetSection => ({
  slots: new Int32Array(0),
  ns: new Int32Array(0),
  mostNs: new Float64Array(0),
  code: new Int32Array(0),
  starts: new Int32Array(1),
  groups: new Int32Array(0),
  everyTool: new Int32Array(0),
  asksTenant: false,
})

/** @param readings by number */
export function writeBudgets(drafts: readonly Draft[], readings: readonly SlotReading[]): BudgetSection {
  if (readings.reduce((sum, { mostNs }) => sum + mostNs, 0) <= READING_BUDGET_NS) return nothing()
  const groups = new Map<string, { readonly draft: Draft; readonly readings: Set<number> }>()
  for (const draft of drafts) {
    const read = [...draft.clauses, ...draft.stages].flatMap(({ readings }) => readings)
    if (read.length === 0) continue
    const { toolScope, environmentScope, lifted } = draft
    const names = [toolScope, environmentScope, ...lifted.tenants].map(({ number }) => number)
    const key = [mustBeRead(draft), ...names].join(' ')
    let group = groups.get(key)
    if (group === undefined) {
      group = { draft, readings: new Set() }
      groups.set(key, group)
    }
    for (const { number } of read) group.readings.add(number)
  }
  const code = new Ints()
  const byPattern = new Map<number, number[]>()
  const everyTool: number[] = []
  for (const { draft, readings } of groups.values()) {
    const { toolScope, environmentScope, lifted } = draft
    const tenants = lifted.tenants.map(({ number }) => number)
    const head = [toolScope.number, environmentScope.number, mustBeRead(draft) ? 1 : 0, tenants.length, ...tenants]
    const rarest = fewest(toolScope.terms)
    if (rarest === undefined) everyTool.push(code.length)
    for (const { number } of rarest ?? []) {
      const places = byPattern.get(number)
      if (places === undefined) byPattern.set(number, [code.length])
      else places.push(code.length)
    }
    for (const item of head) code.push(item)
    code.push(readings.size)
    for (const reading of readings) code.push(reading)
  }
  return {
    slots: Int32Array.from(readings, ({ slot }) => slot.number),
    ns: Int32Array.from(readings, ({ ns }) => ns),
    mostNs: Float64Array.from(readings, ({ mostNs }) => mostNs),
    code: code.toArray(),
    ...inRows(byPattern),
    everyTool: Int32Array.from(everyTool),
    asksTenant: drafts.some(({ lifted }) => lifted.tenants.length > 0),
  }
}

/** Of terms that a tool must all fit, one that fits with the fewest patterns: whoever does not fit it need not be asked. */
function fewest<T>(terms: readonly (readonly T[])[]): readonly T[] | undefined {
  return terms.reduce<readonly T[] | undefined>(
    (best, term) => (best === undefined || term.length < best.length ? term : best),
    undefined,
  )
}

function inRows(byPattern: ReadonlyMap<number, readonly number[]>): Pick<BudgetSection, 'starts' | 'groups'> {
  let rows = 0
  for (const pattern of byPattern.keys()) rows = Math.max(rows, pattern + 1)
  const starts = new Int32Array(rows + 1)
  for (let row = 0; row < rows; row++) starts[row + 1] = starts[row]! + (byPattern.get(row)?.length ?? 0)
  const groups = new Int32Array(starts[rows]!)
  for (const [row, places] of byPattern) groups.set(places, starts[row]!)
  return { starts, groups }
}

/**
 * A rule that restricts, but not where it is unknown: text that makes it unknown by its mere length would get past it. What
 * is about the same calls is read, however long that takes.
 */
function mustBeRead({ indexed, rank, clauses }: Draft): boolean {
  return !indexed.unknownMatches && rank < ALLOW_RANK && clauses.some(({ readings }) => readings.length > 0)
}

/** Tools and environments of which is known what is read of their calls. */
const MOST_KNOWN = 4_096

/** What is read of the calls of one tool in one environment. */
interface Bucket {
  /** One slot after the other; null where all of it fits the budget however long the call is. */
  readonly slots: readonly SlotBudget[] | null
}

interface SlotBudget {
  readonly slot: number
  readonly weights: readonly { readonly ns: number; readonly mostNs: number }[]
}

/**
 * Whether a call is too long for all that the rules about its tool read of it. Which of the conditions would be reached has
 * no say, so that the answer does not depend on the order of evaluation.
 */
export class Budgets {
  readonly #section: BudgetSection
  readonly #predicates: LivePredicates
  readonly #frame: Frame
  readonly #tools: NameIndex
  readonly #environments: NameIndex
  readonly #byRows: (Bucket | undefined)[] = []
  readonly #byNames = new LRUCache<string, Bucket>({ max: MOST_KNOWN })

  constructor(
    section: BudgetSection,
    predicates: LivePredicates,
    frame: Frame,
    names: { readonly tools: NameIndex; readonly environments: NameIndex },
  ) {
    this.#section = section
    this.#predicates = predicates
    this.#frame = frame
    this.#tools = names.tools
    this.#environments = names.environments
  }

  /** False for most policy sets: no call is too long for them. */
  get mayBeTooLong(): boolean {
    return this.#section.code.length > 0
  }

  /** The frame is that of the call. */
  isTooLong(call: Call): boolean {
    const { slots } = this.#bucketOf(call)
    if (slots === null) return false
    let left = READING_BUDGET_NS
    for (const { slot, weights } of slots) {
      const size = Math.min(sizeOf(this.#frame.slot(slot)), MOST_SIZE)
      for (const { ns, mostNs } of weights) left -= Math.min(ns * size, mostNs)
      if (left < 0) return true
    }
    return false
  }

  #bucketOf(call: Call): Bucket {
    const tool = this.#tools.rowOf(call.tool)
    const environment = this.#environments.rowOf(call.environment)
    if (tool >= 0 && environment >= 0 && !this.#section.asksTenant) {
      const at = tool * this.#environments.rows + environment
      const known = this.#byRows[at]
      if (known !== undefined) return known
      const made = this.#makeBucket(call)
      this.#byRows[at] = made
      return made
    }
    const key = JSON.stringify([call.tool, call.environment, this.#section.asksTenant ? call.tenant : ''])
    const known = this.#byNames.get(key)
    if (known !== undefined) return known
    const made = this.#makeBucket(call)
    this.#byNames.set(key, made)
    return made
  }

  #makeBucket(call: Call): Bucket {
    const frame = this.#frame
    this.#tools.fit(call.tool, frame.tool)
    frame.environmentRow = this.#environments.fit(call.environment, frame.environment)
    const { slots, ns, mostNs } = this.#section
    const bySlot = new Map<number, { readonly ns: number; readonly mostNs: number }[]>()
    let most = 0
    for (const reading of this.#readings()) {
      const weight = { ns: ns[reading]!, mostNs: mostNs[reading]! }
      most += weight.mostNs
      const slot = slots[reading]!
      const weights = bySlot.get(slot)
      if (weights === undefined) bySlot.set(slot, [weight])
      else weights.push(weight)
    }
    return { slots: most <= READING_BUDGET_NS ? null : [...bySlot].map(([slot, weights]) => ({ slot, weights })) }
  }

  /** What may be left unread of the rules about the tool and the environment that the frame was placed for. */
  #readings(): ReadonlySet<number> {
    const { code } = this.#section
    const found = new Set<number>()
    for (const at of this.#groups()) {
      const tenants = at + 4
      const readings = tenants + code[at + 3]! + 1
      const end = readings + code[readings - 1]!
      if (!this.#isAbout(code[at]!, code[at + 1]!, code.subarray(tenants, readings - 1))) continue
      if (code[at + 2] === 1) return NO_READINGS
      for (let reading = readings; reading < end; reading++) found.add(code[reading]!)
    }
    return found
  }

  /** Places of all groups that can be about the tool: those of the patterns that it fits. Some may come twice. */
  *#groups(): Iterable<number> {
    const { starts, groups, everyTool } = this.#section
    const { ids, start, end } = this.#frame.tool
    yield* everyTool
    for (let i = start; i < end; i++) {
      const pattern = ids[i]!
      if (pattern + 1 < starts.length) yield* groups.subarray(starts[pattern]!, starts[pattern + 1]!)
    }
  }

  #isAbout(tool: number, environment: number, tenants: Int32Array): boolean {
    const predicates = this.#predicates
    const frame = this.#frame
    return (
      predicates.meets(tool, frame.tool) &&
      predicates.meets(environment, frame.environment) &&
      tenants.every((predicate) => frame.truth(predicate) === TRUE)
    )
  }
}

const NO_READINGS: ReadonlySet<number> = new Set()

/** Of a text its length; of a list or map 1 for each part, and the sizes of parts and keys; 1 of anything else. */
function sizeOf(value: Value): number {
  if (typeof value === 'string') return value.length
  if (value === undefined) return 0
  let size = 0
  if (isList(value)) for (const item of value) size += 1 + sizeOf(item)
  else if (isMap(value)) for (const [key, item] of Object.entries(value)) size += 1 + key.length + sizeOf(item)
  else return 1
  return size
}
