import t from 'tap'
import {
  type ApprovalSummary,
  type ApprovalUpdate,
  connect,
  type PortcullisClient,
} from '../../sdk/typescript/client.js'
import { verifyReceipt } from '../../sdk/typescript/receipt.js'
import { inProcess } from '../cli/process.js'
import { type Running, startServer } from './harness.js'

// Approvals as their users meet them: a whole server with its own PostgreSQL, agents and people with keys.

const POLICIES = {
  'support.policy': `policy support
default allow

tool issue_refund { order_id: string, amount: number }
tool send_email   { to: string, body: string }
tool wire_money   { amount: number }

rule REFUND "Large refunds wait" {
  on   tool issue_refund
  when args.amount > 100
  require approval from manager within 5m may edit args.amount may remember args.order_id for 1h at most 2 times
}
rule REFUND_CAP "Nobody refunds thousands" {
  on   tool issue_refund
  when args.amount > 5000
  deny
}
rule WIRE "Two pairs of eyes" {
  on   tool wire_money
  require approval from manager then from finance within 5m reason required on rejection
}
rule MAIL "Nobody is there for this" {
  on   tool send_email
  require approval from nobody-holds-this
}
`,
}
const failing = (fields: object): Error => fields as Error

interface Office extends Running {
  readonly as: Readonly<Record<'agent' | 'other' | 'mia' | 'max' | 'fin' | 'op' | 'audit', PortcullisClient>>
}

/** A server with the keys of two agents, two managers, finance, an operator and an auditor. */
async function openOffice(t: { teardown(work: () => unknown): void }): Promise<Office> {
  const running = await startServer(t, { policies: POLICIES, argv: ['--control-store', 'embedded'] })
  const { client, app } = running
  const { secret } = await client.admin.createKey({ subject: 'alice', roles: ['admin'] })
  const opened = (key: string): PortcullisClient => {
    const made = connect(app.address, { key, deadlineMs: 20_000 })
    t.teardown(() => made.close())
    return made
  }
  const { admin } = opened(secret)
  const key = async (wish: Parameters<typeof admin.createKey>[0]): Promise<PortcullisClient> =>
    opened((await admin.createKey(wish)).secret)
  const approver = (subject: string, approverRoles: readonly string[]) =>
    key({ subject, roles: ['approver'], approverRoles })
  return {
    ...running,
    as: {
      agent: await key({ subject: 'support-1', roles: ['agent'], owner: 'max' }),
      other: await key({ subject: 'support-2', roles: ['agent'] }),
      mia: await approver('mia', ['manager']),
      max: await approver('max', ['manager']),
      fin: await approver('fin', ['finance', 'manager']),
      op: await key({ subject: 'op', roles: ['operator'] }),
      audit: await key({ subject: 'audit', roles: ['auditor'] }),
    },
  }
}

const refund = (amount: number, order = 'A1') => ({
  agent: { id: 'support-1' },
  tool: 'issue_refund',
  environment: 'prod',
  arguments: { order_id: order, amount },
})

async function shown(client: PortcullisClient, approvalId: string): Promise<string> {
  return (await client.approvals.get(approvalId)).summary.shownDigest
}

