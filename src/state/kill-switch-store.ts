import type { Caller } from '../model/identity.js'
import type { KillScope, KillSwitch } from '../model/kill-switch.js'
import { uuidv7 } from '../model/uuid.js'
import type { Database, Sql, Transaction } from '../store/database.js'
import { advanceEpoch } from '../store/epoch.js'
import { writeEvents } from '../store/events/write.js'
import { writeOutbox } from '../store/outbox/index.js'
import type { ControlPart } from './control-state.js'
import { killNotice } from './kill-notices.js'
import { KillSwitches } from './kill-switches.js'

/** What an engagement ended at once. */
export interface Ended {
  readonly approvalsEnded: number
  readonly grantsRevoked: number
}

/** A switch as operators see it. */
export interface KillSwitchView extends KillSwitch, Ended {
  /** Every instance that lives, and whether it denies by this switch (or, once released, no longer does). */
  readonly confirmations: readonly {
    readonly instance: string
    readonly isConfirmed: boolean
    readonly seenMs: number
  }[]
}

export type KillRefusal = 'NOT_FOUND' | 'ALREADY_RELEASED' | 'SAME_PERSON' | 'NOT_FLEET_OPERATOR'

export class KillSwitchRefused extends Error {
  override readonly name = 'KillSwitchRefused'
  constructor(
    readonly code: KillRefusal,
    message: string,
  ) {
    super(message)
  }
}

export interface KillSwitchStoreOptions {
  readonly database: Database
  /** Operators of this tenant may stop and release the whole fleet. */
  readonly fleetTenant: string
  readonly nowMs: () => number
  /** Waited for before a change is answered: this instance acts by it when the operator reads that it does. */
  readonly afterChange: () => Promise<void>
  /**
   * Cancels what waits and revokes what was granted under the switch, in the transaction that engages it; and once more in the
   * one that releases it, for what was opened before `openedUntilMs` only: what was under way when it was engaged.
   */
  readonly endUnder: (tx: Transaction, by: KillSwitch, openedUntilMs: number | null) => Promise<Ended>
}

/** An instance that was not seen for so long is gone, and nobody waits for it to confirm. */
const GONE_MS = 15_000
/** Longer than a transaction can last that opens a request. */
const UNDER_WAY_MS = 60_000
const MOST_LISTED = 1_000

const COLUMNS = `id, scope, tenant, target, reason, engaged_by AS "engagedBy", engaged_at AS "engagedMs",
  release_asked_by AS "releaseAskedBy", release_reason AS "releaseReason", released_by AS "releasedBy",
  released_at AS "releasedMs", epoch, approvals_ended AS "approvalsEnded", grants_revoked AS "grantsRevoked"`

type Row = KillSwitch & Ended & { readonly epoch: number }

/** Kill switches in the control store: one person engages, two release. */
export class KillSwitchStore {
  readonly #options: KillSwitchStoreOptions

  constructor(options: KillSwitchStoreOptions) {
    this.#options = options
  }

  /**
   * Engaged once this resolves. Engaging what is engaged already changes nothing and returns it: in an emergency two operators
   * press the same button.
   */
  async engage(caller: Caller, scope: KillScope, target: string, reason: string): Promise<KillSwitchView> {
    if (scope === 'fleet') this.#mayTouchFleet(caller)
    const { database, nowMs, endUnder } = this.#options
    const tenant = scope === 'fleet' ? '' : caller.tenant
    const row = await database.transaction(async (tx) => {
      // The epoch's lock first, so that two who engage at a time do it one after the other.
      const epoch = await advanceEpoch(tx)
      const [engaged] = await tx.query<Row>(
        `SELECT ${COLUMNS} FROM kill_switches WHERE scope = $1 AND tenant = $2 AND target = $3 AND released_at IS NULL`,
        [scope, tenant, target],
      )
      if (engaged !== undefined) return engaged
      const [made] = await tx.query<Row>(
        `INSERT INTO kill_switches (id, scope, tenant, target, reason, engaged_by, epoch)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${COLUMNS}`,
        [uuidv7(nowMs()), scope, tenant, target, reason, caller.id, epoch],
      )
      const ended = await endUnder(tx, made!, null)
      await tx.execute('UPDATE kill_switches SET approvals_ended = $2, grants_revoked = $3 WHERE id = $1', [
        made!.id,
        ended.approvalsEnded,
        ended.grantsRevoked,
      ])
      await tell(tx, 'engaged', made!, caller, reason)
      return { ...made!, ...ended }
    })
    return this.#changed(row)
  }

