import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { ApprovalAct, Step } from '../../src/approvals/acts.js'
import {
  expiresMs,
  nextTimerMs,
  open,
  progressesOf,
  rolesWaitedFor,
  step,
  voteFault,
} from '../../src/approvals/machine.js'
import { covers } from '../../src/approvals/remember.js'
import { personKey, personsOf, progressOf, type Seat } from '../../src/approvals/seats.js'
import { withArguments } from '../../src/approvals/subject.js'
import type { ApprovalRequest, Grant } from '../../src/model/approval.js'
import { digest } from '../../src/model/canonical-json.js'
import type { ApprovalRequirement, GrantOffer } from '../../src/model/decision.js'
import type { JsonObject } from '../../src/model/json.js'
import { uuidv7 } from '../../src/model/uuid.js'
import { NaiveApproval } from './naive.js'
import { group, MINUTE, opening, requirement, START, SUBJECT, seat, shownOf, voteOf } from './support.js'

fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260302), endOnFailure: true })

/** A request under way: each act asserts that it was taken, or refused with this code. */
class Run {
  request: ApprovalRequest
  now = START
  last: Step

  constructor(
    readonly t: Test,
    requirements: readonly ApprovalRequirement[],
  ) {
    this.last = open(opening(requirements), this.now)
    this.request = this.last.request
  }

  at(minutes: number): this {
    this.now = START + minutes * MINUTE
    return this
  }

  act(act: ApprovalAct, code: string | null = null): this {
    this.last = step(this.request, act, this.now)
    this.t.equal(this.last.refusal?.code ?? null, code, `${act.kind}: ${this.last.refusal?.message ?? 'taken'}`)
    this.request = this.last.request
    return this
  }

  approve(by: Seat, code: string | null = null): this {
    return this.act(voteOf(by, this.request.shownDigest), code)
  }

  is(state: ApprovalRequest['state'], waitingFor: readonly string[] = []): this {
    this.t.equal(this.request.state, state)
    this.t.same(rolesWaitedFor(this.request), waitingFor)
    return this
  }
}

const ANN = seat('ann', ['manager'])
const BOB = seat('bob', ['manager', 'finance'])
const CAT = seat('cat', ['finance'])
const DAN = seat('dan', ['ciso'])

t.test('who fills which place', async (t) => {
  const cases: Readonly<
    Record<string, { asked: string; votes: Seat[]; stage: number; met: boolean; waitingFor: string[] }>
  > = {
    'one of one': { asked: 'manager', votes: [ANN], stage: 1, met: true, waitingFor: [] },
    'nobody yet': { asked: 'manager', votes: [], stage: 0, met: false, waitingFor: ['manager'] },
    'the same person twice is one': {
      asked: '2 manager',
      votes: [ANN, ANN],
      stage: 0,
      met: false,
      waitingFor: ['manager'],
    },
    'the same person in other letters': {
      asked: '2 manager',
      votes: [ANN, seat('ANN ', ['manager'])],
      stage: 0,
      met: false,
      waitingFor: ['manager'],
    },
    'in both groups, fills one': {
      asked: 'manager and finance',
      votes: [BOB],
      stage: 0,
      met: false,
      waitingFor: ['finance'],
    },
    'makes room for who fits only one': {
      asked: 'manager and finance',
      votes: [BOB, ANN],
      stage: 1,
      met: true,
      waitingFor: [],
    },
    'stages in order': { asked: 'manager then ciso', votes: [DAN, ANN], stage: 1, met: false, waitingFor: ['ciso'] },
    'another person in each stage': {
      asked: 'finance then manager',
      votes: [BOB],
      stage: 1,
      met: false,
      waitingFor: ['manager'],
    },
    'a seat lent uses up both': {
      asked: 'manager then finance',
      votes: [seat('eve', ['manager'], { onBehalfOf: 'bob' }), BOB],
      stage: 1,
      met: false,
      waitingFor: ['finance'],
    },
    'no stages are met by nobody': {
      asked: '0 manager',
      votes: [ANN, BOB],
      stage: 0,
      met: false,
      waitingFor: ['manager'],
    },
  }
  for (const [name, { asked, votes, ...expected }] of Object.entries(cases)) {
    const given = votes.map((by) => ({
      ...by,
      verdict: 'approve' as const,
      comment: '',
      digest: 'd',
      shownDigest: '',
      atMs: 0,
    }))
    const ballot = { votes: given, digest: 'd', barred: new Set<string>(), escalatedTo: [] }
    const { seated, ...progress } = progressOf(requirement(asked), ballot)
    t.same(progress, expected, name)
    t.notOk(progressOf(requirement(asked), { ...ballot, digest: 'other' }).met, `${name}: about other arguments`)
    t.equal(
      progressOf(requirement(asked), { ...ballot, barred: new Set(given.flatMap(personsOf)) }).seated.size,
      0,
      `${name}: barred`,
    )
  }
  const nobody = requirement('manager', { stages: [] })
  t.notOk(progressOf(nobody, { votes: [], digest: null, barred: new Set(), escalatedTo: [] }).met)
})