t.test('asked, waited for, approved, used once', async (t) => {
  const { as } = await openOffice(t)
  const asked = await as.agent.decide(refund(450))
  t.match(asked, { outcome: 'REQUIRE_APPROVAL', reasonCode: 'RULE_APPROVAL' })
  const approvalId = asked.approval?.approvalId ?? ''
  t.match(approvalId, /^[0-9a-f-]{36}$/)
  t.equal((await as.agent.decide(refund(450))).approval?.approvalId, approvalId, 'asked again it is the same request')
  const again = Array.from({ length: 20 }, () => as.agent.decide(refund(450)))
  t.strictSame(new Set((await Promise.all(again)).map(({ approval }) => approval?.approvalId)), new Set([approvalId]))

  const decided = as.agent.approvals.waitUntilDecided(approvalId)
  const waited = as.agent.approvals.wait(approvalId, 1)
  t.match(
    await as.agent.approvals.wait(approvalId, 1, 1),
    { changed: false, state: 'PENDING' },
    'a wait that ends is no answer',
  )
  const digest = await shown(as.mia, approvalId)

  const vote = { approvalId, approve: true, shownDigest: digest }
  await t.rejects(as.agent.approvals.review(vote), failing({ reason: 'PERMISSION_DENIED' }), 'agents do not vote')
  await t.rejects(as.max.approvals.review(vote), failing({ reason: 'VOTE_BARRED' }), 'who answers for the agent')
  await t.rejects(
    as.mia.approvals.review({ ...vote, shownDigest: 'f'.repeat(64) }),
    failing({ reason: 'SHOWN_DIGEST_MISMATCH' }),
  )
  await t.rejects(
    as.other.approvals.get(approvalId),
    failing({ reason: 'APPROVAL_NOT_FOUND' }),
    'another agent sees nothing',
  )
  t.match(await as.mia.approvals.review(vote), {
    summary: { state: 'APPROVED' },
    votes: [{ person: 'mia', approve: true }],
  })
  t.match(await decided, { state: 'APPROVED', final: false })
  t.match(await waited, { state: 'APPROVED', changed: true })
  await t.rejects(
    as.fin.approvals.review(vote),
    failing({ reason: 'ALREADY_DECIDED', details: { state: 'APPROVED', by: 'mia' } }),
  )

  const mutated = await as.agent.decide({ ...refund(451), approvalId })
  t.match(mutated, { outcome: 'DENY', reasonCode: 'APPROVAL_MISMATCH' })
  const elsewhere = await as.other.decide({ ...refund(450), agent: { id: 'support-2' }, approvalId })
  t.match(elsewhere, { outcome: 'DENY', reasonCode: 'APPROVAL_MISMATCH' })
  const allowed = await as.agent.decide({ ...refund(450), approvalId })
  t.match(allowed, { outcome: 'ALLOW', reasonCode: 'APPROVED', reason: /mia/ })
  t.match(await as.agent.decide({ ...refund(450), approvalId }), { outcome: 'DENY', reasonCode: 'APPROVAL_REVOKED' })

  const keys = await as.agent.approvals.receiptKeys()
  const expected = { tool: 'issue_refund', arguments: refund(450).arguments, agent: 'support-1' }
  const used = new Set<string>()
  const isUsed = (id: string): boolean => used.size === used.add(id).size
  t.match(verifyReceipt(allowed.receipt, { keys, expected, isUsed }), { approval: approvalId, once: true })
  t.throws(() => verifyReceipt(allowed.receipt, { keys, expected, isUsed }), failing({ because: 'USED' }))

  const late: ApprovalUpdate[] = []
  for await (const update of as.agent.approvals.watch(approvalId)) late.push(update)
  t.match(late, [{ state: 'CONSUMED', final: true }], 'a stream that begins after the end says so and ends')
  const kinds = (await as.audit.approvals.get(approvalId)).history.map(({ kind }) => kind)
  t.strictSame(kinds, ['opened', 'voted', 'approved', 'consumed'])
  t.match(await as.audit.approvals.stats('rule'), [{ key: 'REFUND', requests: 1, approved: 1, approvalRate: 1 }])
})

