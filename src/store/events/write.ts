import type { ControlEvent } from '../../model/control-event.js'
import { json, type Sql } from '../database.js'

/** An event as its place says it; what is left out is empty. */
export type EventRow = Pick<ControlEvent, 'tenant' | 'kind' | 'subject' | 'actor' | 'why'> &
  Partial<Pick<ControlEvent, 'state' | 'agent' | 'tool'>>

/** Says who did what and why, in the transaction that does it: both come true or neither does. */
export async function writeEvents(tx: Sql, events: readonly EventRow[]): Promise<void> {
  if (events.length === 0) return
  const rows = events.map(({ tenant, kind, subject, actor, why, state = '', agent = '', tool = '' }) => ({
    tenant: plain(tenant),
    kind,
    subject: plain(subject),
    actor: plain(actor),
    why: plain(why),
    state: plain(state),
    agent: plain(agent),
    tool: plain(tool),
  }))
  await tx.execute(
    `INSERT INTO control_events (tenant, kind, subject, actor, why, state, agent, tool)
     SELECT x.* FROM json_to_recordset($1::json) AS x(tenant text, kind text, subject text, actor text, why text, state text,
       agent text, tool text)`,
    [json(rows)],
  )
}

/** PostgreSQL's text holds every character but U+0000. */
function plain(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}
