import type { Draft } from './compile.js'
import type { Demands } from './demands.js'
import type { Feature, Lifted, Vocabulary } from './lift.js'
import type { NamePatterns, NameSection, Pattern } from './names.js'
import { type Indexed, type ProgramSection, ProgramWriter } from './program.js'
import type { StringPoolBuilder } from './string-pool.js'

/**
 * Which entries can apply to a call: one program for each pattern of tool names, of the entries whose most selective tool term
 * has it, and one for those that name no tool. A call runs the programs of the patterns that its tool fits. What of an
 * entry's demands the pattern leaves open is a predicate like any other.
 */
export class RuleIndex {
  /** By entry: programs that hold it. */
  readonly programCounts: Int32Array
  /** Entries that no tool, environment or branch keeps from being looked at for every call. */
  readonly walkedForEveryTool: ReadonlySet<number>
  readonly #drafts: readonly Draft[]
  readonly #vocabulary: Vocabulary
  readonly #demands: Demands
  readonly #environmentRows: ReadonlyMap<number, number>
  readonly #writer: ProgramWriter
  readonly #byPattern: Int32Array<ArrayBuffer>
  readonly #everyTool: number
  #mostMatches = 0

  constructor(drafts: readonly Draft[], vocabulary: Vocabulary, demands: Demands, strings: StringPoolBuilder) {
    this.#drafts = drafts
    this.#vocabulary = vocabulary
    this.#demands = demands
    const { environments, tools } = vocabulary
    // Literals have the first rows, in their own order.
    this.#environmentRows = new Map(
      environments.rows(new Map()).map((name, row) => [environments.intern('literal', name), row]),
    )
    this.programCounts = new Int32Array(drafts.length)
    this.#writer = new ProgramWriter(strings)
    const groups: (number[] | undefined)[] = new Array(tools.size).fill(undefined)
    const rest: number[] = []
    for (const [entry, draft] of drafts.entries()) this.#anchor(draft, entry, groups, rest)
    const indexed = drafts.map((draft, entry) => this.#toIndexed(draft, entry))
    const write = (entries: readonly number[]) => {
      for (const entry of entries) this.programCounts[entry]!++
      this.#mostMatches += entries.length
      return this.#writer.write(entries.map((entry) => indexed[entry]!))
    }
    this.#byPattern = new Int32Array(tools.size).fill(-1)
    groups.forEach((entries, pattern) => {
      if (entries !== undefined) this.#byPattern[pattern] = write(entries).start
    })
    const every = write(rest)
    this.#everyTool = every.start
    this.walkedForEveryTool = new Set(every.walked.map(({ entry }) => entry))
  }

  finish(tools: NameSection): ProgramSection {
    return {
      ...this.#writer.finish(),
      byPattern: this.#byPattern,
      byRow: tools.patterns.map((pattern) => this.#byPattern[pattern]!),
      everyTool: this.#everyTool,
      mostMatches: this.#mostMatches,
    }
  }

  /** The feature by which an entry is told from the others of the first program that does so. */
  featureOf(entry: number): Feature | undefined {
    return this.#writer.told[entry]
  }

  /** The patterns of an entry's most selective tool term, or of its most selective environment term, if it has one. */
  anchorOf(entry: number): { readonly on: 'tool' | 'env'; readonly patterns: readonly Pattern[] } | undefined {
    const { toolTerms, envTerms } = this.#drafts[entry]!.lifted
    const { tools, environments } = this.#vocabulary
    if (toolTerms.length > 0)
      return { on: 'tool', patterns: mostSelective(toolTerms, tools).map((id) => tools.pattern(id)) }
    if (envTerms.length > 0)
      return { on: 'env', patterns: mostSelective(envTerms, environments).map((id) => environments.pattern(id)) }
    return undefined
  }

  #anchor({ lifted }: Draft, entry: number, groups: (number[] | undefined)[], rest: number[]): void {
    if (lifted.toolTerms.length === 0) {
      rest.push(entry)
      return
    }
    for (const pattern of mostSelective(lifted.toolTerms, this.#vocabulary.tools)) {
      const group = groups[pattern]
      if (group === undefined) groups[pattern] = [entry]
      else if (group[group.length - 1] !== entry) group.push(entry)
    }
  }

  #toIndexed({ entry, lifted, clauses }: Draft, number: number): Indexed {
    const { predicates } = this.#vocabulary
    const { costs } = predicates
    const { toolTerms, envTerms, equalities, ranges, settled } = lifted
    const all = [...lifted.scope]
    if (toolTerms.length > 1) all.push(predicates.ofDemand('tool', this.#demands.intern(toolTerms)))
    for (const { expr, predicate } of clauses) if (!settled.includes(expr)) all.push(predicate)
    let environments: Indexed['environments'] = null
    if (envTerms.length > 0) {
      const predicate = predicates.ofDemand('environment', this.#demands.intern(envTerms))
      const rows = this.#rowsOf(envTerms)
      if (rows !== null) environments = { rows, predicate }
      all.push(predicate)
    }
    const unique = all.length < 2 ? all : [...new Set(all)].sort((a, b) => costs[a]! - costs[b]!)
    const unknownMatches = entry.kind === 'rule' && entry.unknownMatches
    return { entry: number, predicates: unique, unknownMatches, environments, equalities, ranges }
  }

  /** Rows of the environments that one term spells out; null for more terms and for globs, which take a predicate. */
  #rowsOf(terms: Lifted['envTerms']): readonly number[] | null {
    const [term] = terms
    if (terms.length !== 1 || term === undefined) return null
    const rows = new Set<number>()
    for (const pattern of term) {
      const row = this.#environmentRows.get(pattern)
      if (row === undefined) return null
      rows.add(row)
    }
    return [...rows]
  }
}

/** The term that fits the fewest names, as far as its patterns tell: one literal before a set, both before globs. */
function mostSelective(terms: readonly (readonly number[])[], names: NamePatterns): readonly number[] {
  if (terms.length === 1) return terms[0]!
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
