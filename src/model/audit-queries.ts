import type { ControlEvent } from './control-event.js'
import type { Outcome } from './outcome.js'

/** Half-open period in milliseconds since the epoch. */
export interface Period {
  readonly fromMs: number
  readonly untilMs: number
}

/** The questions that the audit store answers; one tenant each. */
export interface AuditQueries {
  totals(tenant: string, period: Period): Promise<Totals>
  topViolations(tenant: string, period: Period, limit: number): Promise<readonly Violation[]>
  riskiestAgents(tenant: string, period: Period, limit: number): Promise<readonly RiskyAgent[]>
  /** Null when there is none, or none yet. */
  get(tenant: string, decisionId: string): Promise<StoredEvent | null>
  /** Latest first. */
  list(tenant: string, filter: EventFilter): Promise<readonly StoredEvent[]>
  /** Events stored after the cursor, oldest first, at most `limit`; an empty cursor begins at the end of what is stored. */
  since(
    tenant: string,
    cursor: string,
    limit: number,
  ): Promise<{ readonly events: readonly StoredEvent[]; readonly cursor: string }>
  /** What was done to approvals, kill switches, keys, grants and lent seats; latest first, each once. */
  controlEvents(tenant: string, filter: ControlEventFilter): Promise<readonly ControlEvent[]>
}

export interface ControlEventFilter {
  readonly period: Period
  readonly limit: number
  /** One kind such as `kill.engaged`, or all that begin so: `kill`. */
  readonly kind?: string
  /** Id of an approval, switch, key, grant or delegation. */
  readonly subject?: string
}

export interface Totals {
  readonly total: number
  readonly allowed: number
  readonly requireApproval: number
  readonly denied: number
}
/** A violation is a decision that ended in DENY, or in REQUIRE_APPROVAL by `deny except approval`. */
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
}
export interface EventFilter {
  readonly period: Period
  readonly limit: number
  readonly agent?: string
  readonly tool?: string
  readonly ruleId?: string
  readonly outcome?: Outcome
  readonly sessionId?: string
}
export interface StoredEvent {
  readonly decisionId: string
  readonly timeMs: number
  readonly tenant: string
  readonly environment: string
  readonly agent: string
  readonly principal: string
  readonly sessionId: string
  readonly requestId: string
  readonly tool: string
  readonly outcome: Outcome
  readonly reasonCode: string
  readonly reason: string
  readonly ruleIds: readonly string[]
  readonly monitoredRuleIds: readonly string[]
  readonly policyRevision: string
  readonly argumentsJson: string
  readonly argumentsDigest: string
  readonly violation: boolean
  readonly evaluationNs: number
  /** The approval that the call asked for or carried out; else empty. */
  readonly approvalId: string
}

/** This server was told to store nothing; asking again later does not help. */
export class AuditNotSearchable extends Error {
  override readonly name = 'AuditNotSearchable'
  constructor() {
    super('this server runs with --audit-store none: its records wait in the spool and cannot be searched')
  }
}
