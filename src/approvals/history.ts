import type { ApprovalEvent, ApprovalRequest, ApprovalState } from '../model/approval.js'
import type { Caller } from '../model/identity.js'
import { isUuid } from '../model/uuid.js'
import { type Sql, type SqlValue, timestamp } from '../store/database.js'
import { lentSeats } from './lent-seats.js'
import { voteFault } from './machine.js'
import { type People, seatOf } from './people.js'
import { plain, readRequest } from './rows.js'
import type { Seat } from './seats.js'

/** Which requests; empty and null ask for all. */
export interface ApprovalFilter {
  readonly states: readonly ApprovalState[]
  readonly agent: string
  readonly tool: string
  readonly ruleId: string
  readonly principal: string
  readonly sessionId: string
  /** Only those on which the caller may vote now, from their own seat or a lent one. */
  readonly mine: boolean
  /** Only those whose broken glass nobody has reviewed. */
  readonly unreviewed: boolean
  /** Opened from here on, and before that. */
  readonly fromMs: number | null
  readonly untilMs: number | null
  /** Words, all of which must stand in the reason, a comment or a name, in any case. */
  readonly text: string
}

export const NO_FILTER: ApprovalFilter = {
  states: [],
  agent: '',
  tool: '',
  ruleId: '',
  principal: '',
  sessionId: '',
  mine: false,
  unreviewed: false,
  fromMs: null,
  untilMs: null,
  text: '',
}

export interface ApprovalPage {
  /** Newest first. */
  readonly requests: readonly ApprovalRequest[]
  /** Empty: there is no more. */
  readonly nextPageToken: string
}

export const MOST_A_PAGE = 500
/** Words that one search may hold. */
const MOST_WORDS = 8

/** The page token is none of ours. */
export class BadPageToken extends Error {
  override readonly name = 'BadPageToken'
}

/**
 * @param limit 1 to 500
 * @param pageToken of an earlier page, or empty
 * @throws {BadPageToken}
 */
export async function listApprovals(
  sql: Sql,
  people: People | null,
  caller: Caller,
  filter: ApprovalFilter,
  limit: number,
  pageToken: string,
): Promise<ApprovalPage> {
  const most = Math.min(Math.max(1, limit), MOST_A_PAGE)
  const seats = filter.mine && caller.keyId !== '' ? await seatsOf(sql, people, caller) : null
  const kept: ApprovalRequest[] = []
  let after = pageToken
  for (;;) {
    const page = await readPage(sql, caller, filter, seats, most, after)
    for (const { request, token } of page) {
      if (seats?.every((seat) => voteFault(request, seat) !== null)) continue
      if (kept.length === most) return { requests: kept, nextPageToken: after }
      kept.push(request)
      after = token
    }
    if (page.length <= most) return { requests: kept, nextPageToken: '' }
    after = page.at(-1)!.token
  }
}

/** What happened to a request, in order. */
export async function eventsOf(sql: Sql, tenant: string, approvalId: string): Promise<readonly ApprovalEvent[]> {
  const rows = await sql.query<Omit<ApprovalEvent, 'atMs' | 'by' | 'shownDigest' | 'approvalId'> & EventRow>(
    `SELECT version, kind, at, actor, why, state, shown_digest FROM approval_events
     WHERE approval_id = $1 AND tenant = $2 ORDER BY version`,
    [approvalId, plain(tenant)],
  )
  return rows.map(({ at: atMs, actor: by, shown_digest: shownDigest, ...event }) => ({
    ...event,
    approvalId,
    atMs,
    by,
    shownDigest,
  }))
}
interface EventRow {
  readonly at: number
  readonly actor: string
  readonly shown_digest: string
}

async function seatsOf(sql: Sql, people: People | null, caller: Caller): Promise<readonly Seat[]> {
  const own = seatOf({ id: caller.id, roles: caller.approverRoles, attributes: caller.attributes })
  return [own, ...(await lentSeats(sql, people, caller))]
}

async function readPage(
  sql: Sql,
  caller: Caller,
  filter: ApprovalFilter,
  seats: readonly Seat[] | null,
  most: number,
  after: string,
): Promise<readonly { readonly request: ApprovalRequest; readonly token: string }[]> {
  const values: SqlValue[] = []
  const put = (value: SqlValue): string => `$${values.push(value)}`
  const where = [`tenant = ${put(plain(caller.tenant))}`]
  const equal = { agent: filter.agent, tool: filter.tool, principal: filter.principal, session_id: filter.sessionId }
  for (const [column, value] of Object.entries(equal)) if (value !== '') where.push(`${column} = ${put(plain(value))}`)
  const isAgent = caller.keyId !== '' && caller.roles.every((role) => role === 'agent')
  if (isAgent) where.push(`agent = ${put(plain(caller.id))}`)
  if (filter.states.length > 0) where.push(`state = ANY(${put(filter.states)}::text[])`)
  if (filter.mine) where.push(`state = 'PENDING'`)
  if (seats !== null) where.push(`roles && ${put(seats.flatMap(({ roles }) => roles).map(plain))}::text[]`)
  if (filter.unreviewed) where.push('unreviewed')
  if (filter.ruleId !== '') where.push(`${put(plain(filter.ruleId))} = ANY(rule_ids)`)
  if (filter.fromMs !== null) where.push(`created_at >= ${put(timestamp(filter.fromMs))}`)
  if (filter.untilMs !== null) where.push(`created_at < ${put(timestamp(filter.untilMs))}`)
  for (const word of filter.text.split(/\s+/).filter(Boolean).slice(0, MOST_WORDS)) {
    const like = put(`%${plain(word).replace(/[\\%_]/g, '\\$&')}%`)
    const names = "concat_ws(E'\\n', reason, agent, principal, tool, array_to_string(rule_ids, E'\\n'))"
    where.push(
      `(${names} ILIKE ${like} OR EXISTS (SELECT FROM approval_events e WHERE e.approval_id = a.id
        AND concat_ws(E'\\n', e.actor, e.why) ILIKE ${like}))`,
    )
  }
  if (after !== '') {
    const [micros, id] = readToken(after)
    where.push(`(created_at, id) < (to_timestamp(${put(micros)}::numeric / 1000000), ${put(id)}::uuid)`)
  }
  const rows = await sql.query<{ doc: string; id: string; micros: string }>(
    `SELECT doc, id, floor(extract(epoch FROM created_at) * 1000000)::text AS micros FROM approvals a
     WHERE ${where.join(' AND ')} ORDER BY created_at DESC, id DESC LIMIT ${most + 1}`,
    values,
  )
  return rows.map(({ doc, id, micros }) => ({ request: readRequest(doc), token: `${micros}.${id}` }))
}

function readToken(token: string): readonly [string, string] {
  const [, micros = '', id = ''] = /^(\d{1,17})\.([0-9a-f-]{36})$/.exec(token) ?? []
  if (micros === '' || !isUuid(id))
    throw new BadPageToken('the page token is none of ours: take it from an earlier answer')
  return [micros, id]
}
