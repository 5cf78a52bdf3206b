import type { DeliveryPort } from '../../model/delivery.js'
import type { Database } from '../database.js'

const MOST_AT_A_TIME = 200

/**
 * Gives every new row of the outbox a delivery for each channel that takes it, until no new row is left. Any number of
 * instances may do so at once: a row is locked by one of them, and is done in the transaction that makes its deliveries.
 *
 * @returns the names of channels that have something to send now
 */
export async function fanOut(
  database: Database,
  channels: readonly Pick<DeliveryPort, 'name' | 'accepts'>[],
): Promise<ReadonlySet<string>> {
  const due = new Set<string>()
  for (;;) {
    const taken = await database.transaction(async (tx) => {
      const rows = await tx.query<{ id: string; tenant: string; kind: string }>(
        `SELECT id::text, tenant, kind FROM outbox WHERE done_at IS NULL AND dead_at IS NULL
         ORDER BY next_at, id LIMIT ${MOST_AT_A_TIME} FOR UPDATE SKIP LOCKED`,
      )
      if (rows.length === 0) return { rows: 0, names: [] }
      const pairs = rows.flatMap(({ id, kind, tenant }) =>
        channels.filter((channel) => channel.accepts(kind, tenant)).map(({ name }) => ({ id, name })),
      )
      await tx.query(INSERT, [rows.map(({ id }) => id), pairs.map(({ id }) => id), pairs.map(({ name }) => name)])
      return { rows: rows.length, names: pairs.map(({ name }) => name) }
    })
    for (const name of taken.names) due.add(name)
    if (taken.rows < MOST_AT_A_TIME) return due
  }
}

/** Subjects are what the payload names, so that messages about one thing are found again. */
const INSERT = `
  WITH taken AS (UPDATE outbox SET done_at = clock_timestamp() WHERE id = ANY ($1::text[]::bigint[]) RETURNING id, tenant, payload)
  INSERT INTO deliveries (outbox_id, channel, tenant, subject)
  SELECT taken.id, pair.channel, taken.tenant, coalesce(taken.payload ->> 'approvalId', taken.payload ->> 'switchId', '')
  FROM unnest($2::text[]::bigint[], $3::text[]) AS pair (id, channel) JOIN taken USING (id)
  ON CONFLICT (outbox_id, channel) DO NOTHING`
