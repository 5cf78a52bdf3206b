import { type ApiKey, type KeyAdmin, KeyRefused, type KeyWish, type NewKey } from '../model/api-key.js'
import { ROLES, type Role } from '../model/identity.js'
import { type Database, json, type Sql, type Transaction } from '../store/database.js'
import { advanceEpoch } from '../store/epoch.js'
import { writeEvents } from '../store/events/write.js'
import type { StoredKey } from './api-key.js'
import { mintKey } from './key-format.js'
import { Keyring } from './keyring.js'
import type { Pepper } from './pepper.js'

const DEFAULT_DAYS = 90
const MOST_DAYS = 366
/** Of one subject: a new one can be brought out before the old one goes. */
const MOST_LIVE = 2
export const BOOTSTRAP_SUBJECT = 'bootstrap'
const BOOTSTRAP_DAYS = 1

const COLUMNS = `key_id AS "keyId", tenant, subject, roles, approver_roles AS "approverRoles", attributes, labels, owner,
  created_at AS "createdMs", created_by AS "createdBy", expires_at AS "expiresMs", revoked_at AS "revokedMs",
  last_used_at AS "lastUsedMs"`
const STORED = `${COLUMNS}, digest, pepper_id AS "pepperId"`
const LIVE = 'revoked_at IS NULL AND expires_at > clock_timestamp()'

export interface KeyStoreOptions {
  /** Of an installation; part of every key: 1 to 16 lower-case letters and digits. @default `live` */
  readonly environment?: string
  /** Waited for before a change is answered: this instance acts by it when the admin reads that it does. */
  readonly afterChange?: () => Promise<void>
}

/** API keys in the control store. Secrets leave it in the answer that makes them, and are not in it. */
export class KeyStore implements KeyAdmin {
  readonly #database: Database
  readonly #pepper: Pepper
  readonly #environment: string
  readonly #afterChange: () => Promise<void>

  constructor(database: Database, pepper: Pepper, options: KeyStoreOptions = {}) {
    this.#database = database
    this.#pepper = pepper
    this.#environment = options.environment ?? 'live'
    this.#afterChange = options.afterChange ?? (async () => undefined)
  }

  create(tenant: string, wish: KeyWish, by: string): Promise<NewKey> {
    checkWish(wish)
    return this.#change(async (tx) => {
      await advanceEpoch(tx)
      await refuseThird(tx, tenant, wish.subject)
      const made = await this.#insert(tx, tenant, wish, by)
      await note(tx, 'key.created', made.key, by, holds(made.key))
      // The way in has done its work once there is an admin who can do it.
      if (wish.roles.includes('admin')) await revokeBootstrap(tx, made.key.keyId)
      return made
    })
  }

  rotate(tenant: string, keyId: string, days: number, by: string): Promise<NewKey> {
    return this.#change(async (tx) => {
      await advanceEpoch(tx)
      const key = await find(tx, tenant, keyId)
      if (key.revokedMs !== null) throw new KeyRefused('REVOKED', 'a revoked key has no successor; make a new one')
      const wish = { ...key, days }
      checkWish(wish)
      await refuseThird(tx, tenant, key.subject)
      const made = await this.#insert(tx, tenant, wish, by)
      await note(tx, 'key.rotated', made.key, by, `successor of ${keyId}`)
      return made
    })
  }

  revoke(tenant: string, keyId: string, by: string, why: string): Promise<ApiKey> {
    return this.#change(async (tx) => {
      await advanceEpoch(tx)
      const key = await find(tx, tenant, keyId)
      const revoked = await tx.execute(
        `UPDATE api_keys SET revoked_at = clock_timestamp(), revoked_by = $3, revoked_why = $4
         WHERE tenant = $1 AND key_id = $2 AND revoked_at IS NULL`,
        [tenant, keyId, by, why],
      )
      if (revoked > 0) await note(tx, 'key.revoked', key, by, why)
      return find(tx, tenant, keyId)
    })
  }

  list(tenant: string, includeEnded: boolean): Promise<readonly ApiKey[]> {
    return this.#database.query<ApiKey>(
      `SELECT ${COLUMNS} FROM api_keys WHERE tenant = $1 AND ($2 OR ${LIVE}) ORDER BY subject, created_at, key_id`,
      [tenant, includeEnded],
    )
  }

  /** A key for the first admin, where nobody could make one: good for a day, and gone once an admin's key is made. */
  bootstrap(tenant: string): Promise<NewKey | null> {
    return this.#change(async (tx) => {
      await advanceEpoch(tx)
      const admins = await tx.query(`SELECT 1 FROM api_keys WHERE 'admin' = ANY (roles) AND ${LIVE} LIMIT 1`)
      if (admins.length > 0) return null
      const nobody = { approverRoles: [], attributes: {}, labels: {}, owner: '' }
      const wish = { subject: BOOTSTRAP_SUBJECT, roles: ['admin'] as const, ...nobody, days: BOOTSTRAP_DAYS }
      const made = await this.#insert(tx, tenant, wish, 'the server')
      await note(tx, 'key.created', made.key, 'the server', 'no admin has a key')
      return made
    })
  }

  /** Notes, to the hour, that keys were used. */
  async markUsed(keyIds: readonly string[]): Promise<void> {
    if (keyIds.length === 0) return
    await this.#database.execute(
      `UPDATE api_keys SET last_used_at = date_trunc('hour', clock_timestamp())
       WHERE key_id = ANY ($1) AND (last_used_at IS NULL OR last_used_at < date_trunc('hour', clock_timestamp()))`,
      [keyIds],
    )
  }

  async #change<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    const made = await this.#database.transaction(run)
    await this.#afterChange()
    return made
  }

  async #insert(tx: Transaction, tenant: string, wish: KeyWish, by: string): Promise<NewKey> {
    const { text, keyId } = mintKey(this.#environment)
    const { subject, roles, approverRoles, attributes, labels, owner } = wish
    const days = wish.days === 0 ? DEFAULT_DAYS : wish.days
    const [key] = await tx.query<ApiKey>(
      `INSERT INTO api_keys (key_id, tenant, subject, roles, approver_roles, attributes, labels, owner, digest, pepper_id,
         created_by, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, clock_timestamp() + make_interval(days => $12))
       RETURNING ${COLUMNS}`,
      [
        keyId,
        tenant,
        subject,
        [...roles],
        [...approverRoles],
        json(attributes),
        json(labels),
        owner,
        this.#pepper.digestOf(text),
        this.#pepper.id,
        by,
        days,
      ],
    )
    return { key: key!, secret: text }
  }
}

