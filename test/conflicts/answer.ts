import type { ApprovalRequirement, Decision, Obligation } from '../../src/model/decision.js'
import type { NaiveDecision } from '../reference/meaning.js'
import { ANSWER_FIELDS, type Answer, type ExpectedApproval, type ExpectedObligation } from './format.js'

/** What the plain evaluator says, in the words of the format. */
export function expected({ reasonCode, deciding, ...decision }: NaiveDecision): Required<Answer> {
  return { ...common(decision), code: reasonCode, deciding }
}

/** What the engine says; the rule that decided stands in its reason. */
export function answered(decision: Decision): Required<Answer> {
  return { ...common(decision), code: decision.reasonCode, deciding: decidingOf(decision) }
}

type Common = Pick<NaiveDecision, 'outcome' | 'obligations' | 'approvals'> & {
  readonly [list in 'matched' | 'monitored']: readonly { readonly ruleId: string; readonly indeterminate: boolean }[]
}

function common({ outcome, matched, monitored, obligations, approvals }: Common): Required<Answer> {
  const ids = (rules: Common['matched']) =>
    rules.map(({ ruleId, indeterminate }) => ruleId + (indeterminate ? '?' : ''))
  return {
    outcome,
    code: 'NO_POLICY',
    deciding: null,
    matched: ids(matched),
    monitored: ids(monitored),
    obligations: obligations.map(toObligation),
    approvals: approvals.map(toApproval),
  }
}

function toObligation({ ruleId, kind, target, value }: Obligation): ExpectedObligation {
  return { rule: ruleId, kind, target, rows: value }
}

function toApproval(requirement: ApprovalRequirement): ExpectedApproval {
  const { ruleIds, stages, withinMs, onTimeout, escalations, validForMs, notByRequester, isException } = requirement
  return {
    rules: ruleIds,
    stages: stages.map(({ from }) => from.map(({ count, role }) => (count === 1 ? role : `${count} of ${role}`))),
    ...(withinMs === null ? {} : { within_ms: withinMs }),
    ...(onTimeout.kind === 'escalate' ? { else: onTimeout.role } : {}),
    ...(escalations.length === 0
      ? {}
      : { escalations: escalations.map(({ role, afterMs }) => ({ role, after_ms: afterMs })) }),
    ...(validForMs === null ? {} : { valid_for_ms: validForMs }),
    ...(notByRequester ? { not_by_requester: true } : {}),
    ...(isException ? { exception: true } : {}),
  }
}

function decidingOf({ reason, reasonCode }: Decision): string | null {
  if (reasonCode === 'NO_POLICY') return null
  const rule = /^(?:Fleet rule|Rule) ([\w-]+)/.exec(reason)
  if (rule !== null) return rule[1]!
  const policy = /^No rule .*? (?:fleet )?policy ([\w-]+) (?:allows|denies|requires)/.exec(reason)
  return policy === null ? `no decider in: ${reason}` : `default of ${policy[1]}`
}

/** Fields in which an answer is not as expected; what the answer leaves out is not compared. */
export function differences(expect: Answer, answer: Answer): string[] {
  return ANSWER_FIELDS.filter((name) => {
    if (answer[name] === undefined || expect[name] === undefined) return false
    return canonical(answer[name]) !== canonical(expect[name])
  })
}

/** Whatever the order of keys and the prototype of objects. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item
    return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
