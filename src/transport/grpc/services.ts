import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { type AdminServiceDeps, adminHandlers } from './admin-service.js'
import { type ApprovalServiceDeps, approvalHandlers } from './approval-service.js'
import { type AuditServiceDeps, auditHandlers } from './audit-service.js'
import { type DecisionServiceDeps, decisionHandlers } from './decision-service.js'
import { type KillSwitchServiceDeps, killSwitchHandlers } from './kill-switch-service.js'
import { adminService, approvalService, auditService, decisionService, killSwitchService } from './proto.js'

/** What the handlers of all services work on. */
export interface ServiceDeps extends DecisionServiceDeps, AuditServiceDeps {
  /** Null on a server without a control store, which has no services for it. */
  readonly control: Pick<
    KillSwitchServiceDeps & AdminServiceDeps & ApprovalServiceDeps,
    'killSwitches' | 'keys' | 'approvals' | 'deadLetters'
  > | null
}

export interface ServedService {
  readonly definition: ServiceDefinition
  /** By the method's name with a small first letter. */
  readonly handlers: UntypedServiceImplementation
}

/** The services of this server with their handlers: one list for every listener. */
export function servedServices(deps: ServiceDeps): readonly ServedService[] {
  const { control } = deps
  const served = [
    { definition: decisionService, handlers: decisionHandlers(deps) },
    { definition: auditService, handlers: auditHandlers(deps) },
  ]
  if (control === null) return served
  return [
    ...served,
    { definition: killSwitchService, handlers: killSwitchHandlers({ ...deps, ...control }) },
    { definition: approvalService, handlers: approvalHandlers({ ...deps, ...control }) },
    { definition: adminService, handlers: adminHandlers({ ...deps, ...control }) },
  ]
}
