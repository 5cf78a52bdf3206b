import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Client, credentials, status } from '@grpc/grpc-js'
import t from 'tap'
import { connect, type DecideRequest, PortcullisError } from '../../sdk/typescript/client.js'
import { startApp } from '../../src/app.js'
import { openAuditFolder } from '../../src/audit/index.js'
import { readConfig } from '../../src/config.js'
import type { StoredEvent } from '../../src/model/audit-queries.js'
import { lockDataFolder } from '../../src/store/data-folder.js'
import { type Child, run, serving, type Teardown } from './child.js'
import { POLICY, startServer, TestLog, tempFolder } from './harness.js'

const allowed = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod', arguments: { order_id: 'A1' } }
const denied = { ...allowed, tool: 'delete_customer', arguments: { customer_id: 'C1' } }

const policiesOf = (t: Teardown): string => tempFolder(t, { 'support.policy': POLICY })

t.test('SIGTERM: what is under way finishes, streams end with a reason, exit 0', async (t) => {
  const data = join(tempFolder(t), 'data')
  const child = run(t, ['--policies', policiesOf(t), '--data', data, '--audit-store', 'none'])
  const client = connect(await serving(child))
  t.teardown(() => client.close())
  let answered = 0
  let refused = 0
  const ask = async (): Promise<void> => {
    for (;;) {
      try {
        await client.decide(answered % 2 === 0 ? denied : allowed)
        answered++
      } catch (error) {
        if (!(error instanceof PortcullisError)) throw error
        t.equal(error.code, status.UNAVAILABLE, 'a call is answered, or the server is not there')
        refused++
        return
      }
    }
  }
  const stream = client.decideStream()
  const reading = (async () => {
    let results = 0
    try {
      for await (const { response } of stream) {
        if (response) results++
        if (results === 20) child.process.kill('SIGTERM')
      }
      return { results, error: null }
    } catch (error) {
      return { results, error: error as PortcullisError }
    }
  })()
  const asking = Array.from({ length: 8 }, () => ask())
  for (let i = 0; i < 20; i++) await stream.write({ ...denied, requestId: `s${i}` })
  const { results, error } = await reading
  t.equal(results, 20)
  t.match(error, { code: status.UNAVAILABLE, reason: 'SERVER_DRAINING' })
  await Promise.all(asking)
  t.equal(await child.exit, 0)
  t.ok(child.errors.some((line) => line.includes('"event":"stopped"')))
  t.ok(answered > 0 && refused === 8)

  const { app } = await startServer(t, { data })
  t.equal(app.auditStatus.lastSeq, answered + 20, 'as many records as answers')
})

t.test('a client that holds on is cut off: by the deadline, by a second signal', async (t) => {
  const hold = async (argv: readonly string[]): Promise<Child> => {
    const data = join(tempFolder(t), 'data')
    const child = run(t, ['--policies', policiesOf(t), '--data', data, '--audit-store', 'none', ...argv])
    const client = new Client(await serving(child), credentials.createInsecure())
    t.teardown(() => client.close())
    const same = (bytes: Buffer): Buffer => bytes
    const held = client.makeBidiStreamRequest('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', same, same)
    held.on('error', () => {})
    held.write(Buffer.from([0x3a, 0x01, 0x2a]))
    await once(held, 'data')
    child.process.kill('SIGTERM')
    await child.logged('draining')
    return child
  }
  const late = await hold(['--drain-ms', '50'])
  t.equal(await late.exit, 1)
  t.ok(late.errors.some((line) => line.includes('stopped, calls under way were cut off')))

  const forced = await hold(['--drain-ms', '600000'])
  forced.process.kill('SIGTERM')
  t.equal(await forced.exit, 1)
  t.ok(forced.errors.some((line) => line.includes('ended by a second signal')))
})