t.test('stages, rejection, edits, grants, nobody there', async (t) => {
  const { as } = await openOffice(t)
  const wire = { agent: { id: 'support-1' }, tool: 'wire_money', environment: 'prod', arguments: { amount: 1 } }
  const first = (await as.agent.decide(wire)).approval?.approvalId ?? ''
  const digest = await shown(as.fin, first)
  t.match(await as.fin.approvals.get(first), { mayVote: true, summary: { waitingFor: ['manager'] } })
  t.match(await as.fin.approvals.review({ approvalId: first, approve: true, shownDigest: digest }), {
    summary: { state: 'PENDING', waitingFor: ['finance'] },
  })
  await t.rejects(
    as.fin.approvals.review({ approvalId: first, approve: true, shownDigest: digest }),
    failing({ reason: 'ALREADY_VOTED' }),
    'one person fills one place of one stage',
  )
  await t.rejects(
    as.mia.approvals.review({ approvalId: first, approve: true, shownDigest: digest }),
    failing({ reason: 'VOTE_NOT_ELIGIBLE' }),
  )
  await as.op.approvals.cancel(first, 'a mistake')
  t.match(await as.agent.decide({ ...wire, approvalId: first }), { outcome: 'DENY', reasonCode: 'APPROVAL_REVOKED' })

  const second = (await as.agent.decide(wire)).approval?.approvalId ?? ''
  const no = { approvalId: second, approve: false, shownDigest: await shown(as.mia, second) }
  await t.rejects(as.mia.approvals.review(no), failing({ reason: 'REASON_REQUIRED' }))
  await as.mia.approvals.review({ ...no, comment: 'not today' })
  t.match(await as.agent.decide(wire), { outcome: 'DENY', reasonCode: 'APPROVAL_REJECTED', reason: /mia.*not today/ })

  const asked = (await as.agent.decide(refund(900))).approval?.approvalId ?? ''
  const edit = (amount: unknown, order = 'A1') => ({ order_id: order, amount })
  const yes = { approvalId: asked, approve: true, shownDigest: await shown(as.mia, asked) }
  await t.rejects(as.mia.approvals.review({ ...yes, editedArguments: edit(9_000) }), failing({ reason: 'EDIT_DENIED' }))
  await t.rejects(
    as.mia.approvals.review({ ...yes, editedArguments: edit(500, 'B2') }),
    failing({ reason: 'NOT_EDITABLE' }),
  )
  await t.rejects(
    as.mia.approvals.review({ ...yes, editedArguments: '{"amount":' }),
    failing({ reason: 'ARGUMENTS_INVALID' }),
  )
  await as.mia.approvals.review({
    ...yes,
    editedArguments: edit(500),
    remember: { scope: 'fields', fields: ['args.order_id'], forMs: 3_600_000 },
  })
  const told = await as.agent.approvals.wait(asked)
  t.strictSame(JSON.parse(told.editedArgumentsJson), { amount: 500, order_id: 'A1' })
  t.match(
    await as.agent.decide({ ...refund(900), approvalId: asked }),
    { outcome: 'DENY', reasonCode: 'APPROVAL_MISMATCH' },
    'as it was asked it was not approved',
  )
  t.match(await as.agent.decide({ ...refund(500), approvalId: asked }), { outcome: 'ALLOW' })

  t.match(await as.agent.decide(refund(300)), { outcome: 'ALLOW', reasonCode: 'APPROVED', reason: /grant of mia/ })
  t.match(await as.agent.decide(refund(300, 'B2')), { outcome: 'REQUIRE_APPROVAL' }, 'the grant is of one order')
  t.match(await as.agent.decide(refund(9_000)), { outcome: 'DENY', reasonCode: 'RULE_DENY' }, 'no grant lifts a denial')
  t.match(await as.agent.decide(refund(301)), { outcome: 'ALLOW' })
  t.match(await as.agent.decide(refund(302)), { outcome: 'REQUIRE_APPROVAL' }, 'and for two uses')
  t.match(await as.audit.approvals.listGrants('', true), [
    { agent: 'support-1', scope: 'fields', uses: 2, mostUses: 2, grantedBy: ['mia'] },
  ])

  const mail = {
    agent: { id: 'support-1' },
    tool: 'send_email',
    environment: 'prod',
    arguments: { to: 'a', body: 'b' },
  }
  t.match(await as.agent.decide(mail), { outcome: 'DENY', reasonCode: 'NO_ELIGIBLE_APPROVER' })
})

t.test('the queue tells what comes and goes, and a kill switch ends what waits and what was granted', async (t) => {
  const { as } = await openOffice(t)
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const queue = as.mia.approvals.watchQueue({}, stop.signal)
  const next = async (): Promise<ApprovalSummary | 'synced' | undefined> => (await queue.next()).value ?? undefined
  t.equal(await next(), 'synced')
  const first = (await as.agent.decide(refund(200))).approval?.approvalId ?? ''
  t.match(await next(), { approvalId: first, state: 'PENDING' })
  const approved = (await as.agent.decide(refund(250))).approval?.approvalId ?? ''
  t.match(await next(), { approvalId: approved })
  await as.mia.approvals.review({
    approvalId: approved,
    approve: true,
    shownDigest: await shown(as.mia, approved),
    remember: { scope: 'fields', fields: ['args.order_id'], forMs: 60_000 },
  })
  t.match(await next(), { approvalId: approved, state: 'APPROVED' })

  const killed = await as.op.killSwitches.engage('agent', 'support-1', 'an incident')
  t.match(killed, { approvalsEnded: 2, grantsRevoked: 1 })
  const ended = [await next(), await next()] as readonly ApprovalSummary[]
  t.strictSame(new Set(ended.map(({ state }) => state)), new Set(['CANCELLED', 'REVOKED']))
  t.match(await as.agent.decide({ ...refund(250), approvalId: approved }), {
    outcome: 'DENY',
    reasonCode: 'KILL_SWITCH',
  })
  const id = killed.killSwitchId
  await as.op.killSwitches.release(id, 'over')
  await t.rejects(as.op.killSwitches.release(id, 'over'), failing({ reason: 'SECOND_PERSON_NEEDED' }))
})

