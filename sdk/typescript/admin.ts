import type { Caller } from './client.js'
import { optionalDate, type Timestamp, toDate } from './timestamp.js'

export type Role = 'agent' | 'approver' | 'operator' | 'auditor' | 'admin'

/** What a new key is to be; docs/api.md says what goes with what. */
export interface KeyWish {
  /** An agent's id, a person's address or a service's name. */
  readonly subject: string
  readonly roles: readonly Role[]
  readonly approverRoles?: readonly string[]
  readonly attributes?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly owner?: string
  /** 1 to 366. @default 90 */
  readonly days?: number
}

export interface ApiKey {
  readonly keyId: string
  readonly subject: string
  readonly roles: readonly Role[]
  readonly approverRoles: readonly string[]
  readonly attributes: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly owner: string
  readonly createdAt: Date
  readonly createdBy: string
  readonly expiresAt: Date
  readonly revokedAt: Date | null
  /** To the hour. */
  readonly lastUsedAt: Date | null
}

export interface NewKey {
  readonly key: ApiKey
  /** The whole key, here and never again. */
  readonly secret: string
}

/** A notice that a channel gave up on. */
export interface DeadLetter {
  readonly letterId: string
  readonly channel: string
  readonly kind: string
  /** Empty when it is about something else. */
  readonly approvalId: string
  readonly attempts: number
  /** May quote what the other side said: escape it before printing. */
  readonly lastError: string
  readonly createdAt: Date
  readonly givenUpAt: Date
}

type WireLetter = Omit<DeadLetter, 'createdAt' | 'givenUpAt'> & {
  readonly createdAt: Timestamp
  readonly givenUpAt: Timestamp
}
type WireKey = Omit<ApiKey, 'createdAt' | 'expiresAt' | 'revokedAt' | 'lastUsedAt'> & {
  readonly createdAt: Timestamp
  readonly expiresAt: Timestamp
  readonly revokedAt: Timestamp | null
  readonly lastUsedAt: Timestamp | null
}
interface WireNewKey {
  readonly key: WireKey
  readonly secret: string
}

const SERVICE = 'AdminService'

/** API keys and dead letters of the caller's tenant. Every method throws PortcullisError. */
export class Admin {
  readonly #caller: Caller

  constructor(caller: Caller) {
    this.#caller = caller
  }

  async createKey(wish: KeyWish): Promise<NewKey> {
    return newKey(await this.#caller.call<WireNewKey>(SERVICE, 'createKey', wish))
  }

  /** A second key with the same rights; the old one goes on until it is revoked. */
  async rotateKey(keyId: string, days = 0): Promise<NewKey> {
    return newKey(await this.#caller.call<WireNewKey>(SERVICE, 'rotateKey', { keyId, days }))
  }

  async revokeKey(keyId: string, reason: string): Promise<ApiKey> {
    return fromWire(await this.#caller.call<WireKey>(SERVICE, 'revokeKey', { keyId, reason }))
  }

  async listKeys(includeEnded = false): Promise<readonly ApiKey[]> {
    const { keys } = await this.#caller.call<{ keys: readonly WireKey[] }>(SERVICE, 'listKeys', { includeEnded })
    return keys.map(fromWire)
  }

  /** The latest first. @param limit 1 to 500 */
  async listDeadLetters(limit = 50): Promise<readonly DeadLetter[]> {
    const { letters } = await this.#caller.call<{ letters: readonly WireLetter[] }>(SERVICE, 'listDeadLetters', {
      limit,
    })
    return letters.map(letterFromWire)
  }

  /** Has it sent again, under the same id. @returns the letter as it was */
  async replayDeadLetter(letterId: string): Promise<DeadLetter> {
    return letterFromWire(await this.#caller.call<WireLetter>(SERVICE, 'replayDeadLetter', { letterId }))
  }
}

function newKey({ key, secret }: WireNewKey): NewKey {
  return { key: fromWire(key), secret }
}

function fromWire({ createdAt, expiresAt, revokedAt, lastUsedAt, ...rest }: WireKey): ApiKey {
  return {
    ...rest,
    createdAt: toDate(createdAt),
    expiresAt: toDate(expiresAt),
    revokedAt: optionalDate(revokedAt),
    lastUsedAt: optionalDate(lastUsedAt),
  }
}

function letterFromWire({ createdAt, givenUpAt, ...rest }: WireLetter): DeadLetter {
  return { ...rest, createdAt: toDate(createdAt), givenUpAt: toDate(givenUpAt) }
}