t.test('SIGHUP reloads', async (t) => {
  const policies = policiesOf(t)
  const child = run(t, ['--policies', policies, '--data', join(tempFolder(t), 'data'), '--audit-store', 'none'])
  await serving(child)
  child.process.kill('SIGHUP')
  t.match(await child.logged('policies unchanged'), { level: 'info', trigger: 'signal' })
  child.process.kill('SIGTERM')
  t.equal(await child.exit, 0)
})

t.test('what keeps a server from starting', async (t) => {
  const refused = async (argv: readonly string[], code: number, message: RegExp): Promise<void> => {
    const child = run(t, argv)
    t.equal(await child.exit, code, String(message))
    t.match(child.errors.join('\n'), message)
  }
  const faulty = tempFolder(t, { 'a.policy': 'policy a "A"\nrule X { on tol issue_refund deny }\n' })
  const data = join(tempFolder(t), 'data')
  await refused(['--policies', faulty, '--data', data], 1, /^portcullis: a\.policy:2:\d+: error POL\d{4}: /)
  t.notOk(existsSync(data), 'faulty policies leave no trace')

  const policies = policiesOf(t)
  await refused(
    ['--policies', policies, '--lisen', 'x'],
    2,
    /^portcullis: unknown option `--lisen`; did you mean `--listen`\?/,
  )

  const holder = await startServer(t)
  const refusedHere = (settings: readonly string[], message: RegExp): Promise<unknown> => {
    const config = readConfig(
      ['--policies', policies, '--audit-store', 'none', '--control-store', 'none', ...settings],
      {},
    )
    return t.rejects(startApp(config, new TestLog()), { message }, String(message))
  }
  const inUse = new RegExp(`the data folder .* is in use by process ${process.pid}; stop that one, or give`)
  await refusedHere(['--data', holder.data, '--listen', '127.0.0.1:0'], inUse)
  const taken = /^cannot listen on `127\.0\.0\.1:\d+`: another process listens there; choose another address/
  await refusedHere(['--data', data, '--listen', holder.app.address], taken)
  await startServer(t, { data })
  t.pass('what was opened before a failure was closed again')
  const file = join(tempFolder(t, { file: '' }), 'file')
  await refusedHere(['--data', file], /the data folder .*file cannot be used: .*Make it writable/)
  t.equal((await holder.client.decide(allowed)).outcome, 'ALLOW', 'the first server is not disturbed')
})

t.test('a read-only data folder', async (t) => {
  const [data, policies] = [join(tempFolder(t), 'data'), policiesOf(t)]
  mkdirSync(data)
  chmodSync(data, 0o555)
  for (const folder of [join(data, '..'), policies]) chmodSync(folder, 0o755)
  // Root may write anywhere, so the server runs as somebody else then.
  const child = run(
    t,
    ['--policies', policies, '--data', data, '--audit-store', 'none'],
    process.getuid?.() === 0 ? 65_534 : null,
  )
  t.equal(await child.exit, 1)
  t.match(child.errors.join('\n'), /the data folder .* cannot be used: .*EACCES.*Make it writable, or set another one/)
  t.same(readdirSync(data), [])
})

t.test('a spool that is full turns everything but DENY into DENY, and says so once', async (t) => {
  const { app, client, log } = await startServer(t, { argv: ['--audit-spool-max-bytes', String(1024 ** 2)] })
  const big = { ...allowed, arguments: { order_id: 'x'.repeat(10_000) } }
  let last = await client.decide({ ...big, requestId: 'r0' })
  let taken = 0
  for (; last.outcome === 'ALLOW' && taken < 1_000; taken++)
    last = await client.decide({ ...big, requestId: `r${taken + 1}` })
  t.match(last, { outcome: 'DENY', reasonCode: 'AUDIT_UNAVAILABLE', obligations: [], approval: null })
  t.equal(last.reason, 'the decision could not be recorded, and an unrecorded call is not let through')
  t.match(await client.decide(denied), { outcome: 'DENY', reasonCode: 'RULE_DENY' })
  const refund = { ...allowed, tool: 'issue_refund', arguments: { order_id: 'x'.repeat(10_000), amount: 450 } }
  t.match(await client.decide(refund), { outcome: 'DENY', reasonCode: 'AUDIT_UNAVAILABLE', approval: null })
  t.equal(log.lines.filter((line) => line.event === 'audit takes no records, every call is denied').length, 1)
  t.ok(app.auditStatus.lastSeq >= taken, 'a record for every call that was let through')
  t.match((await client.decide({ ...big, dryRun: true })).outcome, 'ALLOW', 'dry runs need no record')
})

