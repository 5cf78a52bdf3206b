import type { ApprovalEvent, ApprovalRequest, CallFacts, OpenRequirement, Vote } from '../model/approval.js'
import { assertNever } from '../model/assert-never.js'
import { digest } from '../model/canonical-json.js'
import type { ApprovalRequirement } from '../model/decision.js'
import type { JsonValue } from '../model/json.js'
import {
  type ApprovalAct,
  type DefaultTimes,
  type EditedCall,
  type Effect,
  NOTICES,
  type NoticeKind,
  type Opening,
  type Step,
} from './acts.js'
import { changedPaths, isBelow, pathText } from './argument-paths.js'
import { alreadyDecided, type Refusal, refuse } from './refusal.js'
import { barredBySubject, barredFrom, grantFor } from './remember.js'
import { fitsStage, type Progress, personKey, personsOf, progressOf, type Seat } from './seats.js'

const NO_FACTS: CallFacts = { agentLabels: {}, principalLabels: {}, context: {} }

/** How often a request may get more time. */
export const MOST_EXTENSIONS = 3
/** Comments and reasons, in UTF-8 bytes. */
export const MOST_COMMENT_BYTES = 4_096
/** Until when a broken glass must have been reviewed. */
export const REVIEW_GLASS_MS = 24 * 3_600_000
/** The name that stands where the clock decided. */
export const CLOCK = 'clock'

/** A new request. Nothing is due at its opening: it is `step` that moves it. */
export function open({ id, subject, shown, requirements, times }: Opening, nowMs: number): Step {
  const draft = new Draft({
    id,
    version: 0,
    state: 'PENDING',
    subject,
    shown,
    shownDigest: digest(shown as unknown as JsonValue),
    requirements: requirements.map((requirement) => openRequirement(requirement, times, nowMs)),
    votes: [],
    extensions: 0,
    createdMs: nowMs,
    approvedMs: null,
    validUntilMs: null,
    endedMs: null,
    endedBy: '',
    endedWhy: '',
    edited: null,
    brokenGlass: null,
  })
  draft.happen('opened', subject.agent, shown.reason, nowMs)
  return draft.done(null)
}

/**
 * What an act makes of a request at `nowMs`, which may be before or after any earlier moment. Pure: all that has to happen
 * besides stands in the effects. What is due by the clock happens first, so that no timer needs to run for it to be true.
 */
export function step(request: ApprovalRequest, act: ApprovalAct, nowMs: number): Step {
  const draft = new Draft(request)
  doWhatIsDue(draft, nowMs)
  return draft.done(perform(draft, act, nowMs))
}

/** When the next thing happens by itself; null for never. Always before or at what an approver could still be late for. */
export function nextTimerMs(request: ApprovalRequest): number | null {
  const times = dueTimes(request)
  return times.length === 0 ? null : Math.min(...times)
}

/** How far each requirement has come, in their order. */
export function progressesOf(request: ApprovalRequest): readonly Progress[] {
  const bySubject = barredBySubject(request.subject)
  const { votes, subject } = request
  return request.requirements.map(({ requirement, escalatedTo }) =>
    progressOf(requirement, { votes, digest: subject.digest, barred: barredFrom(requirement, bySubject), escalatedTo }),
  )
}

/** Roles whose vote is missing now. */
export function rolesWaitedFor(request: ApprovalRequest): readonly string[] {
  if (request.state !== 'PENDING') return []
  return [...new Set(progressesOf(request).flatMap(({ waitingFor }) => waitingFor))]
}

/** When the request is over unless somebody acts: the earliest end of what is not met yet. */
export function expiresMs(request: ApprovalRequest): number {
  const open = unmet(request)
  const all = open.length === 0 ? request.requirements : open
  return Math.min(...all.map(({ deadlineMs }) => deadlineMs))
}

/** Why this seat may not vote for the request as it stands, or null. */
export function voteFault(request: ApprovalRequest, seat: Seat): Refusal | null {
  return reviewFault(request, seat) ?? votedFault(request, seat) ?? placeFault(request, seat)
}