t.test('attributes are those of the person, in type and value', async (t) => {
  const from = [group('manager', { region: 'eu', level: 3 })]
  const asked = requirement('manager', { stages: [{ from }] })
  const cases: readonly [string, Seat['attributes'], string | null][] = [
    ['all of them', { region: 'eu', level: 3, team: 'x' }, null],
    ['one is another', { region: 'us', level: 3 }, 'NOT_ELIGIBLE'],
    ['of another type', { region: 'eu', level: '3' }, 'NOT_ELIGIBLE'],
    ['one is missing', { region: 'eu' }, 'NOT_ELIGIBLE'],
  ]
  for (const [name, attributes, code] of cases) {
    t.comment(name)
    new Run(t, [asked]).approve(seat('ann', ['manager'], { attributes }), code)
  }
  const nobody = requirement('manager', { stages: [{ from: [group('manager', { constructor: null })] }] })
  new Run(t, [nobody]).approve(ANN, 'NOT_ELIGIBLE')
})

t.test('the acts of a request', async (t) => {
  t.test('stages, then use', async (t) => {
    const run = new Run(t, [requirement('manager then 2 finance')]).is('PENDING', ['manager'])
    run.approve(CAT, 'NOT_ELIGIBLE').approve(ANN).is('PENDING', ['finance'])
    t.same(
      run.last.events.map(({ kind, version }) => [kind, version]),
      [
        ['voted', 2],
        ['stage-met', 3],
      ],
    )
    run.approve(ANN, 'NOT_ELIGIBLE').approve(BOB).approve(BOB, 'ALREADY_VOTED').approve(CAT).is('APPROVED')
    t.equal(run.request.validUntilMs, START + 5 * MINUTE)
    t.same(
      run.last.effects.map((effect) => effect.kind === 'notice' && effect.notice),
      ['approved'],
    )
    const use = { kind: 'consume', digest: SUBJECT.digest, asked: [requirement('manager then 2 finance')] } as const
    run
      .act({ ...use, digest: 'x' }, 'MISMATCH')
      .act(use)
      .is('CONSUMED')
      .act(use, 'ALREADY_DECIDED')
    t.same(run.request.subject.arguments, {}, 'the raw arguments are forgotten')
  })
  t.test('every requirement, with one vote where it fits both', async (t) => {
    new Run(t, [requirement('manager'), requirement('finance')]).approve(BOB).is('APPROVED')
  })
  t.test('a stricter policy is not met, a changed one that the votes meet is', async (t) => {
    const approved = () => new Run(t, [requirement('manager then finance')]).approve(ANN).approve(CAT).is('APPROVED')
    const use = (asked: string): ApprovalAct => ({
      kind: 'consume',
      digest: SUBJECT.digest,
      asked: [requirement(asked)],
    })
    approved().act(use('2 manager'), 'NOT_ENOUGH').is('APPROVED').act(use('manager')).is('CONSUMED')
    approved().act(use('finance then manager'), 'NOT_ENOUGH')
    approved().act(use('manager and finance'))
    approved().act(
      { ...use('manager'), asked: [requirement('manager', { barred: ['Ann'] })] } as ApprovalAct,
      'NOT_ENOUGH',
    )
  })
  t.test('one no ends it, and says so to whoever is late', async (t) => {
    const run = new Run(t, [requirement('2 manager', { reasonOnRejection: true })]).approve(ANN)
    const no = voteOf(BOB, run.request.shownDigest, { verdict: 'reject' })
    run.act({ ...no, seat: CAT }, 'NOT_ELIGIBLE').act(no, 'REASON_REQUIRED')
    run
      .act({ ...no, comment: 'too much' })
      .is('REJECTED')
      .approve(seat('zoe', ['manager']), 'ALREADY_DECIDED')
    const { decided } = run.last.refusal!
    t.same(decided, { state: 'REJECTED', by: 'bob', why: 'too much', atMs: START })
  })
  t.test('barred, whatever they hold and through whatever seat', async (t) => {
    const asked = requirement('manager', { barred: ['Author@example.com'] })
    const barred = ['support-1', 'OWNER@example.com', 'customer@example.com', 'planner', 'author@EXAMPLE.com']
    for (const person of barred) {
      const run = new Run(t, [asked]).approve(seat(person, ['manager']), 'BARRED')
      run.approve(seat(person, ['manager'], { onBehalfOf: 'ann' }), 'BARRED')
      run.approve(seat('ann', ['manager'], { onBehalfOf: person }), 'BARRED')
      run.act(voteOf(seat(person, ['manager']), run.request.shownDigest, { verdict: 'reject' }), 'BARRED')
      run
        .act({ kind: 'extend', seat: seat(person, ['manager']), byMs: MINUTE, reason: '' }, 'BARRED')
        .is('PENDING', ['manager'])
    }
  })
  t.test('bound to what was shown', async (t) => {
    new Run(t, [requirement('manager')])
      .act(voteOf(ANN, 'something else'), 'DIGEST_MISMATCH')
      .is('PENDING', ['manager'])
  })
  t.test('texts have an end', async (t) => {
    const run = new Run(t, [requirement('manager')])
    const comment = 'é'.repeat(2_049)
    run
      .act(voteOf(ANN, run.request.shownDigest, { comment }), 'INVALID')
      .act({ kind: 'comment', by: 'ann', comment }, 'INVALID')
    run
      .act({ kind: 'comment', by: 'ann', comment: ' ' }, 'INVALID')
      .act({ kind: 'comment', by: 'ann', comment: 'hm \ud800' })
    t.equal(run.last.events[0]?.why, 'hm \ufffd')
  })
  t.test('stopped: what waits is cancelled, what is approved revoked', async (t) => {
    const kill: ApprovalAct = { kind: 'kill', switchId: 'k1', reason: 'incident' }
    new Run(t, [requirement('manager')]).act(kill).is('CANCELLED').act(kill, 'ALREADY_DECIDED')
    const run = new Run(t, [requirement('manager')]).approve(ANN).act(kill).is('REVOKED')
    t.equal(run.request.endedBy, 'kill:k1')
    new Run(t, [requirement('manager')]).act({ kind: 'cancel', by: 'support-1', reason: '' }).is('CANCELLED')
  })
})

