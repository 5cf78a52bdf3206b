import { type Draft, mostSelective } from './draft.js'
import type { Feature } from './lift.js'
import type { NameSection, Pattern } from './names.js'
import { type Fragment, type Indexed, ProgramJoiner, type ProgramSection, writeFragment } from './program.js'
import type { Texts, TextWriter } from './string-pool.js'

/**
 * Which entries can apply to a call: one program for each pattern of tool names, of the entries whose most selective tool term
 * has it, and one for those that name no tool. A call runs the programs of the patterns that its tool fits. What of an
 * entry's demands the pattern leaves open is a predicate like any other.
 */
export class RuleIndex {
  readonly #byPattern: readonly (Fragment | null)[]
  readonly #everyTool: Fragment

  /**
   * @param drafts in the order of the entries, numbered
   * @param patterns of tools, by number; each keeps its program for the next image
   * @param before the program of the entries that name no tool, in the image before
   */
  constructor(drafts: readonly Draft[], patterns: readonly Pattern[], before: Fragment | null, texts: Texts) {
    const groups: Indexed[][] = patterns.map(() => [])
    const rest: Indexed[] = []
    for (const { anchors, indexed } of drafts) {
      if (anchors.length === 0) rest.push(indexed)
      else for (const { number } of anchors) groups[number]!.push(indexed)
    }
    this.#byPattern = patterns.map((pattern, number) => {
      const group = groups[number]!
      pattern.program = group.length === 0 ? null : programOf(group, pattern.program, texts)
      return pattern.program
    })
    this.#everyTool = programOf(rest, before, texts)
  }

  /** The program of the entries that name no tool. */
  get everyTool(): Fragment {
    return this.#everyTool
  }

  /** @param tools by which a known tool finds its programs */
  write(tools: NameSection, writer: TextWriter): ProgramSection {
    const joiner = new ProgramJoiner(writer)
    const byPattern = Int32Array.from(this.#byPattern, (program) => (program === null ? -1 : joiner.add(program)))
    const everyTool = joiner.add(this.#everyTool)
    return {
      ...joiner.finish(),
      byPattern,
      byRow: tools.patterns.map((pattern) => byPattern[pattern]!),
      everyTool,
      mostMatches: this.#programs().reduce((sum, { entries }) => sum + entries.length, 0),
    }
  }

  /** How many programs hold an entry. */
  programCount(draft: Draft): number {
    return this.#programs().filter(({ entries }) => entries.includes(draft.indexed)).length
  }

  /** Whether no tool, environment or branch keeps an entry from being looked at for every call. */
  isWalkedForEveryTool(draft: Draft): boolean {
    return this.#everyTool.walked.includes(draft.indexed)
  }

  /** The feature by which an entry is told from the others of the first program that does so. */
  featureOf(draft: Draft): Feature | undefined {
    return this.#programs()
      .map(({ told }) => told.get(draft))
      .find((feature) => feature !== undefined)
  }

  #programs(): readonly Fragment[] {
    return [...this.#byPattern.filter((program) => program !== null), this.#everyTool]
  }
}

/** The patterns of an entry's most selective tool term, or of its most selective environment term, if it has one. */
export function anchorOf({
  lifted,
}: Draft): { readonly on: 'tool' | 'env'; readonly patterns: readonly Pattern[] } | undefined {
  const { toolTerms, envTerms } = lifted
  if (toolTerms.length > 0) return { on: 'tool', patterns: mostSelective(toolTerms) }
  if (envTerms.length > 0) return { on: 'env', patterns: mostSelective(envTerms) }
  return undefined
}

/** What was written before, where it is about the same entries. */
function programOf(entries: readonly Indexed[], before: Fragment | null, texts: Texts): Fragment {
  const isSame =
    before !== null &&
    before.entries.length === entries.length &&
    entries.every((entry, at) => entry === before.entries[at])
  return isSame ? before : writeFragment(entries, texts)
}
