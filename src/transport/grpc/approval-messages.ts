import { expiresMs, progressesOf, rolesWaitedFor } from '../../approvals/machine.js'
import type { PublishedKey } from '../../approvals/receipts/key-store.js'
import type { ApprovalStats } from '../../approvals/stats.js'
import type { ApprovalEvent, ApprovalRequest, Delegation, Grant } from '../../model/approval.js'
import { canonicalJson } from '../../model/canonical-json.js'
import type { RuleSeverity } from '../../model/outcome.js'
import { toTimestamp } from './timestamp.js'
import { toRequirement } from './to-response.js'
import type { TimestampMessage } from './wire.js'

// Messages of approval.proto as the loader encodes them.

const STATE_PREFIX = 'APPROVAL_STATE_'
const SEVERITIES: readonly RuleSeverity[] = ['critical', 'high', 'medium', 'low']

function maybe(ms: number | null): TimestampMessage | null {
  return ms === null ? null : toTimestamp(ms)
}

export function isFinal({ state }: ApprovalRequest): boolean {
  return state !== 'PENDING' && state !== 'APPROVED'
}

export function toSummary(request: ApprovalRequest): object {
  const { id, version, state, subject, shown, createdMs, shownDigest } = request
  return {
    approvalId: id,
    version,
    state: STATE_PREFIX + state,
    agent: subject.agent,
    principal: subject.principal,
    tool: subject.tool,
    environment: subject.environment,
    reason: shown.reason,
    severity: SEVERITIES.find((severity) => shown.rules.some((rule) => rule.severity === severity)) ?? '',
    ruleIds: shown.rules.map((rule) => rule.id),
    waitingFor: state === 'PENDING' ? rolesWaitedFor(request) : [],
    createdAt: toTimestamp(createdMs),
    expiresAt: toTimestamp(expiresMs(request)),
    shownDigest,
  }
}

/** @param whyNot why the caller may not vote; null when they may */
export function toDetail(request: ApprovalRequest, history: readonly ApprovalEvent[], whyNot: string | null): object {
  const { subject, shown, brokenGlass, requirements } = request
  const progresses = progressesOf(request)
  return {
    summary: toSummary(request),
    shownArgumentsJson: Buffer.from(canonicalJson(shown.arguments)),
    digest: subject.digest,
    sessionId: subject.sessionId,
    delegationChain: subject.delegationChain,
    agentOwner: subject.agentOwner,
    requirements: requirements.map(({ requirement, deadlineMs, escalatedTo }, i) => ({
      requirement: toRequirement(requirement),
      stage: progresses[i]!.stage,
      met: progresses[i]!.met,
      deadline: toTimestamp(deadlineMs),
      escalatedTo,
    })),
    votes: request.votes.map(({ person, onBehalfOf, verdict, comment, atMs, digest, shownDigest }) => ({
      person,
      onBehalfOf,
      approve: verdict === 'approve',
      comment,
      at: toTimestamp(atMs),
      shownDigest,
      counts: digest === subject.digest,
    })),
    history: history.map(({ version, kind, atMs, by, why, state }) => ({
      version,
      kind,
      at: toTimestamp(atMs),
      by,
      why,
      state: STATE_PREFIX + state,
    })),
    validUntil: maybe(request.validUntilMs),
    policyRevision: shown.policyRevision,
    edited: request.edited !== null,
    glassBroken: brokenGlass !== null,
    reviewGlassBy: brokenGlass === null || brokenGlass.reviewedMs !== null ? null : toTimestamp(brokenGlass.reviewByMs),
    mayVote: whyNot === null,
    whyNot: whyNot ?? '',
  }
}

/** @param changed whether the state is newer than what the caller has seen */
export function toUpdate(request: ApprovalRequest, changed: boolean): object {
  const { id, version, state, edited, subject } = request
  return {
    approvalId: id,
    version,
    state: STATE_PREFIX + state,
    changed,
    final: isFinal(request),
    reason: reasonOf(request),
    expiresAt: toTimestamp(expiresMs(request)),
    validUntil: maybe(request.validUntilMs),
    // Only while they are of use: what is over has forgotten its arguments.
    editedArgumentsJson:
      edited !== null && state === 'APPROVED' ? Buffer.from(canonicalJson(subject.arguments)) : Buffer.alloc(0),
  }
}

function reasonOf(request: ApprovalRequest): string {
  const { state, endedBy, endedWhy, votes } = request
  if (state === 'PENDING') return `waits for ${rolesWaitedFor(request).join(', ')}`
  const said = votes.filter(({ comment }) => comment !== '').map(({ person, comment }) => `${person}: ${comment}`)
  const who = endedBy === '' ? '' : ` by ${endedBy}`
  const why = endedWhy === '' ? said.at(-1) : endedWhy
  return `${state.toLowerCase().replace('_', ' ')}${who}${why === undefined ? '' : `: ${why}`}`
}

export function toDelegation(delegation: Delegation): object {
  return {
    delegationId: delegation.id,
    fromPerson: delegation.from,
    toPerson: delegation.to,
    role: delegation.role,
    from: toTimestamp(delegation.fromMs),
    until: toTimestamp(delegation.untilMs),
    revokedAt: maybe(delegation.revokedMs),
  }
}

export function toGrant(grant: Grant): object {
  const { scope } = grant
  return {
    grantId: grant.id,
    agent: grant.agent,
    principal: grant.principal,
    tool: grant.tool,
    environment: grant.environment,
    scope: scope.kind,
    fieldsJson: Buffer.from(scope.kind === 'fields' ? canonicalJson(scope.fields) : ''),
    approvalId: grant.approvalId,
    grantedBy: [...new Set(grant.votes.map(({ person }) => person))],
    createdAt: toTimestamp(grant.createdMs),
    expiresAt: toTimestamp(grant.expiresMs),
    mostUses: grant.mostUses ?? 0,
    uses: grant.uses,
    revokedAt: maybe(grant.revokedMs),
  }
}

export function toStats(row: ApprovalStats): object {
  return { ...row }
}

export function toKey(key: PublishedKey): object {
  return {
    keyId: key.keyId,
    publicKey: key.publicKey,
    createdAt: toTimestamp(key.createdMs),
    retiredAt: maybe(key.retiredMs),
    withdrawnAt: maybe(key.withdrawnMs),
  }
}
