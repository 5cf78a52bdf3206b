import type { ApprovalRequirement, ArgumentPath } from './decision.js'
import type { JsonObject, JsonValue } from './json.js'
import type { RuleSeverity } from './outcome.js'

/**
 * Where a request for approval stands. `PENDING` and `APPROVED` are alive, all others are final and never change again.
 *
 * PENDING -> APPROVED | REJECTED | EXPIRED | CANCELLED;  APPROVED -> CONSUMED | GRANT_EXPIRED | REVOKED.
 *
 * `REJECTED` is a person's no, `EXPIRED` is that nobody answered in time; the end of a client's wait is neither and is no state.
 */
export const APPROVAL_STATES = [
  'PENDING',
  'APPROVED',
  'CONSUMED',
  'REJECTED',
  'EXPIRED',
  'CANCELLED',
  'GRANT_EXPIRED',
  'REVOKED',
] as const
export type ApprovalState = (typeof APPROVAL_STATES)[number]

/** Who asks, for whom, with what: all that an approval is bound to, and what its approvers are told. */
export interface ApprovalSubject {
  readonly tenant: string
  readonly agent: string
  /** The person who answers for the agent; empty when nobody is known to. May not vote. */
  readonly agentOwner: string
  /** On whose behalf; empty when the agent acts for itself. May not vote. */
  readonly principal: string
  readonly sessionId: string
  readonly delegationChain: readonly string[]
  readonly tool: string
  readonly environment: string
  /** As they will be executed. Held for editing and deciding anew; forgotten when the request is final. */
  readonly arguments: JsonObject
  /** What policies read of the call beside the above, for deciding anew; not bound, and forgotten with the arguments. */
  readonly facts: CallFacts
  /** SHA-256, hex, over the RFC 8785 form of [tenant, agent, principal, tool, environment, arguments]. */
  readonly digest: string
}

export interface CallFacts {
  readonly agentLabels: Readonly<Record<string, string>>
  readonly principalLabels: Readonly<Record<string, string>>
  readonly context: JsonObject
}

/** What approvers see: the arguments masked, and why they are asked. */
export interface ApprovalShown {
  readonly arguments: JsonObject
  /** The rules that ask, the deciding one first. */
  readonly rules: readonly {
    readonly id: string
    readonly description: string
    readonly severity: RuleSeverity | null
  }[]
  readonly reason: string
  readonly policyRevision: string
}

export type Verdict = 'approve' | 'reject'

/** One person's vote. Roles and attributes are those held when it was given, so that a later policy can be held against it. */
export interface Vote {
  readonly person: string
  /** Whose seat is voted from, when that person delegated it; else empty. */
  readonly onBehalfOf: string
  readonly roles: readonly string[]
  readonly attributes: Attributes
  readonly verdict: Verdict
  readonly comment: string
  /** Of what the person was shown; a vote about other arguments than the current ones does not count. */
  readonly digest: string
  readonly shownDigest: string
  readonly atMs: number
}
export type Attributes = Readonly<Record<string, string | number | boolean>>

/** A request for approval, whole: what one row of the store holds, and what the state machine steps over. */
export interface ApprovalRequest {
  /** UUIDv7. */
  readonly id: string
  /** 1 when opened; every transition adds one. */
  readonly version: number
  readonly state: ApprovalState
  readonly subject: ApprovalSubject
  readonly shown: ApprovalShown
  /** SHA-256, hex, over the RFC 8785 form of `shown`, which every vote must name. */
  readonly shownDigest: string
  /** Frozen when the request was opened; every one must be met. */
  readonly requirements: readonly OpenRequirement[]
  /** In the order in which they came. */
  readonly votes: readonly Vote[]
  /** How often a reviewer gave it more time. */
  readonly extensions: number
  readonly createdMs: number
  /** Null until approved, then when it was and until when it may be consumed. */
  readonly approvedMs: number | null
  readonly validUntilMs: number | null
  /** Null while alive. */
  readonly endedMs: number | null
  /** Who or what brought the current state about: a person's id, `clock`, `kill:SWITCH`. Empty while it waits. */
  readonly endedBy: string
  readonly endedWhy: string
  /** The last change that a reviewer made of the arguments, and the digest of what the agent gave; null while they are that. */
  readonly edited: { readonly by: string; readonly atMs: number; readonly before: string } | null
  /** Opened alone in an emergency; `reviewedMs` is null until somebody reviewed it, `alarmedMs` unless that came late. */
  readonly brokenGlass: {
    readonly by: string
    readonly atMs: number
    readonly reviewByMs: number
    readonly reviewedBy: string
    readonly reviewedMs: number | null
    readonly alarmedMs: number | null
  } | null
}

/** A requirement with its clock. */
export interface OpenRequirement {
  readonly requirement: ApprovalRequirement
  /** What the clause says, or else the server's default. */
  readonly withinMs: number
  readonly validForMs: number
  /** When it was first asked: escalations count from here. */
  readonly openedMs: number
  /** When time runs out, by the clock of the store. */
  readonly deadlineMs: number
  /** Roles that were asked beside those of the clause, in the order in which they were. */
  readonly escalatedTo: readonly EscalatedRole[]
  /** How many of `requirement.escalations` have fired. */
  readonly escalationsDone: number
  /** `within D else escalate to R` has fired: the next time the clock runs out, it is final. */
  readonly timeoutEscalated: boolean
}

/** A role that may fill any place of the open stage: with votes that come after it was asked, never with earlier ones. */
export interface EscalatedRole {
  readonly role: string
  /** How many votes the request held when the role was asked. */
  readonly afterVotes: number
}

/** What a reviewer lets an agent repeat without asking. */
export interface Grant {
  readonly id: string
  readonly tenant: string
  readonly agent: string
  readonly principal: string
  readonly tool: string
  readonly environment: string
  readonly scope: GrantScope
  /** The votes that carry it: they must meet what the live policies ask at every use. */
  readonly votes: readonly Vote[]
  readonly approvalId: string
  readonly createdMs: number
  readonly expiresMs: number
  /** Null: as often as wanted. */
  readonly mostUses: number | null
  readonly uses: number
  readonly revokedMs: number | null
  readonly revokedBy: string
}
export type GrantScope =
  | { readonly kind: 'exact'; readonly digest: string }
  | { readonly kind: 'tool' }
  /** The arguments at these paths equal these values; all others are free. */
  | { readonly kind: 'fields'; readonly fields: readonly { readonly path: ArgumentPath; readonly value: JsonValue }[] }

/** A seat lent for a time. Not transitive: only roles that `from` holds themselves. */
export interface Delegation {
  readonly id: string
  readonly tenant: string
  readonly from: string
  readonly to: string
  /** Empty: every role of `from`. */
  readonly role: string
  readonly fromMs: number
  readonly untilMs: number
  readonly revokedMs: number | null
}

/** One thing that happened to a request, in the order of `version`; written in the transaction that brought it about. */
export interface ApprovalEvent {
  readonly approvalId: string
  readonly version: number
  readonly kind:
    | 'opened'
    | 'voted'
    | 'stage-met'
    | 'approved'
    | 'rejected'
    | 'escalated'
    | 'extended'
    | 'edited'
    | 'commented'
    | 'expired'
    | 'cancelled'
    | 'consumed'
    | 'grant-expired'
    | 'revoked'
    | 'glass-broken'
    | 'reviewed'
    | 'review-overdue'
  readonly atMs: number
  /** A person's or agent's id, `clock`, `policy` or `kill:SWITCH`. */
  readonly by: string
  readonly why: string
  readonly state: ApprovalState
  readonly shownDigest: string
}