t.test('time', async (t) => {
  t.test('a vote after the deadline loses, and the request is out of time by it', async (t) => {
    const run = new Run(t, [requirement('manager')]).at(10).approve(ANN, 'EXPIRED').is('EXPIRED')
    t.same(
      run.last.events.map(({ kind, by }) => [kind, by]),
      [['expired', 'clock']],
    )
    t.equal(run.last.refusal?.decided?.state, 'EXPIRED')
    run.at(0).approve(ANN, 'EXPIRED').is('EXPIRED')
  })
  t.test('escalation adds a role that fills any place, for votes to come', async (t) => {
    const asked = requirement('2 manager then finance', { escalations: [{ role: 'ciso', afterMs: 4 * MINUTE }] })
    const run = new Run(t, [asked]).approve(DAN, 'NOT_ELIGIBLE').at(4).approve(DAN).is('PENDING', ['manager', 'ciso'])
    run
      .approve(seat('kim', ['ciso']))
      .is('PENDING', ['finance', 'ciso'])
      .approve(CAT)
      .is('APPROVED')
    run.act({ kind: 'consume', digest: SUBJECT.digest, asked: [requirement('2 manager then finance')] }, 'NOT_ENOUGH')
    run.act({ kind: 'consume', digest: SUBJECT.digest, asked: [asked] }).is('CONSUMED')
  })
  t.test('out of time asks the next role for the same time again, once', async (t) => {
    const run = new Run(t, [requirement('manager', { onTimeout: { kind: 'escalate', role: 'ciso' } })])
    run.at(25).act({ kind: 'tick' }).is('PENDING', ['manager', 'ciso'])
    t.equal(run.request.requirements[0]!.deadlineMs, START + 35 * MINUTE, 'counted from when it was asked')
    run.at(35).act({ kind: 'tick' }).is('EXPIRED')
  })
  t.test('more time, three times, for what is not met, at most its own time', async (t) => {
    const run = new Run(t, [requirement('manager'), requirement('finance')]).approve(CAT)
    const extend = { kind: 'extend', seat: ANN, byMs: 60 * MINUTE, reason: 'in a meeting' } as const
    run
      .act({ ...extend, seat: DAN }, 'NOT_ELIGIBLE')
      .act({ ...extend, byMs: 0 }, 'INVALID')
      .act(extend)
      .act(extend)
      .act(extend)
    run.act(extend, 'TOO_MANY_EXTENSIONS')
    t.equal(expiresMs(run.request), START + 40 * MINUTE)
    t.equal(nextTimerMs(run.request), START + 40 * MINUTE, 'what is met has no end')
  })
  t.test('approved and not used in time', async (t) => {
    const run = new Run(t, [requirement('manager')]).approve(ANN)
    t.equal(nextTimerMs(run.request), START + 5 * MINUTE)
    run
      .at(5)
      .act({ kind: 'consume', digest: SUBJECT.digest, asked: [requirement('manager')] }, 'EXPIRED')
      .is('GRANT_EXPIRED')
    t.equal(nextTimerMs(run.request), null)
  })
})

