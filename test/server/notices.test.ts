import { join } from 'node:path'
import t from 'tap'
import { connect } from '../../sdk/typescript/client.js'
import { Receiver } from '../notify/fakes/receiver.js'
import { secretOf } from '../notify/support.js'
import { startServer } from './harness.js'

// Notices as receivers and operators meet them: a whole server with its own PostgreSQL and a webhook.

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
const failing = (fields: object): Error => fields as Error

t.test('what happens reaches the receiver, and what it refuses is sent again at wish', async (t) => {
  const receiver = await Receiver.start(t, secretOf('s'))
  const folder = t.testdir({
    secret: secretOf('s'),
    'notify.json': JSON.stringify({
      link: 'https://desk.example.com/{id}',
      channels: [
        { type: 'log', name: 'log', kinds: ['kill.*'] },
        { type: 'webhook', name: 'hook', url: receiver.url, secrets: [{ file: 'secret' }], allow: ['127.0.0.1'] },
      ],
    }),
  })
  const argv = ['--control-store', 'embedded', '--notify', join(folder, 'notify.json')]
  const { app, client, log } = await startServer(t, { policies: POLICIES, argv })
  const operator = connect(app.address, { key: 'Development op1', deadlineMs: 20_000 })
  t.teardown(() => operator.close())
  const arrival = (type: string, status: number): Promise<Record<string, unknown>> =>
    new Promise((resolve) => {
      receiver.answer = ({ body }) => {
        if (body.type === type) resolve(body.data)
        return { status }
      }
    })

  const opened = arrival('approval.opened', 204)
  const refund = { order_id: 'A1', amount: 450 }
  const asked = await client.decide({
    agent: { id: 'support-1' },
    tool: 'issue_refund',
    environment: 'prod',
    arguments: refund,
  })
  t.match(await opened, {
    title: 'Approval needed: issue_refund for support-1',
    thread: asked.approval?.approvalId,
    link: `https://desk.example.com/${asked.approval?.approvalId}`,
    approval: { roles: ['manager'], ruleIds: ['REFUND'], state: 'PENDING' },
  })
  t.notMatch(receiver.received[0]?.text, /A1|450/, 'the arguments are not sent')

  const cancelled = arrival('approval.cancelled', 410)
  await operator.killSwitches.engage('agent', 'support-1', 'runs amok')
  t.match(await cancelled, { thread: asked.approval?.approvalId, approval: { state: 'CANCELLED' } })

  const letters = async (): Promise<readonly string[]> =>
    (await operator.admin.listDeadLetters()).map(({ kind }) => kind).sort()
  // The channel is over after 410, so both end there, as soon as they are tried.
  for (let known = await letters(); known.length < 2; known = await letters());
  t.strictSame(await letters(), ['approval.cancelled', 'kill.engaged'])
  const [letter] = (await operator.admin.listDeadLetters()).filter(({ kind }) => kind === 'kill.engaged')
  const engaged = arrival('kill.engaged', 204)
  t.match(await operator.admin.replayDeadLetter(letter?.letterId ?? ''), {
    channel: 'hook',
    lastError: /410/,
    attempts: 1,
  })
  t.match(await engaged, {
    title: 'KILL SWITCH engaged: agent support-1',
    killSwitch: { by: /op1/, reason: 'runs amok' },
  })
  t.strictSame(await letters(), ['approval.cancelled'])
  await t.rejects(
    operator.admin.replayDeadLetter(letter?.letterId ?? ''),
    failing({ reason: 'DEAD_LETTER_NOT_FOUND' }),
    'it is sent already',
  )
  await t.rejects(operator.admin.replayDeadLetter('x'), failing({ reason: 'FIELD_INVALID' }))
  await t.rejects(operator.admin.listDeadLetters(501), failing({ reason: 'LIMIT_EXCEEDED' }))
  const told = log.lines.filter(({ event }) => event === 'notice')
  t.match(told, [{ fields: { kind: 'kill.engaged', title: 'KILL SWITCH engaged: agent support-1' } }])
  t.strictSame(receiver.refused, [])
})

t.test('a wrong file keeps the server from starting', async (t) => {
  const folder = t.testdir({ 'notify.json': '{"channels":[{"type":"pigeon","name":"x"}]}' })
  const argv = ['--control-store', 'embedded', '--notify', join(folder, 'notify.json')]
  await t.rejects(
    startServer(t, { policies: POLICIES, argv }),
    failing({ name: 'NotifyConfigError', message: /\$\.channels\[0\]\.type/ }),
  )
})
