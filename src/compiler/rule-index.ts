import { LRUCache } from 'lru-cache'
import type { Lifted, Patterns } from './lift.js'
import type { NamePatterns, Pattern, Tags } from './names.js'
import { buildProgram, EMPTY_PROGRAM, type Indexed, type Program } from './program.js'

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
  readonly matched: ReadonlySet<number>
}

/** Which entries can apply to a call, by tool and environment. Immutable but for its bounded cache. */
export class RuleIndex {
  readonly #entries: readonly IndexedEntry[]
  readonly #patterns: Patterns
  readonly #tags: ReadonlyMap<string, Tags>
  /** Entries by the patterns of their most selective tool term. */
  readonly #byToolPattern = new Map<number, number[]>()
  /** Entries that name no tool. They are walked for each call beside the tool's own, instead of being copied to every tool. */
  readonly #everyTool: number[] = []
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
  constructor(entries: readonly IndexedEntry[], patterns: Patterns, tags: ReadonlyMap<string, Tags>) {
    this.#entries = entries
    this.#patterns = patterns
    this.#tags = tags
    this.#anchor()
    this.#otherEnvironment = this.#addEnvironments()
    this.#addTools()
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
    return this.#cached(`env ${environment}`, () => this.#program(this.#everyTool, this.#classOf(environment).matched))
  }

  /** Entries that tool and environment leave possible, uncached. */
  applicable(tool: string, environment: string): number[] {
    const where = this.#classOf(environment).matched
    return [...this.#toolEntries(tool), ...this.#everyTool].filter((at) =>
      termsHold(this.#entries[at]!.lifted.envTerms, where),
    )
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
    const programs = [...this.#everyToolPrograms, ...[...this.#tools.values()].flatMap((tool) => tool.programs)]
    for (const program of programs) {
      if (program !== undefined) for (const entry of entriesOf(program)) counts[entry]!++
    }
    return counts
  }

  /** Entries that no tool, environment or table keeps from being walked for some call of every tool. */
  walkedForEveryTool(): Set<number> {
    const program = this.#everyToolPrograms[0]
    return new Set(program === undefined ? [] : entriesIn(program.code))
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
      const terms = this.#entries[at]!.lifted.toolTerms
      if (terms.length === 0) {
        this.#everyTool.push(at)
        continue
      }
      for (const pattern of new Set(mostSelective(terms, this.#patterns.tools))) {
        const entries = this.#byToolPattern.get(pattern)
        if (entries === undefined) this.#byToolPattern.set(pattern, [at])
        else entries.push(at)
      }
    }
  }

  #addEnvironments(): EnvironmentClass {
    // Without globs, a name that no rule spells out fits no pattern at all.
    const other = { number: 0, matched: new Set<number>() }
    let next = 1
    for (const name of this.#patterns.environments.literals()) {
      this.#environments.set(name, { number: next++, matched: this.#classOf(name).matched })
    }
    for (const where of [other, ...this.#environments.values()]) {
      const program = this.#program(this.#everyTool, where.matched)
      this.#everyToolPrograms[where.number] = program
      this.#prebuilt += 1
    }
    return other
  }

  #classOf(environment: string): Pick<EnvironmentClass, 'matched'> {
    return { matched: new Set(this.#patterns.environments.match(environment)) }
  }

  #addTools(): void {
    let budget = PREBUILT_BUDGET
    for (const name of new Set([...this.#patterns.tools.literals(), ...this.#tags.keys()])) {
      const tool: ToolClass = { entries: this.#toolEntries(name), programs: [] }
      this.#tools.set(name, tool)
      for (const where of [this.#otherEnvironment, ...this.#environments.values()]) {
        if (budget < 0) break
        const program = this.#program(tool.entries, where.matched)
        tool.programs[where.number] = program
        budget -= sizeOf(program)
        this.#prebuilt += 1
      }
    }
  }

  /** Entries with a tool term that the name or its tags fit in full, each once. */
  #toolEntries(name: string): number[] {
    const matched = this.#patterns.tools.match(name, this.#tags.get(name))
    const has = new Set(matched)
    const found = new Set<number>()
    for (const pattern of matched) {
      for (const at of this.#byToolPattern.get(pattern) ?? []) {
        if (toolFits(this.#entries[at]!.lifted, has)) found.add(at)
      }
    }
    return [...found]
  }

  #buildOnDemand(tool: string, environment: string, known: ToolClass | undefined): Program {
    // The length keeps two pairs of hostile names from sharing a key.
    return this.#cached(`tool ${tool.length} ${tool}${environment}`, () => {
      const entries = known?.entries ?? this.#toolEntries(tool)
      return this.#program(entries, this.#classOf(environment).matched)
    })
  }

  #cached(key: string, build: () => Program): Program {
    const cached = this.#onDemand.get(key)
    if (cached !== undefined) return cached
    const program = build()
    this.#onDemand.set(key, program)
    return program
  }

  #program(entries: readonly number[], environment: ReadonlySet<number>): Program {
    const applicable: IndexedEntry[] = []
    for (const at of entries) {
      const entry = this.#entries[at]!
      if (termsHold(entry.lifted.envTerms, environment)) applicable.push(entry)
    }
    return applicable.length === 0 ? EMPTY_PROGRAM : buildProgram(applicable)
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

const PATTERN_BREADTH: Readonly<Record<Pattern['kind'], number>> = { literal: 1, tag: 8, 'fleet-tag': 8, glob: 16 }

function* entriesIn(code: Int32Array): Iterable<number> {
  for (let at = 0; at < code.length; at += 2 + (code[at + 1]! >> 1)) yield code[at]!
}

function entriesOf(program: Program, found = new Set<number>()): Set<number> {
  for (const entry of entriesIn(program.code)) found.add(entry)
  for (const branch of program.branches) for (const part of branch.table.values()) entriesOf(part, found)
  return found
}

/** At least 1, as the cache demands. */
function sizeOf(program: Program): number {
  let size = 1 + program.code.length
  for (const branch of program.branches) for (const part of branch.table.values()) size += sizeOf(part)
  return size
}
