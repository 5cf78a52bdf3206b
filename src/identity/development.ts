import type { Identity } from '../model/identity.js'

/** The tenant of a server that serves one. */
export const DEFAULT_TENANT = 'default'

/**
 * Believes every claim, for a server that listens on loopback only: whoever can connect already runs on this machine.
 * Every call belongs to the tenant `default`.
 */
export const developmentIdentity: Identity = {
  tenantOf: () => DEFAULT_TENANT,
  identify: (call) => ({ ...call, tenant: DEFAULT_TENANT }),
}
