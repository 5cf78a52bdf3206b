import type { ApprovalRequest, Grant } from '../model/approval.js'
import type { KillSwitch } from '../model/kill-switch.js'
import { type Transaction, timestamp } from '../store/database.js'
import { writeEvents } from '../store/events/write.js'
import { step } from './machine.js'
import { clockMs, save } from './requests.js'
import { GRANT_COLUMNS, type GrantRow, grantRevoked, plain, readGrant, readRequest } from './rows.js'

/** Whether a switch stops the calls of this agent, session and tool: the judge that decisions ask, too. */
export type Stops = (call: {
  readonly tenant: string
  readonly agent: string
  readonly sessionId: string
  readonly delegationChain: readonly string[]
  readonly tool: string
}) => boolean

/**
 * Cancels what waits, revokes what is approved and the grants, as far as the switch stops their calls. In the transaction that
 * engages the switch: nobody sees the one without the other.
 *
 * A request does not hold its agent's team, so that a switch of a team ends all requests of its tenant: too much rather than too little.
 *
 * Takes no lock that opening takes: a process that stalls while it opens a request must not hold up a kill switch. What was being
 * opened at that moment is therefore ended by the same function when the switch is released, before it can be used.
 *
 * @param openedUntilMs leaves alone what was opened later, and grants that later requests left
 */
export async function endByKill(
  tx: Transaction,
  killSwitch: KillSwitch,
  stops: Stops,
  openedUntilMs: number | null = null,
): Promise<{ readonly requests: number; readonly grants: number }> {
  const { id, scope, tenant, reason, engagedBy } = killSwitch
  const stopsAll = scope === 'fleet' || scope === 'tenant' || scope === 'team'
  const inTenant = scope === 'fleet' ? '' : plain(tenant)
  const openedUntil = openedUntilMs === null ? null : timestamp(openedUntilMs)
  let requests = 0
  let after = '00000000-0000-0000-0000-000000000000'
  for (;;) {
    const rows = await tx.query<{ id: string; doc: string }>(
      `SELECT id, doc FROM approvals WHERE state IN ('PENDING', 'APPROVED') AND ($1 = '' OR tenant = $1) AND id > $2
         AND ($3::timestamptz IS NULL OR created_at <= $3::timestamptz)
       ORDER BY id LIMIT 500 FOR UPDATE`,
      [inTenant, after, openedUntil],
    )
    if (rows.length === 0) break
    after = rows.at(-1)!.id
    const nowMs = await clockMs(tx)
    const changes = rows
      .map(({ doc }) => readRequest(doc))
      .filter(({ subject }: ApprovalRequest) => stopsAll || stops(subject))
      .map((before) => ({ before, done: step(before, { kind: 'kill', switchId: id, reason }, nowMs), untilMs: null }))
      .filter(({ done }) => done.events.length > 0)
    requests += (await save(tx, changes)).size
  }
  const live = await tx.query<GrantRow>(
    `SELECT ${GRANT_COLUMNS} FROM grants WHERE revoked_at IS NULL AND expires_at > clock_timestamp() AND ($1 = '' OR tenant = $1)
       AND ($2::timestamptz IS NULL OR approval_id IN (SELECT id FROM approvals WHERE created_at <= $2::timestamptz))
     FOR UPDATE`,
    [inTenant, openedUntil],
  )
  // A grant outlives the session it was left in, and names no delegators: it ends with any switch but a session's.
  const ended = live
    .map(readGrant)
    .filter(
      (grant: Grant) => stopsAll || scope === 'delegation' || stops({ ...grant, sessionId: '', delegationChain: [] }),
    )
  const grants = await tx.execute(
    `UPDATE grants SET revoked_at = clock_timestamp(), revoked_by = $2, revoked_why = $3 WHERE id = ANY($1::uuid[])`,
    [ended.map((grant) => grant.id), plain(`kill:${id}`), plain(`${engagedBy}: ${reason}`)],
  )
  await writeEvents(
    tx,
    ended.map((grant) => grantRevoked(grant, `kill:${id}`, `${engagedBy}: ${reason}`)),
  )
  return { requests, grants }
}