/** Every key that was ever made; ended ones, too, for their existence is what closes a server to those without. */
export function allKeys(
  pepper: Pepper,
  onProved: (keyId: string) => void,
  put: (keyring: Keyring) => void,
): (tx: Transaction) => Promise<() => void> {
  return async (tx) => {
    const keyring = new Keyring(await tx.query<StoredKey>(`SELECT ${STORED} FROM api_keys`), pepper, onProved)
    return () => put(keyring)
  }
}

async function find(sql: Sql, tenant: string, keyId: string): Promise<ApiKey> {
  const [key] = await sql.query<ApiKey>(`SELECT ${COLUMNS} FROM api_keys WHERE tenant = $1 AND key_id = $2`, [
    tenant,
    keyId,
  ])
  if (key === undefined) throw new KeyRefused('NOT_FOUND', 'no key of this tenant has this id')
  return key
}

async function refuseThird(tx: Transaction, tenant: string, subject: string): Promise<void> {
  const live = await tx.query(`SELECT 1 FROM api_keys WHERE tenant = $1 AND subject = $2 AND ${LIVE}`, [
    tenant,
    subject,
  ])
  if (live.length < MOST_LIVE) return
  throw new KeyRefused('TOO_MANY', `${subject} has ${MOST_LIVE} live keys already; revoke one first`)
}

async function revokeBootstrap(tx: Transaction, by: string): Promise<void> {
  const why = 'an admin has a key'
  const revoked = await tx.query<ApiKey>(
    `UPDATE api_keys SET revoked_at = clock_timestamp(), revoked_by = $2, revoked_why = $3
     WHERE subject = $1 AND revoked_at IS NULL RETURNING ${COLUMNS}`,
    [BOOTSTRAP_SUBJECT, by, why],
  )
  for (const key of revoked) await note(tx, 'key.revoked', key, by, why)
}

async function note(tx: Transaction, kind: string, key: ApiKey, actor: string, why: string): Promise<void> {
  const { tenant, keyId: subject, subject: state } = key
  await writeEvents(tx, [{ tenant, kind, subject, actor, why, state }])
}

/** What a key is good for, in words. */
function holds({ roles, approverRoles }: ApiKey): string {
  return `${roles.join(', ')}${approverRoles.length === 0 ? '' : `; approves as ${approverRoles.join(', ')}`}`
}

function checkWish(wish: KeyWish): void {
  const { subject, roles, approverRoles, labels, owner, days } = wish
  const known: readonly Role[] = ROLES
  const problems = [
    subject === '' && 'subject is empty',
    subject === BOOTSTRAP_SUBJECT && `\`${BOOTSTRAP_SUBJECT}\` is the server's own key; choose another subject`,
    roles.length === 0 && `roles is empty; give at least one of ${ROLES.join(', ')}`,
    roles.some((role) => !known.includes(role)) && `a role is none of ${ROLES.join(', ')}`,
    approverRoles.length > 0 && !roles.includes('approver') && 'approver_roles need the role approver',
    approverRoles.length === 0 &&
      roles.includes('approver') &&
      'an approver needs approver_roles: what policies ask for',
    Object.keys(labels).length > 0 && !roles.includes('agent') && 'labels are of agents only',
    owner !== '' && !roles.includes('agent') && 'only an agent has an owner',
    // An agent that could approve its own calls, or undo its own stop, needs no approval at all.
    roles.includes('agent') && roles.length > 1 && 'an agent has no other role',
    !(days >= 0 && days <= MOST_DAYS) && `days is not from 1 to ${MOST_DAYS}`,
  ].filter((problem) => problem !== false)
  if (problems.length > 0) throw new KeyRefused('INVALID', problems.join('; '))
}