/** Where the votes of a request do not meet what is asked of its call now, the first such requirement; else null. */
export function unmetBy(request: ApprovalRequest, asked: readonly ApprovalRequirement[]): ApprovalRequirement | null {
  const bySubject = barredBySubject(request.subject)
  return asked.find((requirement) => !isMetBy(request, requirement, barredFrom(requirement, bySubject))) ?? null
}

// ------------------------------------------------------------------ acts

function perform(draft: Draft, act: ApprovalAct, nowMs: number): Refusal | null {
  switch (act.kind) {
    case 'tick':
      return null
    case 'vote':
      return vote(draft, act, nowMs)
    case 'comment':
      return comment(draft, act, nowMs)
    case 'extend':
      return extend(draft, act, nowMs)
    case 'cancel':
      return cancel(draft, act, nowMs)
    case 'consume':
      return consume(draft, act, nowMs)
    case 'break-glass':
      return breakGlass(draft, act, nowMs)
    case 'review-glass':
      return reviewGlass(draft, act, nowMs)
    case 'kill':
      return end(draft, `kill:${act.switchId}`, act.reason, nowMs)
    default:
      return assertNever(act)
  }
}

type ActOf<Kind extends ApprovalAct['kind']> = Extract<ApprovalAct, { kind: Kind }>

function vote(draft: Draft, act: ActOf<'vote'>, nowMs: number): Refusal | null {
  const { seat, verdict } = act
  const before = draft.request
  const fault =
    reviewFault(before, seat) ??
    votedFault(before, seat) ??
    digestFault(before, act.shownDigest) ??
    textFault('the comment', act.comment) ??
    reasonFault(before, act)
  if (fault !== null) return fault
  if (verdict === 'reject') {
    if (act.edited !== null || act.remember !== null)
      return refuse('INVALID', 'a rejection changes and remembers nothing')
    draft.addVote(act, nowMs)
    draft.end('REJECTED', 'rejected', seat.person, act.comment, nowMs)
    return null
  }
  if (act.edited !== null && act.edited.digest !== before.subject.digest) {
    const refused = edit(draft, act.edited, seat, act.comment, nowMs)
    if (refused !== null) return refused
  }
  return placeFault(draft.request, seat) ?? approve(draft, act, nowMs)
}

function approve(draft: Draft, act: ActOf<'vote'>, nowMs: number): Refusal | null {
  const before = progressesOf(draft.request)
  draft.addVote(act, nowMs)
  const after = progressesOf(draft.request)
  if (after.every(({ met }) => met)) {
    draft.approve(act.seat.person, act.comment, nowMs)
    return act.remember === null ? null : remember(draft, act.remember, nowMs)
  }
  if (act.remember !== null) {
    const missing = [...new Set(after.flatMap(({ waitingFor }) => waitingFor))].join(', ')
    return refuse(
      'NOT_REMEMBERABLE',
      `the last vote leaves the grant, and ${missing} must vote yet: approve without one`,
    )
  }
  for (const [at, { stage }] of after.entries()) {
    if (stage > before[at]!.stage)
      draft.happen('stage-met', act.seat.person, stageText(draft.request, at, stage), nowMs)
  }
  return null
}

function remember(draft: Draft, wish: ActOf<'vote'>['remember'] & object, nowMs: number): Refusal | null {
  const grant = grantFor(draft.request, wish, nowMs)
  if ('code' in grant) return grant
  draft.effects.push({ kind: 'grant', grant })
  return null
}

