import type { Role } from '../model/identity.js'

/**
 * Which roles may call which method; one of them is enough. A method that does not stand here is nobody's: a test holds the
 * table to the proto. What a role may see within a method (an agent only its own requests, an approver only what is of
 * their tenant) is the method's own business.
 */
export const PERMISSIONS: Readonly<Record<string, readonly Role[]>> = {
  ...service('DecisionService', {
    Decide: ['agent'],
    DecideBatch: ['agent'],
    DecideStream: ['agent'],
    DecideBatchStream: ['agent'],
    Explain: ['agent', 'auditor', 'admin'],
    VisibleTools: ['agent', 'auditor', 'admin'],
  }),
  ...service('ApprovalService', {
    WatchApproval: ['agent', 'approver', 'operator', 'auditor'],
    WaitApproval: ['agent', 'approver', 'operator', 'auditor'],
    WatchQueue: ['approver', 'operator', 'auditor'],
    ListApprovals: ['agent', 'approver', 'operator', 'auditor'],
    GetApproval: ['agent', 'approver', 'operator', 'auditor'],
    Review: ['approver'],
    ReviewBatch: ['approver'],
    Comment: ['approver', 'operator'],
    Extend: ['approver'],
    Cancel: ['agent', 'operator'],
    BreakGlass: ['approver'],
    ReviewBrokenGlass: ['approver', 'operator'],
    Delegate: ['approver'],
    ListDelegations: ['approver', 'operator', 'auditor'],
    RevokeDelegation: ['approver', 'operator'],
    ListGrants: ['approver', 'operator', 'auditor'],
    RevokeGrant: ['approver', 'operator'],
    ApprovalStats: ['approver', 'operator', 'auditor'],
    ReceiptKeys: ['agent', 'approver', 'operator', 'auditor', 'admin'],
  }),
  ...service('KillSwitchService', {
    Engage: ['operator'],
    Release: ['operator'],
    List: ['operator', 'auditor', 'approver'],
    Watch: ['operator', 'auditor', 'approver'],
  }),
  ...service('AuditService', {
    Overview: ['auditor'],
    Totals: ['auditor'],
    TopViolations: ['auditor'],
    RiskyAgents: ['auditor'],
    Get: ['auditor'],
    Query: ['auditor'],
    Tail: ['auditor'],
    ControlEvents: ['auditor'],
  }),
  ...service('AdminService', {
    CreateKey: ['admin'],
    RotateKey: ['admin'],
    RevokeKey: ['admin', 'operator'],
    ListKeys: ['admin', 'auditor'],
    ListDeadLetters: ['admin', 'operator', 'auditor'],
    ReplayDeadLetter: ['admin', 'operator'],
  }),
}

function service(name: string, methods: Readonly<Record<string, readonly Role[]>>): Record<string, readonly Role[]> {
  const paths = Object.entries(methods).map(([method, roles]) => [`/portcullis.v1.${name}/${method}`, roles] as const)
  return Object.fromEntries(paths)
}
