import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { connect } from '../../sdk/typescript/client.js'
import { verifyReceipt } from '../../sdk/typescript/receipt.js'
import { inProcess } from '../cli/process.js'
import { startServer } from './harness.js'

// A whole server with its own PostgreSQL: keys, kill switches and receipts as their users meet them.

const EMBEDDED = ['--control-store', 'embedded']
const refund = {
  agent: { id: 'support-1' },
  tool: 'issue_refund',
  environment: 'prod',
  arguments: { order_id: 'A1', amount: 50 },
}

/** What an error must have; tap types only what every error has. */
const failing = (fields: object): Error => fields as Error

t.test('until a key is made everybody on this machine is who they say; then nobody is', async (t) => {
  const { app, client } = await startServer(t, { argv: EMBEDDED })
  const at = ['--server', app.address]
  t.match(await client.decide(refund), { outcome: 'ALLOW' })

  const engaged = await inProcess([
    'kill',
    'engage',
    ...at,
    '--as',
    'op1',
    '--scope',
    'agent',
    '--target',
    'support-1',
    '--reason',
    'x\x1b[2J',
  ])
  t.match(engaged, { code: 0, out: /agent support-1 +engaged/ })
  t.notMatch(engaged.out, /\x1b/)
  const denied = await client.decide(refund)
  t.match(denied, { outcome: 'DENY', reasonCode: 'KILL_SWITCH', reason: /agent "support-1" is engaged/ })
  t.match(await client.decide({ ...refund, agent: { id: 'support-2' } }), { outcome: 'ALLOW' })
  const [listed] = await client.killSwitches.list()
  const id = listed?.killSwitchId ?? ''
  const release = ['kill', 'release', ...at, '--reason', 'over', id]
  t.match(await inProcess([...release, '--as', 'op1']), { code: 0, out: /op1 asks to release/ })
  t.match(await inProcess([...release, '--as', 'op1']), { code: 1, err: /second person/ })
  t.match(await client.decide(refund), { outcome: 'DENY' })
  t.match(await inProcess([...release, '--as', 'op2']), { code: 0, out: /released by op1 and op2/ })
  t.match(await client.decide(refund), { outcome: 'ALLOW' })
  t.match(await inProcess(['kill', 'list', ...at]), { code: 0, out: 'nothing is stopped\n' })
  t.match(JSON.parse((await inProcess(['kill', 'list', '--all', '--json', ...at])).out), [{ released_by: 'op2' }])

  const { secret: admin } = await client.admin.createKey({ subject: 'alice@example.com', roles: ['admin'] })
  await t.rejects(client.decide(refund), failing({ reason: 'UNAUTHENTICATED' }))
  await t.rejects(client.auditTotals(), failing({ reason: 'UNAUTHENTICATED' }))
  await t.rejects(client.decideStream()[Symbol.asyncIterator]().next(), failing({ reason: 'UNAUTHENTICATED' }))
  const asAdmin = connect(app.address, { key: admin })
  t.teardown(() => asAdmin.close())
  await t.rejects(
    asAdmin.decide(refund),
    failing({ reason: 'PERMISSION_DENIED', message: /role agent/ }),
    'an admin is no agent',
  )
  const agentKey = await asAdmin.admin.createKey({ subject: 'support-1', roles: ['agent'], owner: 'carol@example.com' })
  const agent = connect(app.address, { key: agentKey.secret })
  t.teardown(() => agent.close())
  t.match(await agent.decide(refund), { outcome: 'ALLOW' })
  await t.rejects(agent.decide({ ...refund, agent: { id: 'support-2' } }), failing({ reason: 'PERMISSION_DENIED' }))
  await t.rejects(agent.killSwitches.engage('fleet', '', 'mine'), failing({ reason: 'PERMISSION_DENIED' }))
  await t.rejects(agent.admin.listKeys(), failing({ reason: 'PERMISSION_DENIED' }))
  const stream = agent.decideStream()
  await stream.write({ ...refund, requestId: 'r1' })
  stream.end()
  for await (const { response } of stream) t.match(response, { outcome: 'ALLOW' })
  await asAdmin.admin.revokeKey(agentKey.key.keyId, 'leaked')
  await t.rejects(agent.decide(refund), failing({ reason: 'UNAUTHENTICATED' }))
  const keys = await asAdmin.admin.listKeys(true)
  t.match(keys, [
    { subject: 'alice@example.com' },
    { subject: 'support-1', owner: 'carol@example.com', revokedAt: Date },
  ])
})