t.test('editing', async (t) => {
  const editable = requirement('2 manager', { mayEdit: [['amount'], ['note']] })
  const editedTo = (args: JsonObject, requirements = [editable]) => {
    const { digest } = withArguments(SUBJECT, args)
    return {
      arguments: args,
      digest,
      shown: shownOf(args),
      requirements,
      times: { withinMs: MINUTE, validForMs: MINUTE },
    }
  }
  const edit = (run: Run, by: Seat, edited: ReturnType<typeof editedTo>) =>
    voteOf(by, run.request.shownDigest, { edited })
  t.test('earlier votes are void, the editor’s own counts', async (t) => {
    const run = new Run(t, [editable]).approve(ANN)
    const before = run.request.shownDigest
    run.act(edit(run, BOB, editedTo({ amount: 100, order_id: 'A1' }))).is('PENDING', ['manager'])
    t.same(run.request.edited, { by: 'bob', atMs: START, before: SUBJECT.digest })
    t.equal(run.request.requirements[0]!.deadlineMs, START + 10 * MINUTE, 'the clock runs on')
    run.act(voteOf(ANN, before), 'DIGEST_MISMATCH').approve(ANN).is('APPROVED')
    t.same(run.request.subject.arguments, { amount: 100, order_id: 'A1' })
    t.ok(run.request.votes.slice(1).every((vote) => vote.shownDigest === run.request.shownDigest))
    const use = { kind: 'consume', digest: SUBJECT.digest, asked: [editable] } as const
    run.act(use, 'MISMATCH')
    t.match(run.last.refusal!.message, /changed the arguments/)
    run.act({ ...use, digest: run.request.subject.digest }).is('CONSUMED')
  })
  t.test('only what the rule names', async (t) => {
    const run = new Run(t, [editable, requirement('2 manager', { ruleIds: ['OTHER'], mayEdit: [['amount']] })])
    run.act(edit(run, ANN, editedTo({ amount: 1, order_id: 'B2' })), 'NOT_EDITABLE')
    run.act(edit(run, ANN, editedTo({ amount: 1, order_id: 'A1', note: 'x' })), 'NOT_EDITABLE')
    run.act(edit(run, ANN, editedTo({ order_id: 'A1' }))).is('PENDING', ['manager'])
    new Run(t, [requirement('manager', { mayEdit: [[]] })]).act(
      voteOf(ANN, digest({ ...shownOf() } as never), { edited: editedTo({ amount: 1, order_id: 'A1' }) }),
      'NOT_EDITABLE',
    )
  })
  t.test('what is asked of the changed call is asked, with the editor among its voters', async (t) => {
    const run = new Run(t, [editable])
    const elsewhere = editedTo({ amount: 9_000, order_id: 'A1' }, [requirement('finance')])
    run.act(edit(run, ANN, elsewhere), 'NOT_ELIGIBLE').is('PENDING', ['manager'])
    t.equal(run.request.edited, null)
    run.act(edit(run, BOB, elsewhere)).is('APPROVED')
  })
})

