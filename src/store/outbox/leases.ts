import { assertNever } from '../../model/assert-never.js'
import type { Delivery, DeliveryOutcome } from '../../model/delivery.js'
import type { JsonObject } from '../../model/json.js'
import type { Sql } from '../database.js'

/** A delivery that is ours for the time of the lease. */
export interface Leased {
  readonly rowId: string
  readonly lease: string
  readonly delivery: Delivery
}

interface Row {
  readonly row_id: string
  readonly lease: string
  readonly key: string
  readonly tenant: string
  readonly kind: string
  readonly payload: JsonObject
  readonly created: number
  readonly attempts: number
  readonly age: number
  readonly replays: number
  readonly overtaken: boolean
  readonly earlier: string
}

/**
 * Takes what is due in a channel, the longest waiting first. What is taken is nobody else's until the lease runs out: then
 * whoever took it is taken for dead, and it is sent again under the same id.
 *
 * Something newer about a subject waits while what came before it has not been tried yet or is under way, so that messages
 * keep their order; it does not wait for what failed and is tried later.
 */
export async function lease(sql: Sql, channel: string, most: number, leaseMs: number): Promise<readonly Leased[]> {
  const rows = await sql.query<Row>(LEASE, [channel, most, leaseMs])
  return rows.map((row) => ({
    rowId: row.row_id,
    lease: row.lease,
    delivery: {
      id: row.key,
      tenant: row.tenant,
      kind: row.kind,
      payload: row.payload,
      createdMs: row.created,
      attempt: row.attempts,
      ageMs: row.age,
      isReplay: row.replays > 0,
      isOvertaken: row.overtaken,
      earlier: row.earlier,
    },
  }))
}

/**
 * The time of the statement and not of the clock, which differs from row to row and could not be looked up in an index;
 * `subject <> ''` of each look at others is what lets PostgreSQL use the index over subjects.
 */
const LEASE = `
  WITH due AS (
    SELECT d.id FROM deliveries d
    WHERE d.channel = $1 AND d.next_at <= statement_timestamp() AND d.done_at IS NULL AND d.dead_at IS NULL
      AND NOT EXISTS (
        SELECT 1 FROM deliveries e
        WHERE e.subject <> '' AND e.channel = d.channel AND e.subject = d.subject AND e.outbox_id < d.outbox_id
          AND e.done_at IS NULL AND e.dead_at IS NULL
          AND (e.attempts = 0 OR (e.lease IS NOT NULL AND e.next_at > clock_timestamp()))
      )
    ORDER BY d.next_at, d.outbox_id LIMIT $2 FOR UPDATE SKIP LOCKED
  ),
  taken AS (
    UPDATE deliveries d
    SET lease = gen_random_uuid(), attempts = attempts + 1, next_at = clock_timestamp() + make_interval(secs => $3 / 1000.0)
    FROM due WHERE d.id = due.id
    RETURNING d.*
  )
  SELECT t.id::text AS row_id, t.lease::text, o.dedupe_key AS key, o.tenant, o.kind, o.payload, o.created_at AS created,
    t.attempts, floor(extract(epoch FROM clock_timestamp() - t.queued_at) * 1000)::bigint AS age, t.replays,
    EXISTS (
      SELECT 1 FROM deliveries e
      WHERE e.subject <> '' AND e.channel = t.channel AND e.subject = t.subject AND e.outbox_id > t.outbox_id AND e.done_at IS NOT NULL
    ) AS overtaken,
    coalesce((
      SELECT e.remote FROM deliveries e
      WHERE e.subject <> '' AND e.channel = t.channel AND e.subject = t.subject AND e.outbox_id < t.outbox_id AND e.remote <> ''
      ORDER BY e.outbox_id DESC LIMIT 1
    ), '') AS earlier
  FROM taken t JOIN outbox o ON o.id = t.outbox_id
  ORDER BY t.outbox_id`

/** Longer reasons are cut: they are for a list. */
const MAX_REASON = 500

/**
 * Records what became of a try.
 *
 * @returns false when the lease ran out and somebody else has it: what they record stands
 */
export async function record(sql: Sql, { rowId, lease }: Leased, outcome: DeliveryOutcome): Promise<boolean> {
  return (await write(sql, rowId, lease, outcome)) === 1
}

function write(sql: Sql, rowId: string, lease: string, outcome: DeliveryOutcome): Promise<number> {
  const mine = 'WHERE id = $1 AND lease = $2 AND done_at IS NULL AND dead_at IS NULL'
  switch (outcome.kind) {
    case 'sent':
      return sql.execute(
        `UPDATE deliveries SET done_at = clock_timestamp(), lease = NULL, remote = $3, last_error = '' ${mine}`,
        [rowId, lease, storable(outcome.remote)],
      )
    case 'retry':
      return sql.execute(
        `UPDATE deliveries SET next_at = clock_timestamp() + make_interval(secs => $3 / 1000.0), lease = NULL,
           attempts = attempts - $4, last_error = $5 ${mine}`,
        [rowId, lease, outcome.afterMs, outcome.counts ? 0 : 1, storable(outcome.why)],
      )
    case 'dead':
      return sql.execute(`UPDATE deliveries SET dead_at = clock_timestamp(), lease = NULL, last_error = $3 ${mine}`, [
        rowId,
        lease,
        storable(outcome.why),
      ])
    default:
      return assertNever(outcome)
  }
}

/** PostgreSQL's text holds every character but U+0000. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd').slice(0, MAX_REASON)
}