function edit(draft: Draft, edited: EditedCall, seat: Seat, why: string, nowMs: number): Refusal | null {
  const { request } = draft
  const { subject } = request
  for (const path of changedPaths(subject.arguments, edited.arguments)) {
    const closed = request.requirements.find(
      ({ requirement }) => !requirement.mayEdit.some((root) => isBelow(path, root)),
    )
    if (closed === undefined) continue
    const { ruleIds, mayEdit } = closed.requirement
    const may = mayEdit.length === 0 ? 'nothing' : `only ${mayEdit.map(pathText).join(', ')}`
    return refuse('NOT_EDITABLE', `rule \`${ruleIds[0]}\` lets reviewers change ${may}, not ${pathText(path)}`)
  }
  draft.happen('edited', seat.person, why, nowMs, {
    subject: { ...subject, arguments: edited.arguments, digest: edited.digest },
    shown: edited.shown,
    shownDigest: digest(edited.shown as unknown as JsonValue),
    requirements: edited.requirements.length === 0 ? request.requirements : clocksKept(request, edited, nowMs),
    edited: { by: seat.person, atMs: nowMs, before: request.edited?.before ?? subject.digest },
  })
  return null
}

/** Who asks the same of the changed call as before keeps the time that has run, so that an edit is no way to extend. */
function clocksKept(request: ApprovalRequest, edited: EditedCall, nowMs: number): readonly OpenRequirement[] {
  const contentOf = (requirement: ApprovalRequirement) =>
    digest({ ...requirement, ruleIds: [] } as unknown as JsonValue)
  const known = new Map(request.requirements.map((open) => [contentOf(open.requirement), open]))
  return edited.requirements.map((requirement) => {
    const kept = known.get(contentOf(requirement))
    return kept === undefined ? openRequirement(requirement, edited.times, nowMs) : { ...kept, requirement }
  })
}

function comment(draft: Draft, { by, comment }: ActOf<'comment'>, nowMs: number): Refusal | null {
  if (draft.request.state !== 'PENDING') return alreadyDecided(draft.request)
  if (comment.trim() === '') return refuse('INVALID', 'the comment is empty')
  const fault = textFault('the comment', comment)
  if (fault === null) draft.happen('commented', by, comment, nowMs)
  return fault
}

function extend(draft: Draft, { seat, byMs, reason }: ActOf<'extend'>, nowMs: number): Refusal | null {
  const { request } = draft
  const fault = reviewFault(request, seat) ?? textFault('the reason', reason)
  if (fault !== null) return fault
  if (request.extensions >= MOST_EXTENSIONS) {
    return refuse(
      'TOO_MANY_EXTENSIONS',
      `a request gets more time ${MOST_EXTENSIONS} times at most: decide, or let it run out`,
    )
  }
  if (!(byMs >= 1_000)) return refuse('INVALID', 'the time to add is at least 1,000 ms')
  const open = new Set(unmet(request))
  draft.happen('extended', seat.person, reason, nowMs, {
    extensions: request.extensions + 1,
    // At most its own time again: what one clause bounds to minutes another's hours must not stretch.
    requirements: request.requirements.map((one) =>
      open.has(one) ? { ...one, deadlineMs: one.deadlineMs + Math.min(byMs, one.withinMs) } : one,
    ),
  })
  return null
}

function cancel(draft: Draft, { by, reason }: ActOf<'cancel'>, nowMs: number): Refusal | null {
  return textFault('the reason', reason) ?? end(draft, by, reason, nowMs)
}

/** What waits is cancelled, what is approved is revoked, what is over stays. */
function end(draft: Draft, by: string, why: string, nowMs: number): Refusal | null {
  if (draft.request.state === 'PENDING') draft.end('CANCELLED', 'cancelled', by, why, nowMs)
  else if (draft.request.state === 'APPROVED') draft.end('REVOKED', 'revoked', by, why, nowMs)
  else return alreadyDecided(draft.request)
  return null
}

function consume(draft: Draft, { digest, asked }: ActOf<'consume'>, nowMs: number): Refusal | null {
  const { request } = draft
  if (request.subject.digest !== digest) return otherCall(request, digest)
  if (request.state === 'PENDING') {
    return refuse('NOT_APPROVED', `the request waits for ${rolesWaitedFor(request).join(', ')}: wait for it`)
  }
  if (request.state !== 'APPROVED') return alreadyDecided(request)
  const unmet = unmetBy(request, asked)
  if (unmet !== null) {
    const rule = `rule \`${unmet.ruleIds[0]}\``
    return refuse('NOT_ENOUGH', `the policies became stricter: ${rule} asks for more than the votes that were given`)
  }
  draft.end('CONSUMED', 'consumed', request.subject.agent, '', nowMs)
  return null
}

