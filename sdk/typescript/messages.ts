/** The messages of `proto/portcullis/v1`, which says what each field means, in TypeScript's spelling. */

export type Outcome = 'ALLOW' | 'DENY' | 'REQUIRE_APPROVAL'
export type Effect = 'EFFECT_ALLOW' | 'EFFECT_DENY' | 'EFFECT_DENY_EXCEPT_APPROVAL' | 'EFFECT_REQUIRE_APPROVAL'

export interface Subject {
  readonly id: string
  readonly labels?: Readonly<Record<string, string>>
}

export interface DecideRequest {
  readonly requestId?: string
  readonly agent: Subject
  readonly principal?: Subject
  readonly sessionId?: string
  readonly delegationChain?: readonly string[]
  readonly tool: string
  readonly environment: string
  /** An object that `JSON.stringify` takes, or JSON text, which is exact for integers past 2^53. */
  readonly arguments?: object | string | Uint8Array
  readonly context?: object | string | Uint8Array
  readonly expectedPolicyRevision?: string
  readonly explain?: boolean
  readonly dryRun?: boolean
  /** The approval that this call carries out. */
  readonly approvalId?: string
  /** Asks for a receipt with an ALLOW. */
  readonly wantReceipt?: boolean
}

export interface DecideResponse {
  readonly decisionId: string
  readonly outcome: Outcome
  readonly reason: string
  readonly reasonCode: string
  readonly matchedRules: readonly MatchedRule[]
  readonly obligations: readonly Obligation[]
  readonly approval: Approval | null
  readonly policyRevision: string
  readonly evaluationNs: number
  readonly monitoredRules: readonly MatchedRule[]
  readonly requestId: string
  readonly nearMisses: readonly NearMiss[]
  /** Empty where none was asked for; see `verifyReceipt` in receipt.ts. */
  readonly receipt: string
}

export interface MatchedRule {
  readonly ruleId: string
  readonly policy: string
  readonly effect: Effect
  readonly description: string
  readonly indeterminate: boolean
  readonly severity: string
  readonly tags: readonly string[]
  readonly source: SourceSpan | null
}
export interface SourceSpan {
  readonly file: string
  readonly line: number
  readonly column: number
}
export interface Obligation {
  readonly kind: string
  readonly target: string
  readonly value: number
  readonly ruleId: string
}
export interface Approval {
  readonly approvalId: string
  readonly requirements: readonly ApprovalRequirement[]
}
export interface ApprovalRequirement {
  readonly ruleIds: readonly string[]
  readonly stages: readonly { readonly from: readonly ApprovalGroup[] }[]
  readonly withinMs: number
  readonly onTimeoutEscalateTo: string
  readonly escalations: readonly { readonly role: string; readonly afterMs: number }[]
  readonly validForMs: number
  readonly notByRequester: boolean
  readonly isException: boolean
  readonly barred: readonly string[]
  readonly reasonOnApproval: boolean
  readonly reasonOnRejection: boolean
  readonly mayEdit: readonly ArgumentPath[]
  readonly mayRemember: readonly GrantOffer[]
  /** Empty for nobody. */
  readonly breakGlass: string
}
export interface ApprovalGroup {
  readonly count: number
  readonly role: string
  readonly where: readonly AttributeMatch[]
}
export interface AttributeMatch {
  readonly attribute: string
  /** JSON: a text, a number, `true` or `false`; `null` where nobody counts. */
  readonly valueJson: string
}
export interface ArgumentPath {
  readonly steps: readonly string[]
}
export interface GrantOffer {
  readonly scope: string
  readonly paths: readonly ArgumentPath[]
  readonly forMs: number
  /** 0 means as many as there are. */
  readonly mostUses: number
}
export interface NearMiss {
  readonly ruleId: string
  readonly policy: string
  readonly effect: Effect
  readonly source: SourceSpan | null
  readonly failed: readonly { readonly text: string; readonly unknown: boolean; readonly source: SourceSpan | null }[]
}

/** Why one call of a batch or stream was not answered. */
export interface ItemError {
  /** A gRPC status code. */
  readonly code: number
  readonly reason: string
  readonly message: string
}
/** Exactly one of the two is set. */
export interface BatchResult {
  readonly response?: DecideResponse
  readonly error?: ItemError
}
export interface StreamResult extends BatchResult {
  readonly requestId: string
}

export interface VisibleToolsRequest {
  readonly agent: Subject
  readonly principal?: Subject
  readonly sessionId?: string
  readonly environment: string
}
export interface VisibleTool {
  readonly name: string
  readonly tags: readonly string[]
}

export interface AuditPeriod {
  /** Seven days before `until` when absent. */
  readonly from?: Date | undefined
  /** Now when absent; exclusive. */
  readonly until?: Date | undefined
  /** Rows, 1 to 100. @default 10 */
  readonly limit?: number | undefined
}
export interface AuditQuery extends AuditPeriod {
  readonly agent?: string
  readonly tool?: string
  readonly ruleId?: string
  readonly outcome?: Outcome
  readonly sessionId?: string
}
export interface ControlEventQuery extends AuditPeriod {
  /** One kind such as `kill.engaged`, or all that begin so: `kill`. */
  readonly kind?: string | undefined
  /** Id of an approval, kill switch, key, grant or delegation. */
  readonly subject?: string | undefined
}
export interface ControlEvent {
  readonly eventId: string
  readonly time: Date
  readonly tenant: string
  readonly kind: string
  readonly subject: string
  readonly actor: string
  readonly why: string
  readonly state: string
  readonly shownDigest: string
  readonly agent: string
  readonly tool: string
}
export interface AuditTotals {
  readonly total: number
  readonly allowed: number
  readonly requireApproval: number
  readonly denied: number
}
export interface Violation {
  readonly ruleId: string
  readonly policy: string
  readonly description: string
  readonly count: number
  readonly agents: number
}
export interface RiskyAgent {
  readonly agent: string
  readonly violations: number
  readonly decisions: number
  /** 0 to 1. */
  readonly violationRate: number
}
export interface AuditOverview {
  readonly from: Date
  readonly until: Date
  readonly totals: AuditTotals
  readonly topViolations: readonly Violation[]
  readonly riskiestAgents: readonly RiskyAgent[]
}
export interface AuditEvent {
  readonly decisionId: string
  readonly time: Date
  readonly tenant: string
  readonly environment: string
  readonly agent: string
  readonly principal: string
  readonly sessionId: string
  readonly tool: string
  readonly outcome: string
  readonly reasonCode: string
  readonly reason: string
  readonly ruleIds: readonly string[]
  readonly monitoredRuleIds: readonly string[]
  readonly policyRevision: string
  readonly argumentsJson: string
  readonly argumentsDigest: string
  readonly requestId: string
  readonly violation: boolean
  readonly evaluationNs: number
  /** The approval that the call asked for, or carried out; else empty. */
  readonly approvalId: string
}
