import type { Effect } from '../model/outcome.js'
import type { Location } from '../model/span.js'
import { staticCost } from './cost.js'
import type { Layer } from './entry.js'
import type { Pattern } from './names.js'
import type { PolicySet } from './policy-set.js'

/**
 * How a call finds a rule: by one spelled-out name or value, by one of a set, by the automaton over prefixes, suffixes and
 * other globs, by a tool's tag; or by looking at the rule for each call (`scan`).
 */
export type AccessPath = 'literal' | 'set' | 'prefix' | 'suffix' | 'glob' | 'tag' | 'scan'

export interface IndexedRule {
  readonly ruleId: string
  readonly policy: string
  readonly layer: Layer
  readonly effect: Effect
  readonly location: Location
  readonly access: AccessPath
  /** What the access path goes by, in the author's words: `tool refund`, `args.kind == "x"`; empty for a scan. */
  readonly by: string
  /** Every part of the rule that the index decides or could decide by. */
  readonly lifted: readonly string[]
  /** Programs built at load that hold the rule. */
  readonly buckets: number
  /** Estimated steps of one evaluation, at most (see `MAX_RULE_COST`). */
  readonly cost: number
  /** Why the rule is looked at for each call, and what would help; null unless `access` is `scan`. */
  readonly whyScan: string | null
}

/** How the index reaches each rule, in the order in which answers list rules. */
export function explainIndex(policySet: PolicySet): readonly IndexedRule[] {
  const { entries, index, lifted } = policySet
  const buckets = index.bucketCounts()
  const walked = index.walkedForEveryTool()
  return entries.flatMap((entry, number) => {
    // A rule with a second entry, for tools that only the tenant tagged, is listed once.
    if (entry.kind !== 'rule' || lifted[number]!.exceptToolTerms !== null) return []
    const { texts, keys } = lifted[number]!
    return {
      ruleId: entry.rule.id,
      policy: entry.policy,
      layer: entry.layer,
      effect: entry.effect,
      location: entry.rule.location,
      ...accessOf(number),
      lifted: [...texts, ...keys.map((key) => key.text)],
      buckets: buckets[number]!,
      cost: entry.clauses.reduce((sum, { expr }) => sum + staticCost(expr), entry.scope.length),
    }
  })

  function accessOf(number: number): Pick<IndexedRule, 'access' | 'by' | 'whyScan'> {
    const anchor = index.anchorOf(number)
    const key = lifted[number]!.keys[0]
    if (anchor !== undefined) {
      return { access: pathOf(anchor.patterns), by: `${anchor.on} ${spell(anchor.patterns)}`, whyScan: null }
    }
    if (key !== undefined && !walked.has(number)) {
      return { access: key.values.length === 1 ? 'literal' : 'set', by: key.text, whyScan: null }
    }
    const why =
      key === undefined
        ? 'it names no tool and no environment, and tests no value for equality: say `on tool …` or `on env …`'
        : `fewer rules than a table pays for test \`${key.text}\`: walking them costs less`
    return { access: 'scan', by: '', whyScan: why }
  }
}

/** The least exact of the patterns names the path. */
function pathOf(patterns: readonly Pattern[]): AccessPath {
  const paths = patterns.map(({ kind, text }) =>
    kind === 'glob' ? globPath(text) : kind === 'fleet-tag' ? 'tag' : kind,
  )
  const worst = (['glob', 'suffix', 'prefix', 'tag'] as const).find((path) => paths.includes(path))
  return worst ?? (patterns.length === 1 ? 'literal' : 'set')
}

function globPath(text: string): 'prefix' | 'suffix' | 'glob' {
  const stars = text.split('*').length - 1
  if (stars > 1) return 'glob'
  return text.endsWith('*') ? 'prefix' : text.startsWith('*') ? 'suffix' : 'glob'
}

function spell(patterns: readonly Pattern[]): string {
  const names = patterns.map(({ kind, text }) => (kind === 'tag' || kind === 'fleet-tag' ? `tag ${text}` : text))
  return names.length === 1 ? names[0]! : `[${names.join(', ')}]`
}
