import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { startApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import { LivePolicies, PoliciesRefused } from '../../src/tenants/live-policies.js'
import { PolicyLoader } from '../../src/tenants/policy-loader.js'
import { POLICY, startServer, TestLog, tempFolder } from './harness.js'

const call = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod', arguments: { order_id: 'A1' } }
const DENIES = POLICY.replace('default allow', 'default deny')

t.test('a changed folder goes live by itself', async (t) => {
  const { app, client, log, policies } = await startServer(t)
  const { revision } = app.live
  t.equal((await client.decide(call)).outcome, 'ALLOW')
  const retried = { ...call, requestId: 'r-1' }
  t.equal((await client.decide(retried)).outcome, 'ALLOW')
  const reloaded = log.next('policies reloaded')
  writeFileSync(join(policies, 'support.policy'), DENIES)
  const { fields } = await reloaded
  t.equal((await client.decide(retried)).outcome, 'DENY', 'the remembered answer does not outlive its policies')
  t.equal(fields['was'], revision)
  const after = await client.decide(call)
  t.match(after, { outcome: 'DENY', reasonCode: 'DEFAULT_DENY', policyRevision: fields['revision'] })
  t.equal(app.policyStatus.reloads, 1)
})

t.test('a folder that no longer checks leaves the last good policies live, and says so', async (t) => {
  const { app, client, log, policies } = await startServer(t)
  const { revision } = app.live
  const refused = log.next('policies refused, the last good ones stay live')
  writeFileSync(join(policies, 'support.policy'), POLICY.replace('when args.amount', 'when args.amout'))
  const { level, fields } = await refused
  t.equal(level, 'error')
  t.equal(fields['live'], revision)
  t.match(
    fields['findings'],
    /^support\.policy:16:\d+: error POL\d{4}: `args\.amout` [\s\S]*\^+\n +hint: did you mean `args\.amount`/,
  )
  t.match(app.policyStatus, { revision, failure: { message: /`args\.amout`/ } })
  t.match(await client.decide(call), { outcome: 'ALLOW', policyRevision: revision })

  const reloaded = log.next('policies reloaded')
  writeFileSync(join(policies, 'support.policy'), DENIES)
  await reloaded
  t.equal(app.policyStatus.failure, null)
  t.equal((await client.decide(call)).outcome, 'DENY')
})

t.test('a folder that vanished leaves the last good policies live', async (t) => {
  const { app, client, policies } = await startServer(t)
  rmSync(policies, { recursive: true })
  await app.reload()
  t.match(app.policyStatus.failure?.message, /does not exist/)
  t.equal((await client.decide(call)).outcome, 'ALLOW')
})

t.test('a forced reload of the same text changes nothing', async (t) => {
  const { app, log } = await startServer(t)
  const { live } = app
  await Promise.all([app.reload(), app.reload(), app.reload()])
  t.equal(app.live, live)
  t.ok(log.lines.some((line) => line.event === 'policies unchanged'))
})

t.test('the swapped link of a Kubernetes ConfigMap', async (t) => {
  const folder = tempFolder(t, { '..1/support.policy': POLICY, '..2/support.policy': DENIES })
  symlinkSync('..1', join(folder, '..data'))
  symlinkSync('..data/support.policy', join(folder, 'support.policy'))
  const { client, log } = await startServer(t, { argv: ['--policies', folder] })
  t.equal((await client.decide(call)).outcome, 'ALLOW')
  const reloaded = log.next('policies reloaded')
  symlinkSync('..2', join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  await reloaded
  t.equal((await client.decide(call)).outcome, 'DENY')
})

t.test('no answer mixes two bundles', async (t) => {
  const { app, client, policies } = await startServer(t)
  const revisions = new Map([[app.live.revision, 'ALLOW']])
  let done = false
  const swapping = (async () => {
    for (let i = 0; i < 6; i++) {
      writeFileSync(join(policies, 'support.policy'), i % 2 === 0 ? DENIES : POLICY)
      await app.reload()
      revisions.set(app.live.revision, i % 2 === 0 ? 'DENY' : 'ALLOW')
    }
    done = true
  })()
  let batches = 0
  while (!done) {
    const results = await client.decideBatch(Array.from({ length: 50 }, () => call))
    const seen = new Set(results.map(({ response }) => `${response?.policyRevision} ${response?.outcome}`))
    t.equal(seen.size, 1, 'one revision and one outcome in a batch')
    const [revision = '', outcome] = [...seen][0]?.split(' ') ?? []
    if (revisions.has(revision)) t.equal(outcome, revisions.get(revision))
    batches++
  }
  await swapping
  t.ok(batches > 0)
  t.equal(revisions.size, 2)
})

t.test('a loading thread that dies costs the reload it was at', async (t) => {
  const real = new URL('../../src/tenants/loader-thread.js', import.meta.url)
  const folder = tempFolder(t, {
    'thread.mjs': `import { parentPort } from 'node:worker_threads'
      import ${JSON.stringify(real)}
      const dies = { '# exit': () => process.exit(7), '# throw': () => { throw new Error('a fault of ours') } }
      parentPort.on('message', ({ bytes = [] }) => dies[Buffer.from(bytes).toString().slice(0, 7).trim()]?.())`,
  })
  let text = POLICY
  const source = {
    name: 'memory',
    read: async () => ({ policies: new Map([['a.policy', Buffer.from(text)]]), attachments: new Map() }),
    watch: () => ({ ready: Promise.resolve(), close: () => {} }),
  }
  const log = new TestLog()
  const loader = new PolicyLoader({ script: pathToFileURL(join(folder, 'thread.mjs')) })
  const policies = new LivePolicies({ source, log, nowMs: () => 0, loader })
  t.teardown(() => policies.close())
  const first = await policies.start()
  for (const [prefix, reason] of [
    ['# exit\n', /^the thread that loads policies died: it ended with code 7; the next load starts a new one$/],
    ['# throw\n', /^the thread that loads policies died: a fault of ours; the next load starts a new one$/],
  ] as const) {
    text = prefix + DENIES
    await policies.reload('signal')
    t.match(policies.status().failure?.message, reason)
    t.equal(policies.live(), first, 'what was live stays live')
    t.match(log.lines.at(-1), { level: 'error', event: 'policies refused, the last good ones stay live' })
  }
  text = DENIES
  await policies.reload('signal')
  t.equal(policies.status().failure, null)
  t.not(policies.live().revision, first.revision, 'a new thread loaded the mended policies')
})

t.test('a server whose first policies do not check does not start and leaves no trace', async (t) => {
  const policies = tempFolder(t, { 'a.policy': 'policy a "A"\nrule X { on tol issue_refund deny }\n' })
  const data = join(tempFolder(t), 'data')
  const config = readConfig(['--policies', policies, '--data', data, '--listen', '127.0.0.1:0'], {})
  const error = await startApp(config, new TestLog()).catch((error: unknown) => error)
  t.type(error, PoliciesRefused)
  t.match((error as Error).message, /^a\.policy:2:\d+: error POL\d{4}: /)
  t.throws(() => mkdirSync(join(data, 'x')), { code: 'ENOENT' }, 'the data folder was not made')

  const missing = readConfig(['--policies', join(policies, 'nowhere'), '--data', data], {})
  await t.rejects(startApp(missing, new TestLog()), { name: 'PoliciesRefused', message: /nowhere` does not exist/ })
})
