import { Answers } from './answers.js'
import { Budgets } from './budgets.js'
import { type DeclaredTool, unpackTool } from './declared-tool.js'
import { Entries } from './entries.js'
import type { DefaultEntry, Layer } from './entry.js'
import type { Findings } from './findings.js'
import type { PolicyImage } from './image.js'
import { NameIndex } from './name-index.js'
import { MOST_PLAN_CODE, Plans } from './plans.js'
import { Frame } from './predicate/frame.js'
import { LivePredicates } from './predicate/live-predicates.js'
import { broadPredicates, type ProgramSection } from './program.js'
import { StringPool } from './string-pool.js'

/** Defaults that speak for every call, by layer: known without asking the index. */
export interface Always {
  readonly findings: Readonly<Record<Layer, Findings>>
  readonly defaults: readonly DefaultEntry[]
}

export interface OpenOptions {
  /** Integers that plans may take (see `Plans`). @default {@link MOST_PLAN_CODE} */
  readonly mostPlanCode?: number
}

/** Records whose predicates are made in one step of preparing. */
const STEP = 100

/**
 * Opens an image, in constant time: what an image holds as text is read when it is first needed. Whoever must not be held up
 * by that runs {@link PolicySet.prepare} to its end before the set goes live.
 */
export function openPolicySet(image: PolicyImage, options: OpenOptions = {}): PolicySet {
  return new PolicySet(image, options)
}

/**
 * All policies that judge the calls of one tenant, live: the fleet's and its own. Immutable as seen from outside, and swapped
 * as a whole; what it keeps inside (the memo of the decision at hand, patterns of invented names) is bounded and never
 * changes an answer.
 */
export class PolicySet {
  /** `sha256:` and 64 hex digits over the files of the bundle. */
  readonly revision: string
  /** Null where the set judges every tenant that has no policies of its own. */
  readonly tenant: string | null
  /** What follows is for the engine. */
  readonly programs: ProgramSection
  readonly tools: NameIndex
  readonly environments: NameIndex
  readonly entries: Entries
  readonly predicates: LivePredicates
  readonly strings: StringPool
  readonly frame: Frame
  readonly plans: Plans
  readonly answers: Answers
  readonly budgets: Budgets
  readonly #declarations: Int32Array
  readonly #declared = new Map<number, DeclaredTool>()
  readonly #hasDeclarations: boolean
  readonly #receipts: Uint8Array
  readonly #alwaysEntries: Int32Array
  #always: Always | null = null

  constructor(image: PolicyImage, { mostPlanCode = MOST_PLAN_CODE }: OpenOptions = {}) {
    this.revision = image.revision
    this.tenant = image.tenant
    this.programs = image.programs
    this.strings = new StringPool(image.strings)
    this.tools = new NameIndex(image.tools, this.strings)
    this.environments = new NameIndex(image.environments, this.strings)
    this.entries = new Entries(image.entries, this.strings)
    this.predicates = new LivePredicates(image.predicates, this.strings, image.demands, (layer, tool) => {
      const declared = this.#declarationOf(tool)
      return (layer === 'fleet' ? declared?.fleetParameters : declared?.parameters) ?? undefined
    })
    this.frame = new Frame(this.predicates, image.programs.mostMatches)
    this.plans = new Plans(image.programs, this.predicates, this.frame, this, mostPlanCode)
    this.answers = new Answers()
    this.budgets = new Budgets(image.budgets, this.predicates, this.frame, this)
    this.#declarations = image.declarations
    this.#hasDeclarations = image.declarations.some((text) => text >= 0)
    this.#receipts = image.receipts
    this.#alwaysEntries = image.always
  }

  get always(): Always {
    this.#always ??= this.#readAlways()
    return this.#always
  }

  /** Whether policies declare tools, and none the one of this row (-1 for no row). */
  isUndeclared(row: number): boolean {
    return this.#hasDeclarations && (row < 0 || this.#declarations[row]! < 0)
  }

  /** Whether every ALLOW of the tool must carry a signed receipt. Costs next to nothing where no tool wants one. */
  wantsReceipt(tool: string): boolean {
    return this.#receipts.length > 0 && this.#receipts[this.tools.rowOf(tool)] === 1
  }

  /** Every declared tool, by name. */
  declaredTools(): readonly DeclaredTool[] {
    const rows = [...this.#declarations.keys()].filter((row) => this.#declarations[row]! >= 0)
    return rows.map((row) => this.#declaration(row)).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Makes ready what the first decisions would have to wait for, in steps of a millisecond or two at most. */
  *prepare(): Iterable<void> {
    yield* this.predicates.prepare()
    let made = 0
    for (const predicates of broadPredicates(this.programs)) {
      for (const predicate of predicates) this.predicates.make(predicate)
      if (++made % STEP === 0) yield
    }
  }

  #declarationOf(tool: string): DeclaredTool | undefined {
    const row = this.tools.rowOf(tool)
    return row < 0 || this.#declarations[row]! < 0 ? undefined : this.#declaration(row)
  }

  #declaration(row: number): DeclaredTool {
    const known = this.#declared.get(row)
    if (known !== undefined) return known
    const tool = unpackTool(this.strings.get(this.#declarations[row]!))
    this.#declared.set(row, tool)
    return tool
  }

  #readAlways(): Always {
    const findings = { fleet: 0, tenant: 0 }
    const defaults: DefaultEntry[] = []
    for (const number of this.#alwaysEntries) {
      const entry = this.entries.get(number)
      if (entry.kind !== 'default') continue
      findings[entry.layer] |= entry.finding
      defaults.push(entry)
    }
    return { findings, defaults }
  }
}
