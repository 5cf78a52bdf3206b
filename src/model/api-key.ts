import type { Attributes } from './approval.js'
import type { Role } from './identity.js'

/** A key as people see it: everything but the secret. */
export interface ApiKey {
  readonly keyId: string
  readonly tenant: string
  /** An agent's id, a person's address or a service's name. */
  readonly subject: string
  readonly roles: readonly Role[]
  /** Names that policies ask for in `require approval from NAME`. */
  readonly approverRoles: readonly string[]
  readonly attributes: Attributes
  readonly labels: Readonly<Record<string, string>>
  /** The person who answers for an agent; empty: nobody known. */
  readonly owner: string
  readonly createdMs: number
  readonly createdBy: string
  readonly expiresMs: number
  readonly revokedMs: number | null
  /** To the hour; null: never. */
  readonly lastUsedMs: number | null
}

/** What a new key is to be. */
export type KeyWish = Pick<ApiKey, 'subject' | 'roles' | 'approverRoles' | 'attributes' | 'labels' | 'owner'> & {
  /** 1 to 366; 0 means 90. */
  readonly days: number
}

export interface NewKey {
  readonly key: ApiKey
  /** The whole key, here and never again. */
  readonly secret: string
}

/** Keys of tenants, as an admin works on them. Every method throws {@link KeyRefused} for what cannot be. */
export interface KeyAdmin {
  create(tenant: string, wish: KeyWish, by: string): Promise<NewKey>
  /** A second key with the same rights. */
  rotate(tenant: string, keyId: string, days: number, by: string): Promise<NewKey>
  /** Of no use from the moment that every instance has confirmed. Revoking twice changes nothing. */
  revoke(tenant: string, keyId: string, by: string, why: string): Promise<ApiKey>
  list(tenant: string, includeEnded: boolean): Promise<readonly ApiKey[]>
}

export type KeyRefusal = 'NOT_FOUND' | 'TOO_MANY' | 'INVALID' | 'REVOKED'

export class KeyRefused extends Error {
  override readonly name = 'KeyRefused'
  constructor(
    readonly code: KeyRefusal,
    message: string,
  ) {
    super(message)
  }
}