t.test('a ClickHouse that is down: decisions go on, audit questions fail', async (t) => {
  const nobody = createServer().listen(0, '127.0.0.1')
  await once(nobody, 'listening')
  const { port } = nobody.address() as { port: number }
  nobody.close()
  await once(nobody, 'close')
  const url = `http://user:hunter2@127.0.0.1:${port}/audit`
  const { app, client, log } = await startServer(t, { argv: ['--audit-store', 'clickhouse', '--clickhouse-url', url] })
  t.equal((await client.decide(allowed)).outcome, 'ALLOW')
  t.equal((await client.decide(denied)).outcome, 'DENY')
  t.equal(app.auditStatus.lastSeq, 2)
  t.match(app.storeStatus, { engine: 'clickhouse', storedSeq: 0, state: 'unavailable' })
  await t.rejects(client.auditTotals(), {
    code: status.UNAVAILABLE,
    reason: 'AUDIT_STORE_UNAVAILABLE',
    message: 'the audit store does not answer; decisions go on and are kept until it does',
  })
  t.notMatch(
    JSON.stringify(log.lines, (_, value) => (value instanceof Error ? value.stack : value)),
    /hunter2/,
  )
})

const hasChdb = existsSync('node_modules/chdb')

t.test('kill -9: no acknowledged decision is missing', { skip: !hasChdb && 'chdb is not installed' }, async (t) => {
  const data = join(tempFolder(t), 'data')
  const policies = policiesOf(t)
  const acknowledged = new Set<string>()
  for (let round = 1; round <= 2; round++) {
    const child = run(t, ['--policies', policies, '--data', data, '--audit-store', round === 1 ? 'embedded' : 'none'])
    const client = connect(await serving(child), { deadlineMs: 20_000 })
    const target = round * 300
    const ask = async (worker: number): Promise<void> => {
      for (let i = 0; ; i++) {
        const call: DecideRequest = i % 2 === 0 ? allowed : denied
        try {
          const { decisionId } = await client.decide({ ...call, requestId: `${round}-${worker}-${i}` })
          acknowledged.add(decisionId)
        } catch {
          return
        }
        if (acknowledged.size === target) child.process.kill('SIGKILL')
      }
    }
    await Promise.all(Array.from({ length: 16 }, (_, worker) => ask(worker)))
    client.close()
    await child.exit
  }
  const lock = await lockDataFolder(data)
  const store = await openAuditFolder({ dataDir: data })
  const period = { fromMs: 0, untilMs: Date.now() + 86_400_000 }
  // A page holds at most 1,000 events.
  const page = (outcome: 'ALLOW' | 'DENY'): Promise<readonly StoredEvent[]> =>
    store.queries.list('default', { period, limit: 1_000, outcome })
  const rows = [...(await page('ALLOW')), ...(await page('DENY'))]
  const ids = new Set(rows.map((row) => row.decisionId))
  const lost = [...acknowledged].filter((id) => !ids.has(id)).length
  const duplicates = rows.length - ids.size
  t.comment(`acknowledged ${acknowledged.size}, rows ${rows.length}, lost ${lost}, duplicates ${duplicates}`)
  t.ok(acknowledged.size >= 600)
  t.equal(lost, 0)
  t.equal(duplicates, 0)
  await store.close()
  await lock.release()
})
