import type { ApprovalRequirement, AttributeMatch, Decision, MatchedRule, NearMiss } from '../model/decision.js'
import type { JsonObject } from '../model/json.js'
import type { Effect } from '../model/outcome.js'
import type { Location } from '../model/span.js'

/**
 * A decision as JSON with the field names and enum names of the proto's `DecideResponse`. What only a server gives
 * (decision_id, approval_id, expires_at, evaluation_ns) is left out, so that the same request and clock give the same bytes.
 */
export function responseJson(decision: Decision, requestId: string): JsonObject {
  return {
    outcome: decision.outcome,
    reason: decision.reason,
    reason_code: decision.reasonCode,
    matched_rules: decision.matched.map(rule),
    obligations: decision.obligations.map((o) => ({
      kind: o.kind,
      target: o.target,
      value: o.value,
      rule_id: o.ruleId,
    })),
    ...(decision.outcome === 'REQUIRE_APPROVAL'
      ? { approval: { requirements: decision.approvals.map(requirement) } }
      : {}),
    policy_revision: decision.policyRevision,
    monitored_rules: decision.monitored.map(rule),
    request_id: requestId,
    near_misses: decision.nearMisses.map(nearMiss),
  }
}

function rule(matched: MatchedRule): JsonObject {
  return {
    rule_id: matched.ruleId,
    policy: matched.policy,
    effect: effect(matched.effect),
    description: matched.description,
    indeterminate: matched.indeterminate,
    severity: matched.severity ?? '',
    tags: matched.tags,
    source: source(matched.location),
  }
}

function requirement(of: ApprovalRequirement): JsonObject {
  return {
    rule_ids: of.ruleIds,
    stages: of.stages.map((stage) => ({
      from: stage.from.map(({ count, role, where }) => ({ count, role, where: where.map(attribute) })),
    })),
    within_ms: of.withinMs ?? 0,
    on_timeout_escalate_to: of.onTimeout.kind === 'escalate' ? of.onTimeout.role : '',
    escalations: of.escalations.map((escalation) => ({ role: escalation.role, after_ms: escalation.afterMs })),
    valid_for_ms: of.validForMs ?? 0,
    not_by_requester: of.notByRequester,
    is_exception: of.isException,
    barred: of.barred,
    reason_on_approval: of.reasonOnApproval,
    reason_on_rejection: of.reasonOnRejection,
    may_edit: of.mayEdit.map((steps) => ({ steps })),
    may_remember: of.mayRemember.map(({ scope, paths, forMs, mostUses }) => ({
      scope,
      paths: paths.map((steps) => ({ steps })),
      for_ms: forMs,
      most_uses: mostUses ?? 0,
    })),
    break_glass: of.breakGlass ?? '',
  }
}

function attribute({ attribute, value }: AttributeMatch): JsonObject {
  return { attribute, value_json: JSON.stringify(value) }
}

function nearMiss(miss: NearMiss): JsonObject {
  return {
    rule_id: miss.ruleId,
    policy: miss.policy,
    effect: effect(miss.effect),
    source: source(miss.location),
    failed: miss.failed.map((clause) => ({
      text: clause.text,
      unknown: clause.value === 'unknown',
      source: source(clause.location),
    })),
  }
}

function effect(of: Effect): string {
  return `EFFECT_${of}`
}

function source(location: Location): JsonObject {
  return { file: location.file, line: location.line, column: location.column }
}
