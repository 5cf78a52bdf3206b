import type { Effect, Outcome, ReasonCode, RuleSeverity } from './outcome.js'
import type { Location } from './span.js'

/** A rule whose scope and condition held for the call, or could not be evaluated and counts as if they had. */
export interface MatchedRule {
  readonly ruleId: string
  readonly policy: string
  readonly effect: Effect
  readonly description: string
  /** The author's `deny "why"`, or empty. */
  readonly why: string
  readonly severity: RuleSeverity | null
  readonly tags: readonly string[]
  /** True when the condition was unknown; such a rule restricts, and the answer says so. */
  readonly indeterminate: boolean
  readonly location: Location
}

/** What the PEP must do when it lets the call through, or else refuse. */
export interface Obligation {
  readonly kind: 'redact' | 'mask' | 'max_rows' | 'notify'
  /** `args.ssn` or `result.email` for redact and mask, a role or channel for notify, empty for max_rows. */
  readonly target: string
  /** Rows for max_rows; 0 otherwise. */
  readonly value: number
  readonly ruleId: string
}

export interface ApprovalStage {
  /** Every group of a stage must be met, each by `count` distinct persons who hold `role`. */
  readonly from: readonly { readonly count: number; readonly role: string }[]
}

/** What one approval clause asks for. Stages run in order, each with persons who did not vote in an earlier one. */
export interface ApprovalRequirement {
  /** The rules (or `default of POLICY`) that ask for exactly this. */
  readonly ruleIds: readonly string[]
  readonly stages: readonly ApprovalStage[]
  /** Time the persons have, in milliseconds; null means the server's default. */
  readonly withinMs: number | null
  /** What happens when time runs out: a denial, or the role that is asked next. */
  readonly onTimeout: { readonly kind: 'deny' } | { readonly kind: 'escalate'; readonly role: string }
  readonly escalations: readonly { readonly role: string; readonly afterMs: number }[]
  /** How long the approval may be used once given, in milliseconds; null means the server's default. */
  readonly validForMs: number | null
  readonly notByRequester: boolean
  /** True for `deny except approval from`. */
  readonly isException: boolean
}

/** A rule whose scope fitted the call and whose condition did not hold: the clauses that kept it from matching. */
export interface NearMiss {
  readonly ruleId: string
  readonly policy: string
  readonly effect: Effect
  readonly location: Location
  readonly failed: readonly {
    readonly text: string
    readonly value: 'false' | 'unknown'
    readonly location: Location
  }[]
}

export interface Decision {
  readonly outcome: Outcome
  readonly reasonCode: ReasonCode
  /** One sentence for people and for the agent. */
  readonly reason: string
  /** The rules that decided, strictest first; within one effect by policy, then rule id. Never depends on file order. */
  readonly matched: readonly MatchedRule[]
  /** Rules in `mode monitor` that would have matched: recorded, not enforced. */
  readonly monitored: readonly MatchedRule[]
  readonly obligations: readonly Obligation[]
  /** Every requirement must be met; empty unless the outcome is REQUIRE_APPROVAL. */
  readonly approvals: readonly ApprovalRequirement[]
  /** Filled only when the caller asked to explain. */
  readonly nearMisses: readonly NearMiss[]
  /** Content hash of the policies that answered. */
  readonly policyRevision: string
}
