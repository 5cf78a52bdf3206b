import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { auditFolders } from '../../src/audit/folders.js'
import type { ShipperTuning } from '../../src/audit/shipper/protocol.js'
import { Shipper, type ShipperStatus } from '../../src/audit/shipper/shipper.js'
import { listSegments } from '../../src/audit/spool/segments.js'
import { Spool } from '../../src/audit/spool/spool.js'
import { type AuditStore, StoreError } from '../../src/audit/store/audit-store.js'
import { openChdbStore } from '../../src/audit/store/chdb-store.js'
import { encodeMembers, quiet, TUNING, temporaryFolder } from './support.js'

/** A store in this process, with a spool and a shipper over it that a test can trip up. */
async function shipping(t: { teardown(fn: () => unknown): void }): Promise<{
  readonly folder: string
  readonly spool: Spool<string>
  readonly store: AuditStore
  readonly problems: string[]
  ship(store: AuditStore, options?: ShipperTuning): Promise<ShipperStatus>
}> {
  const folder = temporaryFolder(t)
  const folders = auditFolders(folder)
  const problems: string[] = []
  const onProblem = (problem: string): void => void problems.push(problem)
  const spool = new Spool({
    folder: folders.spool,
    encode: encodeMembers,
    clock: Date.now,
    onProblem,
    segmentBytes: 4_000,
  })
  const store = await openChdbStore({ folder: folders.chdb })
  t.teardown(async () => {
    await spool.close()
    await store.close()
  })
  /** One life of a shipper: everything that is there, then the end. */
  async function ship(store: AuditStore, options: ShipperTuning = {}): Promise<ShipperStatus> {
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

/** Members of a row as the spool takes them. */
function row(change: object = {}): string {
  const members = { event_id: randomUUID(), ts: Date.now(), kind: 'decision', tenant: 'acme', ...change }
  return JSON.stringify(members).slice(1, -1)
}

/** Resolves when all of them are on the disk: what is there when its segment is left is not written again in the next one. */
async function fill(spool: Spool<string>, rows: readonly string[]): Promise<void> {
  // One a turn, so that segments are closed in between.
  for (const members of rows) {
    await new Promise<void>((resolve, reject) => {
      spool.append(members, 'fsync', (failure) => (failure === null ? resolve() : reject(failure)))
    })
  }
}

const rows = (count: number): string[] => Array.from({ length: count }, () => row())

/** The store with one method replaced; the rest is the real thing. */
function tripped(store: AuditStore, insert: AuditStore['insert']): AuditStore {
  return {
    database: store.database,
    rollUps: store.rollUps,
    migrate: () => store.migrate(),
    insert,
    seqsInRange: (writer, from, to) => store.seqsInRange(writer, from, to),
    countRange: (writer, from, to) => store.countRange(writer, from, to),
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
  await fill(spool, rows(150))
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
  const status = await ship(liar, { maxRows: 20 })
  t.equal(status.storedSeq, 150)
  t.ok(calls > 8)
  t.same(await integrityOf(store), { stored: '150', gaps: '0', duplicates: '0' })

  t.equal((await ship(store)).duplicates, 0, 'a second shipper over the same spool sends nothing again')
  t.same(await integrityOf(store), { stored: '150', gaps: '0', duplicates: '0' })
})

t.test('rows that the store lost after it had them are sent again', async (t) => {
  const { folder, spool, store, ship } = await shipping(t)
  await fill(spool, rows(40))
  // What a power cut may do to a store that does not sync: it had the rows when it was asked.
  const forgetful: AuditStore = {
    ...tripped(store, async (table, ndjson) => {
      const kept = Buffer.concat(ndjson)
        .toString('utf8')
        .split('\n')
        .filter((line) => !/"seq":1[1-5],/.test(line))
      await store.insert(table, [Buffer.from(kept.join('\n'))])
    }),
    countRange: async (writer, from, to) => {
      const { rows } = await store.countRange(writer, from, to)
      return rows > 0 ? { rows: to - from + 1, distinct: to - from + 1 } : { rows, distinct: 0 }
    },
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
      await fill(spool, rows(20))
      for (const change of Object.values(bad)) {
        await fill(spool, [row(change).replace('PLACEHOLDER', '\\ud800')])
      }
      await fill(spool, rows(20))
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
  await fill(spool, rows(40))
  let isMended = false
  let told = ''
  const shipped = tripped(store, async (table, ndjson) => {
    if (!isMended && table === 'events' && !Buffer.concat(ndjson).includes('quarantined'))
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
  await fill(spool, rows(40))
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
