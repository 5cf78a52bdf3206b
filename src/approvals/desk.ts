import type { ApprovalRequest, ApprovalShown, ApprovalSubject, Grant } from '../model/approval.js'
import type { Call } from '../model/call.js'
import type { ApprovalDesk } from '../model/control.js'
import type { Decision } from '../model/decision.js'
import { type KillSwitch, stopReason } from '../model/kill-switch.js'
import type { ReasonCode } from '../model/outcome.js'
import { isUuid, uuidv7 } from '../model/uuid.js'
import { type Database, isDuplicate, type Sql } from '../store/database.js'
import { DEFAULT_TIMES, type DefaultTimes } from './acts.js'
import { expiresMs, open } from './machine.js'
import { type MaskArguments, type People, seatOf } from './people.js'
import type { Refusal } from './refusal.js'
import { barredBySubject, barredFrom, carries, covers } from './remember.js'
import { actOn, CLOCK_MS, insert } from './requests.js'
import { GRANT_COLUMNS, type GrantRow, plain, readGrant, readRequest } from './rows.js'
import { couldMeet } from './seats.js'
import { subjectOf } from './subject.js'
import { Turns } from './turns.js'

export interface DeskOptions {
  readonly database: Database
  readonly people: People | null
  readonly mask: MaskArguments
  /** The kill switch that stops this call, as the store has it now; what this process knows may be older. @default none does */
  readonly stopping?: (sql: Sql, call: Call) => Promise<KillSwitch | null>
  readonly times?: DefaultTimes
  /** Requests that one agent may have waiting. @default 100 */
  readonly mostWaiting?: number
  /** Requests that one agent may open in any minute. @default 60 */
  readonly mostAMinute?: number
}

const MOST_WAITING = 100
const MOST_A_MINUTE = 60
/** Calls of one agent that wait here for their turn to open a request. */
const MOST_IN_TURN = 200

/**
 * Where calls come that people must decide about. It holds nothing in memory: whatever it answers is in the store before.
 *
 * INVARIANT: an ALLOW is answered only after the one statement that used up the approval, or one use of the grant. Where that
 * statement's answer is lost the approval is used up and the call denied, never the other way round.
 */
export class Desk implements ApprovalDesk {
  readonly #options: DeskOptions
  /** Opening takes turns for each agent, here as in the store. */
  readonly #turns: Turns

  constructor(options: DeskOptions) {
    this.#options = options
    this.#turns = new Turns(MOST_IN_TURN)
  }

  async settle(call: Call, decision: Decision, approvalId: string): Promise<Decision> {
    const subject = this.#subjectOf(call)
    if (approvalId === '') return this.#settleUnnamed(call, subject, decision)
    const named = isUuid(approvalId)
      ? await this.#use(subject, decision, approvalId.toLowerCase())
      : denied(decision, 'APPROVAL_MISMATCH', 'approval_id is no id: send the one of the answer REQUIRE_APPROVAL')
    return named ?? this.#joinOrOpen(call, subject, decision)
  }

