import type { ControlEvent, ControlEventLog } from '../../model/control-event.js'
import type { Log } from '../../model/log.js'
import { uuidOf } from '../../model/uuid.js'
import type { Database, Transaction } from '../database.js'
import { every, type Poll } from '../every.js'

/** How many events one transaction hands over: few enough that it ends soon, and others take theirs beside it. */
const MOST_AT_A_TIME = 500
const LOOK_MS = 500
const LONGEST_PAUSE_MS = 30_000

/** A table that events are written into by the transactions that bring them about. */
interface Source {
  /** Locks and reads the oldest that are not audited and not locked. */
  readonly claim: string
  readonly mark: string
  /** The key of a row, as $1 and on of `mark` take lists of it. */
  readonly key: (row: Row) => readonly (string | number)[]
  readonly eventId: (row: Row) => string
}

type Row = Omit<ControlEvent, 'eventId'> & { readonly id: string; readonly version: number }

const SOURCES: readonly Source[] = [
  {
    claim: `SELECT e.approval_id AS id, e.version, e.tenant, 'approval.' || e.kind AS kind, e.approval_id AS subject,
        e.at AS "timeMs", e.actor, e.why, e.state, e.shown_digest AS "shownDigest", a.agent, a.tool
      FROM approval_events e JOIN approvals a ON a.id = e.approval_id WHERE e.audited_at IS NULL
      ORDER BY e.at, e.approval_id, e.version LIMIT ${MOST_AT_A_TIME} FOR UPDATE OF e SKIP LOCKED`,
    mark: `UPDATE approval_events SET audited_at = clock_timestamp()
      WHERE (approval_id, version) IN (SELECT * FROM unnest($1::uuid[], $2::integer[]))`,
    key: ({ id, version }) => [id, version],
    // Made from what identifies it, so that whoever hands it over again says the same.
    eventId: ({ id, version }) => uuidOf(`approval:${id}:${version}`),
  },
  {
    claim: `SELECT id, 1 AS version, tenant, kind, subject, at AS "timeMs", actor, why, state, '' AS "shownDigest", agent, tool
      FROM control_events WHERE audited_at IS NULL ORDER BY at, id LIMIT ${MOST_AT_A_TIME} FOR UPDATE SKIP LOCKED`,
    mark: 'UPDATE control_events SET audited_at = clock_timestamp() WHERE id = ANY ($1::uuid[])',
    key: ({ id }) => [id],
    eventId: ({ id }) => id,
  },
]

/**
 * Hands what happened to the audit until nothing is left. Any number of instances may do so at once: each takes rows that no
 * other has locked.
 *
 * INVARIANT: a row is marked as audited after the audit has it on its disk. A process that dies in between leaves it to be
 * handed over again, under the same id.
 *
 * @returns how many events it handed over
 * @throws {StoreUnavailable}, or {AuditUnavailable} when the audit refuses them; then they stay for later
 */
export async function relayEvents(database: Database, audit: ControlEventLog): Promise<number> {
  let handed = 0
  for (const source of SOURCES) {
    for (;;) {
      const count = await database.transaction((tx) => relaySome(tx, source, audit))
      handed += count
      if (count < MOST_AT_A_TIME) break
    }
  }
  return handed
}

async function relaySome(tx: Transaction, source: Source, audit: ControlEventLog): Promise<number> {
  const rows = await tx.query<Row>(source.claim)
  if (rows.length === 0) return 0
  await Promise.all(
    rows.map(({ id, version, ...event }) =>
      safe(audit, { ...event, eventId: source.eventId({ id, version, ...event }) }),
    ),
  )
  const keys = rows.map(source.key)
  await tx.execute(
    source.mark,
    keys[0]!.map((_, i) => keys.map((key) => key[i]!) as readonly string[] | readonly number[]),
  )
  return rows.length
}

function safe(audit: ControlEventLog, event: ControlEvent): Promise<void> {
  return new Promise((resolve, reject) => {
    audit.recordEvent(event, 'fsync', (failure) => (failure === null ? resolve() : reject(failure)))
  })
}

/** Hands over twice a second until it is closed; where that fails, in growing pauses of up to half a minute. */
export function startEventRelay(database: Database, audit: ControlEventLog, log: Log): Poll {
  let failures = 0
  let notBefore = 0
  const poll = every(
    LOOK_MS,
    async () => {
      if (performance.now() < notBefore) return
      await relayEvents(database, audit)
      failures = 0
    },
    (error) => {
      // Once an outage: nothing is lost by it, for the control store keeps what happened.
      if (failures === 0) {
        const cause = error instanceof Error ? error : new Error(String(error))
        log.warn('control events do not reach the audit and wait in the control store', { cause })
      }
      failures++
      notBefore = performance.now() + Math.min(LONGEST_PAUSE_MS, LOOK_MS * 2 ** Math.min(failures, 10))
    },
  )
  poll.now()
  return poll
}
