import {
  ALLOW_DEFAULT,
  ALLOW_RULE,
  APPROVAL_BY_TENANT_TAG,
  APPROVAL_DEFAULT,
  APPROVAL_RULE,
  DENY_DEFAULT,
  DENY_RULE,
  type Findings,
} from '../compiler/findings.js'
import { type Outcome, STRICTNESS } from '../model/outcome.js'

/** What one layer says, and whether its rules or its defaults say so. */
export interface Verdict {
  readonly outcome: Outcome
  readonly by: 'rule' | 'default' | 'no-policy'
}

/**
 * The strictest wins: DENY, then REQUIRE_APPROVAL, then ALLOW, then the strictest default. Null when no policy speaks. What
 * only a tenant's tag brought under a rule of the fleet comes on top: it never stands in for a default that is stricter.
 */
export function combineLayer(findings: Findings): Verdict | null {
  const verdict = combineOwn(findings)
  const isTightened = (findings & APPROVAL_BY_TENANT_TAG) !== 0 && (verdict === null || verdict.outcome === 'ALLOW')
  return isTightened ? { outcome: 'REQUIRE_APPROVAL', by: 'rule' } : verdict
}

function combineOwn(findings: Findings): Verdict | null {
  if (findings & DENY_RULE) return { outcome: 'DENY', by: 'rule' }
  if (findings & APPROVAL_RULE) return { outcome: 'REQUIRE_APPROVAL', by: 'rule' }
  if (findings & ALLOW_RULE) return { outcome: 'ALLOW', by: 'rule' }
  if (findings & DENY_DEFAULT) return { outcome: 'DENY', by: 'default' }
  if (findings & APPROVAL_DEFAULT) return { outcome: 'REQUIRE_APPROVAL', by: 'default' }
  if (findings & ALLOW_DEFAULT) return { outcome: 'ALLOW', by: 'default' }
  return null
}

export interface Combined {
  readonly outcome: Outcome
  readonly fleet: Verdict | null
  readonly tenant: Verdict
}

/**
 * The strictest of the layers. A fleet that does not speak constrains nothing, and a call that no policy of the tenant
 * speaks for is denied: the fleet only ever makes an answer stricter.
 */
export function combine(fleetFindings: Findings, tenantFindings: Findings): Combined {
  const fleet = combineLayer(fleetFindings)
  const tenant = combineLayer(tenantFindings) ?? { outcome: 'DENY', by: 'no-policy' }
  const isFleetStricter = fleet !== null && STRICTNESS[fleet.outcome] > STRICTNESS[tenant.outcome]
  return { outcome: isFleetStricter ? fleet.outcome : tenant.outcome, fleet, tenant }
}
