import type { Identity } from '../model/identity.js'

/** The tenant of a server that serves one. */
export const DEFAULT_TENANT = 'default'

/**
 * Believes every claim, for a server that listens on loopback only: whoever can connect already runs on this machine.
 * Every call belongs to the tenant `default`.
 */
export const developmentIdentity: Identity = {
  tenantOf: () => DEFAULT_TENANT,
  identify: (call) => ({
    requestId: call.requestId,
    tenant: DEFAULT_TENANT,
    agent: call.agent,
    principal: call.principal,
    sessionId: call.sessionId,
    delegationChain: call.delegationChain,
    tool: call.tool,
    environment: call.environment,
    arguments: call.arguments,
    context: call.context,
  }),
}
