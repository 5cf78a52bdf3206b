import type { ApprovalClause, ObligationNode } from '../language/ast.js'
import type { ApprovalRequirement, Obligation } from '../model/decision.js'

/** What an approval clause asks for, on behalf of the rule or `default of POLICY`. */
export function toRequirement(clause: ApprovalClause, ruleId: string, isException: boolean): ApprovalRequirement {
  const { onTimeout } = clause
  return {
    ruleIds: [ruleId],
    stages: clause.stages.map(({ from }) => ({ from: from.map(({ count, role }) => ({ count, role: role.name })) })),
    withinMs: clause.withinMs,
    onTimeout: onTimeout?.kind === 'escalate' ? { kind: 'escalate', role: onTimeout.role.name } : { kind: 'deny' },
    escalations: clause.escalations.map(({ role, afterMs }) => ({ role: role.name, afterMs })),
    validForMs: clause.validForMs,
    notByRequester: clause.notByRequester,
    isException,
  }
}

export function toObligation(node: ObligationNode, ruleId: string): Obligation {
  if (node.kind === 'max_rows') return { kind: node.kind, target: '', value: node.rows, ruleId }
  return { kind: node.kind, target: node.target, value: 0, ruleId }
}
