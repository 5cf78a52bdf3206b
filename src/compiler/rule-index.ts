import { LRUCache } from 'lru-cache'
import type { Lifted, Vocabulary } from './lift.js'
import type { NamePatterns, Pattern, Tags } from './names.js'
import {
  type Branch,
  buildProgram,
  CodeMemory,
  EMPTY_PROGRAM,
  entriesIn,
  entriesOf,
  type Indexed,
  type Program,
  sizeOf,
} from './program.js'

/** Integers that programs built at load may hold in all (4 bytes each); the rest are built when first asked for. */
const PREBUILT_BUDGET = 16_000_000
/** Integers that programs built on demand may hold: names that agents invent never grow memory beyond. */
const ON_DEMAND_BUDGET = 4_000_000
const MAX_ON_DEMAND_PROGRAMS = 4_096

export interface IndexedEntry extends Indexed {
  readonly lifted: Lifted
}

/** Names that fit the same patterns share a class, and with it their programs. */
interface ToolClass {
  /** Positions in the index's entries. */
  readonly entries: readonly number[]
  /** By environment class; `undefined` where nothing was built at load. */
  readonly programs: (Program | undefined)[]
}

interface EnvironmentClass {
  readonly number: number
  /** By the number of a demand: 1 where the environment meets it. */
  readonly met: Uint8Array
}

