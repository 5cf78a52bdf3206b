import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type ControlEvent, connect, type PortcullisClient } from '../../sdk/typescript/client.js'
import { inProcess } from '../cli/process.js'
import { startServer, tempFolder } from '../server/harness.js'

const skip = !existsSync('node_modules/chdb') && 'chdb is not installed'

const POLICIES = {
  'support.policy': `policy support
default allow

tool issue_refund { order_id: string, amount: number }

rule REFUND "Large refunds wait" {
  on   tool issue_refund
  when args.amount > 100
  require approval from manager within 5m
}
`,
}
const refund = {
  agent: { id: 'support-1' },
  tool: 'issue_refund',
  environment: 'prod',
  arguments: { order_id: 'A1', amount: 450 },
}

t.test('who did what and why is in the audit', { skip }, async (t) => {
  const argv = ['--control-store', 'embedded', '--audit-store', 'embedded']
  const { client, app } = await startServer(t, { policies: POLICIES, argv })
  const made = await client.admin.createKey({ subject: 'alice', roles: ['admin'] })
  const opened = (key: string): PortcullisClient => {
    const client = connect(app.address, { key, deadlineMs: 20_000 })
    t.teardown(() => client.close())
    return client
  }
  const { admin } = opened(made.secret)
  const key = async (wish: Parameters<typeof admin.createKey>[0]): Promise<PortcullisClient> =>
    opened((await admin.createKey(wish)).secret)
  const agent = await key({ subject: 'support-1', roles: ['agent'] })
  const mia = await key({ subject: 'mia', roles: ['approver'], approverRoles: ['manager'] })
  await key({ subject: 'max', roles: ['approver'], approverRoles: ['manager'] })
  const [op1, op2] = [
    await key({ subject: 'op1', roles: ['operator'] }),
    await key({ subject: 'op2', roles: ['operator'] }),
  ]
  const auditorKey = await admin.createKey({ subject: 'audit', roles: ['auditor'] })

  const asked = await agent.decide(refund)
  const approvalId = asked.approval?.approvalId ?? ''
  const { shownDigest } = (await mia.approvals.get(approvalId)).summary
  await mia.approvals.review({ approvalId, approve: true, comment: 'token=abcd1234\u001b[2J', shownDigest })
  const done = await agent.decide({ ...refund, approvalId })
  t.equal(done.outcome, 'ALLOW')

  const { killSwitchId } = await op1.killSwitches.engage('agent', 'support-1', 'it loops')
  await op1.killSwitches.release(killSwitchId, 'it is mended')
  await op2.killSwitches.release(killSwitchId, 'seen')
  const lent = await mia.approvals.delegate('max', new Date(Date.now() + 3_600_000))
  await mia.approvals.revokeDelegation(lent.delegationId)
  const rotated = await admin.rotateKey(auditorKey.key.keyId)
  await admin.revokeKey(auditorKey.key.keyId, 'old')
  const reader = opened(rotated.secret)

  const latest = 'old'
  const all = async (): Promise<readonly ControlEvent[]> => reader.auditControlEvents({ limit: 100 })
  let events = await all()
  while (!events.some(({ why }) => why === latest)) events = await all()
  while (!(await reader.auditQuery({})).some(({ decisionId }) => decisionId === done.decisionId));
  events = await all()

  const kinds = (await reader.auditControlEvents({ subject: approvalId, limit: 100 })).toReversed()
  t.match(
    kinds.map(({ kind, actor, state }) => [kind, actor, state]),
    [
      ['approval.opened', 'support-1', 'PENDING'],
      ['approval.voted', 'mia', /./],
      ['approval.approved', 'mia', 'APPROVED'],
      ['approval.consumed', 'support-1', 'CONSUMED'],
    ],
  )
  const voted = kinds.find(({ kind }) => kind === 'approval.voted')
  t.match(voted, { shownDigest, agent: 'support-1', tool: 'issue_refund' }, 'bound to what was shown')
  t.match(voted?.why, 'token')
  t.match(
    (await reader.auditControlEvents({ kind: 'kill' })).map(({ kind, actor, why, subject, state }) => [
      kind,
      actor,
      why,
      subject,
      state,
    ]),
    [
      ['kill.released', 'op2', 'seen', killSwitchId, 'agent support-1'],
      ['kill.release-asked', 'op1', 'it is mended', killSwitchId, 'agent support-1'],
      ['kill.engaged', 'op1', 'it loops', killSwitchId, 'agent support-1'],
    ],
  )
  t.match(
    events.filter(({ kind }) => kind.startsWith('seat.')).map(({ kind, actor, state }) => [kind, actor, state]),
    [
      ['seat.taken-back', 'mia', 'max'],
      ['seat.lent', 'mia', 'max'],
    ],
  )
  const [revoked] = await reader.auditControlEvents({ kind: 'key.revoked' })
  t.match(revoked, { actor: 'alice', subject: auditorKey.key.keyId, state: 'audit', why: 'old' })
  t.match(await reader.auditControlEvents({ kind: 'key.rotated' }), [
    { subject: rotated.key.keyId, why: `successor of ${auditorKey.key.keyId}` },
  ])
  t.equal(new Set(events.map(({ eventId }) => eventId)).size, events.length)
  t.match(await reader.auditGet(done.decisionId), { approvalId })
  t.match(await reader.auditGet(asked.decisionId), { approvalId })

  const at = ['--server', app.address, '--key-file', join(tempFolder(t, { key: rotated.secret }), 'key')]
  const shown = await inProcess(['audit', 'events', ...at])
  t.match(shown, { code: 0, out: /kill\.engaged .*op1 .*it loops/ })
  t.notMatch(shown.out, /\u001b/)
  const [line] = JSON.parse((await inProcess(['audit', 'events', '--kind', 'kill.engaged', '--json', ...at])).out) as [
    object,
  ]
  t.match(line, { kind: 'kill.engaged', actor: 'op1', why: 'it loops', shown_digest: '' })
  await t.rejects(agent.auditControlEvents(), { reason: 'PERMISSION_DENIED' } as unknown as Error)
  t.match(await inProcess(['audit', 'events', '--subject', 'x'.repeat(300), ...at]), { code: /[12]/, err: /subject/ })
})
