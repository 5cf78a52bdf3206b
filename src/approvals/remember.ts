import type { ApprovalRequest, ApprovalSubject, Grant, GrantScope, Vote } from '../model/approval.js'
import type { ApprovalRequirement, ArgumentPath, GrantOffer } from '../model/decision.js'
import type { RememberWish } from './acts.js'
import { isBelow, isSame, pathText, valueAt } from './argument-paths.js'
import { type Refusal, refuse } from './refusal.js'
import { personKey, progressOf } from './seats.js'

/** No grant lives longer, whatever a rule says. */
export const MOST_GRANT_MS = 8 * 3_600_000

/** Keys of all whom the call bars from voting: who asks, for whom, through whom, and who answers for the agent. */
export function barredBySubject(subject: ApprovalSubject): ReadonlySet<string> {
  const { agent, principal, agentOwner, delegationChain } = subject
  return new Set([agent, principal, agentOwner, ...delegationChain].filter((id) => id !== '').map(personKey))
}

/** And those whom the requirement bars besides. */
export function barredFrom(requirement: ApprovalRequirement, bySubject: ReadonlySet<string>): ReadonlySet<string> {
  const { barred } = requirement
  return barred.length === 0 ? bySubject : new Set([...bySubject, ...barred.map(personKey)])
}

/** The grant that a reviewer leaves with an approved request, if every rule that asked offers as much. */
export function grantFor(request: ApprovalRequest, wish: RememberWish, nowMs: number): Grant | Refusal {
  const { subject, requirements } = request
  const offers = requirements.map(({ requirement }) => offerFor(requirement, wish))
  const missing = offers.indexOf(null)
  if (missing >= 0) {
    const { ruleIds, mayRemember } = requirements[missing]!.requirement
    const offered = mayRemember.length === 0 ? 'no grants' : `only ${mayRemember.map(offerText).join(', ')}`
    return refuse(
      'NOT_REMEMBERABLE',
      `rule \`${ruleIds[0]}\` offers ${offered}: approve without leaving a grant, or ask for less`,
    )
  }
  const absent = wish.scope === 'fields' && wish.fields.find((path) => valueAt(subject.arguments, path) === undefined)
  if (absent) return refuse('NOT_REMEMBERABLE', `the call has no ${pathText(absent)} that a grant could keep to`)
  if (!requirements.every(({ requirement }) => carries(request.votes, requirement, subject))) {
    const how = 'a vote by escalation or in an emergency approves one call and leaves no grant: approve without one'
    return refuse('NOT_REMEMBERABLE', how)
  }
  const given = offers as readonly GrantOffer[]
  const mostUses = Math.min(wish.mostUses || Infinity, ...given.map(({ mostUses }) => mostUses ?? Infinity))
  const forMs = Math.min(wish.forMs || Infinity, MOST_GRANT_MS, ...given.map(({ forMs }) => forMs))
  return {
    id: wish.grantId,
    tenant: subject.tenant,
    agent: subject.agent,
    principal: subject.principal,
    tool: subject.tool,
    environment: subject.environment,
    scope: scopeOf(subject, wish),
    votes: request.votes.filter(({ verdict, digest }) => verdict === 'approve' && digest === subject.digest),
    approvalId: request.id,
    createdMs: nowMs,
    expiresMs: nowMs + forMs,
    mostUses: mostUses === Infinity ? null : mostUses,
    uses: 0,
    revokedMs: null,
    revokedBy: '',
  }
}

/** Whether a grant is about this very call: same agent, principal, tool, environment, and arguments as its scope says. */
export function covers(grant: Grant, call: ApprovalSubject): boolean {
  const isOfCaller = grant.tenant === call.tenant && grant.agent === call.agent && grant.principal === call.principal
  if (!isOfCaller || grant.tool !== call.tool || grant.environment !== call.environment) return false
  const { scope } = grant
  switch (scope.kind) {
    case 'tool':
      return true
    case 'exact':
      return scope.digest === call.digest
    case 'fields':
      return (
        scope.fields.length > 0 && scope.fields.every(({ path, value }) => isSame(valueAt(call.arguments, path), value))
      )
  }
}

/** Whether votes that were given for another call of the same grant meet what is asked of this one. */
export function carries(votes: readonly Vote[], asked: ApprovalRequirement, call: ApprovalSubject): boolean {
  const barred = barredFrom(asked, barredBySubject(call))
  // Nobody was escalated to for this call: a role that the clause itself does not ask for carries nothing.
  return progressOf(asked, { votes, digest: null, barred, escalatedTo: [] }).met
}

/** What the rule offers that is at least as much as the wish; null for nothing. */
function offerFor({ mayRemember }: ApprovalRequirement, wish: RememberWish): GrantOffer | null {
  const fits = (offer: GrantOffer) =>
    isWithin(wish, offer) && wish.forMs <= offer.forMs && (offer.mostUses === null || wish.mostUses <= offer.mostUses)
  return mayRemember.find(fits) ?? null
}

/** A narrower scope than the offered one is fine: more arguments that must stay as they are. */
function isWithin({ scope, fields }: RememberWish, offer: GrantOffer): boolean {
  if (offer.scope === 'exact') return scope === 'exact'
  if (offer.scope === 'tool') return scope !== 'fields' || fields.length > 0
  if (offer.paths.length === 0 || scope === 'tool') return false
  return scope === 'exact' || offer.paths.every((path) => fields.some((field) => isBelow(path, field)))
}

function scopeOf({ digest, arguments: args }: ApprovalSubject, { scope, fields }: RememberWish): GrantScope {
  if (scope === 'exact') return { kind: 'exact', digest }
  if (scope === 'tool') return { kind: 'tool' }
  return { kind: 'fields', fields: fields.map((path: ArgumentPath) => ({ path, value: valueAt(args, path) ?? null })) }
}

function offerText({ scope, paths, forMs, mostUses }: GrantOffer): string {
  const what = scope === 'fields' ? paths.map(pathText).join(' and ') : scope
  return `${what} for ${Math.round(forMs / 1_000)} s${mostUses === null ? '' : `, ${mostUses} times`}`
}