t.test('remembering', async (t) => {
  const offer = (scope: GrantOffer['scope'], changes: Partial<GrantOffer> = {}): GrantOffer => ({
    scope,
    paths: scope === 'fields' ? [['order_id']] : [],
    forMs: 60 * MINUTE,
    mostUses: 5,
    ...changes,
  })
  const wish = (scope: 'exact' | 'tool' | 'fields', changes: object = {}) => ({
    grantId: uuidv7(START),
    scope,
    fields: scope === 'fields' ? [['order_id']] : [],
    forMs: 0,
    mostUses: 0,
    ...changes,
  })
  const cases: readonly [string, GrantOffer[], ReturnType<typeof wish>, string | null][] = [
    ['as offered', [offer('exact')], wish('exact'), null],
    ['nothing is offered', [], wish('exact'), 'NOT_REMEMBERABLE'],
    ['narrower than offered', [offer('tool')], wish('fields'), null],
    ['wider than offered', [offer('exact')], wish('tool'), 'NOT_REMEMBERABLE'],
    [
      'fewer fields than offered',
      [offer('fields', { paths: [['order_id'], ['amount']] })],
      wish('fields'),
      'NOT_REMEMBERABLE',
    ],
    ['fields of nothing', [offer('tool')], wish('fields', { fields: [] }), 'NOT_REMEMBERABLE'],
    ['a field that the call lacks', [offer('tool')], wish('fields', { fields: [['memo']] }), 'NOT_REMEMBERABLE'],
    ['longer than offered', [offer('exact')], wish('exact', { forMs: 61 * MINUTE }), 'NOT_REMEMBERABLE'],
    ['more often than offered', [offer('exact')], wish('exact', { mostUses: 6 }), 'NOT_REMEMBERABLE'],
    ['less of both', [offer('exact')], wish('exact', { forMs: MINUTE, mostUses: 1 }), null],
  ]
  for (const [name, mayRemember, remember, code] of cases) {
    t.comment(name)
    const run = new Run(t, [requirement('manager', { mayRemember })])
    run
      .act(voteOf(ANN, run.request.shownDigest, { remember }), code)
      .is(code === null ? 'APPROVED' : 'PENDING', code === null ? [] : ['manager'])
    t.equal(run.last.effects.filter(({ kind }) => kind === 'grant').length, code === null ? 1 : 0)
  }
  const run = new Run(t, [requirement('2 manager', { mayRemember: [offer('fields')] })])
  run.act(voteOf(ANN, run.request.shownDigest, { remember: wish('fields') }), 'NOT_REMEMBERABLE').approve(ANN)
  run.act(voteOf(BOB, run.request.shownDigest, { remember: wish('fields') }))
  const grant = run.last.effects.flatMap((effect) => (effect.kind === 'grant' ? [effect.grant] : []))[0] as Grant
  t.match(grant, { expiresMs: START + 60 * MINUTE, mostUses: 5, votes: [{ person: 'ann' }, { person: 'bob' }] })
  t.ok(covers(grant, withArguments(SUBJECT, { order_id: 'A1', amount: 7 })))
  t.notOk(covers(grant, withArguments(SUBJECT, { order_id: 'A2', amount: 450 })))
  t.notOk(covers(grant, withArguments(SUBJECT, { amount: 450 })), 'absent is no value')
  for (const key of ['tenant', 'agent', 'principal', 'tool', 'environment'] as const) {
    t.notOk(covers(grant, { ...SUBJECT, [key]: 'another' }), key)
  }
  const byEscalation = requirement('manager', {
    mayRemember: [offer('exact')],
    escalations: [{ role: 'ciso', afterMs: 1_000 }],
  })
  const late = new Run(t, [byEscalation]).at(1)
  late
    .act(voteOf(DAN, late.request.shownDigest, { remember: wish('exact') }), 'NOT_REMEMBERABLE')
    .approve(DAN)
    .is('APPROVED')
})

