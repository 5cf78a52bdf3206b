import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { ApiKey, KeyAdmin, NewKey } from '../../model/api-key.js'
import type { DeadLetter, DeadLetterDesk } from '../../model/delivery.js'
import { ROLES, type Role } from '../../model/identity.js'
import { actorOf } from './actor.js'
import { RpcError } from './errors.js'
import { LIMITS } from './limits.js'
import { name, optional, overLimit, uuid } from './names.js'
import { toTimestamp } from './timestamp.js'
import { type EdgeDeps, unary } from './unary.js'
import type { CreateKeyRequestMessage } from './wire.js'

export interface AdminServiceDeps extends EdgeDeps {
  readonly keys: KeyAdmin
  readonly deadLetters: DeadLetterDesk
}

const MOST_NAMES = 64
const MOST_LETTERS = 500
const DEFAULT_LETTERS = 50

/** Keys and dead letters of the caller's own tenant. */
export function adminHandlers(deps: AdminServiceDeps): UntypedServiceImplementation {
  const { keys, deadLetters } = deps
  return {
    createKey: unary(deps, async (message: CreateKeyRequestMessage, caller) =>
      toNewKey(
        await keys.create(
          caller.tenant,
          {
            subject: name('subject', message.subject),
            roles: names('roles', message.roles).map(toRole),
            approverRoles: names('approver_roles', message.approverRoles),
            attributes: pairs('attributes', message.attributes),
            labels: pairs('labels', message.labels),
            owner: optional('owner', message.owner),
            days: message.days,
          },
          actorOf(caller),
        ),
      ),
    ),
    rotateKey: unary(deps, async ({ keyId, days }: { readonly keyId: string; readonly days: number }, caller) =>
      toNewKey(await keys.rotate(caller.tenant, name('key_id', keyId), days, actorOf(caller))),
    ),
    revokeKey: unary(deps, async ({ keyId, reason }: { readonly keyId: string; readonly reason: string }, caller) => {
      const why = optional('reason', reason, LIMITS.commentBytes)
      return toKey(await keys.revoke(caller.tenant, name('key_id', keyId), actorOf(caller), why))
    }),
    listKeys: unary(deps, async ({ includeEnded }: { readonly includeEnded: boolean }, { tenant }) => ({
      keys: (await keys.list(tenant, includeEnded)).map(toKey),
    })),
    listDeadLetters: unary(deps, async ({ limit }: { readonly limit: number }, { tenant }) => {
      if (limit > MOST_LETTERS) throw overLimit('limit', `is ${limit}`, `${MOST_LETTERS}`)
      return { letters: (await deadLetters.list(tenant, limit || DEFAULT_LETTERS)).map(toLetter) }
    }),
    replayDeadLetter: unary(deps, async ({ letterId }: { readonly letterId: string }, { tenant }) => {
      const letter = await deadLetters.replay(tenant, uuid('letter_id', letterId))
      if (letter !== null) return toLetter(letter)
      throw new RpcError('DEAD_LETTER_NOT_FOUND', 'no dead letter of this tenant has this id', { field: 'letter_id' })
    }),
  }
}

function toRole(text: string): Role {
  const role = ROLES.find((known) => known === text)
  if (role !== undefined) return role
  throw new RpcError('FIELD_INVALID', `roles has one that is none of ${ROLES.join(', ')}`, { field: 'roles' })
}

function names(field: string, texts: readonly string[]): readonly string[] {
  if (texts.length > MOST_NAMES) throw overLimit(field, `has ${texts.length} entries`, `${MOST_NAMES}`)
  return [...new Set(texts.map((text, i) => name(`${field}[${i}]`, text)))]
}

function pairs(field: string, map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(map)
  if (entries.length > LIMITS.labels) throw overLimit(field, `has ${entries.length} entries`, `${LIMITS.labels}`)
  for (const [key, value] of entries) {
    if (key === '__proto__') throw new RpcError('FIELD_INVALID', `${field} has the key \`__proto__\``, { field })
    name(`${field} key`, key)
    name(`${field} value`, value)
  }
  return map
}

function toNewKey({ key, secret }: NewKey): object {
  return { key: toKey(key), secret }
}

function toKey(key: ApiKey): object {
  return {
    ...key,
    attributes: Object.fromEntries(
      Object.entries(key.attributes).map(([attribute, value]) => [attribute, String(value)]),
    ),
    createdAt: toTimestamp(key.createdMs),
    expiresAt: toTimestamp(key.expiresMs),
    revokedAt: key.revokedMs === null ? null : toTimestamp(key.revokedMs),
    lastUsedAt: key.lastUsedMs === null ? null : toTimestamp(key.lastUsedMs),
  }
}

function toLetter({ id, createdMs, givenUpMs, ...rest }: DeadLetter): object {
  return { ...rest, letterId: id, createdAt: toTimestamp(createdMs), givenUpAt: toTimestamp(givenUpMs) }
}
