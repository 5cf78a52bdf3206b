import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { sampleRecord } from '../../bench/fault/audit/record.js'
import {
  type OpenAuditLog,
  openAuditFolder,
  openAuditLog,
  type RunningAuditStore,
  startAuditStore,
} from '../../src/audit/index.js'
import { quiet, startFront, TUNING, temporaryFolder, until } from './support.js'

const PERIOD = { fromMs: 0, untilMs: Date.now() + 3_600_000 }

t.test('the server side: a log, a shipper process, questions', async (t) => {
  const dataDir = temporaryFolder(t)
  const log = openAuditLog({ dataDir })
  const store = await startAuditStore({ dataDir, tuning: TUNING, onProblem: quiet })
  t.equal(store.status().state, 'running')
  const record = sampleRecord(4, Date.now(), { agent: 'agent\u001b[31m', arguments: { password: 'hunter2' } })
  await log.append(record, 'fsync')
  let event = await store.queries.get('acme', record.decisionId)
  await until(async () => (event = await store.queries.get('acme', record.decisionId)) !== null)
  t.match(event, { decisionId: record.decisionId, agent: 'agent\u001b[31m', violation: true })
  t.notMatch(JSON.stringify(event), 'hunter2')

  await t.test('a second process on the same folder', async (t) => {
    await t.rejects(openAuditFolder({ dataDir, onProblem: quiet }), {
      kind: 'unusable',
      message: /another process has it open/,
    })
  })
  await t.test('a query outlives the death of the shipper', async (t) => {
    process.kill(store.status().pid ?? 0, 'SIGKILL')
    t.equal((await store.queries.totals('acme', PERIOD)).total, 1)
    await until(() => store.status().restarts === 1)
  })
  for (let i = 0; i < 500; i++) log.append(sampleRecord(i, Date.now()), 'written')
  await log.close()
  await store.close()
  await t.rejects(store.queries.totals('acme', PERIOD), { message: /closed/ })

  const folder = await openAuditFolder({ dataDir })
  t.equal((await folder.queries.totals('acme', PERIOD)).total, 501, 'closing shipped the rest, or opening did')
  await folder.close()
  await t.rejects(openAuditFolder({ dataDir: join(dataDir, 'other') }), { message: /there is no audit in/ })
})

t.test('a shipper does not outlive its server', async (t) => {
  const dataDir = temporaryFolder(t)
  const server = fork(fileURLToPath(new URL('./server-process.js', import.meta.url)), [dataDir])
  const pid = await new Promise<number>((resolve) => server.once('message', (message) => resolve(message as number)))
  server.kill('SIGKILL')
  await until(() => !existsSync(`/proc/${pid}`))
  const folder = await openAuditFolder({ dataDir })
  t.equal((await folder.queries.totals('acme', PERIOD)).total, 10, 'the folder is free at once, and nothing is lost')
  await folder.close()
})

t.test('several spools of one folder: all are stored, also those that nobody writes any more', async (t) => {
  const dataDir = temporaryFolder(t)
  const append = async (log: OpenAuditLog, count: number): Promise<void> => {
    await Promise.all(Array.from({ length: count }, (_, i) => log.append(sampleRecord(i, Date.now()), 'fsync')))
  }
  const alone = openAuditLog({ dataDir })
  await append(alone, 7)
  await alone.close()
  const workers = [1, 2, 12].map((worker) => openAuditLog({ dataDir, worker }))
  t.equal(new Set(workers.map((log) => log.status().writerId)).size, 3)
  const store = await startAuditStore({ dataDir, tuning: TUNING, onProblem: quiet })
  for (const log of workers) await append(log, 100)
  await store.drain()
  t.equal((await store.queries.totals('acme', PERIOD)).total, 307)
  t.match(store.status(), { state: 'running', storedSeq: 307, missing: 0, duplicates: 0 })
  process.kill(store.status().pid ?? 0, 'SIGKILL')
  for (const log of workers) await append(log, 1)
  await store.drain()
  t.match(store.status(), { storedSeq: 310, missing: 0, duplicates: 0 })
  for (const log of workers) await append(log, 1)
  for (const log of workers) await log.close()
  await store.close(0)

  const folder = await openAuditFolder({ dataDir })
  t.equal((await folder.queries.totals('acme', PERIOD)).total, 313)
  t.match(folder.status(), { storedSeq: 313, missing: 0, duplicates: 0 })
  await folder.close()
})

t.test('a ClickHouse server that goes and comes back', async (t) => {
  const dataDir = temporaryFolder(t)
  const engine = join(dataDir, 'front')
  let front = await startFront(engine)
  t.teardown(() => front.kill())
  const log = openAuditLog({ dataDir })
  let made = 0
  const append = (count: number): void => {
    for (let i = 0; i < count; i++) log.append(sampleRecord(made++, Date.now()), 'written')
  }
  const problems: string[] = []
  const start = (): Promise<RunningAuditStore> =>
    startAuditStore({
      dataDir,
      clickhouseUrl: front.url,
      tuning: TUNING,
      onProblem: (problem) => problems.push(problem),
    })
  let store = await start()
  t.teardown(() => store.close(0))
  append(100)
  await store.drain()
  await front.kill()
  append(100)
  await until(() => store.status().state === 'unavailable')
  t.match(store.status().lastError, /ECONNREFUSED|hang up|ECONNRESET/)
  await t.rejects(store.queries.totals('acme', PERIOD), { name: 'StoreError', kind: 'unavailable' })
  append(100)
  t.equal(log.status().refusing, null, 'decisions go on')
  t.equal(store.status().storedSeq, 100)

  front = await startFront(engine, front.port)
  await store.drain()
  t.equal(store.status().state, 'running')
  t.same(await store.queries.totals('acme', PERIOD).then((totals) => totals.total), 300, 'caught up')

  await store.close()
  await front.kill()
  store = await start()
  t.equal(store.status().state, 'unavailable', 'a server may start while its store is down')
  append(50)
  front = await startFront(engine, front.port)
  await store.drain()
  t.equal((await store.queries.totals('acme', PERIOD)).total, 350)
  t.same(
    { ...store.status(), pid: 0 },
    { ...store.status(), pid: 0, missing: 0, duplicates: 0, deadLetters: 0, storedSeq: 350 },
  )
  t.notMatch(problems.join('\n'), 'sesame', 'a password is never told')
  await log.close()
})

t.test('the embedded engine is not installed', async (t) => {
  const dataDir = temporaryFolder(t)
  await openAuditLog({ dataDir }).close()
  const before = process.env['NODE_OPTIONS']
  process.env['NODE_OPTIONS'] = `--import=${new URL('./no-chdb.js', import.meta.url).href}`
  t.teardown(() => {
    if (before === undefined) delete process.env['NODE_OPTIONS']
    else process.env['NODE_OPTIONS'] = before
  })
  await t.rejects(startAuditStore({ dataDir }), { kind: 'unusable', message: /npm install chdb.*CLICKHOUSE_URL/ })
})
