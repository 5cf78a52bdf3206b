import type { DeclaredTool } from './compiler/declared-tool.js'
import { decide } from './engine/decide.js'
import { visibleTools } from './engine/visible-tools.js'
import type { AuditLog, AuditRecord } from './model/audit-record.js'
import type { Call } from './model/call.js'
import { digest } from './model/canonical-json.js'
import type { Decision } from './model/decision.js'
import type { ClaimedCall, Credential, Identity } from './model/identity.js'
import type { JsonValue } from './model/json.js'
import type { Log } from './model/log.js'
import type { AnsweredRequests } from './state/answered-requests.js'
import type { LivePolicies, Snapshot } from './tenants/live-policies.js'

/** May this call be made, and how shall the answer be given? */
export interface Question {
  readonly call: ClaimedCall
  /** Empty, or the only revision whose answer the caller accepts. */
  readonly expectedPolicyRevision: string
  /** Adds near misses to the answer. */
  readonly explain: boolean
  /** Decides without a record and without effect. */
  readonly dryRun: boolean
}

export interface Answer {
  /** The key of the audit record; empty where none is made. */
  readonly decisionId: string
  readonly requestId: string
  readonly decision: Decision
  /** Time spent deciding, in nanoseconds, without transport and audit. */
  readonly evaluationNs: number
}

export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number
  /** Never goes back; nanoseconds from an arbitrary start. */
  monotonicNs(): number
}

export interface PdpDeps {
  readonly identity: Identity
  readonly policies: LivePolicies
  readonly audit: AuditLog
  readonly answered: AnsweredRequests<Answer>
  readonly clock: Clock
  /** A UUIDv7 of that moment. */
  readonly newId: (nowMs: number) => string
  readonly log: Log
}

/** How often an outage of the audit is logged, milliseconds. */
const SAY_EVERY_MS = 10_000

/**
 * The path of a call: identify, take the tenant's live policies, decide, record, answer.
 *
 * Answers come in the same turn wherever the record is already safe, else as a promise. INVARIANT: no answer but DENY
 * leaves before its record is safe.
 */
export class Pdp {
  readonly #deps: PdpDeps
  /** Calls answered without a record since the log last said so, and when it did. */
  #unaudited = 0
  #saidMs = Number.NEGATIVE_INFINITY

  constructor(deps: PdpDeps) {
    this.#deps = deps
  }

