import type { DeclaredTool } from './compiler/declared-tool.js'
import { decide } from './engine/decide.js'
import { visibleTools } from './engine/visible-tools.js'
import type { AuditLog, AuditRecord } from './model/audit-record.js'
import type { Call } from './model/call.js'
import { canonicalJson, digest } from './model/canonical-json.js'
import type { ApprovalDesk, Control, ReceiptSigner } from './model/control.js'
import type { Decision } from './model/decision.js'
import type { Caller, ClaimedCall, Identity } from './model/identity.js'
import type { JsonValue } from './model/json.js'
import { stopReason } from './model/kill-switch.js'
import type { Log } from './model/log.js'
import type { ReasonCode } from './model/outcome.js'
import {
  type AnsweredRequests,
  MOST_REQUEST_BYTES,
  type Remembered,
  RequestIdReused,
} from './state/answered-requests.js'
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
  /** Empty, or the approval that this call carries out. */
  readonly approvalId: string
  /** Asks for a receipt with an ALLOW. */
  readonly wantReceipt: boolean
  /** The question as it came, bytes `from` to `to`: what a repeated one is held against. They may change once `decide` returned. */
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
}

export interface Answer {
  /** The key of the audit record; empty where none is made. */
  readonly decisionId: string
  readonly requestId: string
  readonly decision: Decision
  /** Time spent deciding, in nanoseconds, without transport and audit. */
  readonly evaluationNs: number
  /** A signed statement about this ALLOW; empty where nobody asked for one. */
  readonly receipt: string
}

export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number
  /** Never goes back; nanoseconds from an arbitrary start. */
  monotonicNs(): number
}

export interface PdpDeps {
  readonly identity: Pick<Identity, 'identify'>
  readonly policies: Pick<LivePolicies, 'live'>
  readonly audit: AuditLog
  readonly control: Control
  /** Null: people cannot be asked here, and REQUIRE_APPROVAL is answered as it is, without a request. */
  readonly approvals: ApprovalDesk | null
  /** How long a call waits for the approval desk at most, milliseconds, however slow its store is. @default 5,000 */
  readonly settleWithinMs?: number
  /** Null: there are no receipts here. */
  readonly receipts: ReceiptSigner | null
  readonly answered: AnsweredRequests<Answer>
  /** A question out of the bytes it came in; only for bytes that were a question before. */
  readonly readQuestion: (bytes: Buffer) => Question
  readonly clock: Clock
  /** A UUIDv7 of that moment. */
  readonly newId: (nowMs: number) => string
  readonly log: Log
}

const SETTLE_WITHIN_MS = 5_000
/** How often an outage of the audit is logged, milliseconds. */
const SAY_EVERY_MS = 10_000

/** Called once with the answer, before `decide` returns or later. */
export type AnswerTaker = (answer: Answer) => void

/**
 * The path of a call: identify, take the tenant's live policies, decide, record, answer.
 *
 * Answers go to a callback and not through a promise, for there is one a call: in the same turn, or when the record is
 * safe. INVARIANT: no answer but DENY leaves before its record is safe.
 */
export class Pdp {
  readonly #deps: PdpDeps
  /** Calls answered without a record since the log last said so, and when it did. */
  #unaudited = 0
  #saidMs = Number.NEGATIVE_INFINITY

  constructor(deps: PdpDeps) {
    this.#deps = deps
  }