/** Which entries can apply to a call, by tool and environment. Immutable but for its bounded cache. */
export class RuleIndex {
  readonly #entries: readonly IndexedEntry[]
  readonly #patterns: Pick<Vocabulary, 'tools' | 'environments'>
  readonly #tags: ReadonlyMap<string, Tags>
  /** Entries by the patterns of their most selective tool term. */
  readonly #byToolPattern = new Map<number, number[]>()
  /** Entries that name no tool. They are walked for each call beside the tool's own, instead of being copied to every tool. */
  readonly #everyTool: number[] = []
  /** By entry: 1 where one pattern of the most selective tool term does not settle whether the tool fits. */
  readonly #isPartial: Uint8Array
  /** What entries demand of the environment, numbered: few demands, and many entries. */
  readonly #demands: Lifted['envTerms'][] = []
  /** By entry. */
  readonly #demandOf: Int32Array
  readonly #tools = new Map<string, ToolClass>()
  readonly #environments = new Map<string, EnvironmentClass>()
  readonly #otherEnvironment: EnvironmentClass
  readonly #everyToolPrograms: (Program | undefined)[] = []
  readonly #onDemand = new LRUCache<string, Program>({
    max: MAX_ON_DEMAND_PROGRAMS,
    maxSize: ON_DEMAND_BUDGET,
    sizeCalculation: (program) => sizeOf(program),
  })
  #prebuilt = 0

  /** @param tags of the declared tools, by name */
  constructor(
    entries: readonly IndexedEntry[],
    patterns: Pick<Vocabulary, 'tools' | 'environments'>,
    tags: ReadonlyMap<string, Tags>,
  ) {
    this.#entries = entries
    this.#patterns = patterns
    this.#tags = tags
    this.#isPartial = new Uint8Array(entries.length)
    this.#demandOf = new Int32Array(entries.length)
    this.#anchor()
    this.#numberDemands()
    const memory = new CodeMemory(true)
    this.#otherEnvironment = this.#addEnvironments(memory)
    this.#addTools(memory)
  }

  /** Programs built at load, for explain-index. */
  get buckets(): number {
    return this.#prebuilt
  }

  /** Programs kept for names that no rule and no declaration spells out; bounded. */
  get cached(): number {
    return this.#onDemand.size
  }

  /** What applies to this tool by name or tag, in this environment. */
  forTool(tool: string, environment: string): Program {
    const known = this.#tools.get(tool)
    const where = this.#environments.get(environment) ?? this.#otherKnown()
    if (known !== undefined && where !== undefined) {
      const program = known.programs[where.number]
      if (program !== undefined) return program
    }
    return this.#buildOnDemand(tool, environment, known)
  }

  /** What applies to whatever tool in this environment. */
  forEveryTool(environment: string): Program {
    const where = this.#environments.get(environment) ?? this.#otherKnown()
    if (where !== undefined) return this.#everyToolPrograms[where.number]!
    return this.#cached(`env ${environment}`, () =>
      this.#program(this.#everyTool, this.#met(environment), new CodeMemory(false)),
    )
  }

  /** Entries that tool and environment leave possible, uncached. */
  applicable(tool: string, environment: string): number[] {
    const met = this.#met(environment)
    return [...this.#toolEntries(tool), ...this.#everyTool].filter((at) => met[this.#demandOf[at]!] === 1)
  }

  /** Entries whose `on tool` and `on env` hold, whatever their conditions say. Walks them all: for explanations only. */
  inScope(tool: string, environment: string): number[] {
    const tools = new Set(this.#patterns.tools.match(tool, this.#tags.get(tool)))
    const where = new Set(this.#patterns.environments.match(environment))
    const found: number[] = []
    for (const { entry, lifted } of this.#entries) {
      const { toolTerms, exceptToolTerms, envTerms, scopeToolTerms, scopeEnvTerms } = lifted
      if (!toolFits({ toolTerms: toolTerms.slice(0, scopeToolTerms), exceptToolTerms }, tools)) continue
      if (termsHold(envTerms.slice(0, scopeEnvTerms), where)) found.push(entry)
    }
    return found
  }

  /** How many of the programs built at load hold each entry. */
  bucketCounts(): Int32Array {
    const counts = new Int32Array(this.#entries.length)
    for (const program of this.#programs()) for (const entry of entriesOf(program)) counts[entry]!++
    return counts
  }

  /** The branch by which each entry is found within the first program that has it in one. */
  branches(): ReadonlyMap<number, Branch> {
    const found = new Map<number, Branch>()
    for (const { branches } of this.#programs()) {
      for (const branch of branches) {
        for (const entry of entriesIn(branch.all)) if (!found.has(entry)) found.set(entry, branch)
      }
    }
    return found
  }

  /** Entries that no tool, environment or branch keeps from being looked at for some call of every tool. */
  walkedForEveryTool(): ReadonlySet<number> {
    return new Set(entriesIn(this.#everyToolPrograms[0]!.code))
  }

  *#programs(): Iterable<Program> {
    for (const { programs } of [{ programs: this.#everyToolPrograms }, ...this.#tools.values()]) {
      for (const program of programs) if (program !== undefined) yield program
    }
  }

  /** The patterns of an entry's most selective tool term, or of its most selective environment term, if it has one. */
  anchorOf(entry: number): { readonly on: 'tool' | 'env'; readonly patterns: readonly Pattern[] } | undefined {
    const { toolTerms, envTerms } = this.#entries[entry]!.lifted
    const { tools, environments } = this.#patterns
    if (toolTerms.length > 0)
      return { on: 'tool', patterns: mostSelective(toolTerms, tools).map((id) => tools.pattern(id)) }
    if (envTerms.length > 0)
      return { on: 'env', patterns: mostSelective(envTerms, environments).map((id) => environments.pattern(id)) }
    return undefined
  }

  #otherKnown(): EnvironmentClass | undefined {
    return this.#patterns.environments.hasGlobs() ? undefined : this.#otherEnvironment
  }

  #anchor(): void {
    for (let at = 0; at < this.#entries.length; at++) {
      const { toolTerms: terms, exceptToolTerms } = this.#entries[at]!.lifted
      if (terms.length === 0) {
        this.#everyTool.push(at)
        continue
      }
      if (terms.length > 1 || exceptToolTerms !== null) this.#isPartial[at] = 1
      for (const pattern of mostSelective(terms, this.#patterns.tools)) {
        const entries = this.#byToolPattern.get(pattern)
        if (entries === undefined) this.#byToolPattern.set(pattern, [at])
        else if (entries[entries.length - 1] !== at) entries.push(at)
      }
    }
  }

  #numberDemands(): void {
    const numbers = new Map<string, number>()
    for (let at = 0; at < this.#entries.length; at++) {
      const terms = this.#entries[at]!.lifted.envTerms
      const key = terms.length === 0 ? '' : JSON.stringify(terms)
      let number = numbers.get(key)
      if (number === undefined) {
        number = this.#demands.push(terms) - 1
        numbers.set(key, number)
      }
      this.#demandOf[at] = number
    }
  }

  #addEnvironments(memory: CodeMemory): EnvironmentClass {
    // Without globs, a name that no rule spells out fits no pattern at all.
    const other = { number: 0, met: this.#metBy(new Set()) }
    let next = 1
    for (const name of this.#patterns.environments.literals()) {
      this.#environments.set(name, { number: next++, met: this.#met(name) })
    }
    for (const where of [other, ...this.#environments.values()]) {
      this.#everyToolPrograms[where.number] = this.#program(this.#everyTool, where.met, memory)
      this.#prebuilt += 1
    }
    return other
  }

  #met(environment: string): Uint8Array {
    return this.#metBy(new Set(this.#patterns.environments.match(environment)))
  }

  #metBy(matched: ReadonlySet<number>): Uint8Array {
    return Uint8Array.from(this.#demands, (terms) => (termsHold(terms, matched) ? 1 : 0))
  }

  #addTools(memory: CodeMemory): void {
    let budget = PREBUILT_BUDGET
    const environments = [this.#otherEnvironment, ...this.#environments.values()]
    for (const name of new Set([...this.#patterns.tools.literals(), ...this.#tags.keys()])) {
      const tool: ToolClass = { entries: this.#toolEntries(name), programs: [] }
      this.#tools.set(name, tool)
      for (const where of environments) {
        if (budget < 0) break
        const program = this.#program(tool.entries, where.met, memory)
        tool.programs.push(program)
        budget -= sizeOf(program)
        this.#prebuilt += 1
      }
    }
  }

  /** Entries with a tool term that the name or its tags fit in full, each once. */
  #toolEntries(name: string): number[] {
    const matched = this.#patterns.tools.match(name, this.#tags.get(name))
    const has = new Set(matched)
    const found: number[] = []
    for (const pattern of matched) {
      for (const at of this.#byToolPattern.get(pattern) ?? []) {
        if (this.#isPartial[at] === 0 || toolFits(this.#entries[at]!.lifted, has)) found.push(at)
      }
    }
    // In order, for the order of an answer follows; each once, for a set of names and globs may be fitted twice.
    found.sort((a, b) => a - b)
    return found.filter((at, i) => at !== found[i - 1])
  }

  #buildOnDemand(tool: string, environment: string, known: ToolClass | undefined): Program {
    // The length keeps two pairs of hostile names from sharing a key.
    return this.#cached(`tool ${tool.length} ${tool}${environment}`, () => {
      const entries = known?.entries ?? this.#toolEntries(tool)
      return this.#program(entries, this.#met(environment), new CodeMemory(false))
    })
  }

  #cached(key: string, build: () => Program): Program {
    const cached = this.#onDemand.get(key)
    if (cached !== undefined) return cached
    const program = build()
    this.#onDemand.set(key, program)
    return program
  }

  #program(entries: readonly number[], met: Uint8Array, memory: CodeMemory): Program {
    const applicable: IndexedEntry[] = []
    for (const at of entries) if (met[this.#demandOf[at]!] === 1) applicable.push(this.#entries[at]!)
    return applicable.length === 0 ? EMPTY_PROGRAM : buildProgram(applicable, memory)
  }
}

function termsHold(terms: readonly (readonly number[])[], matched: ReadonlySet<number>): boolean {
  return terms.every((term) => term.some((pattern) => matched.has(pattern)))
}

function toolFits(
  { toolTerms, exceptToolTerms }: Pick<Lifted, 'toolTerms' | 'exceptToolTerms'>,
  matched: ReadonlySet<number>,
): boolean {
  return termsHold(toolTerms, matched) && !(exceptToolTerms !== null && termsHold(exceptToolTerms, matched))
}

/** The term that fits the fewest names, as far as its patterns tell: one literal before a set, both before globs. */
function mostSelective(terms: readonly (readonly number[])[], names: NamePatterns): readonly number[] {
  const breadth = (term: readonly number[]) =>
    term.reduce((sum, id) => sum + PATTERN_BREADTH[names.pattern(id).kind], 0)
  return terms.reduce((best, term) => (breadth(term) < breadth(best) ? term : best))
}

/** A rule that is reached through `undeclared` is never met by a call of a declared tool. */
const PATTERN_BREADTH: Readonly<Record<Pattern['kind'], number>> = {
  literal: 1,
  tag: 8,
  'fleet-tag': 8,
  undeclared: 8,
  'fleet-undeclared': 8,
  glob: 16,
}
