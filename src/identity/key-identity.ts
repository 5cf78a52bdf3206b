import type { Call } from '../model/call.js'
import {
  type Caller,
  type ClaimedCall,
  type Credential,
  type Identity,
  PermissionDenied,
  type Role,
} from '../model/identity.js'
import { identified } from './development.js'
import type { Keyring } from './keyring.js'
import { PERMISSIONS } from './permissions.js'

export interface KeyIdentityDeps {
  /** The keys that are live now. */
  readonly keyring: () => Keyring
  readonly nowMs: () => number
  /** Asked until the first key is made; null on a listener that other machines reach: nobody gets in then. */
  readonly withoutKeys: Identity | null
}

/** Callers prove themselves by API keys. The credential is the authority on tenant, agent and the agent's labels. */
export function keyIdentity({ keyring, nowMs, withoutKeys }: KeyIdentityDeps): Identity {
  return {
    admit(method, credential: Credential): Caller {
      const keys = keyring()
      if (withoutKeys !== null && keys.isEmpty) return withoutKeys.admit(method, credential)
      const caller = keys.callerOf(credential, nowMs())
      refuseOthers(method, caller)
      return caller
    },
    identify(call: ClaimedCall, caller: Caller): Call {
      if (caller.keyId === '') return identified(call, caller.tenant)
      if (call.agent.id !== caller.id) {
        throw new PermissionDenied(
          `the key is of agent ${JSON.stringify(caller.id)}, and the call names another one in agent.id; ` +
            'a key speaks for its own agent only',
        )
      }
      const agent = { id: caller.id, labels: { ...call.agent.labels, ...caller.labels } }
      return { ...identified(call, caller.tenant), agent }
    },
  }
}

/** @throws {PermissionDenied} */
function refuseOthers(method: string, { roles }: Caller): void {
  const needed: readonly Role[] = PERMISSIONS[method] ?? []
  if (roles.some((role) => needed.includes(role))) return
  const who = needed.length === 0 ? 'nobody may' : `it takes a key with role ${needed.join(' or ')}`
  throw new PermissionDenied(`this key may not call ${method.slice(1)}; ${who}`)
}