function otherCall({ edited }: ApprovalRequest, digest: string): Refusal {
  const isOriginal = edited?.before === digest
  const why = isOriginal
    ? `\`${edited.by}\` changed the arguments of this approval: decide with the changed ones, which it carries`
    : 'the approval is of another call: agent, principal, tool, environment and arguments must be those that were approved'
  return refuse('MISMATCH', why)
}

function breakGlass(draft: Draft, act: ActOf<'break-glass'>, nowMs: number): Refusal | null {
  const { request } = draft
  const { seat, reason } = act
  if (request.state !== 'PENDING') return alreadyDecided(request)
  const fault = glassFault(request, seat) ?? digestFault(request, act.shownDigest) ?? textFault('the reason', reason)
  if (fault !== null) return fault
  if (reason.trim() === '')
    return refuse('REASON_REQUIRED', 'breaking the glass needs a reason: say what the emergency is')
  draft.addVote({ seat, verdict: 'approve', comment: reason, shownDigest: act.shownDigest }, nowMs)
  draft.happen('glass-broken', seat.person, reason, nowMs, {
    brokenGlass: {
      by: seat.person,
      atMs: nowMs,
      reviewByMs: nowMs + REVIEW_GLASS_MS,
      reviewedBy: '',
      reviewedMs: null,
      alarmedMs: null,
    },
  })
  draft.approve(seat.person, reason, nowMs)
  return null
}

function reviewGlass(draft: Draft, { by, comment }: ActOf<'review-glass'>, nowMs: number): Refusal | null {
  const { brokenGlass: glass, subject } = draft.request
  if (glass === null) return refuse('INVALID', 'nobody broke the glass for this request: there is nothing to review')
  if (glass.reviewedMs !== null) return refuse('ALREADY_VOTED', `\`${glass.reviewedBy}\` reviewed it already`)
  if (personKey(by) === personKey(glass.by) || barredBySubject(subject).has(personKey(by))) {
    return refuse(
      'BARRED',
      'somebody else must review it: neither who broke the glass nor anybody on whose side the call is',
    )
  }
  const fault = textFault('the comment', comment)
  if (fault !== null) return fault
  draft.happen('reviewed', by, comment, nowMs, { brokenGlass: { ...glass, reviewedBy: by, reviewedMs: nowMs } })
  return null
}

// ------------------------------------------------------------------ time

/** What is due by now, in the order in which it was to be. */
function doWhatIsDue(draft: Draft, nowMs: number): void {
  for (;;) {
    const { request } = draft
    const due = dueTimes(request)
    if (due.length === 0 || Math.min(...due) > nowMs) return
    if (request.state === 'PENDING') runOut(draft, Math.min(...due), nowMs)
    else if (request.state === 'APPROVED' && request.validUntilMs! <= nowMs) {
      draft.end('GRANT_EXPIRED', 'grant-expired', CLOCK, 'the approval was not used in time', nowMs)
    } else alarm(draft, nowMs)
  }
}

function dueTimes(request: ApprovalRequest): readonly number[] {
  const times: number[] = []
  if (request.state === 'PENDING') {
    for (const open of unmet(request)) times.push(Math.min(open.deadlineMs, escalationMs(open) ?? Infinity))
  }
  if (request.state === 'APPROVED') times.push(request.validUntilMs!)
  const { brokenGlass: glass } = request
  if (glass !== null && glass.reviewedMs === null && glass.alarmedMs === null) times.push(glass.reviewByMs)
  return times
}

function escalationMs({ requirement, escalationsDone, openedMs }: OpenRequirement): number | null {
  const next = inOrder(requirement)[escalationsDone]
  return next === undefined ? null : openedMs + next.afterMs
}

