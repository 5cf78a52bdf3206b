import { isUuid } from '../../model/uuid.js'
import type { Database } from '../database.js'

/** What a channel gave up on. */
export interface DeadLetter {
  readonly id: string
  readonly channel: string
  readonly kind: string
  /** Empty when it is about something else. */
  readonly approvalId: string
  readonly attempts: number
  /** Why the last try failed; may quote what the other side said. */
  readonly lastError: string
  readonly createdMs: number
  readonly givenUpMs: number
}

const COLUMNS = `d.id::text, d.channel, o.kind, coalesce(o.payload ->> 'approvalId', '') AS "approvalId", d.attempts,
  d.last_error AS "lastError", o.created_at AS "createdMs", d.dead_at AS "givenUpMs"`

/** Deliveries that were given up, of a tenant, and sending them again. */
export class DeadLetters {
  readonly #database: Database
  readonly #replayed: () => void

  /** @param replayed told that something is due */
  constructor(database: Database, replayed: () => void = () => undefined) {
    this.#database = database
    this.#replayed = replayed
  }

  /** The latest first. @param limit 1 to 500 */
  list(tenant: string, limit: number): Promise<readonly DeadLetter[]> {
    if (!Number.isInteger(limit) || limit < 1 || limit > 500)
      throw new RangeError(`limit ${limit} is not within 1 to 500`)
    return this.#database.query<DeadLetter>(
      `SELECT ${COLUMNS} FROM deliveries d JOIN outbox o ON o.id = d.outbox_id
       WHERE d.tenant = $1 AND d.dead_at IS NOT NULL ORDER BY d.dead_at DESC, d.id LIMIT $2`,
      [tenant, limit],
    )
  }

  /**
   * Has it sent again, by the whole schedule and under the same id, so that a receiver which had it all the same drops it.
   *
   * @returns the letter as it was, or null when the tenant has no dead letter of this id
   */
  async replay(tenant: string, id: string): Promise<DeadLetter | null> {
    if (!isUuid(id)) return null
    const [letter] = await this.#database.query<DeadLetter>(
      `WITH d AS (
         SELECT * FROM deliveries WHERE id = $1 AND tenant = $2 AND dead_at IS NOT NULL FOR UPDATE
       ), again AS (
         UPDATE deliveries SET dead_at = NULL, attempts = 0, replays = deliveries.replays + 1,
           queued_at = clock_timestamp(), next_at = clock_timestamp()
         FROM d WHERE deliveries.id = d.id
       )
       SELECT ${COLUMNS} FROM d JOIN outbox o ON o.id = d.outbox_id`,
      [id, tenant],
    )
    if (letter === undefined) return null
    this.#replayed()
    return letter
  }
}