  /** @throws {RequestIdReused} and whatever the identity refuses the call with; `take` is not called then */
  decide(question: Question, caller: Caller, live: Snapshot, take: AnswerTaker): void {
    const call = this.#deps.identity.identify(question.call, caller)
    const nowMs = this.#deps.clock.nowMs()
    if (question.dryRun) take(this.#evaluate(call, question, live, nowMs, ''))
    // An answer from before a kill switch must not outlive it, so that remembered ones are not looked at.
    else if (call.requestId === '' || this.#halted(call, nowMs) !== null) {
      this.#decideAndRecord(call, question, live, nowMs, take)
    } else this.#decideOnce(call, question, live, nowMs, take)
  }

  #decideOnce(call: Call, question: Question, live: Snapshot, nowMs: number, take: AnswerTaker): void {
    const { answered } = this.#deps
    const { tenant, agent, requestId } = call
    // A retry after the policies changed is decided anew: an old ALLOW must not outlive them.
    const key = { tenant, agent: agent.id, revision: live.revision, requestId }
    const before = answered.find(key, nowMs)
    if (before !== null) {
      if (!this.#isRepeated(before, call, question)) throw new RequestIdReused(requestId)
      before.whenAnswered(take)
      return
    }
    const isShort = question.to - question.from <= MOST_REQUEST_BYTES
    const mark = isShort ? vouchedFor(call, question) : fingerprint(call, question)
    const underWay = answered.remember(key, mark, isShort ? question : null, nowMs)
    this.#decideAndRecord(call, question, live, nowMs, (answer) => {
      answered.settle(underWay, answer, !PASSING.has(answer.decision.reasonCode))
      take(answer)
    })
  }

  /**
   * Whether the remembered request is the same call. Decided on what was asked and not on its bytes: a client may write
   * maps in another order when it tries again. Retries are rare, so that the work is left until one comes.
   */
  #isRepeated({ request, mark }: Remembered<Answer>, call: Call, question: Question): boolean {
    if (request.length === 0) return mark === fingerprint(call, question)
    if (mark !== vouchedFor(call, question)) return false
    const first = this.#deps.readQuestion(request)
    return asked(first) === asked(question)
  }

  /** The policies that are live now, for a caller that decides several questions by the same ones. */
  live(): Snapshot {
    return this.#deps.policies.live()
  }

  /** Like a dry run that also tells near misses. */
  explain(question: Question, caller: Caller): Answer {
    const call = this.#deps.identity.identify(question.call, caller)
    const explained = { ...question, explain: true }
    return this.#evaluate(call, explained, this.live(), this.#deps.clock.nowMs(), '')
  }

  /** The declared tools that some arguments could get ALLOW or REQUIRE_APPROVAL for. */
  visibleTools(
    call: ClaimedCall,
    caller: Caller,
  ): { readonly tools: readonly DeclaredTool[]; readonly policyRevision: string } {
    const { tenant, agent, principal, environment } = this.#deps.identity.identify(call, caller)
    const live = this.live()
    const query = { tenant, agent, principal, environment, nowMs: this.#deps.clock.nowMs() }
    return { tools: visibleTools(query, live.policySetOf(tenant)), policyRevision: live.revision }
  }

  #decideAndRecord(call: Call, question: Question, live: Snapshot, nowMs: number, take: AnswerTaker): void {
    const answer = this.#evaluate(call, question, live, nowMs, this.#deps.newId(nowMs))
    if (answer.decision.outcome !== 'ALLOW') this.#deps.control.observe(call, answer.decision, nowMs)
    if (answer.decision.outcome === 'REQUIRE_APPROVAL' && this.#deps.approvals !== null) {
      this.#settle(this.#deps.approvals, call, question, answer, live, nowMs, take)
    } else this.#conclude(call, question, answer, live, nowMs, take)
  }

  /** Asks people, or uses what they said. The request is in the store before the answer is recorded or leaves. */
  #settle(
    approvals: ApprovalDesk,
    call: Call,
    question: Question,
    answer: Answer,
    live: Snapshot,
    nowMs: number,
    take: AnswerTaker,
  ): void {
    let isOver = false
    const settled = (decision: Decision): void => {
      // What comes after the time was up is of no use: an approval that it used up stays used up.
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      // Much may have happened while the store was asked; what it said is not stronger than a switch that is known by now.
      const halted = this.#halted(call, this.#deps.clock.nowMs())
      const now = halted === null ? decision : denied(decision, ...halted)
      this.#conclude(call, question, { ...answer, decision: now }, live, nowMs, take)
    }
    const fail = (cause: unknown): void => {
      if (isOver) return
      this.#deps.log.warn('approvals cannot be asked', { cause: toError(cause) })
      settled(
        denied(answer.decision, 'APPROVAL_STORE_UNAVAILABLE', 'people cannot be asked at the moment; try again later'),
      )
    }
    const { settleWithinMs = SETTLE_WITHIN_MS } = this.#deps
    const timer = setTimeout(
      () => fail(new Error(`the control store did not answer within ${settleWithinMs} ms`)),
      settleWithinMs,
    )
    approvals.settle(call, answer.decision, question.approvalId).then(settled, fail)
  }

  #conclude(call: Call, question: Question, answer: Answer, live: Snapshot, nowMs: number, take: AnswerTaker): void {
    const { outcome, reasonCode } = answer.decision
    const wantsReceipt =
      outcome === 'ALLOW' &&
      (question.wantReceipt ||
        (reasonCode === 'APPROVED' && this.#deps.receipts !== null) ||
        live.policySetOf(call.tenant).wantsReceipt(call.tool))
    if (wantsReceipt) this.#signAndRecord(call, answer, nowMs, take)
    else this.#record(call, answer, nowMs, take)
  }

  #record(call: Call, answer: Answer, nowMs: number, take: AnswerTaker): void {
    const record = toRecord(call, answer, nowMs)
    const { outcome } = answer.decision
    // What approvals say is on the store's disk already, so the record of its use must not be weaker.
    const isPlain = outcome === 'ALLOW' && answer.decision.reasonCode !== 'APPROVED'
    this.#deps.audit.record(record, isPlain ? 'written' : 'fsync', (failure) => {
      take(failure === null ? this.#audited(answer) : this.#refuseUnaudited(answer, failure))
    })
  }

  /** Signs first, so that what is recorded is what is answered: an ALLOW whose receipt cannot be had is none. */
  #signAndRecord(call: Call, answer: Answer, nowMs: number, take: AnswerTaker): void {
    const { opened, policyRevision } = answer.decision
    const claims = {
      decisionId: answer.decisionId,
      call,
      policyRevision,
      approvalId: opened?.id ?? '',
      issuedMs: nowMs,
    }
    const signed = this.#deps.receipts?.sign(claims) ?? Promise.reject(new Error('this server signs no receipts'))
    signed.then(
      (receipt) => this.#record(call, { ...answer, receipt }, nowMs, take),
      (cause: unknown) => {
        this.#deps.log.error('a receipt could not be signed', { cause: toError(cause) })
        const reason = 'the receipt that this call needs could not be signed; ask again with another request_id'
        this.#record(call, { ...answer, decision: denied(answer.decision, 'RECEIPT_UNAVAILABLE', reason) }, nowMs, take)
      },
    )
  }

  #evaluate(call: Call, question: Question, live: Snapshot, nowMs: number, decisionId: string): Answer {
    const policySet = live.policySetOf(call.tenant)
    const startNs = this.#deps.clock.monotonicNs()
    const decision =
      this.#refusedUnasked(call, question, live, nowMs) ??
      decide(call, { nowMs }, policySet, { explain: question.explain })
    const evaluationNs = Math.round(this.#deps.clock.monotonicNs() - startNs)
    return { decisionId, requestId: call.requestId, decision, evaluationNs, receipt: '' }
  }

  /** What is denied without asking the policies, strictest first; else null. */
  #refusedUnasked(call: Call, question: Question, live: Snapshot, nowMs: number): Decision | null {
    const { revision } = live
    const halted = this.#halted(call, nowMs)
    if (halted !== null) return refusal(...halted, revision)
    const expected = question.expectedPolicyRevision
    if (expected === '' || expected === revision) return null
    const reason = `the live policies are ${revision}, not those that the call expects`
    return refusal('POLICY_REVISION_MISMATCH', reason, revision)
  }

  /** Why nothing of this call may pass, whatever policies and people say; else null. */
  #halted(call: Call, nowMs: number): readonly [ReasonCode, string] | null {
    const { control } = this.#deps
    const stopped = control.stopping(call)
    if (stopped !== null) return ['KILL_SWITCH', stopReason(stopped)]
    if (!control.isStale(nowMs)) return null
    const reason = 'what is known of kill switches and keys is too old to let anything through; try again later'
    return ['CONTROL_STATE_STALE', reason]
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
    const reason = 'the decision could not be recorded, and an unrecorded call is not let through'
    return { ...answer, decision: denied(answer.decision, 'AUDIT_UNAVAILABLE', reason), receipt: '' }
  }
}

