import type { MatchedRule, Obligation } from '../model/decision.js'
import type { Effect, Outcome } from '../model/outcome.js'
import type { Location } from '../model/span.js'
import type { RequirementDraft } from './approval.js'
import type { Findings } from './findings.js'

export type Layer = 'fleet' | 'tenant'

/** A condition that must hold by itself: a conjunct of a rule's `when` clauses. */
export interface Clause {
  readonly predicate: number
  /** As the author wrote it, and where. */
  readonly text: string
  readonly location: Location
}

interface EntryBase {
  readonly layer: Layer
  readonly policy: string
  readonly finding: Findings
}

/** A rule with all that an answer says about it. */
export interface RuleEntry extends EntryBase {
  readonly kind: 'rule'
  readonly effect: Effect
  readonly monitor: boolean
  /** Restrictive rules count as matched where a condition is unknown, unless the author said otherwise. */
  readonly unknownMatches: boolean
  /** As it stands in answers, but for `indeterminate`, which is the call's. */
  readonly matched: MatchedRule
  /** What REQUIRE_APPROVAL and DENY_EXCEPT_APPROVAL ask for. */
  readonly approval: RequirementDraft | null
  readonly obligations: readonly Obligation[]
  /** Predicates of the scope, which are true or false, never unknown. Tool and environment are no predicates. */
  readonly scope: readonly number[]
  readonly clauses: readonly Clause[]
}

/** What a policy says when no rule of its layer matches; it holds for the calls that the policy speaks for. */
export interface DefaultEntry extends EntryBase {
  readonly kind: 'default'
  readonly outcome: Outcome
  readonly approval: RequirementDraft | null
}

export type Entry = RuleEntry | DefaultEntry

/** By policy; the fleet's before the tenant's of the same name. */
export function compareDefaults(a: DefaultEntry, b: DefaultEntry): number {
  return compareTexts(a.policy, b.policy) || compareTexts(a.layer, b.layer)
}

export function compareTexts(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}