  #subjectOf(call: Call): ApprovalSubject {
    const { tenant, agent, principal, sessionId, delegationChain, tool, environment, arguments: args, context } = call
    return subjectOf({
      tenant,
      agent: agent.id,
      agentOwner: this.#options.people?.ownerOf(tenant, agent.id) ?? '',
      principal: principal?.id ?? '',
      sessionId,
      delegationChain,
      tool,
      environment,
      arguments: args,
      facts: { agentLabels: agent.labels, principalLabels: principal?.labels ?? {}, context },
    })
  }

  /** What the named approval makes of the call; null where its votes do not meet what is asked now. */
  async #use(subject: ApprovalSubject, decision: Decision, id: string): Promise<Decision | null> {
    const { database } = this.#options
    const act = { kind: 'consume', digest: subject.digest, asked: decision.approvals } as const
    const outcome = await actOn(database, subject.tenant, id, act)
    if (outcome === null) return denied(decision, 'APPROVAL_MISMATCH', 'there is no approval of that id for this agent')
    const { request, refusal } = outcome
    if (refusal === null) return approved(decision, request)
    if (refusal.code === 'MISMATCH')
      return denied(decision, 'APPROVAL_MISMATCH', mismatchText(subject, request, refusal))
    if (refusal.code === 'NOT_APPROVED') return waiting(decision, request)
    return refusal.code === 'NOT_ENOUGH' ? null : over(decision, request, refusal)
  }

  async #settleUnnamed(call: Call, subject: ApprovalSubject, decision: Decision): Promise<Decision> {
    const found = await this.#find(subject)
    for (const { id, state } of found) {
      if (state !== 'APPROVED') continue
      const used = await this.#use(subject, decision, id)
      if (used?.outcome === 'ALLOW') return used
    }
    const granted = await this.#useGrant(subject, decision)
    if (granted !== null) return granted
    const rejected = found.find(({ state }) => state === 'REJECTED')
    if (rejected !== undefined && found.every(({ state }) => state !== 'PENDING')) return over(decision, rejected, null)
    return this.#joinOrOpen(call, subject, decision)
  }

  /** Requests of this very call that are alive, and those that were rejected within the last minute. */
  async #find({ tenant, digest }: ApprovalSubject): Promise<readonly ApprovalRequest[]> {
    const rows = await this.#options.database.query<{ doc: string }>(
      `SELECT doc FROM approvals WHERE tenant = $1 AND state IN ('PENDING', 'APPROVED') AND (asked_digest = $2 OR digest = $2)
       UNION ALL
       SELECT doc FROM approvals WHERE tenant = $1 AND asked_digest = $2 AND state = 'REJECTED'
         AND ended_at > clock_timestamp() - interval '1 minute'`,
      [plain(tenant), digest],
    )
    return rows.map(({ doc }) => readRequest(doc))
  }

  async #useGrant(subject: ApprovalSubject, decision: Decision): Promise<Decision | null> {
    const { database } = this.#options
    const rows = await database.query<GrantRow>(
      `SELECT ${GRANT_COLUMNS} FROM grants WHERE tenant = $1 AND agent = $2 AND tool = $3 AND revoked_at IS NULL
         AND expires_at > clock_timestamp() AND (most_uses IS NULL OR uses < most_uses) ORDER BY created_at`,
      [plain(subject.tenant), plain(subject.agent), plain(subject.tool)],
    )
    for (const grant of rows.map(readGrant)) {
      if (!covers(grant, subject)) continue
      if (!decision.approvals.every((asked) => carries(grant.votes, asked, subject))) continue
      const used = await database.execute(
        `UPDATE grants SET uses = uses + 1 WHERE id = $1 AND revoked_at IS NULL AND expires_at > clock_timestamp()
           AND (most_uses IS NULL OR uses < most_uses)`,
        [grant.id],
      )
      if (used === 1) return allowed(decision, grantText(grant))
    }
    return null
  }

  /** One request for one call, however many instances are asked at a time. */
  async #joinOrOpen(call: Call, subject: ApprovalSubject, decision: Decision): Promise<Decision> {
    const joined = await this.#join(this.#options.database, subject)
    if (joined !== null) return waiting(decision, joined)
    if (!this.#isAnybodyThere(subject, decision)) {
      return denied(decision, 'NO_ELIGIBLE_APPROVER', 'nobody who may vote could meet what the policies ask for')
    }
    const turn = this.#turns.take(`${subject.tenant}\n${subject.agent}`, () =>
      this.#options.database.transaction((tx) => this.#open(tx, call, subject, decision)),
    )
    if (turn === null)
      return denied(decision, 'APPROVAL_LIMIT', 'the agent opens too many requests at a time: ask again later')
    try {
      return await turn
    } catch (error) {
      if (!isDuplicate(error, 'approvals_waiting')) throw error
      const other = await this.#join(this.#options.database, subject)
      if (other === null) throw error
      return waiting(decision, other)
    }
  }

  /** The request of this call that waits. What is due of it is done first: nobody joins what is out of time. */
  async #join(sql: Sql, { tenant, digest }: ApprovalSubject): Promise<ApprovalRequest | null> {
    const [row] = await sql.query<{ id: string }>(
      `SELECT id FROM approvals WHERE tenant = $1 AND state = 'PENDING' AND (asked_digest = $2 OR digest = $2)
       ORDER BY created_at LIMIT 1`,
      [plain(tenant), digest],
    )
    if (row === undefined) return null
    const outcome = await actOn(sql, plain(tenant), row.id, { kind: 'tick' })
    return outcome?.request.state === 'PENDING' ? outcome.request : null
  }

  async #open(tx: Sql, call: Call, subject: ApprovalSubject, decision: Decision): Promise<Decision> {
    const { mostWaiting = MOST_WAITING, mostAMinute = MOST_A_MINUTE, times = DEFAULT_TIMES, mask } = this.#options
    const tenant = plain(subject.tenant)
    const agent = plain(subject.agent)
    // One agent opens one request at a time, or its limits would be those of each instance.
    await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text AS locked', [`${tenant}\n${agent}`])
    const joined = await this.#join(tx, subject)
    if (joined !== null) return waiting(decision, joined)
    const [count] = await tx.query<{ waiting: number; recent: number; now: number }>(
      `SELECT (SELECT count(*) FROM approvals WHERE tenant = $1 AND agent = $2 AND state = 'PENDING') AS waiting,
              (SELECT count(*) FROM approvals WHERE tenant = $1 AND agent = $2
                 AND created_at > clock_timestamp() - interval '1 minute') AS recent,
              ${CLOCK_MS} AS now`,
      [tenant, agent],
    )
    if (count!.waiting >= mostWaiting) {
      const why = `the agent has ${count!.waiting} requests waiting, and ${mostWaiting} is the most: wait for answers, or cancel some`
      return denied(decision, 'APPROVAL_LIMIT', why)
    }
    if (count!.recent >= mostAMinute) {
      const why = `the agent opened ${count!.recent} requests within a minute, and ${mostAMinute} is the most: ask again later`
      return denied(decision, 'APPROVAL_LIMIT', why)
    }
    const stopped = await this.#options.stopping?.(tx, call)
    if (stopped) return denied(decision, 'KILL_SWITCH', stopReason(stopped))
    const nowMs = count!.now
    const shown = shownOf(decision, mask(subject.arguments))
    const done = open({ id: uuidv7(nowMs), subject, shown, requirements: decision.approvals, times }, nowMs)
    await insert(tx, done)
    return waiting(decision, done.request)
  }

  /** Waiting for nobody only looks like asking. Where persons are not known, at least somebody must be possible. */
  #isAnybodyThere(subject: ApprovalSubject, { approvals }: Decision): boolean {
    const { people } = this.#options
    if (people === null) {
      return approvals.every(({ stages }) =>
        stages.every(
          ({ from }) => from.length > 0 && from.every(({ where }) => where.every(({ value }) => value !== null)),
        ),
      )
    }
    const seats = people.approversOf(subject.tenant).map(seatOf)
    const bySubject = barredBySubject(subject)
    if (approvals.every((asked) => couldMeet(asked, seats, barredFrom(asked, bySubject)))) return true
    return seats.some((seat) =>
      approvals.every(
        (asked) =>
          asked.breakGlass !== null &&
          couldMeet(
            { ...asked, stages: [{ from: [{ count: 1, role: asked.breakGlass, where: [] }] }] },
            [seat],
            barredFrom(asked, bySubject),
          ),
      ),
    )
  }
}

