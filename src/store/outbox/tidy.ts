import type { Sql } from '../database.js'

/** What was sent is kept so long, what was given up three times as long. */
const KEPT_DAYS = 30
const MOST_AT_A_TIME = 1_000

/**
 * Forgets what is over, and gives up what waits for a channel that no server has any more: due for a day, and nobody took it.
 *
 * @returns how many deliveries were given up
 */
export async function tidyOutbox(sql: Sql, channels: readonly string[]): Promise<number> {
  await sql.execute(
    `DELETE FROM outbox WHERE id IN (
       SELECT o.id FROM outbox o
       WHERE o.done_at < clock_timestamp() - make_interval(days => $1) AND NOT EXISTS (
         SELECT 1 FROM deliveries d WHERE d.outbox_id = o.id AND d.done_at IS NULL
           AND (d.dead_at IS NULL OR d.dead_at > clock_timestamp() - make_interval(days => $2)))
       ORDER BY o.id LIMIT ${MOST_AT_A_TIME} FOR UPDATE SKIP LOCKED)`,
    [KEPT_DAYS, 3 * KEPT_DAYS],
  )
  return sql.execute(
    `UPDATE deliveries SET dead_at = clock_timestamp(), lease = NULL, last_error = $2
     WHERE done_at IS NULL AND dead_at IS NULL AND channel <> ALL ($1) AND next_at < clock_timestamp() - interval '1 day'`,
    [channels, 'no server has a channel of this name any more: add it again and replay'],
  )
}