  /** The first person asks, the second completes it. @throws {KillSwitchRefused} */
  async release(caller: Caller, id: string, reason: string): Promise<KillSwitchView> {
    const { database, endUnder } = this.#options
    const changed = await database.transaction(async (tx) => {
      const epoch = await advanceEpoch(tx)
      const [row] = await tx.query<Row>(
        `SELECT ${COLUMNS} FROM kill_switches WHERE id = $1 AND tenant IN ($2, '') FOR UPDATE`,
        [id, caller.tenant],
      )
      if (row === undefined) throw new KillSwitchRefused('NOT_FOUND', 'no kill switch of this tenant has this id')
      if (row.scope === 'fleet') this.#mayTouchFleet(caller)
      if (row.releasedMs !== null) {
        throw new KillSwitchRefused('ALREADY_RELEASED', `the kill switch was released by ${row.releasedBy} already`)
      }
      if (row.releaseAskedBy === '') {
        const asked = 'UPDATE kill_switches SET release_asked_by = $2, release_reason = $3'
        const changed = await one(tx, `${asked} WHERE id = $1 RETURNING ${COLUMNS}`, [id, caller.id, reason])
        await tell(tx, 'release-asked', changed, caller, reason)
        return changed
      }
      if (row.releaseAskedBy === caller.id) {
        throw new KillSwitchRefused('SAME_PERSON', 'you asked for the release; a second person has to confirm it')
      }
      const released = 'UPDATE kill_switches SET released_by = $2, released_at = clock_timestamp(), epoch = $3'
      const { approvalsEnded, grantsRevoked } = await endUnder(tx, row, row.engagedMs + UNDER_WAY_MS)
      const ended = 'approvals_ended = approvals_ended + $4, grants_revoked = grants_revoked + $5'
      const values = [id, caller.id, epoch, approvalsEnded, grantsRevoked]
      const changed = await one(tx, `${released}, ${ended} WHERE id = $1 RETURNING ${COLUMNS}`, values)
      await tell(tx, 'released', changed, caller, reason)
      return changed
    })
    return this.#changed(changed)
  }

  /** Those of the tenant and of the fleet, the newest first, at most 1,000. */
  async list(tenant: string, includeReleased: boolean): Promise<readonly KillSwitchView[]> {
    const { database } = this.#options
    const rows = await database.query<Row>(
      `SELECT ${COLUMNS} FROM kill_switches WHERE tenant IN ($1, '') AND ($2 OR released_at IS NULL)
       ORDER BY engaged_at DESC, id DESC LIMIT ${MOST_LISTED}`,
      [tenant, includeReleased],
    )
    return Promise.all(rows.map((row) => this.#view(database, row)))
  }

  async #changed(row: Row): Promise<KillSwitchView> {
    const { database, afterChange } = this.#options
    await afterChange()
    return this.#view(database, row)
  }

  async #view(sql: Sql, { epoch, ...row }: Row): Promise<KillSwitchView> {
    const instances = await sql.query<{ instance: string; isConfirmed: boolean; seenMs: number }>(
      `SELECT instance, epoch >= $1 AS "isConfirmed", seen_at AS "seenMs" FROM instances
       WHERE seen_at > clock_timestamp() - make_interval(secs => $2) ORDER BY instance`,
      [epoch, GONE_MS / 1_000],
    )
    return { ...row, confirmations: instances }
  }

  #mayTouchFleet({ tenant }: Caller): void {
    const { fleetTenant } = this.#options
    if (tenant === fleetTenant) return
    throw new KillSwitchRefused(
      'NOT_FLEET_OPERATOR',
      `only operators of tenant ${fleetTenant} stop or release the fleet`,
    )
  }
}

/** Tells people, and the audit: that under the tenant of who did it, for a switch of the fleet has none. */
async function tell(
  tx: Transaction,
  what: 'engaged' | 'release-asked' | 'released',
  row: Row,
  { id: actor, tenant }: Caller,
  why: string,
): Promise<void> {
  const { id: subject, scope, target } = row
  const state = target === '' ? scope : `${scope} ${target}`
  await writeOutbox(tx, killNotice(what, row))
  await writeEvents(tx, [{ tenant, kind: `kill.${what}`, subject, actor, why, state }])
}

async function one(tx: Transaction, sql: string, values: readonly (string | number)[]): Promise<Row> {
  const [row] = await tx.query<Row>(sql, values)
  return row!
}

/** As decisions ask {@link KillSwitches}, with what is engaged in the store at this moment. */
export async function engagedNow(sql: Sql, tenant: string): Promise<KillSwitches> {
  return new KillSwitches(
    await sql.query<Row>(
      `SELECT ${COLUMNS} FROM kill_switches WHERE released_at IS NULL AND tenant IN ($1, '') ORDER BY id`,
      [tenant],
    ),
  )
}

/** Every switch that is engaged, of all tenants. */
export function engagedSwitches(put: (switches: KillSwitches) => void): ControlPart {
  return async (tx) => {
    const rows = await tx.query<Row>(`SELECT ${COLUMNS} FROM kill_switches WHERE released_at IS NULL ORDER BY id`)
    const switches = new KillSwitches(rows)
    return () => put(switches)
  }
}