/** What approvers see of a decision. */
export function shownOf(decision: Decision, masked: ApprovalShown['arguments']): ApprovalShown {
  const { matched, reason, policyRevision } = decision
  const rules = matched.map(({ ruleId: id, description, severity }) => ({ id, description, severity }))
  return { arguments: masked, rules, reason, policyRevision }
}

function waiting(decision: Decision, request: ApprovalRequest): Decision {
  return { ...decision, opened: { id: request.id, expiresMs: expiresMs(request) } }
}

function approved(decision: Decision, request: ApprovalRequest): Decision {
  const { votes, subject, brokenGlass, id, validUntilMs } = request
  const names = votes.filter(({ verdict, digest }) => verdict === 'approve' && digest === subject.digest)
  const who = names.map(({ person, onBehalfOf }) => (onBehalfOf === '' ? person : `${person} for ${onBehalfOf}`))
  const how = brokenGlass === null ? 'approved by' : 'approved in an emergency by'
  return { ...allowed(decision, `${how} ${who.join(', ')}`), opened: { id, expiresMs: validUntilMs ?? 0 } }
}

function allowed(decision: Decision, reason: string): Decision {
  return { ...decision, outcome: 'ALLOW', reasonCode: 'APPROVED', reason, approvals: [] }
}

function grantText({ votes, approvalId }: Grant): string {
  return `covered by a grant of ${votes.map(({ person }) => person).join(', ')} with approval ${approvalId}`
}

function over(decision: Decision, request: ApprovalRequest, refusal: Refusal | null): Decision {
  const { state, endedBy, endedWhy } = request
  if (state === 'REJECTED') {
    return denied(
      decision,
      'APPROVAL_REJECTED',
      endedWhy === '' ? `rejected by ${endedBy}` : `rejected by ${endedBy}: ${endedWhy}`,
    )
  }
  const code = state === 'EXPIRED' || state === 'GRANT_EXPIRED' ? 'APPROVAL_EXPIRED' : 'APPROVAL_REVOKED'
  return denied(decision, code, refusal?.message ?? endedWhy)
}

function mismatchText(subject: ApprovalSubject, { subject: of }: ApprovalRequest, refusal: Refusal): string {
  // What another agent asked is nothing to this one.
  return subject.agent === of.agent ? refusal.message : 'there is no approval of that id for this agent'
}

function denied(decision: Decision, reasonCode: ReasonCode, reason: string): Decision {
  return { ...decision, outcome: 'DENY', reasonCode, reason, approvals: [], obligations: [] }
}
