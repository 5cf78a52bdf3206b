import type { Attributes, Delegation } from '../model/approval.js'
import { canonicalJson } from '../model/canonical-json.js'
import type { Caller } from '../model/identity.js'
import type { JsonValue } from '../model/json.js'
import { parseJsonObject } from '../model/parse-json.js'
import { isUuid, uuidv7 } from '../model/uuid.js'
import { type Database, type Sql, timestamp } from '../store/database.js'
import { type EventRow, writeEvents } from '../store/events/write.js'
import type { People } from './people.js'
import { type Refusal, refuse } from './refusal.js'
import { clockMs } from './requests.js'
import { plain } from './rows.js'
import { personKey, type Seat } from './seats.js'

/** A seat is lent for no longer. */
export const MOST_DELEGATION_MS = 30 * 24 * 3_600_000

export interface DelegationWish {
  readonly to: string
  /** Empty: every role. */
  readonly role: string
  /** Null: from now. */
  readonly fromMs: number | null
  readonly untilMs: number
}

interface DelegationRow {
  readonly id: string
  readonly tenant: string
  readonly from_person: string
  readonly to_person: string
  readonly role: string
  readonly held: string
  readonly from_at: number
  readonly until_at: number
  readonly revoked_at: number | null
}

const COLUMNS = 'id, tenant, from_person, to_person, role, held, from_at, until_at, revoked_at'

/** Lends the caller's own seat. */
export async function lendSeat(
  database: Database,
  people: People | null,
  caller: Caller,
  wish: DelegationWish,
): Promise<Delegation | Refusal> {
  const { to, role, untilMs } = wish
  const nowMs = await clockMs(database)
  const fromMs = Math.max(wish.fromMs ?? nowMs, nowMs)
  if (to.trim() === '' || Buffer.byteLength(to) > 256)
    return refuse('INVALID', 'name the person to lend to, in at most 256 bytes')
  if (personKey(to) === personKey(caller.id)) return refuse('DELEGATION_REFUSED', 'a seat is lent to somebody else')
  if (role !== '' && !caller.approverRoles.includes(role)) {
    return refuse(
      'DELEGATION_REFUSED',
      `you do not hold \`${role}\` yourself: lend a role of your own, a lent one is not lent on`,
    )
  }
  if (!(untilMs > fromMs)) return refuse('INVALID', 'the end must come after the beginning and after now')
  if (untilMs - fromMs > MOST_DELEGATION_MS) return refuse('INVALID', 'a seat is lent for at most 30 days')
  // By the name of their key, for that is who votes.
  const known =
    people === null ? to : people.approversOf(caller.tenant).find(({ id }) => personKey(id) === personKey(to))?.id
  if (known === undefined) {
    return refuse('DELEGATION_REFUSED', `nobody here is \`${to}\`: lend to somebody with a key of role approver`)
  }
  return database.transaction(async (tx) => {
    const [row] = await tx.query<DelegationRow>(
      `INSERT INTO delegations (id, tenant, from_person, to_person, role, held, from_at, until_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ${COLUMNS}`,
      [
        uuidv7(nowMs),
        plain(caller.tenant),
        plain(caller.id),
        plain(known),
        plain(role),
        canonicalJson({ roles: caller.approverRoles, attributes: caller.attributes } as JsonValue),
        timestamp(fromMs),
        timestamp(untilMs),
      ],
    )
    const lent = readDelegation(row!)
    const span = `from ${timestamp(lent.fromMs)} until ${timestamp(lent.untilMs)}`
    const why = `${role === '' ? 'every role' : `role ${role}`}, ${span}`
    await writeEvents(tx, [seatEvent('seat.lent', lent, caller, why)])
    return lent
  })
}

/** All of the tenant that are not over, newest first. */
export async function listDelegations(sql: Sql, tenant: string): Promise<readonly Delegation[]> {
  const rows = await sql.query<DelegationRow>(
    `SELECT ${COLUMNS} FROM delegations WHERE tenant = $1 AND revoked_at IS NULL AND until_at > clock_timestamp()
     ORDER BY id DESC LIMIT 1000`,
    [plain(tenant)],
  )
  return rows.map(readDelegation)
}

/** By who lent it, or an operator. */
export async function takeSeatBack(database: Database, caller: Caller, id: string): Promise<Delegation | Refusal> {
  const mayAny = caller.roles.includes('operator')
  return database.transaction(async (tx) => {
    const [row] = isUuid(id)
      ? await tx.query<DelegationRow>(
          `SELECT ${COLUMNS} FROM delegations WHERE id = $1 AND tenant = $2 AND ($3 OR from_person = $4) FOR UPDATE`,
          [id, plain(caller.tenant), mayAny, plain(caller.id)],
        )
      : []
    if (row === undefined) return refuse('NOT_FOUND', 'you lent nothing of this id')
    if (row.revoked_at !== null) return readDelegation(row)
    const [taken] = await tx.query<DelegationRow>(
      `UPDATE delegations SET revoked_at = clock_timestamp() WHERE id = $1 RETURNING ${COLUMNS}`,
      [id],
    )
    await writeEvents(tx, [seatEvent('seat.taken-back', readDelegation(taken!), caller, `lent by ${row.from_person}`)])
    return readDelegation(taken!)
  })
}

function seatEvent(kind: string, { id, tenant, to }: Delegation, { id: actor }: Caller, why: string): EventRow {
  return { tenant, kind, subject: id, actor, why, state: to }
}

/** The seat of `from` as it is lent to this person now, with the roles that `from` holds themselves now; null for none. */
export async function lentSeat(sql: Sql, people: People | null, caller: Caller, from: string): Promise<Seat | null> {
  const seats = await lentSeats(sql, people, caller)
  return seats.find(({ onBehalfOf }) => personKey(onBehalfOf) === personKey(from)) ?? null
}

/** Every seat that is lent to this person now, one for each lender. */
export async function lentSeats(sql: Sql, people: People | null, caller: Caller): Promise<readonly Seat[]> {
  const rows = await sql.query<DelegationRow>(
    `SELECT ${COLUMNS} FROM delegations WHERE tenant = $1 AND to_person = $2 AND revoked_at IS NULL
       AND from_at <= clock_timestamp() AND until_at > clock_timestamp() ORDER BY id`,
    [plain(caller.tenant), plain(caller.id)],
  )
  const lenders = new Map<string, DelegationRow[]>()
  for (const row of rows) lenders.set(row.from_person, [...(lenders.get(row.from_person) ?? []), row])
  return [...lenders].flatMap(([from, lent]) => {
    const holds = people === null ? held(lent[0]!) : people.approversOf(caller.tenant).find(({ id }) => id === from)
    if (holds === undefined) return []
    const roles = lent.some(({ role }) => role === '')
      ? holds.roles
      : holds.roles.filter((role) => lent.some((one) => one.role === role))
    return roles.length === 0 ? [] : [{ person: caller.id, onBehalfOf: from, roles, attributes: holds.attributes }]
  })
}

function held({ held }: DelegationRow): { readonly roles: readonly string[]; readonly attributes: Attributes } {
  return parseJsonObject(held) as unknown as { roles: readonly string[]; attributes: Attributes }
}

function readDelegation(row: DelegationRow): Delegation {
  const { id, tenant, from_person: from, to_person: to, role, from_at: fromMs, until_at: untilMs } = row
  return { id, tenant, from, to, role, fromMs, untilMs, revokedMs: row.revoked_at }
}
