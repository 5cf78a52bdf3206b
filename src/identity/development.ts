import type { Call } from '../model/call.js'
import { type Caller, type ClaimedCall, type Identity, ROLES } from '../model/identity.js'

/** The tenant of a server that serves one. */
export const DEFAULT_TENANT = 'default'

/** Whoever calls while no key exists: may do everything, and is who the request says. */
const ANYBODY: Caller = Object.freeze({
  tenant: DEFAULT_TENANT,
  id: '',
  roles: ROLES,
  approverRoles: [],
  attributes: {},
  labels: {},
  owner: '',
  keyId: '',
})

/**
 * Believes every claim, for a server that listens on loopback only: whoever can connect already runs on this machine.
 * Every call belongs to the tenant `default`.
 */
export const developmentIdentity: Identity = {
  admit: () => ANYBODY,
  identify: (call, { tenant }) => identified(call, tenant),
}

/** The call as claimed, of this tenant. */
export function identified(call: ClaimedCall, tenant: string): Call {
  return {
    requestId: call.requestId,
    tenant,
    agent: call.agent,
    principal: call.principal,
    sessionId: call.sessionId,
    delegationChain: call.delegationChain,
    tool: call.tool,
    environment: call.environment,
    arguments: call.arguments,
    context: call.context,
  }
}
