import type { ApiKey } from '../model/api-key.js'
import type { Caller } from '../model/identity.js'

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