/** A clause may name its escalations in any order. */
function inOrder({ escalations }: ApprovalRequirement): ApprovalRequirement['escalations'] {
  return escalations.length < 2 ? escalations : [...escalations].sort((one, other) => one.afterMs - other.afterMs)
}

/** The one timer of a waiting request that is due at `dueMs`. At one moment a role is asked before time runs out. */
function runOut(draft: Draft, dueMs: number, nowMs: number): void {
  const open = unmet(draft.request)
  const escalating = open.find((one) => escalationMs(one) === dueMs)
  if (escalating !== undefined) {
    const { role } = inOrder(escalating.requirement)[escalating.escalationsDone]!
    draft.escalate(escalating, role, { escalationsDone: escalating.escalationsDone + 1 }, nowMs)
    return
  }
  const over = open.find(({ deadlineMs }) => deadlineMs === dueMs)!
  const { onTimeout } = over.requirement
  if (onTimeout.kind === 'escalate' && !over.timeoutEscalated) {
    // The same time once more from now, not from the deadline: who is asked late because nothing ran has it whole.
    const changes = { timeoutEscalated: true, deadlineMs: nowMs + over.withinMs }
    draft.escalate(over, onTimeout.role, changes, nowMs)
    return
  }
  const missing = rolesWaitedFor(draft.request).join(', ')
  draft.end('EXPIRED', 'expired', CLOCK, `nobody answered in time: ${missing} did not vote`, nowMs)
}

function alarm(draft: Draft, nowMs: number): void {
  const glass = draft.request.brokenGlass!
  const why = `\`${glass.by}\` broke the glass and nobody reviewed it within a day`
  draft.happen('review-overdue', CLOCK, why, nowMs, { brokenGlass: { ...glass, alarmedMs: nowMs } })
}

// ------------------------------------------------------------------ who may

function unmet(request: ApprovalRequest): readonly OpenRequirement[] {
  const progress = progressesOf(request)
  return request.requirements.filter((_, at) => !progress[at]!.met)
}

/** Whether the person may take part at all: says no, gives more time. */
function reviewFault(request: ApprovalRequest, seat: Seat): Refusal | null {
  if (request.state !== 'PENDING') return alreadyDecided(request)
  const bySubject = barredBySubject(request.subject)
  const persons = personsOf(seat)
  if (persons.some((person) => bySubject.has(person))) {
    return refuse(
      'BARRED',
      'who asks, for whom it is asked and who answers for the agent may not vote: somebody else must',
    )
  }
  const progress = progressesOf(request)
  const fitting = request.requirements.filter(({ requirement, escalatedTo }, at) =>
    fitsStage(requirement.stages[progress[at]!.stage], seat, escalatedTo),
  )
  if (fitting.length === 0) return notAsked(request, 'you hold no role, or not every attribute, that is asked for now')
  const isBarred = ({ requirement }: OpenRequirement) => {
    const barred = barredFrom(requirement, bySubject)
    return persons.some((person) => barred.has(person))
  }
  if (fitting.every(isBarred))
    return refuse('BARRED', 'the authors of the policy may not vote here: somebody else must')
  return null
}

function notAsked(request: ApprovalRequest, why: string): Refusal {
  return refuse('NOT_ELIGIBLE', `${why}: the request waits for ${rolesWaitedFor(request).join(', ')}`)
}

/** A vote uses up the person who gives it and the person whose seat it is; votes about other arguments are void. */
function votedFault({ votes, subject }: ApprovalRequest, seat: Seat): Refusal | null {
  const persons = new Set(personsOf(seat))
  const earlier = votes.find(
    (one) => one.digest === subject.digest && personsOf(one).some((person) => persons.has(person)),
  )
  if (earlier === undefined) return null
  const through = earlier.onBehalfOf === '' ? '' : ` for \`${earlier.onBehalfOf}\``
  return refuse('ALREADY_VOTED', `\`${earlier.person}\` voted${through} already: a person votes once, from one seat`)
}

