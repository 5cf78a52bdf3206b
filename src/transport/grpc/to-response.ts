import type {
  ApprovalRequirement,
  ApprovalStage,
  ArgumentPath,
  AttributeMatch,
  Decision,
  MatchedRule,
  NearMiss,
} from '../../model/decision.js'
import type { Effect } from '../../model/outcome.js'
import type { Location } from '../../model/span.js'
import type { Answer } from '../../pdp.js'
import { toTimestamp } from './timestamp.js'

/** The enum's names carry a prefix, for enum values share one scope in the proto. */
const EFFECTS: Readonly<Record<Effect, string>> = {
  ALLOW: 'EFFECT_ALLOW',
  DENY: 'EFFECT_DENY',
  DENY_EXCEPT_APPROVAL: 'EFFECT_DENY_EXCEPT_APPROVAL',
  REQUIRE_APPROVAL: 'EFFECT_REQUIRE_APPROVAL',
}

/** A DecideResponse as the loader encodes it: what the codec's bytes are held against. */
export function toDecideResponse({ decisionId, requestId, decision, evaluationNs, receipt }: Answer): object {
  return {
    decisionId,
    outcome: decision.outcome,
    reason: decision.reason,
    reasonCode: decision.reasonCode,
    matchedRules: decision.matched.map(toMatchedRule),
    obligations: decision.obligations,
    approval: toApproval(decision),
    policyRevision: decision.policyRevision,
    evaluationNs,
    monitoredRules: decision.monitored.map(toMatchedRule),
    requestId,
    nearMisses: decision.nearMisses.map(toNearMiss),
    ...(receipt !== '' && { receipt }),
  }
}

export function toApproval({ outcome, approvals, opened }: Decision): object | undefined {
  if (outcome !== 'REQUIRE_APPROVAL') return undefined
  const requirements = approvals.map(toRequirement)
  if (opened === undefined) return { requirements }
  return { approvalId: opened.id, requirements, expiresAt: toTimestamp(opened.expiresMs) }
}

export function toMatchedRule(rule: MatchedRule): object {
  return {
    ruleId: rule.ruleId,
    policy: rule.policy,
    effect: EFFECTS[rule.effect],
    description: rule.description,
    indeterminate: rule.indeterminate,
    severity: rule.severity ?? '',
    tags: rule.tags,
    source: toSource(rule.location),
  }
}

export function toRequirement(requirement: ApprovalRequirement): object {
  const { onTimeout } = requirement
  return {
    ruleIds: requirement.ruleIds,
    stages: requirement.stages.map(toStage),
    withinMs: requirement.withinMs ?? 0,
    onTimeoutEscalateTo: onTimeout.kind === 'escalate' ? onTimeout.role : '',
    escalations: requirement.escalations,
    validForMs: requirement.validForMs ?? 0,
    notByRequester: requirement.notByRequester,
    isException: requirement.isException,
    barred: requirement.barred,
    reasonOnApproval: requirement.reasonOnApproval,
    reasonOnRejection: requirement.reasonOnRejection,
    mayEdit: requirement.mayEdit.map(toPath),
    mayRemember: requirement.mayRemember.map(({ scope, paths, forMs, mostUses }) => ({
      scope,
      paths: paths.map(toPath),
      forMs,
      mostUses: mostUses ?? 0,
    })),
    breakGlass: requirement.breakGlass ?? '',
  }
}

function toStage({ from }: ApprovalStage): object {
  return {
    from: from.map(({ count, role, where }) => ({ count, role, where: where.map(toAttributeMatch) })),
  }
}

function toAttributeMatch({ attribute, value }: AttributeMatch): object {
  return { attribute, valueJson: JSON.stringify(value) }
}

function toPath(steps: ArgumentPath): object {
  return { steps }
}

export function toNearMiss(miss: NearMiss): object {
  return {
    ruleId: miss.ruleId,
    policy: miss.policy,
    effect: EFFECTS[miss.effect],
    source: toSource(miss.location),
    failed: miss.failed.map((clause) => ({
      text: clause.text,
      unknown: clause.value === 'unknown',
      source: toSource(clause.location),
    })),
  }
}

function toSource({ file, line, column }: Location): object {
  return { file, line, column }
}
