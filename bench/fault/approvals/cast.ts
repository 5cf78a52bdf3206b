import type { Call } from '../../../src/model/call.js'
import type { ApprovalRequirement, Decision } from '../../../src/model/decision.js'
import type { Caller } from '../../../src/model/identity.js'

const REQUIREMENT: ApprovalRequirement = {
  ruleIds: ['RACE'],
  stages: [{ from: [{ count: 2, role: 'manager', where: [] }] }],
  withinMs: 24 * 3_600_000,
  onTimeout: { kind: 'deny' },
  escalations: [],
  validForMs: 24 * 3_600_000,
  notByRequester: false,
  barred: [],
  reasonOnApproval: false,
  reasonOnRejection: false,
  mayEdit: [],
  mayRemember: [],
  breakGlass: null,
  isException: false,
}

const asking = (requirement: ApprovalRequirement): Decision => ({
  outcome: 'REQUIRE_APPROVAL',
  reasonCode: 'RULE_APPROVAL',
  reason: 'racing',
  matched: [],
  monitored: [],
  obligations: [],
  approvals: [requirement],
  nearMisses: [],
  policyRevision: 'race',
})

/** Two of many must say yes, and one no ends it. */
export const ASKED = asking(REQUIREMENT)
/** One yes is enough. */
export const ONE = asking({ ...REQUIREMENT, stages: [{ from: [{ count: 1, role: 'manager', where: [] }] }] })

export function callOf(amount: number): Call {
  return {
    requestId: '',
    tenant: 'default',
    agent: { id: `agent-${amount % 50}`, labels: {} },
    principal: null,
    sessionId: '',
    delegationChain: [],
    tool: 'issue_refund',
    environment: 'prod',
    arguments: { amount },
    context: {},
  }
}

export function voterOf(id: string): Caller {
  return {
    tenant: 'default',
    id,
    roles: ['approver'],
    approverRoles: ['manager'],
    attributes: {},
    labels: {},
    owner: '',
    keyId: 'race',
  }
}
