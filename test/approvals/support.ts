import type { ApprovalAct, Opening } from '../../src/approvals/acts.js'
import { DEFAULT_TIMES } from '../../src/approvals/acts.js'
import type { Seat } from '../../src/approvals/seats.js'
import { subjectOf } from '../../src/approvals/subject.js'
import type { ApprovalShown, ApprovalSubject } from '../../src/model/approval.js'
import { digest } from '../../src/model/canonical-json.js'
import type { ApprovalGroup, ApprovalRequirement } from '../../src/model/decision.js'
import { uuidv7 } from '../../src/model/uuid.js'

export const MINUTE = 60_000
/** When the tests begin; any moment does. */
export const START = Date.parse('2026-03-02T09:00:00Z')

/** `2 manager` or `manager`, with attributes. */
export function group(
  text: string,
  where: Readonly<Record<string, string | number | boolean | null>> = {},
): ApprovalGroup {
  const [, count = '1', role = ''] = /^(?:(\d+) )?(.+)$/.exec(text) ?? []
  return {
    count: Number(count),
    role,
    where: Object.entries(where).map(([attribute, value]) => ({ attribute, value })),
  }
}

/** `manager and 2 finance then ciso`, in 10 minutes. */
export function requirement(text: string, changes: Partial<ApprovalRequirement> = {}): ApprovalRequirement {
  return {
    ruleIds: ['RULE'],
    stages: text.split(' then ').map((stage) => ({ from: stage.split(' and ').map((one) => group(one)) })),
    withinMs: 10 * MINUTE,
    onTimeout: { kind: 'deny' },
    escalations: [],
    validForMs: 5 * MINUTE,
    notByRequester: false,
    barred: [],
    reasonOnApproval: false,
    reasonOnRejection: false,
    mayEdit: [],
    mayRemember: [],
    breakGlass: null,
    isException: false,
    ...changes,
  }
}

export const SUBJECT: ApprovalSubject = subjectOf({
  tenant: 'default',
  agent: 'support-1',
  agentOwner: 'owner@example.com',
  principal: 'customer@example.com',
  sessionId: 's-1',
  delegationChain: ['planner'],
  tool: 'issue_refund',
  environment: 'prod',
  arguments: { amount: 450, order_id: 'A1' },
  facts: { agentLabels: {}, principalLabels: {}, context: {} },
})

export function shownOf(args: ApprovalShown['arguments'] = SUBJECT.arguments): ApprovalShown {
  return {
    arguments: args,
    rules: [{ id: 'RULE', description: 'large refunds', severity: null }],
    reason: 'a large refund',
    policyRevision: digest('policies'),
  }
}

export function opening(requirements: readonly ApprovalRequirement[], changes: Partial<Opening> = {}): Opening {
  return { id: uuidv7(START), subject: SUBJECT, shown: shownOf(), requirements, times: DEFAULT_TIMES, ...changes }
}

export function seat(person: string, roles: readonly string[], changes: Partial<Seat> = {}): Seat {
  return { person, onBehalfOf: '', roles, attributes: {}, ...changes }
}

type VoteAct = Extract<ApprovalAct, { kind: 'vote' }>

/** An approval of what is shown, unless `changes` say otherwise. */
export function voteOf(by: Seat, shownDigest: string, changes: Partial<VoteAct> = {}): VoteAct {
  return {
    kind: 'vote',
    seat: by,
    verdict: 'approve',
    comment: '',
    shownDigest,
    remember: null,
    edited: null,
    ...changes,
  }
}