/** Answers that only say that something is down or stopped: a repeated request must not get them when it is up again. */
const PASSING: ReadonlySet<ReasonCode> = new Set([
  'AUDIT_UNAVAILABLE',
  'APPROVAL_STORE_UNAVAILABLE',
  'CONTROL_STATE_STALE',
  'KILL_SWITCH',
  'RECEIPT_UNAVAILABLE',
])

/** A DENY in place of what the policies said, with what they said beside it. */
function denied(decision: Decision, reasonCode: ReasonCode, reason: string): Decision {
  const { matched, monitored, nearMisses, policyRevision } = decision
  return { ...refusal(reasonCode, reason, policyRevision), matched, monitored, nearMisses }
}

/** A DENY that no policy said. */
function refusal(reasonCode: ReasonCode, reason: string, policyRevision: string): Decision {
  return {
    outcome: 'DENY',
    reasonCode,
    reason,
    matched: [],
    monitored: [],
    obligations: [],
    approvals: [],
    nearMisses: [],
    policyRevision,
  }
}

/** What the identity put in place of the caller's claims; empty where it believed them. */
function vouchedFor(call: Call, { call: claimed }: Question): string {
  if (call.agent === claimed.agent && call.principal === claimed.principal) return ''
  return canonicalJson([subject(call.agent), call.principal && subject(call.principal)])
}

/** Equal for questions that ask the same, whatever the form of their arguments. */
function asked({ call, expectedPolicyRevision, explain, approvalId, wantReceipt }: Question): string {
  const { agent, principal, sessionId, delegationChain, tool, environment, context } = call
  return canonicalJson({
    agent: subject(agent),
    principal: principal && subject(principal),
    sessionId,
    delegationChain,
    tool,
    environment,
    arguments: call.arguments,
    context,
    expectedPolicyRevision,
    explain,
    approvalId,
    wantReceipt,
  })
}

/** Equal for questions that must get the same answer bytes. */
function fingerprint(call: Call, question: Question): string {
  return digest([vouchedFor(call, question), asked(question)])
}

function subject({ id, labels }: Call['agent']): JsonValue {
  return { id, labels }
}

function toRecord(call: Call, answer: Answer, timeMs: number): AuditRecord {
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
    argumentsDigest: null,
    decision: answer.decision,
    evaluationNs: answer.evaluationNs,
  }
}

function toError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}
