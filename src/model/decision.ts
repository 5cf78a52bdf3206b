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

/** Persons who hold the role and have every attribute of `where`. */
export interface ApprovalGroup {
  readonly count: number
  readonly role: string
  readonly where: readonly AttributeMatch[]
}

/**
 * The attribute of the person that must equal the value, in type, too. Null is equal to nothing, so that nobody counts: the
 * policy compares with a part of the call that is missing, or is no text of at most 256 characters, number, true or false.
 */
export interface AttributeMatch {
  readonly attribute: string
  readonly value: string | number | boolean | null
}

export interface ApprovalStage {
  /** Every group of a stage must be met, each by `count` distinct persons. */
  readonly from: readonly ApprovalGroup[]
}

/** Steps below `args`: `["customer", "id"]` for `args.customer.id`. */
export type ArgumentPath = readonly string[]

/** A grant that a reviewer may leave with an approval: calls of the tool that it covers need none for a while. */
export interface GrantOffer {
  /** The same arguments; any arguments; or the same values in `paths`. */
  readonly scope: 'exact' | 'tool' | 'fields'
  /** Of `fields`; empty for the others. */
  readonly paths: readonly ArgumentPath[]
  /** Milliseconds, 1_000 to 28_800_000. */
  readonly forMs: number
  /** Calls that it may cover, 1 to 1_000; null means as many as there are. */
  readonly mostUses: number | null
}

/**
 * What one approval clause asks for, of this call: conditional stages are there or not, attributes have values. Stages run in
 * order, each with persons who did not vote in an earlier one. Whoever asks (the requester, its principal, the agent's owner)
 * never votes.
 */
export interface ApprovalRequirement {
  /** The rules (or `default of POLICY`) that ask for exactly this. */
  readonly ruleIds: readonly string[]
  readonly stages: readonly ApprovalStage[]
  /** Time the persons have, in milliseconds; null means the server's default. */
  readonly withinMs: number | null
  /** What happens when time runs out: a denial, or the role that is asked next. */
  readonly onTimeout: { readonly kind: 'deny' } | { readonly kind: 'escalate'; readonly role: string }
  /** By `afterMs`, counted from the start of the request. */
  readonly escalations: readonly { readonly role: string; readonly afterMs: number }[]
  /** How long the approval may be used once given, in milliseconds; null means the server's default. */
  readonly validForMs: number | null
  readonly notByRequester: boolean
  /** Persons who may not vote: the authors of the policy, where it says `not by author`. Sorted. */
  readonly barred: readonly string[]
  /** Whether a vote for, or against, must give its reason. */
  readonly reasonOnApproval: boolean
  readonly reasonOnRejection: boolean
  /** Arguments that a reviewer may change; the changed call is decided again. */
  readonly mayEdit: readonly ArgumentPath[]
  readonly mayRemember: readonly GrantOffer[]
  /** Who may open the call alone, reviewed afterwards; null for nobody. */
  readonly breakGlass: string | null
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
  /** The rules that decided, strictest first; within one effect by policy, then rule id: the first 100. Never depends on file order. */
  readonly matched: readonly MatchedRule[]
  /** Rules in `mode monitor` that would have matched, the first 100: recorded, not enforced. */
  readonly monitored: readonly MatchedRule[]
  readonly obligations: readonly Obligation[]
  /** Every requirement must be met; empty unless the outcome is REQUIRE_APPROVAL. */
  readonly approvals: readonly ApprovalRequirement[]
  /** Filled only when the caller asked to explain. */
  readonly nearMisses: readonly NearMiss[]
  /** Content hash of the policies that answered. */
  readonly policyRevision: string
  /** Of REQUIRE_APPROVAL the request that people decide about, where one was opened; of ALLOW by `APPROVED` the one that was used. */
  readonly opened?: OpenedApproval
}

/** A request for approval as the agent needs it: to wait for, and to send with the call once it is approved. */
export interface OpenedApproval {
  readonly id: string
  /** When time runs out for those who decide. */
  readonly expiresMs: number
}
