import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { sampleRecord } from '../../bench/fault/audit/record.js'
import { auditFolders } from '../../src/audit/folders.js'
import { openAuditFolder, openAuditLog, type RunningAuditStore, startAuditStore } from '../../src/audit/index.js'
import { Shipper, type ShipperStatus } from '../../src/audit/shipper/shipper.js'
import { listSegments } from '../../src/audit/spool/segments.js'
import { Spool } from '../../src/audit/spool/spool.js'
import { type AuditStore, type AuditTable, StoreError } from '../../src/audit/store/audit-store.js'
import { openChdbStore } from '../../src/audit/store/chdb-store.js'
import { startFront, temporaryFolder, until } from './support.js'

const PERIOD = { fromMs: 0, untilMs: Date.now() + 3_600_000 }
const TUNING = { flushMs: 50, pollMs: 10, maxBackoffMs: 40 }
const quiet = (): void => undefined

/** A store in this process, with a spool and a shipper over it that a test can trip up. */
async function shipping(t: { teardown(fn: () => unknown): void }): Promise<{
  readonly folder: string
  readonly spool: Spool
  readonly store: AuditStore
  readonly problems: string[]
  ship(store: AuditStore, options?: { keepMs?: number }): Promise<ShipperStatus>
}> {
  const folder = temporaryFolder(t)
  const folders = auditFolders(folder)
  const problems: string[] = []
  const onProblem = (problem: string): void => void problems.push(problem)
  const spool = new Spool({ folder: folders.spool, clock: Date.now, onProblem, segmentBytes: 4_000 })
  const store = await openChdbStore({ folder: folders.chdb })
  t.teardown(async () => {
    await spool.close()
    await store.close()
  })
  /** One life of a shipper: everything that is there, then the end. */
  async function ship(store: AuditStore, options: { keepMs?: number } = {}): Promise<ShipperStatus> {
    const shipper = new Shipper({
      spoolFolder: folders.spool,
      stateFolder: folders.shipper,
      writerId: spool.writerId,
      store,
      onProblem,
      onStatus: quiet,
      ...TUNING,
      ...options,
    })
    mkdirSync(folders.shipper, { recursive: true })
    const running = shipper.run()
    await shipper.drained()
    shipper.stop()
    await running
    return shipper.status()
  }
  return { folder, spool, store, problems, ship }
}

const row = (change: object = {}): ((seq: number, writer: string) => string) => {
  return (seq, writer) =>
    JSON.stringify({
      writer_id: writer,
      seq,
      event_id: randomUUID(),
      ts: Date.now(),
      kind: 'decision',
      tenant: 'acme',
      ...change,
    })
}

/** The store with one method replaced; the rest is the real thing. */
function tripped(store: AuditStore, insert: (table: AuditTable, ndjson: Buffer) => Promise<void>): AuditStore {
  return {
    database: store.database,
    migrate: () => store.migrate(),
    insert,
    seqsInRange: (writer, from, to) => store.seqsInRange(writer, from, to),
    query: (sql, params, limits) => store.query(sql, params, limits),
    settle: () => store.settle(),
    close: () => store.close(),
  }
}

async function integrityOf(store: AuditStore): Promise<object> {
  const [found] = await store.query('SELECT stored, gaps, duplicates FROM audit.integrity', {})
  return found ?? {}
}

t.test('rows are stored once, whatever an insert says', async (t) => {
  const { spool, store, ship } = await shipping(t)
  for (let i = 0; i < 150; i++) spool.append(row(), 'written')
  await spool.flush()
  let calls = 0
  const answers: Record<string, () => Promise<void>> = {
    'stored, but the answer was lost': async () => {
      throw new StoreError('unavailable', 'socket hang up')
    },
    'stored and acknowledged': async () => undefined,
  }
  const lies = ['swallowed', ...Object.keys(answers)]
  const liar = tripped(store, async (table, ndjson) => {
    const lie = lies[calls++ % lies.length] as string
    if (lie === 'swallowed') return
    await store.insert(table, ndjson)
    await answers[lie]?.()
  })
  const status = await ship(liar)
  t.equal(status.storedSeq, 150)
  t.ok(calls > 8)
  t.same(await integrityOf(store), { stored: '150', gaps: '0', duplicates: '0' })

  t.equal((await ship(store)).duplicates, 0, 'a second shipper over the same spool sends nothing again')
  t.same(await integrityOf(store), { stored: '150', gaps: '0', duplicates: '0' })
})