t.test('breaking the glass', async (t) => {
  const asked = requirement('2 manager', { breakGlass: 'ciso' })
  const broken = (run: Run, by: Seat, reason = 'site down'): ApprovalAct => ({
    kind: 'break-glass',
    seat: by,
    shownDigest: run.request.shownDigest,
    reason,
  })
  const run = new Run(t, [asked])
  run.act(broken(run, ANN), 'NOT_ELIGIBLE').act(broken(run, DAN, ''), 'REASON_REQUIRED')
  run
    .act(broken(run, seat('planner', ['ciso'])), 'BARRED')
    .act(broken(run, { ...DAN, onBehalfOf: 'kim' }), 'NOT_ELIGIBLE')
  run.act(broken(run, DAN)).is('APPROVED')
  const use = { kind: 'consume', digest: SUBJECT.digest, asked: [asked] } as const
  run
    .act({ ...use, asked: [asked, requirement('manager')] }, 'NOT_ENOUGH')
    .act(use)
    .is('CONSUMED')
  t.equal(nextTimerMs(run.request), START + 24 * 60 * MINUTE)
  run.at(24 * 60 + 1).act({ kind: 'tick' })
  t.same(
    run.last.events.map(({ kind }) => kind),
    ['review-overdue'],
  )
  run.act({ kind: 'tick' })
  t.same(run.last.events, [], 'one alarm')
  const review = { kind: 'review-glass', by: 'zoe', comment: 'was right' } as const
  run
    .act({ ...review, by: 'DAN' }, 'BARRED')
    .act({ ...review, by: 'owner@example.com' }, 'BARRED')
    .act(review)
  run.act(review, 'ALREADY_VOTED')
  t.equal(run.request.brokenGlass?.reviewedBy, 'zoe')
  new Run(t, [requirement('manager')]).act(review, 'INVALID')
  const two = new Run(t, [asked, requirement('manager')])
  two.act(broken(two, DAN), 'NOT_ELIGIBLE')
})

// ------------------------------------------------------------------ against the naive model

const ROLE = fc.constantFrom('a', 'b', 'c', 'x')
const ROLES = fc.uniqueArray(ROLE, { maxLength: 3 })
const PEOPLE = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5', SUBJECT.agent, SUBJECT.agentOwner]
const PERSON = fc.constantFrom(...PEOPLE)
const MINUTES = fc.integer({ min: 1, max: 20 })

const anyRequirement: fc.Arbitrary<ApprovalRequirement> = fc
  .record({
    stages: fc.array(
      fc.record({
        from: fc.array(fc.record({ count: fc.integer({ min: 1, max: 2 }), role: ROLE, where: fc.constant([]) }), {
          minLength: 1,
          maxLength: 2,
        }),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    within: MINUTES,
    next: fc.option(ROLE),
    escalations: fc.array(fc.record({ role: ROLE, afterMs: MINUTES.map((n) => n * MINUTE) }), { maxLength: 2 }),
    valid: MINUTES,
    breakGlass: fc.option(fc.constant('x')),
  })
  .map(({ stages, within, next, escalations, valid, breakGlass }) =>
    requirement('a', {
      stages,
      withinMs: within * MINUTE,
      onTimeout: next === null ? { kind: 'deny' } : { kind: 'escalate', role: next },
      escalations,
      validForMs: valid * MINUTE,
      breakGlass,
    }),
  )

const anySeat = fc
  .record({ person: PERSON, onBehalfOf: fc.option(PERSON, { freq: 4 }), roles: ROLES })
  .map(({ person, onBehalfOf, roles }): Seat => ({ person, onBehalfOf: onBehalfOf ?? '', roles, attributes: {} }))

/** A step of time, backwards too, and what is done then. */
const anyMove = fc.record({
  minutes: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: -5, max: 12 })),
  seat: anySeat,
  act: fc.oneof(
    { weight: 8, arbitrary: fc.constant('approve' as const) },
    fc.constantFrom('reject', 'tick', 'extend', 'cancel', 'kill', 'consume', 'break-glass', 'comment' as const),
  ),
})
type Move = typeof anyMove extends fc.Arbitrary<infer T> ? T : never

