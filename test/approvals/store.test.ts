import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { BadPageToken, eventsOf, listApprovals, NO_FILTER } from '../../src/approvals/history.js'
import { endByKill } from '../../src/approvals/killing.js'
import { APPROVALS_CHANNEL } from '../../src/approvals/requests.js'
import { ApprovalRefused } from '../../src/approvals/reviews.js'
import { approvalStats } from '../../src/approvals/stats.js'
import { startTimers, tick } from '../../src/approvals/timers.js'
import { Waiting } from '../../src/approvals/waiting.js'
import type { ApprovalRequest } from '../../src/model/approval.js'
import type { Call } from '../../src/model/call.js'
import type { ApprovalRequirement, Decision } from '../../src/model/decision.js'
import type { Caller } from '../../src/model/identity.js'
import type { KillSwitch } from '../../src/model/kill-switch.js'
import { uuidv7 } from '../../src/model/uuid.js'
import { engagedNow, KillSwitchStore } from '../../src/state/kill-switch-store.js'
import { type Database, type Sql, StoreUnavailable } from '../../src/store/database.js'
import { Listener } from '../../src/store/listener.js'
import { openDatabase } from '../../src/store/pg-database.js'
import { ENGINES, freshDatabase, silent } from '../store/databases.js'
import { AGENT, ANN, age, asks, BOB, CAT, callerOf, callOf, DAN, OPS, PEOPLE, partsOver } from './store-support.js'
import { MINUTE, requirement } from './support.js'

/** Something that happens once and is waited for. */
class Signal {
  give: () => void = () => undefined
  readonly given = new Promise<void>((resolve) => {
    this.give = resolve
  })
}

async function refusedWith(t: Test, code: string, doing: Promise<unknown>): Promise<ApprovalRefused['refusal']> {
  const error = await doing.then(
    () => null,
    (cause: unknown) => cause,
  )
  if (!(error instanceof ApprovalRefused)) throw error ?? new Error(`taken, and not refused with ${code}`)
  t.equal(error.refusal.code, code, error.message)
  return error.refusal
}