t.test('rows that the store lost after it had them are sent again', async (t) => {
  const { folder, spool, store, ship } = await shipping(t)
  for (let i = 0; i < 40; i++) spool.append(row(), 'written')
  // What a power cut may do to a store that does not sync: it had the rows when it was asked.
  const forgetful: AuditStore = {
    ...tripped(store, async (table, ndjson) => {
      const kept = ndjson
        .toString('utf8')
        .split('\n')
        .filter((line) => !/"seq":1[1-5],/.test(line))
      await store.insert(table, Buffer.from(kept.join('\n')))
    }),
    seqsInRange: async (writer, from, to) => {
      const seqs = new Map(await store.seqsInRange(writer, from, to))
      if (seqs.size > 0) for (let seq = from; seq <= to; seq++) seqs.set(seq, 1)
      return seqs
    },
  }
  t.equal((await ship(forgetful)).storedSeq, 40)
  t.same(await integrityOf(store), { stored: '35', gaps: '5', duplicates: '0' })
  t.ok(listSegments(auditFolders(folder).spool).length > 1)
  await ship(store, { keepMs: 0 })
  t.same(await integrityOf(store), { stored: '40', gaps: '0', duplicates: '0' })
  t.equal(listSegments(auditFolders(folder).spool).length, 1, 'what is stored is removed, but for the last')
})

t.test('a row that the store refuses does not hold up the others', async (t) => {
  const bad: Record<string, object> = {
    'an outcome that the column has not': { outcome: 'MAYBE' },
    'an id that is none': { event_id: 'not-a-uuid' },
    'a column that the table has not': { surprise: 1 },
    'a lone surrogate': { tenant: 'PLACEHOLDER' },
  }
  for (const namesRow of [true, false]) {
    await t.test(namesRow ? 'found by the row that the error names' : 'found by halving', async (t) => {
      const { spool, store, problems, ship } = await shipping(t)
      for (let i = 0; i < 20; i++) spool.append(row(), 'written')
      for (const change of Object.values(bad)) {
        spool.append((seq, writer) => row(change)(seq, writer).replace('PLACEHOLDER', '\\ud800'), 'written')
      }
      for (let i = 0; i < 20; i++) spool.append(row(), 'written')
      const shipped = tripped(store, async (table, ndjson) => {
        try {
          await store.insert(table, ndjson)
        } catch (error) {
          if (namesRow || !(error instanceof StoreError)) throw error
          throw new StoreError(error.kind, error.message.replace(/\(at row \d+\)/, ''), { code: error.code })
        }
      })
      const status = await ship(shipped)
      t.equal(status.deadLetters, 4)
      t.same(await integrityOf(store), { stored: '44', gaps: '0', duplicates: '0' })
      t.same(await store.query("SELECT seq FROM audit.events WHERE kind = 'quarantined' ORDER BY seq", {}), [
        { seq: '21' },
        { seq: '22' },
        { seq: '23' },
        { seq: '24' },
      ])
      const letters = await store.query('SELECT seq, raw, error FROM audit.dead_letter FINAL ORDER BY seq', {})
      t.match(letters, [
        { seq: '21', raw: /MAYBE/, error: /MAYBE/ },
        { seq: '22' },
        { seq: '23', error: /surprise/ },
        { seq: '24' },
      ])
      t.equal(problems.filter((problem) => problem.includes('dead_letter')).length, 4, 'told out loud')
    })
  }
})

t.test('a batch of wrong rows only speaks of a wrong schema', async (t) => {
  const { spool, store, ship } = await shipping(t)
  for (let i = 0; i < 40; i++) spool.append(row(), 'written')
  let isMended = false
  let told = ''
  const shipped = tripped(store, async (table, ndjson) => {
    if (!isMended && table === 'events' && !ndjson.includes('quarantined'))
      throw new StoreError('data', 'no such column')
    await store.insert(table, ndjson)
  })
  const status = await ship({
    ...shipped,
    settle: async () => {
      told = 'the shipper waits'
      isMended = true
    },
  })
  t.equal(told, 'the shipper waits', 'it stops after a few and tries again')
  t.ok(status.deadLetters <= 10)
  t.same(await integrityOf(store), { stored: '40', gaps: '0', duplicates: '0' })
})

t.test('numbers that the spool lost are counted and told', async (t) => {
  const { folder, spool, store, problems, ship } = await shipping(t)
  for (let i = 0; i < 40; i++) spool.append(row(), 'written')
  await spool.flush()
  const [first] = listSegments(auditFolders(folder).spool)
  const bytes = readFileSync(first?.path ?? '')
  bytes[bytes.indexOf('"seq":5,') + 6] = 0x39
  writeFileSync(first?.path ?? '', bytes)
  const status = await ship(store)
  t.equal(status.missing, 1)
  t.same(await integrityOf(store), { stored: '39', gaps: '1', duplicates: '0' })
  t.match(problems.join('\n'), /1 records between 5 and 5 are lost/)
  t.ok(existsSync(join(auditFolders(folder).spool, 'quarantine')))
  t.match(await store.query('SELECT seq, seq_to, error FROM audit.dead_letter', {}), [
    { seq: '5', seq_to: '5', error: /lost from the spool/ },
  ])
})

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
