import type { NameIndex } from './name-index.js'
import { type PlannedEntry, type PlanTables, PlanWriter } from './plan.js'
import type { Frame } from './predicate/frame.js'
import type { LivePredicates } from './predicate/live-predicates.js'
import { OP } from './predicates.js'
import { type ProgramSection, recordsOf } from './program.js'

/** A tool in an environment gets its plan when it was asked for so often: a name that is called once pays for none. */
const FIRST_ASKED = 3
/** How much oftener it must be asked for each time that all plans were let go, so that they are not made over and over. */
const BACK_OFF = 4
/** More entries than this are found by their programs, which have tables and trees. */
const MOST_ENTRIES = 128
/** Pairs of tool and environment of which plans are kept track. */
const MOST_PAIRS = 1 << 20
/** Integers of all plans: 8 MiB. */
export const MOST_PLAN_CODE = 1 << 21

const TOO_MANY = -0x8000_0000

/**
 * Plans of the tools and environments that calls name, made out of their programs while the policy set is live. What a plan
 * finds is what the programs find. Bounded: when there is no more room, all are let go, and begin anew more slowly.
 */
export class Plans implements PlanTables {
  readonly #tools: NameIndex
  readonly #environments: NameIndex
  readonly #programs: ProgramSection
  readonly #predicates: LivePredicates
  readonly #frame: Frame
  /** By tool and environment: the place of the plan, and one more; else how often it was asked for, negative. */
  readonly #places: Int32Array
  readonly #width: number
  readonly #mostCode: number
  #writer: PlanWriter
  #asked = FIRST_ASKED
  code: Int32Array
  numbers: readonly number[]
  textIds: ReadonlyMap<string, number>

  /** @param mostCode integers that plans may take, but for the last one */
  constructor(
    programs: ProgramSection,
    predicates: LivePredicates,
    frame: Frame,
    names: { readonly tools: NameIndex; readonly environments: NameIndex },
    mostCode: number,
  ) {
    this.#programs = programs
    this.#predicates = predicates
    this.#frame = frame
    this.#tools = names.tools
    this.#environments = names.environments
    this.#mostCode = mostCode
    this.#width = names.environments.rows + 1
    const pairs = (names.tools.rows + 1) * this.#width
    this.#places = new Int32Array(pairs <= MOST_PAIRS ? pairs : 0)
    this.#writer = new PlanWriter(predicates, frame)
    this.code = this.#writer.code.items
    this.numbers = this.#writer.numbers
    this.textIds = this.#writer.textIds
  }

  /** Integers that plans take. */
  get size(): number {
    return this.#writer.code.length
  }

  /** @returns the plan, or -1 for none (any more, or yet) */
  find(tool: number, environment: number): number {
    const place = this.#places[(tool + 1) * this.#width + environment + 1]
    return place === undefined || place <= 0 ? -1 : place - 1
  }

  /** Notes that there was no plan; the frame is that of the call. */
  missed(tool: number, environment: number): void {
    const pair = (tool + 1) * this.#width + environment + 1
    const place = this.#places[pair]
    if (place === undefined || place === TOO_MANY) return
    // Names without a row are not alike where a glob may tell them apart.
    if ((tool < 0 && this.#tools.hasGlobs) || (environment < 0 && this.#environments.hasGlobs)) return
    this.#places[pair] = place - 1 > -this.#asked ? place - 1 : this.#write(environment)
  }

  #write(environment: number): number {
    const entries = this.#entriesOf(environment)
    if (entries === null) return TOO_MANY
    if (this.#writer.code.length > this.#mostCode) this.#clear()
    const place = this.#writer.write(entries)
    this.code = this.#writer.code.items
    return place + 1
  }

  #clear(): void {
    this.#places.fill(0)
    this.#asked *= BACK_OFF
    this.#writer = new PlanWriter(this.#predicates, this.#frame)
    this.numbers = this.#writer.numbers
    this.textIds = this.#writer.textIds
  }

  /** The entries that tool and environment leave possible, ascending, and what is left to ask; null for too many. */
  #entriesOf(environment: number): readonly PlannedEntry[] | null {
    const { code } = this.#programs
    const entries = new Map<number, PlannedEntry>()
    for (const program of this.#programsOf()) {
      for (const record of recordsOf(this.#programs, program, environment)) {
        const entry = code[record]!
        // A tool that fits two patterns of one set has its entry twice.
        if (entries.has(entry)) continue
        if (entries.size === MOST_ENTRIES) return null
        const head = code[record + 1]!
        const predicates = code.subarray(record + 2, record + 2 + (head >> 1))
        const left = predicates.filter((predicate) => this.#settled(predicate) !== true)
        const isPossible = left.every((predicate) => this.#settled(predicate) !== false)
        if (isPossible) entries.set(entry, { entry, unknownMatches: (head & 1) === 1, predicates: [...left] })
      }
    }
    return [...entries.values()].sort((a, b) => a.entry - b.entry)
  }

  *#programsOf(): Iterable<number> {
    const { byPattern, everyTool } = this.#programs
    const { ids, start, end } = this.#frame.tool
    for (let at = start; at < end; at++) {
      const program = byPattern[ids[at]!]!
      if (program >= 0) yield program
    }
    yield everyTool
  }

  /** What tool and environment say of a predicate, if they do. */
  #settled(predicate: number): boolean | undefined {
    const { ops, operands } = this.#predicates.section
    const { tool, environment } = this.#frame
    switch (ops[predicate]) {
      case OP.environment:
        return this.#predicates.meets(operands[predicate]!, environment)
      case OP.tool:
        return this.#predicates.meets(operands[predicate]!, tool)
      case OP.notTool:
        return !this.#predicates.meets(operands[predicate]!, tool)
      default:
        return undefined
    }
  }
}