  /** @throws {RequestIdReused} */
  decide(question: Question, credential: Credential, live = this.#deps.policies.live()): Answer | Promise<Answer> {
    const call = this.#deps.identity.identify(question.call, credential)
    if (question.dryRun) return this.#evaluate(call, question, live, this.#deps.clock.nowMs(), '')
    if (call.requestId === '') return this.#decideAndRecord(call, question, live, digest(call.arguments))
    const argumentsDigest = digest(call.arguments)
    return this.#deps.answered.once(
      // A retry after the policies changed is decided anew: an old ALLOW must not outlive them.
      { scope: [call.tenant, call.agent.id, live.revision], requestId: call.requestId },
      fingerprint(call, question, argumentsDigest),
      () => this.#decideAndRecord(call, question, live, argumentsDigest),
      // An answer that only says that the audit is down must not outlive the outage.
      (answer) => answer.decision.reasonCode !== 'AUDIT_UNAVAILABLE',
    )
  }

  /** The policies that are live now, for a caller that decides several questions by the same ones. */
  live(): Snapshot {
    return this.#deps.policies.live()
  }

  /** Like a dry run that also tells near misses. */
  explain(question: Question, credential: Credential): Answer {
    const call = this.#deps.identity.identify(question.call, credential)
    const explained = { ...question, explain: true }
    return this.#evaluate(call, explained, this.live(), this.#deps.clock.nowMs(), '')
  }

  /** The declared tools that some arguments could get ALLOW or REQUIRE_APPROVAL for. */
  visibleTools(
    call: ClaimedCall,
    credential: Credential,
  ): { readonly tools: readonly DeclaredTool[]; readonly policyRevision: string } {
    const { tenant, agent, principal, environment } = this.#deps.identity.identify(call, credential)
    const live = this.live()
    const query = { tenant, agent, principal, environment, nowMs: this.#deps.clock.nowMs() }
    return { tools: visibleTools(query, live.policySetOf(tenant)), policyRevision: live.revision }
  }

  #decideAndRecord(call: Call, question: Question, live: Snapshot, argumentsDigest: string): Answer | Promise<Answer> {
    const nowMs = this.#deps.clock.nowMs()
    const answer = this.#evaluate(call, question, live, nowMs, this.#deps.newId(nowMs))
    const record = toRecord(call, answer, nowMs, argumentsDigest)
    return new Promise((resolve) => {
      this.#deps.audit.record(record, answer.decision.outcome === 'ALLOW' ? 'written' : 'fsync', (failure) =>
        resolve(failure === null ? this.#audited(answer) : this.#refuseUnaudited(answer, failure)),
      )
    })
  }

  #evaluate(call: Call, question: Question, live: Snapshot, nowMs: number, decisionId: string): Answer {
    const policySet = live.policySetOf(call.tenant)
    const startNs = this.#deps.clock.monotonicNs()
    const expected = question.expectedPolicyRevision
    const decision =
      expected !== '' && expected !== live.revision
        ? revisionMismatch(live.revision)
        : decide(call, { nowMs }, policySet, { explain: question.explain })
    const evaluationNs = Math.round(this.#deps.clock.monotonicNs() - startNs)
    return { decisionId, requestId: call.requestId, decision, evaluationNs }
  }

  #audited(answer: Answer): Answer {
    if (this.#unaudited > 0 && this.#maySay()) {
      this.#deps.log.info('audit takes records again', { answeredWithoutRecord: this.#unaudited })
      this.#unaudited = 0
    }
    return answer
  }

  /** The log must not grow by the load that the audit could not take, also where the audit comes and goes. */
  #maySay(): boolean {
    const nowMs = this.#deps.clock.nowMs()
    if (Math.abs(nowMs - this.#saidMs) < SAY_EVERY_MS) return false
    this.#saidMs = nowMs
    return true
  }

  /** Any failure counts, not only AuditUnavailable: what may not be on record is no ALLOW and waits for nobody's approval. */
  #refuseUnaudited(answer: Answer, cause: unknown): Answer {
    this.#unaudited++
    if (this.#maySay()) {
      const answeredWithoutRecord = this.#unaudited
      this.#deps.log.error('audit takes no records, every call is denied', {
        answeredWithoutRecord,
        cause: toError(cause),
      })
    }
    if (answer.decision.outcome === 'DENY') return answer
    const { matched, monitored, nearMisses, policyRevision } = answer.decision
    const reason = 'the decision could not be recorded, and an unrecorded call is not let through'
    return {
      ...answer,
      decision: {
        outcome: 'DENY',
        reasonCode: 'AUDIT_UNAVAILABLE',
        reason,
        matched,
        monitored,
        obligations: [],
        approvals: [],
        nearMisses,
        policyRevision,
      },
    }
  }
}

function revisionMismatch(policyRevision: string): Decision {
  return {
    outcome: 'DENY',
    reasonCode: 'POLICY_REVISION_MISMATCH',
    reason: `the live policies are ${policyRevision}, not those that the call expects`,
    matched: [],
    monitored: [],
    obligations: [],
    approvals: [],
    nearMisses: [],
    policyRevision,
  }
}

/** Equal for questions that must get the same answer bytes. */
function fingerprint(call: Call, question: Question, argumentsDigest: string): string {
  const { tenant, agent, principal, sessionId, delegationChain, tool, environment, context } = call
  const subject = (s: Call['agent']): JsonValue => ({ id: s.id, labels: s.labels })
  return digest({
    tenant,
    agent: subject(agent),
    principal: principal && subject(principal),
    sessionId,
    delegationChain,
    tool,
    environment,
    context,
    argumentsDigest,
    expectedPolicyRevision: question.expectedPolicyRevision,
    explain: question.explain,
  })
}

function toRecord(call: Call, answer: Answer, timeMs: number, argumentsDigest: string): AuditRecord {
  return {
    decisionId: answer.decisionId,
    timeMs,
    tenant: call.tenant,
    environment: call.environment,
    agent: call.agent.id,
    principal: call.principal?.id ?? '',
    sessionId: call.sessionId,
    requestId: call.requestId,
    delegationChain: call.delegationChain,
    tool: call.tool,
    arguments: call.arguments,
    argumentsDigest,
    decision: answer.decision,
    evaluationNs: answer.evaluationNs,
  }
}

function toError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}
