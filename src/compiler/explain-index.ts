import type { Expr, ScopeTerm } from '../language/ast.js'
import type { CheckedBundle, CheckedRule } from '../language/checked.js'
import type { Effect } from '../model/outcome.js'
import type { Location } from '../model/span.js'
import { compileToIndex } from './compile.js'
import type { Draft } from './draft.js'
import type { Layer } from './entry.js'
import type { Feature, Lifted, RangeKey } from './lift.js'
import { type Pattern, spellPatterns } from './names.js'
import { openPolicySet } from './policy-set.js'
import { anchorOf, type RuleIndex } from './rule-index.js'

/**
 * How a call finds a rule: by one spelled-out name or value, by one of a set, by the automaton over prefixes, suffixes and
 * other globs, by a tool's tag, by the lack of a declaration, by the bounds of a number; or by looking at the rule for each call (`scan`).
 */
export type AccessPath = 'literal' | 'set' | 'prefix' | 'suffix' | 'glob' | 'tag' | 'undeclared' | 'range' | 'scan'

export interface Access {
  readonly access: AccessPath
  /** What the access path goes by, in the author's words: `tool refund`, `args.kind == "x"`; empty for a scan. */
  readonly by: string
}

export interface IndexedRule extends Access {
  readonly ruleId: string
  readonly policy: string
  readonly layer: Layer
  readonly effect: Effect
  readonly location: Location
  /** How the rule is told from others of its tool or environment, in the same terms; null where all of these are looked at. */
  readonly within: Access | null
  /** Every part of the rule that the index decides or could decide by. */
  readonly lifted: readonly string[]
  /** Programs built at load that hold the rule. */
  readonly buckets: number
  /** Estimated steps of one evaluation, at most (see `MAX_RULE_COST`). */
  readonly cost: number
  /** Why the rule is looked at for each call, and what would help; null unless `access` is `scan`. */
  readonly whyScan: string | null
}

/** How the index reaches each rule that judges a tenant's calls, in the order in which answers list rules. */
export function explainIndex(bundle: CheckedBundle, tenant: string): readonly IndexedRule[] {
  const { drafts, index, image } = compileToIndex(bundle, tenant)
  const { entries } = openPolicySet(image)
  const rules = new Map(
    [bundle.fleet, bundle.tenants.get(tenant)].flatMap((layer) =>
      (layer?.policies ?? []).flatMap((policy) => policy.rules.map((rule) => [rule.id, rule] as const)),
    ),
  )
  return drafts.flatMap((draft) => {
    const rule = draft.ruleId === null ? undefined : rules.get(draft.ruleId)
    const effect = entries.effectOf(draft.number)
    if (rule === undefined || effect === null || draft.isSecond) return []
    const { lifted } = draft
    const { sources, equalities, ranges } = lifted
    const keys = [...equalities.map(({ source }) => source), ...ranges.flatMap((range) => range.sources)]
    return {
      ruleId: rule.id,
      policy: draft.policy,
      layer: draft.layer,
      effect,
      location: rule.location,
      ...accessOf(index, draft, rule),
      lifted: [...sources, ...keys].map((source) => textOf(source, rule)),
      buckets: index.programCount(draft),
      cost: draft.cost + lifted.scope.length,
    }
  })
}

function accessOf(
  index: RuleIndex,
  draft: Draft,
  rule: CheckedRule,
): Pick<IndexedRule, 'access' | 'by' | 'within' | 'whyScan'> {
  const { lifted } = draft
  const anchor = anchorOf(draft)
  const feature = index.featureOf(draft)
  const within = feature === undefined ? null : accessWithin(lifted, feature, rule)
  if (anchor !== undefined) {
    const by = spellPatterns(anchor.on, anchor.patterns)
    return { access: pathOf(anchor.patterns), by, within, whyScan: null }
  }
  if (within !== null && !index.isWalkedForEveryTool(draft)) return { ...within, within: null, whyScan: null }
  return { access: 'scan', by: '', within: null, whyScan: whyScan(lifted, rule) }
}

function accessWithin({ equalities, ranges }: Lifted, feature: Feature, rule: CheckedRule): Access {
  const equality = equalities.find((key) => key.feature === feature)
  if (equality !== undefined) {
    return { access: equality.values.length === 1 ? 'literal' : 'set', by: textOf(equality.source, rule) }
  }
  return { access: 'range', by: boundsOf(ranges.find((range) => range.feature === feature)!, rule) }
}

function boundsOf({ sources }: RangeKey, rule: CheckedRule): string {
  return sources.map((source) => textOf(source, rule)).join(' and ')
}

function whyScan({ equalities, ranges }: Lifted, rule: CheckedRule): string {
  const [equality] = equalities
  const [range] = ranges
  if (equality === undefined && range === undefined) {
    return 'it names no tool and no environment, and tests no value for equality or bounds: say `on tool …` or `on env …`'
  }
  const test = equality !== undefined ? textOf(equality.source, rule) : boundsOf(range!, rule)
  return `fewer rules than a table pays for test \`${test}\`: walking them costs less`
}

function textOf(source: Expr | ScopeTerm, rule: CheckedRule): string {
  if (source.kind !== 'scope' && source.kind !== 'scope-label') return rule.excerpt(source.span)
  const on = source.kind === 'scope' ? source.on : `${source.on} ${source.label.name}`
  return spellPatterns(on, source.patterns)
}

/** The least exact of the patterns names the path. */
function pathOf(patterns: readonly Pattern[]): AccessPath {
  const paths = patterns.map(({ kind, text }) =>
    kind === 'glob' ? globPath(text) : kind === 'fleet-tag' ? 'tag' : kind === 'fleet-undeclared' ? 'undeclared' : kind,
  )
  const worst = (['undeclared', 'glob', 'suffix', 'prefix', 'tag'] as const).find((path) => paths.includes(path))
  return worst ?? (patterns.length === 1 ? 'literal' : 'set')
}

function globPath(text: string): 'prefix' | 'suffix' | 'glob' {
  const stars = text.split('*').length - 1
  if (stars > 1) return 'glob'
  return text.endsWith('*') ? 'prefix' : text.startsWith('*') ? 'suffix' : 'glob'
}