/** Whether an approval from this seat would fill a place. */
function placeFault(request: ApprovalRequest, seat: Seat): Refusal | null {
  const fault = reviewFault(request, seat)
  if (fault !== null) return fault
  const { subject, shownDigest, votes } = request
  const tried: Vote = { ...seat, verdict: 'approve', comment: '', digest: subject.digest, shownDigest, atMs: 0 }
  const progress = progressesOf({ ...request, votes: [...votes, tried] })
  if (progress.some(({ seated }) => seated.has(tried))) return null
  return notAsked(request, 'the places that you could fill are taken')
}

function digestFault({ shownDigest }: ApprovalRequest, named: string): Refusal | null {
  if (named === shownDigest) return null
  return refuse(
    'DIGEST_MISMATCH',
    'the vote is about something else than what is to be decided now: look at the request again',
  )
}

function reasonFault({ requirements }: ApprovalRequest, { verdict, comment }: ActOf<'vote'>): Refusal | null {
  if (comment.trim() !== '') return null
  const asking = requirements.find(({ requirement }) =>
    verdict === 'approve' ? requirement.reasonOnApproval : requirement.reasonOnRejection,
  )
  if (asking === undefined) return null
  const rule = `rule \`${asking.requirement.ruleIds[0]}\``
  return refuse('REASON_REQUIRED', `${rule} asks for a reason: ${verdict} with a comment`)
}

function textFault(what: string, text: string): Refusal | null {
  if (Buffer.byteLength(text) <= MOST_COMMENT_BYTES) return null
  return refuse('INVALID', `${what} holds more than ${MOST_COMMENT_BYTES} bytes: shorten it`)
}

/** Every rule that asks must let this person break its glass: one emergency opens no other rule. */
function glassFault(request: ApprovalRequest, seat: Seat): Refusal | null {
  if (seat.onBehalfOf !== '')
    return refuse('NOT_ELIGIBLE', 'the glass is broken from one’s own seat, never from a lent one')
  const bySubject = barredBySubject(request.subject)
  const key = personKey(seat.person)
  for (const { requirement } of request.requirements) {
    if (barredFrom(requirement, bySubject).has(key)) {
      return refuse('BARRED', 'who may not vote here may not break the glass either: somebody else must')
    }
    if (!opensGlass(requirement, seat)) {
      const whom = requirement.breakGlass === null ? 'lets nobody' : `lets only \`${requirement.breakGlass}\``
      return refuse('NOT_ELIGIBLE', `rule \`${requirement.ruleIds[0]}\` ${whom} break the glass`)
    }
  }
  return null
}

function opensGlass({ breakGlass }: ApprovalRequirement, { roles }: Seat): boolean {
  return breakGlass !== null && roles.includes(breakGlass)
}

function isMetBy(request: ApprovalRequest, requirement: ApprovalRequirement, barred: ReadonlySet<string>): boolean {
  const { votes, subject, brokenGlass } = request
  if (brokenGlass !== null) {
    const opener = votes.find(({ person, atMs }) => person === brokenGlass.by && atMs === brokenGlass.atMs)
    return opener !== undefined && !barred.has(personKey(opener.person)) && opensGlass(requirement, opener)
  }
  return progressOf(requirement, {
    votes,
    digest: subject.digest,
    barred,
    escalatedTo: escalatedFor(request, requirement),
  }).met
}

/** Roles that were asked by escalation, as far as the requirement of today would ask them, too. */
function escalatedFor(request: ApprovalRequest, { escalations, onTimeout }: ApprovalRequirement) {
  const named = new Set(escalations.map(({ role }) => role))
  if (onTimeout.kind === 'escalate') named.add(onTimeout.role)
  return request.requirements.flatMap(({ escalatedTo }) => escalatedTo.filter(({ role }) => named.has(role)))
}

// ------------------------------------------------------------------ the request in the making

function openRequirement(requirement: ApprovalRequirement, times: DefaultTimes, nowMs: number): OpenRequirement {
  const withinMs = requirement.withinMs ?? times.withinMs
  return {
    requirement,
    withinMs,
    validForMs: requirement.validForMs ?? times.validForMs,
    openedMs: nowMs,
    deadlineMs: nowMs + withinMs,
    escalatedTo: [],
    escalationsDone: 0,
    timeoutEscalated: false,
  }
}