for (const { engine, skip } of ENGINES) {
  t.test(`on ${engine}`, { skip }, async (t) => {
    const { database: shared, url } = await freshDatabase(t, engine, { poolSize: 8 })
    /** Making a database takes longer than most of these tests. */
    const emptied = async (): Promise<Database> => {
      await shared.execute('TRUNCATE approvals, approval_events, grants, delegations, outbox CASCADE')
      return shared
    }

    /** Parts, and the shortest way from a call to its votes. */
    async function scene(options: Parameters<typeof partsOver>[1] = {}, database: Database | null = null) {
      database ??= await emptied()
      const parts = partsOver(database, options)
      const decide = (decision: Decision, call = callOf(), id = ''): Promise<Decision> =>
        parts.desk.settle(call, decision, id)
      const vote = async (by: Caller, id: string, changes: object = {}): Promise<ApprovalRequest> => {
        const { shownDigest } = await parts.reviews.get(OPS, id)
        const review = {
          approvalId: id,
          verdict: 'approve' as const,
          comment: '',
          shownDigest,
          editedArguments: null,
          remember: null,
          onBehalfOf: '',
        }
        return parts.reviews.review(by, { ...review, ...changes })
      }
      const rejected = (by: Caller, id: string) => vote(by, id, { verdict: 'reject', comment: 'too much' })
      return { ...parts, database, decide, vote, rejected }
    }

    t.test('asked, waited for, approved, used once', async (t) => {
      const { database, decide, vote } = await scene()
      const asked = asks(requirement('manager then finance'))
      const first = await decide(asked)
      t.equal(first.outcome, 'REQUIRE_APPROVAL')
      const id = first.opened!.id
      const again = await Promise.all(Array.from({ length: 20 }, () => decide(asked)))
      t.same(
        new Set(again.map(({ opened }) => opened?.id)),
        new Set([id]),
        'one request, however often it is asked for',
      )
      t.match(await decide(asked, callOf(), id), { outcome: 'REQUIRE_APPROVAL', opened: { id } })
      await vote(ANN, id)
      t.equal((await vote(CAT, id)).state, 'APPROVED')
      const uses = await Promise.all(Array.from({ length: 20 }, () => decide(asked, callOf(), id)))
      const allowed = uses.filter(({ outcome }) => outcome === 'ALLOW')
      t.equal(allowed.length, 1, 'used once')
      t.match(allowed[0], {
        reasonCode: 'APPROVED',
        reason: 'approved by ann@example.com, cat@example.com',
        opened: { id },
      })
      t.same(
        new Set(uses.filter((use) => use !== allowed[0]).map(({ reasonCode }) => reasonCode)),
        new Set(['APPROVAL_REVOKED']),
      )
      t.equal((await decide(asked)).opened?.id === id, false, 'without its name, a new request')
      const events = await eventsOf(database, 'default', id)
      t.same(
        events.map(({ version, kind, by, state }) => [version, kind, by, state]),
        [
          [1, 'opened', 'support-1', 'PENDING'],
          [2, 'voted', 'ann@example.com', 'PENDING'],
          [3, 'stage-met', 'ann@example.com', 'PENDING'],
          [4, 'voted', 'cat@example.com', 'PENDING'],
          [5, 'approved', 'cat@example.com', 'APPROVED'],
          [6, 'consumed', 'support-1', 'CONSUMED'],
        ],
      )
      const outbox = await database.query<{ kind: string; payload: object }>(
        `SELECT kind, payload FROM outbox WHERE payload ->> 'approvalId' = $1 ORDER BY id`,
        [id],
      )
      t.same(
        outbox.map(({ kind }) => kind),
        ['approval.opened', 'approval.stage-met', 'approval.approved'],
      )
      t.match(outbox[1]?.payload, { roles: ['finance'], tool: 'issue_refund' })
      t.notMatch(JSON.stringify(outbox), /450/, 'no arguments')
    })

    t.test('every line of the table of consumption', async (t) => {
      const { database, decide, vote, rejected, reviews } = await scene()
      const asked = asks(requirement('manager'))
      let at = 0
      const fresh = async () => {
        const call = callOf({ amount: 1_000 + at++ })
        return { call, id: (await decide(asked, call)).opened!.id }
      }
      const approved = await fresh()
      await vote(ANN, approved.id)
      t.match(await decide(asks(requirement('manager and finance')), approved.call, approved.id), {
        outcome: 'REQUIRE_APPROVAL',
        opened: { id: /^(?!$)/ },
      })
      t.not((await decide(asks(requirement('manager and finance')), approved.call)).opened?.id, approved.id, 'stricter')
      const named: readonly [string, Caller, string, RegExp][] = [
        ['of other arguments', AGENT, 'APPROVAL_MISMATCH', /arguments/],
        ['of another agent', AGENT, 'APPROVAL_MISMATCH', /no approval of that id/],
        ['of another tenant', AGENT, 'APPROVAL_MISMATCH', /no approval of that id/],
      ]
      const others = [
        callOf({ amount: 7 }),
        { ...approved.call, agent: { id: 'support-2', labels: {} } },
        { ...approved.call, tenant: 'other' },
      ]
      for (const [index, [name, , code, why]] of named.entries()) {
        t.match(
          await decide(asked, others[index], approved.id),
          { outcome: 'DENY', reasonCode: code, reason: why },
          name,
        )
      }
      for (const id of ['x', uuidv7(Date.now()), `${approved.id}'`]) {
        t.match(await decide(asked, approved.call, id), { outcome: 'DENY', reasonCode: 'APPROVAL_MISMATCH' }, id)
      }
      const no = await fresh()
      await rejected(ANN, no.id)
      const because = {
        outcome: 'DENY',
        reasonCode: 'APPROVAL_REJECTED',
        reason: 'rejected by ann@example.com: too much',
      }
      t.match(await decide(asked, no.call, no.id), because)
      t.match(await decide(asked, no.call), because, 'for a minute also without its name')
      await age(database, no.id, MINUTE + 1_000)
      t.equal((await decide(asked, no.call)).outcome, 'REQUIRE_APPROVAL')
      t.match(await decide(asked, no.call, no.id), because)
      const late = await fresh()
      await age(database, late.id, 11 * MINUTE)
      t.match(await decide(asked, late.call, late.id), { outcome: 'DENY', reasonCode: 'APPROVAL_EXPIRED' })
      t.equal((await decide(asked, late.call)).outcome, 'REQUIRE_APPROVAL')
      const unused = await fresh()
      await vote(ANN, unused.id)
      await age(database, unused.id, 6 * MINUTE)
      t.match(await decide(asked, unused.call, unused.id), { outcome: 'DENY', reasonCode: 'APPROVAL_EXPIRED' })
      const cancelled = await fresh()
      await reviews.cancel(AGENT, cancelled.id, 'not needed')
      t.match(await decide(asked, cancelled.call, cancelled.id), { outcome: 'DENY', reasonCode: 'APPROVAL_REVOKED' })
    })

    t.test('nobody to ask, too much asked', async (t) => {
      const { decide, database } = await scene({ mostWaiting: 3, mostAMinute: 4 })
      for (const role of ['lonely', 'unknown', '3 manager']) {
        t.match(await decide(asks(requirement(role))), { outcome: 'DENY', reasonCode: 'NO_ELIGIBLE_APPROVER' }, role)
      }
      const glass = requirement('unknown', { breakGlass: 'ciso' })
      t.equal((await decide(asks(glass))).outcome, 'REQUIRE_APPROVAL', 'somebody may break the glass')
      const escalating = requirement('unknown', { escalations: [{ role: 'ciso', afterMs: MINUTE }] })
      t.equal(
        (await decide(asks(escalating), callOf({ amount: 2 }))).outcome,
        'REQUIRE_APPROVAL',
        'somebody will be asked',
      )
      const asked = asks(requirement('manager'))
      const many = await Promise.all(
        Array.from({ length: 20 }, (_, amount) => decide(asked, callOf({ amount: 10 + amount }))),
      )
      t.equal(many.filter(({ outcome }) => outcome === 'REQUIRE_APPROVAL').length, 1, 'three wait')
      t.match(
        many.find(({ outcome }) => outcome === 'DENY'),
        { reasonCode: 'APPROVAL_LIMIT', reason: /3 requests waiting/ },
      )
      await database.execute(`DELETE FROM approvals WHERE id = (SELECT id FROM approvals LIMIT 1)`)
      await database.execute(`UPDATE approvals SET state = 'CANCELLED'`)
      const more = await Promise.all([1, 2, 3].map((amount) => decide(asked, callOf({ amount: 50 + amount }))))
      t.equal(more.filter(({ reasonCode }) => reasonCode === 'APPROVAL_LIMIT').length, 1)
      t.match(more.find(({ outcome }) => outcome === 'DENY')?.reason, /4 requests within a minute/)
      t.equal((await decide(asked, callOf({}, { agent: { id: 'support-2', labels: {} } }))).outcome, 'REQUIRE_APPROVAL')
    })

    t.test('hostile values come through as they are', async (t) => {
      const { decide, vote, reviews, database } = await scene()
      const args = {
        note: "a\0b'; DROP TABLE approvals; --\u202e",
        big: 12_345_678_901_234_567_890n,
        password: 'x',
        deep: [null, -0.5],
      }
      const call = callOf(args, { sessionId: 'nul \0 inside', environment: 'prod' })
      const { opened } = await decide(asks(requirement('manager')), call)
      const request = await reviews.get(OPS, opened!.id)
      t.same(request.subject.arguments, args)
      t.equal(request.shown.arguments['password'], '***')
      await vote(ANN, opened!.id, { comment: 'fine \0 \ud800' })
      const [, voted] = await eventsOf(database, 'default', opened!.id)
      t.equal(voted?.why, 'fine \ufffd \ufffd')
      t.equal((await decide(asks(requirement('manager')), call)).outcome, 'ALLOW')
    })

    t.test('who may do what', async (t) => {
      const { decide, vote, reviews, rejected } = await scene()
      const { id } = (await decide(asks(requirement('manager')))).opened!
      const strangers = [
        callerOf('zoe', ['manager'], { tenant: 'other' }),
        callerOf('support-2', [], { roles: ['agent'] }),
      ]
      for (const stranger of strangers) {
        await refusedWith(t, 'NOT_FOUND', reviews.get(stranger, id))
        await refusedWith(t, 'NOT_FOUND', vote(stranger, id))
        await refusedWith(t, 'NOT_FOUND', reviews.cancel(stranger, id, ''))
      }
      await refusedWith(t, 'NOT_FOUND', reviews.get(ANN, 'no id'))
      await refusedWith(t, 'NOT_ALLOWED', reviews.cancel(ANN, id, ''))
      await refusedWith(t, 'NOT_ELIGIBLE', vote(CAT, id))
      await refusedWith(t, 'BARRED', vote(callerOf('owner@example.com', ['manager']), id))
      await refusedWith(t, 'DIGEST_MISMATCH', vote(ANN, id, { shownDigest: 'other' }))
      t.match(await reviews.voteFault(CAT, await reviews.get(CAT, id)), { code: 'NOT_ELIGIBLE' })
      t.equal(await reviews.voteFault(ANN, await reviews.get(ANN, id)), null)
      await reviews.comment(OPS, id, 'who knows the order?')
      await reviews.extend(ANN, id, 5 * MINUTE, 'in a meeting')
      const [yes, no] = await Promise.allSettled([vote(ANN, id), rejected(BOB, id)])
      t.equal([yes, no].filter(({ status }) => status === 'fulfilled').length, 1, 'one of two decides')
      const { decided } = await refusedWith(t, 'ALREADY_DECIDED', vote(callerOf('eve', ['manager']), id))
      t.match(decided, { by: yes?.status === 'fulfilled' ? 'ann@example.com' : 'bob@example.com' })
    })

    t.test('seats that are lent', async (t) => {
      const { decide, vote, reviews, database } = await scene()
      const { id } = (await decide(asks(requirement('manager then finance')))).opened!
      const untilMs = Date.now() + 60 * MINUTE
      const wish = { to: DAN.id, role: 'manager', fromMs: null, untilMs }
      await refusedWith(t, 'NOT_ELIGIBLE', vote(DAN, id, { onBehalfOf: BOB.id }))
      await refusedWith(t, 'DELEGATION_REFUSED', reviews.delegate(BOB, { ...wish, role: 'ciso' }))
      await refusedWith(t, 'DELEGATION_REFUSED', reviews.delegate(BOB, { ...wish, to: 'BOB@example.com' }))
      await refusedWith(t, 'DELEGATION_REFUSED', reviews.delegate(BOB, { ...wish, to: 'nobody@example.com' }))
      await refusedWith(t, 'INVALID', reviews.delegate(BOB, { ...wish, untilMs: Date.now() + 31 * 24 * 60 * MINUTE }))
      const lent = await reviews.delegate(BOB, { ...wish, to: DAN.id.toUpperCase() })
      t.equal(lent.to, DAN.id)
      await refusedWith(t, 'DELEGATION_REFUSED', reviews.delegate(DAN, { ...wish, to: CAT.id, role: 'manager' }))
      await reviews.delegate(callerOf('owner@example.com', ['manager']), { ...wish, role: '' })
      await refusedWith(t, 'BARRED', vote(DAN, id, { onBehalfOf: 'owner@example.com' }))
      const { mine, all } = {
        mine: await listApprovals(database, PEOPLE, DAN, { ...NO_FILTER, mine: true }, 10, ''),
        all: await reviews.listDelegations(DAN),
      }
      t.equal(mine.requests.length, 1, 'the lent seat is one to vote from')
      t.equal(all.length, 2)
      await vote(DAN, id, { onBehalfOf: BOB.id })
      await refusedWith(t, 'ALREADY_VOTED', vote(BOB, id))
      t.equal((await vote(CAT, id)).state, 'APPROVED')
      const other = (await decide(asks(requirement('manager')), callOf({ amount: 2 }))).opened!
      t.ok((await reviews.revokeDelegation(BOB, lent.id)).revokedMs)
      await refusedWith(t, 'NOT_ELIGIBLE', vote(DAN, other.id, { onBehalfOf: BOB.id }))
      await refusedWith(t, 'NOT_FOUND', reviews.revokeDelegation(CAT, lent.id))
    })

    t.test('many of one kind at once', async (t) => {
      const { decide, reviews } = await scene()
      const asked = (ruleId: string): Decision => ({
        ...asks(requirement('manager')),
        matched: [
          {
            ruleId,
            policy: 'p',
            effect: 'REQUIRE_APPROVAL',
            description: '',
            why: '',
            severity: null,
            tags: [],
            indeterminate: false,
            location: { file: '', line: 1, column: 1 } as never,
          },
        ],
      })
      const ids = await Promise.all(
        [1, 2, 3].map(async (amount) => (await decide(asked('R'), callOf({ amount }))).opened!.id),
      )
      const items = await Promise.all(
        ids.map(async (approvalId) => ({ approvalId, shownDigest: (await reviews.get(ANN, approvalId)).shownDigest })),
      )
      items[1] = { ...items[1]!, shownDigest: 'other' }
      const results = await reviews.reviewBatch(
        ANN,
        [...items, { approvalId: 'x', shownDigest: '' }],
        'approve',
        'all fine',
      )
      t.same(
        results.map((one) => ('code' in one ? one.code : one.state)),
        ['APPROVED', 'DIGEST_MISMATCH', 'APPROVED', 'NOT_FOUND'],
      )
      const { id } = (await decide(asked('OTHER'), callOf({ amount: 4 }))).opened!
      await refusedWith(
        t,
        'INVALID',
        reviews.reviewBatch(ANN, [items[1]!, { approvalId: id, shownDigest: '' }], 'approve', ''),
      )
      await refusedWith(t, 'INVALID', reviews.reviewBatch(ANN, [], 'approve', ''))
    })

    t.test('changed arguments are decided anew, and the agent decides with them', async (t) => {
      const asked = asks(requirement('manager', { mayEdit: [['amount']] }))
      const decideAnew = (_: ApprovalRequest, { amount }: Readonly<Record<string, unknown>>): Decision =>
        Number(amount) < 0 ? { ...asks(), outcome: 'DENY', reason: 'no negative refunds' } : asked
      const { decide, vote } = await scene({ decideAnew })
      const { id } = (await decide(asked)).opened!
      const changed = (amount: number) => ({ editedArguments: { amount, order_id: 'A1' } })
      await refusedWith(t, 'NOT_ELIGIBLE', vote(CAT, id, changed(-1)))
      t.match((await refusedWith(t, 'EDIT_DENIED', vote(ANN, id, changed(-1)))).message, /no negative refunds/)
      await refusedWith(t, 'NOT_EDITABLE', vote(ANN, id, { editedArguments: { amount: 450, order_id: 'B' } }))
      const done = await vote(ANN, id, changed(100))
      t.match(done, { state: 'APPROVED', edited: { by: ANN.id }, shown: { arguments: { amount: 100 } } })
      t.match(await decide(asked, callOf(), id), {
        outcome: 'DENY',
        reasonCode: 'APPROVAL_MISMATCH',
        reason: /changed the arguments/,
      })
      t.match(await decide(asked, callOf({ order_id: 'A1', amount: 100 }), id), { outcome: 'ALLOW' })
    })

    t.test('grants: counted, held against the policies of the day, revocable', async (t) => {
      const mayRemember = [{ scope: 'fields' as const, paths: [['order_id']], forMs: 60 * MINUTE, mostUses: 3 }]
      const asked = asks(requirement('manager', { mayRemember }))
      const { decide, vote, reviews } = await scene()
      const { id } = (await decide(asked)).opened!
      await vote(ANN, id, { remember: { scope: 'fields', fields: [['order_id']], forMs: 0, mostUses: 0 } })
      t.match(await decide(asked), { outcome: 'ALLOW', opened: { id } }, 'the approval itself goes first')
      const call = callOf({ amount: 9, order_id: 'A1' })
      t.equal(
        (await decide(asks(requirement('manager and finance')), call)).outcome,
        'REQUIRE_APPROVAL',
        'stricter now',
      )
      t.equal((await decide(asked, callOf({ amount: 9, order_id: 'B' }))).outcome, 'REQUIRE_APPROVAL')
      t.equal((await decide(asked, { ...call, environment: 'dev' })).outcome, 'REQUIRE_APPROVAL')
      const uses = await Promise.all(Array.from({ length: 12 }, () => decide(asked, call)))
      const covered = uses.filter(({ outcome }) => outcome === 'ALLOW')
      t.equal(covered.length, 3, 'three uses are three')
      t.match(covered[0], { reasonCode: 'APPROVED', reason: /^covered by a grant of ann@example.com/ })
      t.equal(covered[0]?.opened, undefined, 'no approval is used up')
      const other = (await decide(asked, callOf({ order_id: 'C' }))).opened!
      await vote(ANN, other.id, { remember: { scope: 'exact', fields: [], forMs: 1_000_000, mostUses: 1 } })
      await decide(asked, callOf({ order_id: 'C' }))
      const [grant] = await reviews.listGrants(OPS, 'support-1', false)
      t.match(grant, { scope: { kind: 'exact' }, uses: 0, mostUses: 1, approvalId: other.id })
      t.equal((await reviews.listGrants(OPS, '', true)).length, 2)
      t.match(await reviews.revokeGrant(OPS, grant!.id, 'no more'), { revokedBy: OPS.id })
      t.equal((await decide(asked, callOf({ order_id: 'C' }))).outcome, 'REQUIRE_APPROVAL')
      await refusedWith(t, 'NOT_FOUND', reviews.revokeGrant(callerOf('x', [], { tenant: 'other' }), grant!.id, ''))
    })

    t.test('breaking the glass, reviewed or alarmed about', async (t) => {
      const asked = asks(requirement('manager', { breakGlass: 'ciso' }))
      const { decide, reviews, database } = await scene()
      const { id } = (await decide(asked)).opened!
      const { shownDigest } = await reviews.get(DAN, id)
      await refusedWith(t, 'NOT_ELIGIBLE', reviews.breakGlass(ANN, id, shownDigest, 'fire'))
      t.equal((await reviews.breakGlass(DAN, id, shownDigest, 'fire')).state, 'APPROVED')
      t.match(await decide(asked), { outcome: 'ALLOW', reason: 'approved in an emergency by dan@example.com' })
      await refusedWith(t, 'BARRED', reviews.reviewBrokenGlass(DAN, id, 'I was right'))
      const unreviewed = { ...NO_FILTER, unreviewed: true }
      t.equal((await listApprovals(database, PEOPLE, OPS, unreviewed, 10, '')).requests.length, 1)
      await age(database, id, 25 * 60 * MINUTE)
      await Promise.all([tick(database), tick(database)])
      await reviews.reviewBrokenGlass(OPS, id, 'it was one')
      t.equal((await listApprovals(database, PEOPLE, OPS, unreviewed, 10, '')).requests.length, 0)
      const kinds = (await eventsOf(database, 'default', id)).map(({ kind }) => kind)
      t.same(kinds.slice(-2), ['review-overdue', 'reviewed'])
    })

    t.test('timers: each once, whoever ticks', async (t) => {
      const { decide, database, vote } = await scene({ mostWaiting: 1_000, mostAMinute: 1_000 })
      const asked = asks(requirement('manager', { onTimeout: { kind: 'escalate', role: 'ciso' } }))
      const ids = await Promise.all(
        Array.from({ length: 120 }, async (_, amount) => (await decide(asked, callOf({ amount }))).opened!.id),
      )
      t.same(await tick(database), { moved: 0, lagMs: 0 })
      await Promise.all(ids.map((id) => age(database, id, 10 * MINUTE)))
      const moved = await Promise.all([tick(database), tick(database), tick(database)])
      t.equal(
        moved.reduce((sum, one) => sum + one.moved, 0),
        120,
      )
      const [row] = await database.query<{ events: number; notices: number }>(
        `SELECT (SELECT count(*) FROM approval_events WHERE kind = 'escalated') AS events,
                (SELECT count(*) FROM outbox WHERE kind = 'approval.escalated') AS notices`,
      )
      t.same(row, { events: 120, notices: 120 })
      await vote(DAN, ids[0]!)
      await Promise.all(ids.map((id) => age(database, id, 10 * MINUTE)))
      t.equal((await tick(database)).moved, 120)
      await refusedWith(t, 'EXPIRED', vote(DAN, ids[1]!))
      // By itself, too, with nobody who listens.
      const { id } = (await decide(asked, callOf({ amount: 999 }))).opened!
      await age(database, id, 10 * MINUTE)
      const timers = startTimers(database, silent)
      while ((await eventsOf(database, 'default', id)).length < 2) await sleep(5)
      await timers.close()
      await database.execute('DELETE FROM approvals WHERE id = $1', [id])
      const counts = await database.query(`SELECT state, count(*) AS n FROM approvals GROUP BY state ORDER BY state`)
      t.same(counts, [
        { state: 'EXPIRED', n: 119 },
        { state: 'GRANT_EXPIRED', n: 1 },
      ])
    })

    t.test('waiting: announced at once, and right without announcements', async (t) => {
      const { decide, vote, database } = await scene()
      const asked = asks(requirement('manager then finance'))
      const cut = new Waiting({ database, log: silent, rereadMs: 20 })
      const heard = new Waiting({ database, log: silent, rereadMs: 3_600_000 })
      const listener = new Listener({
        database,
        channels: [APPROVALS_CHANNEL],
        onResync: () => heard.reread(),
        onNotification: (_, id) => heard.announced(id),
        log: silent,
      })
      await listener.start()
      t.teardown(async () => {
        await listener.close()
        await Promise.all([cut.close(), heard.close()])
      })
      const queue: string[] = []
      const stop = heard.watchQueue('default', ({ id, state }) => queue.push(`${id} ${state}`))
      const other: string[] = []
      heard.watchQueue('other', ({ id }) => other.push(id))
      const { id } = (await decide(asked)).opened!
      t.match(await heard.wait(id, 0, 10_000), { state: 'PENDING', version: 1 }, 'what stands is told at once')
      t.equal(await heard.wait(id, 1, 1), null, 'a wait that ends decides nothing')
      const waits = [cut, heard].flatMap((waiting) => Array.from({ length: 50 }, () => waiting.wait(id, 1, 20_000)))
      await vote(ANN, id)
      t.ok((await Promise.all(waits)).every((request) => request?.version === 3))
      const seen: number[] = []
      const end = new Promise<void>((resolve) => {
        cut.watch(id, 1, ({ version, state }) => {
          seen.push(version)
          if (state === 'APPROVED') resolve()
        })
      })
      await vote(CAT, id)
      await end
      t.same(seen, [...new Set(seen)].sort(), 'each newer version once')
      t.match(await heard.wait(id, 3, 10_000), { state: 'APPROVED' })
      stop()
      t.equal(queue.at(-1), `${id} APPROVED`)
      t.same(other, [])
      t.equal(heard.size, 0, 'nobody waits any more')
      t.equal(cut.size, 1)
      const gone = new AbortController()
      const left = heard.wait(id, 99, 60_000, gone.signal)
      gone.abort()
      t.equal(await left, null)
      const cutQueue: string[] = []
      cut.watchQueue('default', (request) => cutQueue.push(request.state))
      const second = (await decide(asked, callOf({ amount: 3 }))).opened!
      while (!cutQueue.includes('PENDING')) await sleep(5)
      await partsOver(database).reviews.cancel(OPS, second.id, '')
      while (!cutQueue.includes('CANCELLED')) await sleep(5)
    })

    t.test('found again, and counted', async (t) => {
      const { decide, vote, rejected, database } = await scene()
      const asked = asks(requirement('manager', { ruleIds: ['BIG'] }))
      const ids: string[] = []
      for (let amount = 0; amount < 7; amount++)
        ids.push((await decide(asked, callOf({ amount }, { sessionId: `s-${amount}` }))).opened!.id)
      await vote(ANN, ids[0]!, { comment: 'Fine by 100%_me' })
      await vote(BOB, ids[1]!)
      await rejected(ANN, ids[2]!)
      await age(database, ids[3]!, 11 * MINUTE)
      await tick(database)
      await partsOver(database).reviews.cancel(OPS, ids[4]!, '')
      const list = async (by: Caller, filter: Partial<typeof NO_FILTER>, limit = 100) => {
        const found: string[] = []
        for (let token = ''; ; ) {
          const page = await listApprovals(database, PEOPLE, by, { ...NO_FILTER, ...filter }, limit, token)
          found.push(...page.requests.map(({ id }) => String(ids.indexOf(id))))
          token = page.nextPageToken
          if (token === '') return found.join('')
        }
      }
      const all = await list(OPS, {})
      t.equal(all.length, 7)
      for (const limit of [1, 2, 3, 6, 7]) t.equal(await list(OPS, {}, limit), all, `pages of ${limit}`)
      t.equal(await list(OPS, { states: ['APPROVED'] }), '10')
      t.equal(await list(ANN, { mine: true }), '65')
      t.equal(await list(ANN, { mine: true }, 1), '65')
      t.equal(await list(CAT, { mine: true }), '')
      t.equal(await list(OPS, { text: 'FINE 100%_me' }), '0')
      t.equal(await list(OPS, { text: 'fine_by' }), '', 'no wildcards')
      t.equal(await list(OPS, { ruleId: 'BIG', sessionId: 's-2' }), '2')
      t.equal(await list(OPS, { ruleId: 'SMALL' }), '')
      t.equal(await list(callerOf('support-2', [], { roles: ['agent'] }), {}), '', 'agents see their own')
      t.equal((await list(AGENT, {})).length, 7)
      t.equal(await list(callerOf('x', [], { tenant: 'other' }), {}), '')
      await t.rejects(listApprovals(database, PEOPLE, OPS, NO_FILTER, 10, "1.x'"), BadPageToken)
      const span = [Date.now() - 60 * MINUTE, Date.now() + MINUTE] as const
      const expected = {
        requests: 7,
        pending: 2,
        approved: 2,
        rejected: 1,
        timedOut: 1,
        cancelled: 1,
        approvalRate: 2 / 3,
        rejectionRate: 1 / 3,
        timeoutRate: 1 / 5,
      }
      t.match(await approvalStats(database, 'default', '', ...span), [{ key: '', ...expected }])
      t.match(await approvalStats(database, 'default', 'rule', ...span), [{ key: 'BIG', ...expected }])
      t.match(await approvalStats(database, 'default', 'tool', ...span), [{ key: 'issue_refund', ...expected }])
      t.match(await approvalStats(database, 'default', 'approver', ...span), [
        { key: 'ann@example.com', approved: 1, rejected: 1, approvalRate: 0.5 },
        { key: 'bob@example.com', approved: 1, rejected: 0 },
      ])
      t.same(await approvalStats(database, 'other', '', ...span), [])
    })

    t.test('a kill switch ends requests and grants in its own transaction', async (t) => {
      const mayRemember = [{ scope: 'tool' as const, paths: [], forMs: 60 * MINUTE, mostUses: null }]
      const asked = asks(requirement('manager', { mayRemember }))
      const { decide, vote, database, reviews } = await scene()
      const id = async (call = callOf()) => (await decide(asked, call)).opened!.id
      const granted = await id()
      await vote(ANN, granted, { remember: { scope: 'tool', fields: [], forMs: 0, mostUses: 0 } })
      const other = await id(callOf({}, { agent: { id: 'support-2', labels: {} } }))
      const kill: KillSwitch = {
        id: uuidv7(Date.now()),
        scope: 'agent',
        tenant: 'default',
        target: 'support-1',
        reason: 'runs wild',
        engagedBy: OPS.id,
        engagedMs: Date.now(),
        releaseAskedBy: '',
        releaseReason: '',
        releasedBy: '',
        releasedMs: null,
      }
      const stops = ({ agent }: { agent: string }) => agent === 'support-1'
      await t.rejects(
        database.transaction(async (tx) => {
          await endByKill(tx, kill, stops)
          throw new Error('not engaged after all')
        }),
        { message: 'not engaged after all' },
      )
      t.equal((await reviews.get(OPS, granted)).state, 'APPROVED')
      t.same(await database.transaction((tx) => endByKill(tx, kill, stops)), { requests: 1, grants: 1 })
      t.match(await reviews.get(OPS, granted), { state: 'REVOKED', endedBy: `kill:${kill.id}`, endedWhy: 'runs wild' })
      t.equal((await reviews.get(OPS, other)).state, 'PENDING')
      t.same(await reviews.listGrants(OPS, '', false), [])
      t.match(await database.transaction((tx) => endByKill(tx, { ...kill, scope: 'fleet' }, stops)), { requests: 1 })
    })

    t.test('what was being opened when a switch was engaged ends when it is released', async (t) => {
      const { database, decide, reviews } = await scene()
      const wrote = new Signal()
      const goOn = new Signal()
      const slow: Database = {
        query: (sql, values) => database.query(sql, values),
        execute: (sql, values) => database.execute(sql, values),
        listen: (channels, hear) => database.listen(channels, hear),
        close: () => database.close(),
        address: database.address,
        connections: database.connections,
        transaction: (work, options) =>
          database.transaction(async (tx) => {
            const result = await work(tx)
            wrote.give()
            await goOn.given
            return result
          }, options),
      }
      const stopping = async (sql: Sql, call: Call) => (await engagedNow(sql, call.tenant)).stopping(call)
      const asked = asks(requirement('manager'))
      const opening = partsOver(slow, { stopping }).desk.settle(callOf({ amount: 1 }), asked, '')
      await wrote.given
      const switches = new KillSwitchStore({
        database,
        fleetTenant: 'default',
        nowMs: Date.now,
        afterChange: async () => undefined,
        endUnder: async (tx, by, openedUntilMs) => {
          const { requests, grants } = await endByKill(tx, by, ({ agent }) => agent === by.target, openedUntilMs)
          return { approvalsEnded: requests, grantsRevoked: grants }
        },
      })
      const engaged = await switches.engage(OPS, 'agent', 'support-1', 'runs wild')
      t.equal(engaged.approvalsEnded, 0, 'nobody saw it yet, and nobody waited for it')
      goOn.give()
      const id = (await opening).opened!.id
      t.equal((await reviews.get(OPS, id)).state, 'PENDING')
      const late = await partsOver(database, { stopping }).desk.settle(callOf({ amount: 2 }), asked, '')
      t.match(late, { outcome: 'DENY', reasonCode: 'KILL_SWITCH', reason: /agent "support-1" is engaged: runs wild/ })
      const later = (await decide(asked, callOf({ amount: 3 }))).opened!.id
      await database.execute(`UPDATE approvals SET created_at = created_at + interval '2 minutes' WHERE id = $1`, [
        later,
      ])
      await switches.release(OPS, engaged.id, 'over')
      t.match(await switches.release(callerOf('ops2@example.com', []), engaged.id, 'over'), { approvalsEnded: 1 })
      t.match(await reviews.get(OPS, id), { state: 'CANCELLED', endedBy: `kill:${engaged.id}` })
      t.equal((await reviews.get(OPS, later)).state, 'PENDING', 'what was opened after that moment is no race')
    })

    t.test('without the store nothing is decided, and it is said so', async (t) => {
      const own = await openDatabase(url, { poolSize: 2 })
      const { decide, vote } = await scene({}, own)
      const { id } = (await decide(asks(requirement('manager')), callOf({ store: 'soon gone' }))).opened!
      await own.close()
      await t.rejects(decide(asks(requirement('manager'))), StoreUnavailable)
      await t.rejects(vote(ANN, id), StoreUnavailable)
    })

    t.test('without keys whoever connects votes, under one name', async (t) => {
      const { decide, vote } = await scene({ people: null })
      const nobody = callerOf('', [], { keyId: '' })
      const { id } = (await decide(asks(requirement('manager')))).opened!
      t.match(await vote(nobody, id), { state: 'APPROVED', endedBy: 'development' })
      const two: ApprovalRequirement = requirement('2 manager')
      const second = (await decide(asks(two), callOf({ amount: 2 }))).opened!
      await vote(nobody, second.id)
      await refusedWith(t, 'ALREADY_VOTED', vote(nobody, second.id))
    })
  })
}
