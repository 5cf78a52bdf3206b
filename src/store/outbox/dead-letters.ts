import type { DeadLetter, DeadLetterDesk } from '../../model/delivery.js'
import { isUuid } from '../../model/uuid.js'
import type { Database } from '../database.js'

const COLUMNS = `d.id::text, d.channel, o.kind, coalesce(o.payload ->> 'approvalId', '') AS "approvalId", d.attempts,
  d.last_error AS "lastError", o.created_at AS "createdMs", d.dead_at AS "givenUpMs"`

/** Deliveries that were given up, of a tenant, and sending them again. */
export class DeadLetters implements DeadLetterDesk {
  readonly #database: Database
  readonly #fleetTenant: string
  readonly #replayed: () => void

  /**
   * @param fleetTenant sees what concerns the whole fleet as well
   * @param replayed told that something is due
   */
  constructor(database: Database, fleetTenant: string, replayed: () => void = () => undefined) {
    this.#database = database
    this.#fleetTenant = fleetTenant
    this.#replayed = replayed
  }

  list(tenant: string, limit: number): Promise<readonly DeadLetter[]> {
    if (!Number.isInteger(limit) || limit < 1 || limit > 500)
      throw new RangeError(`limit ${limit} is not within 1 to 500`)
    return this.#database.query<DeadLetter>(
      `SELECT ${COLUMNS} FROM deliveries d JOIN outbox o ON o.id = d.outbox_id
       WHERE d.tenant = ANY ($1) AND d.dead_at IS NOT NULL ORDER BY d.dead_at DESC, d.id LIMIT $2`,
      [this.#seenBy(tenant), limit],
    )
  }

  async replay(tenant: string, id: string): Promise<DeadLetter | null> {
    if (!isUuid(id)) return null
    const [letter] = await this.#database.query<DeadLetter>(
      `WITH d AS (
         SELECT * FROM deliveries WHERE id = $1 AND tenant = ANY ($2) AND dead_at IS NOT NULL FOR UPDATE
       ), again AS (
         UPDATE deliveries SET dead_at = NULL, attempts = 0, replays = deliveries.replays + 1,
           queued_at = clock_timestamp(), next_at = clock_timestamp()
         FROM d WHERE deliveries.id = d.id
       )
       SELECT ${COLUMNS} FROM d JOIN outbox o ON o.id = d.outbox_id`,
      [id, this.#seenBy(tenant)],
    )
    if (letter === undefined) return null
    this.#replayed()
    return letter
  }

  #seenBy(tenant: string): readonly string[] {
    return tenant === this.#fleetTenant ? [tenant, ''] : [tenant]
  }
}