t.test('bad input: what it says, and that nothing came of it', async (t) => {
  const { as, app } = await openOffice(t)
  const approvalId = (await as.agent.decide(refund(450))).approval?.approvalId ?? ''
  const shownDigest = await shown(as.mia, approvalId)
  const yes = { approvalId, approve: true, shownDigest }
  const cases: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    ['an id that is none', () => as.mia.approvals.get('x'), 'FIELD_INVALID'],
    ['an empty id', () => as.mia.approvals.get(''), 'FIELD_REQUIRED'],
    ['an id of nobody', () => as.mia.approvals.get('0192f3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d'), 'APPROVAL_NOT_FOUND'],
    ['a comment of 1 MB', () => as.mia.approvals.review({ ...yes, comment: 'x'.repeat(2 ** 20) }), 'LIMIT_EXCEEDED'],
    ['no digest', () => as.mia.approvals.review({ ...yes, shownDigest: '' }), 'FIELD_REQUIRED'],
    [
      'a grant of nothing known',
      () => as.mia.approvals.review({ ...yes, remember: { scope: 'all' as 'tool', forMs: 1_000 } }),
      'FIELD_INVALID',
    ],
    [
      'a grant that no rule offers',
      () => as.mia.approvals.review({ ...yes, remember: { scope: 'tool', forMs: 1_000 } }),
      'NOT_REMEMBERABLE',
    ],
    ['a seat that nobody lent', () => as.mia.approvals.review({ ...yes, onBehalfOf: 'max' }), 'VOTE_NOT_ELIGIBLE'],
    ['a wait of an hour', () => as.agent.approvals.wait(approvalId, 0, 3_600_000), 'LIMIT_EXCEEDED'],
    ['a page token of somebody else', () => as.mia.approvals.list({}, 1, 'x'), 'FIELD_INVALID'],
    ['a page of a million', () => as.mia.approvals.list({}, 1_000_000), 'LIMIT_EXCEEDED'],
    ['a batch of nothing', () => as.mia.approvals.reviewBatch([], true), 'FIELD_INVALID'],
    [
      'an emergency that no rule knows',
      () => as.mia.approvals.breakGlass(approvalId, shownDigest, 'fire'),
      'VOTE_NOT_ELIGIBLE',
    ],
    ['a seat for oneself', () => as.mia.approvals.delegate('mia', new Date(Date.now() + 1_000)), 'DELEGATION_REFUSED'],
    ['a seat for nobody', () => as.mia.approvals.delegate('ghost', new Date(Date.now() + 1_000)), 'DELEGATION_REFUSED'],
    ['a seat for a year', () => as.mia.approvals.delegate('fin', new Date(Date.now() + 3e10)), 'FIELD_INVALID'],
    ['an agent in the queue', () => as.agent.approvals.watchQueue().next(), 'PERMISSION_DENIED'],
    ['statistics by colour', () => as.audit.approvals.stats('colour' as 'tool'), 'FIELD_INVALID'],
    [
      'a call with an approval_id that is none',
      () => as.agent.decide({ ...refund(450), approvalId: 'x' }),
      'FIELD_INVALID',
    ],
  ]
  for (const [what, asked, reason] of cases) await t.rejects(asked(), failing({ reason }), what)
  t.match((await as.mia.approvals.get(approvalId)).summary, { state: 'PENDING', version: 1 })
  const batch = await as.mia.approvals.reviewBatch(
    [
      { approvalId, shownDigest },
      { approvalId, shownDigest: 'f'.repeat(64) },
    ],
    true,
  )
  t.match(batch, [{ request: { state: 'APPROVED' } }, { error: { reason: /ALREADY_DECIDED|SHOWN_DIGEST_MISMATCH/ } }])
  const at = ['--server', app.address]
  t.match(await inProcess(['approvals', 'list', ...at]), { code: 1, err: /no valid key/ })
  t.match(await inProcess(['approvals', 'approve', approvalId, ...at, '--remember', 'forever']), {
    code: 2,
    err: /must look like exact:1h/,
  })
})
