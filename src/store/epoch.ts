import type { Sql, Transaction } from './database.js'
import { notify } from './listener.js'

/** Where changes of control state are announced. */
export const CONTROL_CHANNEL = 'control'

/**
 * Counts one change of what every instance has to know and confirm, in the transaction that makes it. Such changes happen one
 * after the other: the row is locked until the commit, so that a larger epoch never becomes visible before a smaller one.
 *
 * @returns the epoch from which on the change holds
 */
export async function advanceEpoch(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ epoch: number }>('UPDATE control_epoch SET epoch = epoch + 1 RETURNING epoch')
  if (row === undefined) throw new TypeError('the control store has no epoch')
  await notify(tx, CONTROL_CHANNEL, String(row.epoch))
  return row.epoch
}

export async function currentEpoch(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ epoch: number }>('SELECT epoch FROM control_epoch')
  if (row === undefined) throw new TypeError('the control store has no epoch')
  return row.epoch
}
