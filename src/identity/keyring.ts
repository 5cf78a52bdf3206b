import { timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { ApiKey } from '../model/api-key.js'
import type { Caller, Credential } from '../model/identity.js'
import { Unauthenticated } from '../model/identity.js'
import { callerBy, isLive, type StoredKey } from './api-key.js'
import { parseKey } from './key-format.js'
import type { Pepper } from './pepper.js'

/** Keys that were proved lately; an HMAC costs 2.5 us, as much as a decision. */
const MOST_PROVED = 10_000
const NO_KEY: Buffer = Buffer.alloc(32)

/** A person who may vote, as the keys say. */
export interface Approver {
  readonly id: string
  readonly roles: readonly string[]
  readonly attributes: ApiKey['attributes']
}

interface Proved {
  readonly key: ApiKey
  readonly caller: Caller
}

/**
 * The keys of every tenant as they were at one moment, in memory. Immutable: a change of keys is a new keyring, so that
 * what was proved by an old one is forgotten with it.
 */
export class Keyring {
  readonly #keys: ReadonlyMap<string, StoredKey>
  readonly #byTenant = new Map<string, StoredKey[]>()
  readonly #pepper: Pepper
  readonly #onProved: (keyId: string) => void
  readonly #proved = new LRUCache<string, Proved>({ max: MOST_PROVED })

  /** @param onProved told the id of a key when it was proved, not on every call that it makes */
  constructor(keys: readonly StoredKey[], pepper: Pepper, onProved: (keyId: string) => void = () => undefined) {
    this.#onProved = onProved
    this.#keys = new Map(keys.map((key) => [key.keyId, key]))
    for (const key of keys) {
      const ofTenant = this.#byTenant.get(key.tenant)
      if (ofTenant === undefined) this.#byTenant.set(key.tenant, [key])
      else ofTenant.push(key)
    }
    this.#pepper = pepper
  }

  /** Whether no key was ever made. Expired and revoked ones count: a server whose keys ran out must not open itself to all. */
  get isEmpty(): boolean {
    return this.#keys.size === 0
  }

  /** Everybody whose vote may count in the tenant; of a person with two keys what both of them say. */
  approversOf(tenant: string, nowMs: number): readonly Approver[] {
    const persons = new Map<string, Approver>()
    for (const { subject: id, roles, approverRoles, attributes } of this.#liveOf(tenant, nowMs)) {
      if (!roles.includes('approver')) continue
      const before = persons.get(id)
      const all = [...new Set([...(before?.roles ?? []), ...approverRoles])]
      persons.set(id, { id, roles: all, attributes: { ...before?.attributes, ...attributes } })
    }
    return [...persons.values()]
  }

  /** Who answers for the agent; empty where no live key says. */
  ownerOf(tenant: string, agent: string, nowMs: number): string {
    const key = this.#liveOf(tenant, nowMs).find(({ subject, roles }) => subject === agent && roles.includes('agent'))
    return key?.owner ?? ''
  }

  #liveOf(tenant: string, nowMs: number): readonly ApiKey[] {
    const keys = this.#byTenant.get(tenant) ?? []
    return keys.filter((key) => isLive(key, nowMs))
  }

  /** Every key that may be used now. */
  live(nowMs: number): readonly ApiKey[] {
    return [...this.#keys.values()].filter((key) => isLive(key, nowMs))
  }

  /** @throws {Unauthenticated}; one message for unknown, wrong, expired and revoked keys, so that none is told from another */
  callerOf({ authorization }: Credential, nowMs: number): Caller {
    const proved = this.#proved.get(authorization) ?? this.#prove(authorization)
    if (proved !== null && isLive(proved.key, nowMs)) return proved.caller
    throw new Unauthenticated(
      'the authorization of this call is no valid key; send the metadata `authorization: Bearer pk_…` with a key that lives',
    )
  }

  #prove(authorization: string): Proved | null {
    const text = /^bearer +(\S{1,200})$/i.exec(authorization)?.[1] ?? ''
    const parsed = parseKey(text)
    if (parsed === null) return null
    const key = this.#keys.get(parsed.keyId)
    // As much work for a key that nobody has, so that time does not tell which ones exist.
    const same = timingSafeEqual(this.#pepper.digestOf(text), key?.digest ?? NO_KEY)
    if (key === undefined || !same || key.pepperId !== this.#pepper.id) return null
    const proved = { key, caller: callerBy(key) }
    this.#proved.set(authorization, proved)
    this.#onProved(key.keyId)
    return proved
  }
}