t.test('a server that others can reach opens to nobody, and has a way in for its first admin', async (t) => {
  const { app, client, data } = await startServer(t, { argv: [...EMBEDDED, '--listen', '0.0.0.0:0'] })
  await t.rejects(client.decide(refund), failing({ reason: 'UNAUTHENTICATED' }))
  const file = join(data, 'bootstrap-key')
  t.equal(statSync(file).mode & 0o777, 0o600)
  const made = await inProcess([
    'keys',
    'create',
    'alice@example.com',
    '--role',
    'admin',
    '--server',
    app.address,
    '--key-file',
    file,
  ])
  t.match(made, { code: 0, out: /^pk_live_\w+\n$/, err: /shown this once/ })
  const again = await inProcess(['keys', 'list', '--server', app.address, '--key-file', file])
  t.match(again, { code: 1, err: /no valid key/ }, 'the way in closes behind the first admin')
})

t.test(
  'a receipt of the server verifies with its published key, and only with the pepper that made it it goes on',
  async (t) => {
    const policy = 'policy p\ndefault allow\n\ntool pay { amount: number } receipt\n'
    const first = await startServer(t, { argv: EMBEDDED, policies: { 'p.policy': policy } })
    const pay = { agent: { id: 'a' }, tool: 'pay', environment: 'prod', arguments: { amount: 1 } }
    const answer = await first.client.decide(pay)
    t.equal(answer.outcome, 'ALLOW')
    const payload = JSON.parse(Buffer.from(answer.receipt.split('.')[1] ?? '', 'base64url').toString()) as {
      kid: string
    }
    t.match(payload, { jti: answer.decisionId, tool: 'pay' })
    const verify = (): unknown =>
      verifyReceipt(answer.receipt, { keys: [], expected: { tool: 'pay', arguments: pay.arguments } })
    t.throws(verify, failing({ because: 'UNKNOWN_KEY' }))
    t.equal((await first.client.decide({ ...pay, tool: 'look' })).receipt, '')
    t.not((await first.client.decide({ ...pay, tool: 'look', wantReceipt: true })).receipt, '')
    await first.app.close()
    t.ok(existsSync(join(first.data, 'key-pepper')))
    t.match(readFileSync(join(first.data, 'key-pepper'), 'utf8'), /^[0-9a-f]{64}\n$/)
    const other = t.testdir({ pepper: 'ab'.repeat(32) })
    await t.rejects(startServer(t, { argv: [...EMBEDDED, '--key-pepper-file', `${other}/pepper`], data: first.data }), {
      message: /is not the one that the keys in the control store were made with/,
    })
  },
)

t.test(
  'an agent that keeps running into critical rules is stopped by rule, and let go on by two persons',
  async (t) => {
    const policy = 'policy p\ndefault allow\n\nrule NEVER {\n  on tool wipe\n  deny\n  severity critical\n}\n'
    const argv = [...EMBEDDED, '--auto-kill', '3/10m']
    const { client, log } = await startServer(t, { argv, policies: { 'p.policy': policy } })
    const call = (tool: string, agent = 'rogue') => client.decide({ agent: { id: agent }, tool, environment: 'prod' })
    t.match(await call('wipe'), { reasonCode: 'RULE_DENY' })
    t.match(await call('wipe'), { reasonCode: 'RULE_DENY' })
    t.match(await call('look'), { outcome: 'ALLOW' })
    const stopped = log.next('agent stopped by rule')
    t.match(await call('wipe'), { reasonCode: 'RULE_DENY' })
    await stopped
    while ((await call('look')).outcome === 'ALLOW');
    t.match(await call('look'), {
      outcome: 'DENY',
      reasonCode: 'KILL_SWITCH',
      reason: /3 critical violations within 10 min, the last by rule NEVER/,
    })
    t.match(await call('look', 'other'), { outcome: 'ALLOW' })
    t.match(await client.killSwitches.list(), [{ scope: 'agent', target: 'rogue', engagedBy: 'auto-kill' }])
  },
)

t.test('wrong use of the commands', async (t) => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['kill', 'engage', '--reason', 'x'], /--scope/],
    [['kill', 'engage', '--scope', 'agent', '--reason', 'x'], /--target is missing: which agent/],
    [
      ['kill', 'engage', '--scope', 'fleet', '--target', 'a', '--reason', 'x'],
      /--target does not go with --scope fleet/,
    ],
    [['kill', 'engage', '--scope', 'planet', '--reason', 'x'], /Allowed choices are fleet, tenant/],
    [['keys', 'create', 'a'], /--role/],
    [['keys', 'create', 'a', '--role', 'agent', '--label', 'team'], /must look like name=value/],
    [['keys', 'create', 'a', '--role', 'agent', '--days', '400'], /--days/],
    [['keys', 'list', '--key-file', '/no/such/file'], /`\/no\/such\/file` cannot be read \(ENOENT\)/],
    [['keys', 'list', '--key-file', 'x', '--as', 'y'], /do not go together/],
    [['keys', 'list', '--as', 'alice bob'], /--as must look like/],
  ]
  for (const [args, message] of cases) {
    const run = await inProcess(args)
    t.match(run, { code: 2, out: '' }, args.join(' '))
    t.match(run.err, message, args.join(' '))
  }
})