function stageText({ requirements }: ApprovalRequest, at: number, stage: number): string {
  const { ruleIds, stages } = requirements[at]!.requirement
  return `stage ${stage} of ${stages.length} of rule \`${ruleIds[0]}\` is met`
}

const TOLD: ReadonlySet<string> = new Set(NOTICES)

/** A request while one act works on it. INVARIANT: every event adds one to the version, and nothing else does. */
class Draft {
  readonly #before: ApprovalRequest
  request: ApprovalRequest
  events: ApprovalEvent[] = []
  effects: Effect[] = []
  /** What the clock brought about, which stands also where the act is refused. */
  #byClock: Pick<Step, 'request' | 'events' | 'effects'> | null = null

  constructor(request: ApprovalRequest) {
    this.#before = request
    this.request = request
  }

  happen(
    kind: ApprovalEvent['kind'],
    by: string,
    why: string,
    atMs: number,
    changes: Partial<ApprovalRequest> = {},
  ): void {
    this.request = { ...this.request, ...changes, version: this.request.version + 1 }
    const { id: approvalId, version, state, shownDigest } = this.request
    this.events.push({ approvalId, version, kind, atMs, by, why: why.toWellFormed(), state, shownDigest })
    if (TOLD.has(kind)) {
      const key = `${approvalId}:${version}:${kind}`
      this.effects.push({ kind: 'notice', notice: kind as NoticeKind, roles: rolesWaitedFor(this.request), key })
    }
    if (by === CLOCK) this.#byClock = { request: this.request, events: [...this.events], effects: [...this.effects] }
  }

  addVote(
    { seat, verdict, comment, shownDigest }: Pick<ActOf<'vote'>, 'seat' | 'verdict' | 'comment' | 'shownDigest'>,
    atMs: number,
  ): void {
    const { votes, subject } = this.request
    // After an edit the vote is about what the reviewer made of it, not about what the page showed before.
    const shown = this.request.edited?.atMs === atMs ? this.request.shownDigest : shownDigest
    const { person, onBehalfOf, roles, attributes } = seat
    const given: Vote = {
      person,
      onBehalfOf,
      roles,
      attributes,
      verdict,
      comment: comment.toWellFormed(),
      digest: subject.digest,
      shownDigest: shown,
      atMs,
    }
    this.happen('voted', person, comment, atMs, { votes: [...votes, given] })
  }

  approve(by: string, why: string, atMs: number): void {
    const validForMs = Math.min(...this.request.requirements.map((open) => open.validForMs))
    this.happen('approved', by, why, atMs, {
      state: 'APPROVED',
      approvedMs: atMs,
      validUntilMs: atMs + validForMs,
      endedBy: by,
      endedWhy: why.toWellFormed(),
    })
  }

  /** The raw arguments are of no more use, and are forgotten with the last transition. */
  end(state: ApprovalRequest['state'], kind: ApprovalEvent['kind'], by: string, why: string, atMs: number): void {
    const subject = { ...this.request.subject, arguments: {}, facts: NO_FACTS }
    this.happen(kind, by, why, atMs, { state, subject, endedMs: atMs, endedBy: by, endedWhy: why.toWellFormed() })
  }

  escalate(open: OpenRequirement, role: string, changes: Partial<OpenRequirement>, atMs: number): void {
    const escalatedTo = [...open.escalatedTo, { role, afterVotes: this.request.votes.length }]
    const requirements = this.request.requirements.map((one) =>
      one === open ? { ...one, ...changes, escalatedTo } : one,
    )
    this.happen('escalated', CLOCK, `\`${role}\` is asked, too`, atMs, { requirements })
  }

  done(refusal: Refusal | null): Step {
    if (refusal === null) return { request: this.request, events: this.events, effects: this.effects, refusal }
    return { ...(this.#byClock ?? { request: this.#before, events: [], effects: [] }), refusal }
  }
}
