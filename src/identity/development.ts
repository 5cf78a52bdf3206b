import type { Call } from '../model/call.js'
import { type Caller, type ClaimedCall, type Credential, type Identity, ROLES } from '../model/identity.js'

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
  admit: (method, credential) => (method.startsWith(DECISIONS) ? ANYBODY : somebody(credential)),
  identify: (call, { tenant }) => identified(call, tenant),
}

/** Where the agent is who the call says: nothing else is looked at on the path of every call. */
const DECISIONS = '/portcullis.v1.DecisionService/'
/** `Development alice@example.com support-manager,finance`: who votes, and as what. */
const CLAIM = /^Development +([^\s,]{1,256})(?: +([^\s]{1,1024}))?$/

/** People say who they are, so that approvals by two and releases by two can be tried without keys. */
function somebody({ authorization }: Credential): Caller {
  const [, id, roles = ''] = CLAIM.exec(authorization) ?? []
  if (id === undefined) return ANYBODY
  return { ...ANYBODY, id, approverRoles: roles.split(',').filter((role) => role !== '') }
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
