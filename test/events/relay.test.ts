import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openAuditFolder, openAuditLog } from '../../src/audit/index.js'
import { AuditUnavailable } from '../../src/model/audit-record.js'
import type { ControlEvent, ControlEventLog } from '../../src/model/control-event.js'
import { isUuid } from '../../src/model/uuid.js'
import type { Database } from '../../src/store/database.js'
import { relayEvents, startEventRelay } from '../../src/store/events/relay.js'
import { writeEvents } from '../../src/store/events/write.js'
import { ANN, asks, callOf, partsOver } from '../approvals/store-support.js'
import { requirement } from '../approvals/support.js'
import { temporaryFolder, until } from '../audit/support.js'
import { TestLog } from '../server/harness.js'
import { ENGINES, freshDatabase } from '../store/databases.js'

/** Keeps what it is told, and refuses while it is told to. */
class TestAudit implements ControlEventLog {
  readonly events: ControlEvent[] = []
  refuses = false

  recordEvent(event: ControlEvent, _durability: string, recorded: (failure: Error | null) => void): void {
    if (!this.refuses) this.events.push(event)
    const failure = this.refuses ? new AuditUnavailable('the disk is full') : null
    setImmediate(() => recorded(failure))
  }
}

/** A request that was opened and approved, and `count` events beside it. */
async function happen(database: Database, count: number): Promise<string> {
  const { desk, reviews } = partsOver(database)
  const { opened } = await desk.settle(callOf(), asks(requirement('manager')), '')
  const approvalId = opened!.id
  const { shownDigest } = await reviews.get(ANN, approvalId)
  const vote = { verdict: 'approve', comment: 'fine', editedArguments: null, remember: null, onBehalfOf: '' } as const
  await reviews.review(ANN, { approvalId, shownDigest, ...vote })
  const rows = Array.from({ length: count }, (_, i) => ({
    tenant: 'default',
    kind: 'key.created',
    subject: `key-${i}`,
    actor: 'alice',
    why: 'a\0b',
  }))
  await writeEvents(database, rows)
  return approvalId
}

const waiting = async (database: Database): Promise<number> => {
  const [row] = await database.query<{ waiting: number }>(
    `SELECT (SELECT count(*) FROM approval_events WHERE audited_at IS NULL)
      + (SELECT count(*) FROM control_events WHERE audited_at IS NULL) AS waiting`,
  )
  return row!.waiting
}

for (const { engine, skip } of ENGINES) {
  t.test(`handed to the audit, on ${engine}`, { skip }, async (t) => {
    const { database } = await freshDatabase(t, engine, { poolSize: 8 })
    const audit = new TestAudit()
    t.equal(await relayEvents(database, audit), 0)
    const approvalId = await happen(database, 1_200)
    const total = await waiting(database)

    audit.refuses = true
    await t.rejects(relayEvents(database, audit), { name: 'AuditUnavailable' })
    t.equal(await waiting(database), total, 'what the audit refuses stays')
    audit.refuses = false

    const handed = await Promise.all(Array.from({ length: 4 }, () => relayEvents(database, audit)))
    handed.push(await relayEvents(database, audit))
    t.equal(
      handed.reduce((sum, count) => sum + count, 0),
      total,
    )
    t.equal(await waiting(database), 0)
    t.equal(new Set(audit.events.map(({ eventId }) => eventId)).size, total, 'each once, whoever handed it over')
    t.equal(audit.events.length, total)
    t.ok(audit.events.every(({ eventId, timeMs }) => isUuid(eventId) && Math.abs(Date.now() - timeMs) < 600_000))
    const voted = audit.events.find(({ kind }) => kind === 'approval.voted')
    t.match(voted, { subject: approvalId, actor: ANN.id, why: 'fine', agent: callOf().agent.id, tool: callOf().tool })
    t.match(voted?.shownDigest, /^[0-9a-f]{64}$/)
    t.match(
      audit.events.filter(({ subject }) => subject === approvalId).map(({ kind }) => kind),
      ['approval.opened', 'approval.voted', 'approval.approved'],
    )
    t.equal(audit.events.find(({ kind }) => kind === 'key.created')?.why, 'a\ufffdb')
  })
}

t.test('what is rolled back did not happen', async (t) => {
  const { database } = await freshDatabase(t)
  const rolledBack = database.transaction(async (tx) => {
    await writeEvents(tx, [{ tenant: 'default', kind: 'kill.engaged', subject: 's', actor: 'a', why: 'w' }])
    throw new Error('not after all')
  })
  await t.rejects(rolledBack, { message: 'not after all' })
  t.equal(await waiting(database), 0)
})

t.test('an audit that refuses is asked again by itself, and said so once', async (t) => {
  const { database } = await freshDatabase(t)
  const [audit, log] = [new TestAudit(), new TestLog()]
  audit.refuses = true
  await happen(database, 1)
  const total = await waiting(database)
  const said = log.next('control events do not reach the audit and wait in the control store')
  const relay = startEventRelay(database, audit, log)
  t.teardown(() => relay.close())
  t.match(await said, { level: 'warn', fields: { cause: { name: 'AuditUnavailable' } } })
  audit.refuses = false
  await until(async () => (await waiting(database)) === 0)
  t.equal(audit.events.length, total)
  t.equal(log.lines.length, 1)
})

const noChdb = !existsSync('node_modules/chdb') && 'chdb is not installed'

t.test('kill -9 between the audit and the mark: nothing lost, nothing twice', { skip: noChdb }, async (t) => {
  const { database, url } = await freshDatabase(t)
  const dataDir = temporaryFolder(t)
  await happen(database, 20)
  const total = await waiting(database)
  const path = fileURLToPath(new URL('./relayer.js', import.meta.url))
  for (let life = 0; life < 2; life++) {
    const child = fork(path, [url, dataDir])
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
    t.equal(signal, 'SIGKILL')
    t.equal(await waiting(database), total, 'nobody knows that the audit has them')
  }
  const log = openAuditLog({ dataDir })
  // The dead connection's locks go when PostgreSQL notices.
  await until(async () => {
    await relayEvents(database, log)
    return (await waiting(database)) === 0
  })
  await log.close()

  const store = await openAuditFolder({ dataDir })
  t.teardown(() => store.close(0))
  t.ok(store.status().storedSeq > total, 'some were handed over more than once')
  const period = { fromMs: Date.now() - 3_600_000, untilMs: Date.now() + 3_600_000 }
  const events = await store.queries.controlEvents('default', { period, limit: 1_000 })
  t.equal(events.length, total)
  t.equal(new Set(events.map(({ eventId }) => eventId)).size, total)
  t.equal(events.filter(({ kind }) => kind === 'key.created').length, 20)
})
