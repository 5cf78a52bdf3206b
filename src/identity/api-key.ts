import type { Attributes } from '../model/approval.js'
import type { Caller, Role } from '../model/identity.js'

/** A key as the store keeps it: everything but the secret. */
export interface ApiKey {
  readonly keyId: string
  readonly tenant: string
  /** An agent's id, a person's address or a service's name. */
  readonly subject: string
  readonly roles: readonly Role[]
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

/** What is compared with what a caller presents. */
export interface StoredKey extends ApiKey {
  /** HMAC-SHA256 of the whole key, 32 bytes. */
  readonly digest: Buffer
  readonly pepperId: string
}

export const isLive = ({ revokedMs, expiresMs }: ApiKey, nowMs: number): boolean =>
  revokedMs === null && expiresMs > nowMs

export function callerBy(key: ApiKey): Caller {
  const { tenant, subject: id, roles, approverRoles, attributes, labels, owner, keyId } = key
  return Object.freeze({ tenant, id, roles, approverRoles, attributes, labels, owner, keyId })
}