function actOf({ act, seat }: Move, request: ApprovalRequest, asked: readonly ApprovalRequirement[]): ApprovalAct {
  switch (act) {
    case 'approve':
    case 'reject':
      return voteOf(seat, request.shownDigest, { verdict: act })
    case 'extend':
      return { kind: 'extend', seat, byMs: 3 * MINUTE, reason: '' }
    case 'cancel':
      return { kind: 'cancel', by: 'operator', reason: '' }
    case 'kill':
      return { kind: 'kill', switchId: 'k', reason: '' }
    case 'consume':
      return { kind: 'consume', digest: request.subject.digest, asked }
    case 'break-glass':
      return { kind: 'break-glass', seat, shownDigest: request.shownDigest, reason: 'emergency' }
    case 'comment':
      return { kind: 'comment', by: seat.person, comment: 'hm' }
    default:
      return { kind: 'tick' }
  }
}

function isTaken(naive: NaiveApproval, { act, seat }: Move, now: number): boolean {
  switch (act) {
    case 'approve':
    case 'reject':
      return naive.vote(seat, act === 'approve', now)
    case 'extend':
      return naive.extend(seat, 3 * MINUTE)
    case 'cancel':
    case 'kill':
      return naive.stop()
    case 'consume':
      return naive.consume()
    case 'break-glass':
      return naive.breakGlass(seat, now)
    case 'comment':
      return naive.state === 'PENDING'
    default:
      return true
  }
}

const FINAL = new Set(['CONSUMED', 'REJECTED', 'EXPIRED', 'CANCELLED', 'GRANT_EXPIRED', 'REVOKED'])

t.test('any course of events goes as the naive model says', async (t) => {
  const barred = [SUBJECT.agent, SUBJECT.agentOwner, SUBJECT.principal, ...SUBJECT.delegationChain]
  const barredKeys = new Set(barred.map(personKey))
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(
      fc.array(anyRequirement, { minLength: 1, maxLength: 2 }),
      fc.array(anyMove, { maxLength: 25 }),
      (asked, moves) => {
        let now = START
        const first = open(opening(asked), now)
        let { request } = first
        let events = [...first.events]
        const naive = new NaiveApproval(asked, barred, now)
        let ended: string | null = null
        for (const move of moves) {
          now += move.minutes * MINUTE
          const before = JSON.stringify(request)
          const said = voteFault(request, move.seat)
          const done = step(request, actOf(move, request, asked), now)
          if (JSON.stringify(request) !== before) throw new Error('the request was changed in place')
          if (move.act === 'approve' && request.state === 'PENDING' && (nextTimerMs(request) ?? now + 1) > now) {
            if ((said === null) !== (done.refusal === null))
              throw new Error('what is said of voting is not what happens')
          }
          naive.pass(now)
          const taken = isTaken(naive, move, now)
          if (taken !== (done.refusal === null))
            throw new Error(`${move.act}: ${done.refusal?.code}, the model says ${taken}`)
          if (done.request.state !== naive.state)
            throw new Error(`${done.request.state}, the model says ${naive.state}`)
          if (done.request.version !== request.version + done.events.length) throw new Error('version')
          if (ended !== null && done.request.state !== ended) throw new Error('a second final state')
          request = done.request
          events = [...events, ...done.events]
          if (FINAL.has(request.state)) ended = request.state
          const timer = nextTimerMs(request)
          if (timer !== null && timer <= now) throw new Error('a timer is due after everything due was done')
          const met = progressesOf(request)
          for (const vote of request.votes) {
            if (personsOf(vote).some((person) => barredKeys.has(person))) throw new Error('a barred person voted')
          }
          if (request.brokenGlass === null && request.approvedMs !== null && !met.every((one) => one.met))
            throw new Error('unmet')
        }
        if (events.some(({ version }, at) => version !== at + 1)) throw new Error('versions have a gap')
        if (events.filter(({ state }, at) => FINAL.has(state) && !FINAL.has(events[at - 1]?.state ?? '')).length > 1) {
          throw new Error('ended twice')
        }
        seen.set(request.state, (seen.get(request.state) ?? 0) + 1)
      },
    ),
    { numRuns: Number(process.env['FC_RUNS'] ?? 1_500) },
  )
  const states = ['PENDING', 'APPROVED', 'CONSUMED', 'REJECTED', 'EXPIRED', 'CANCELLED', 'GRANT_EXPIRED', 'REVOKED']
  t.same([...seen.keys()].sort(), [...states].sort(), 'every state was reached')
})
