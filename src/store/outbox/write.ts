import type { JsonObject } from '../../model/json.js'
import { json, type Sql } from '../database.js'

export interface OutboxRow {
  readonly tenant: string
  /** `kill.engaged`: a family, a point, a word. */
  readonly kind: string
  /** Of this happening and of no other, ever: `kill:UUID:engaged`. */
  readonly dedupeKey: string
  readonly payload: JsonObject
}

/**
 * Says that something happened, in the transaction that brings it about: both come true or neither does. What was said
 * before under the same key stays as it is.
 */
export async function writeOutbox(tx: Sql, { tenant, kind, dedupeKey, payload }: OutboxRow): Promise<void> {
  await tx.execute(
    'INSERT INTO outbox (tenant, kind, dedupe_key, payload) VALUES ($1, $2, $3, $4) ON CONFLICT (dedupe_key) DO NOTHING',
    [tenant, kind, dedupeKey, json(payload)],
  )
}
