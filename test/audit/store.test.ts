import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type RecordChange, sampleRecord } from '../../bench/fault/audit/record.js'
import { Masker } from '../../src/audit/mask.js'
import { auditQueries } from '../../src/audit/queries.js'
import { RowEncoder } from '../../src/audit/row/row.js'
import { type AuditStore, StoreError } from '../../src/audit/store/audit-store.js'
import { openChdbStore } from '../../src/audit/store/chdb-store.js'
import { openClickHouseStore } from '../../src/audit/store/clickhouse-store.js'
import type { AuditQueries, StoredEvent } from '../../src/model/audit-queries.js'
import type { AuditedRule, AuditRecord } from '../../src/model/audit-record.js'
import { digest } from '../../src/model/canonical-json.js'
import { uuidv7 } from '../../src/model/uuid.js'
import { startFront, temporaryFolder } from './support.js'

const masker = new Masker(Buffer.alloc(32, 7))
const encoder = new RowEncoder(masker)
const bytes = Buffer.alloc(1_000_000)
const NOW = Date.UTC(2026, 10, 22, 12)
const PERIOD = { fromMs: NOW - 3_600_000, untilMs: NOW + 3_600_000 }

function ndjson(writer: string, rows: readonly { readonly seq: number; readonly record: AuditRecord }[]): Buffer {
  const line = ({ seq, record }: { readonly seq: number; readonly record: AuditRecord }): string =>
    `${bytes.toString('utf8', 0, encoder.write(record, writer, seq, bytes, 0))}\n`
  return Buffer.from(rows.map(line).join(''))
}

/** What both adapters promise. */
function contract(name: string, open: () => Promise<AuditStore>): void {
  t.test(`${name}: the contract of an audit store`, async (t) => {
    const store = await open()
    t.teardown(() => store.close())
    await store.migrate()
    await store.migrate()
    t.pass('a second migration changes nothing')

    await t.test('rows come back by number, once each', async (t) => {
      const writer = randomUUID()
      const rows = [1, 2, 3, 5].map((seq) => ({ seq, record: sampleRecord(seq, NOW + seq) }))
      await store.insert('events', ndjson(writer, rows))
      t.same([...(await store.seqsInRange(writer, 1, 10)).keys()].sort(), [1, 2, 3, 5])
      t.same([...(await store.seqsInRange(writer, 2, 3)).keys()].sort(), [2, 3])
      t.equal((await store.seqsInRange(randomUUID(), 1, 10)).size, 0, 'another writer has none')
      await store.insert('events', ndjson(writer, rows.slice(0, 1)))
      t.same(await store.countRange(writer, 1, 5), { rows: 5, distinct: 4 })
      t.same(await store.countRange(writer, 4, 4), { rows: 0, distinct: 0 })
      t.equal((await store.seqsInRange(writer, 1, 1)).get(1), 2, 'equal rows are never taken for duplicates')
    })

    await t.test('a batch with one bad row is refused whole, as data', async (t) => {
      const writer = randomUUID()
      const good = ndjson(writer, [{ seq: 1, record: sampleRecord(1, NOW) }])
      for (const bad of [
        '{"seq":2,"unknown_column":1}\n',
        '{"seq":2,"outcome":"MAYBE"}\n',
        '{"seq":"x"}\n',
        'no json\n',
      ]) {
        const error = await store.insert('events', Buffer.concat([good, Buffer.from(bad)])).then(
          () => null,
          (error: unknown) => error,
        )
        t.type(error, StoreError, bad)
        t.equal((error as StoreError).kind, 'data', bad)
      }
      t.equal((await store.seqsInRange(writer, 1, 2)).size, 0)
    })

    await t.test('hostile values stay values', async (t) => {
      const hostile = [
        "x' OR 1=1 --",
        "'; DROP TABLE audit.events; --",
        '\\',
        "\\'",
        '{tenant:String}',
        '"\n\t\r\0\u202e',
        '🦊\u{10ffff}',
        '%27%20OR%201=1',
        "'||(SELECT 1)||'",
      ]
      const tenant = `tenant-${randomUUID()}`
      const writer = randomUUID()
      const rows = hostile.map((name, i) => ({
        seq: i + 1,
        record: sampleRecord(i, NOW + i, {
          tenant,
          agent: name,
          sessionId: name,
          tool: name,
          decisionId: uuidv7(NOW + i),
        }),
      }))
      await store.insert('events', ndjson(writer, rows))
      const queries = auditQueries((sql, params, limits) => store.query(sql, params, limits), store.database)
      for (const name of hostile) {
        const byAgent = await queries.list(tenant, { period: PERIOD, limit: 100, agent: name })
        t.same(
          byAgent.map((event) => event.agent),
          [name],
          JSON.stringify(name),
        )
        t.equal((await queries.list(tenant, { period: PERIOD, limit: 9, tool: name, sessionId: name })).length, 1)
        t.same(await queries.list(name, { period: PERIOD, limit: 100 }), [], 'a tenant of that name has nothing')
        t.same((await queries.totals(name, PERIOD)).total, 0)
        t.equal(await queries.get(tenant, name), null)
      }
      t.equal((await queries.totals(tenant, PERIOD)).total, hostile.length, 'nothing was dropped')
    })

    await t.test('the questions', (t) => questions(t, store))
    await t.test('the statements of docs/audit.md run', async (t) => {
      const [, block = ''] = /```sql\n([\s\S]*?)```/.exec(readFileSync('docs/audit.md', 'utf8')) ?? []
      const statements = block.split(';').filter((statement) => statement.includes('SELECT'))
      t.ok(statements.length >= 5)
      for (const statement of statements) {
        await store.query(statement.replaceAll('audit.', `${store.database}.`).replace(/^\s*--.*$/gm, ''), {})
      }
    })
    await t.test('a query that takes too long ends', async (t) => {
      const sql = 'SELECT count() AS c FROM numbers(100000000000) WHERE sipHash64(number) = 1'
      await t.rejects(store.query(sql, {}, { maxMs: 1_000 }), { name: 'StoreError' })
    })
    await t.test('settle returns when nothing is on its way', (t) => store.settle().then(() => t.pass()))
  })
}

async function questions(t: Test, store: AuditStore): Promise<void> {
  const tenant = `tenant-${randomUUID()}`
  const other = `other-${randomUUID()}`
  const writer = randomUUID()
  const queries: AuditQueries = auditQueries((sql, params, limits) => store.query(sql, params, limits), store.database)
  const start = await queries.since(tenant, '', 10)
  t.same(start.events, [])

  const rule = (ruleId: string, effect: AuditedRule['effect']): AuditedRule => ({
    ruleId,
    policy: 'payments',
    effect,
    description: `about ${ruleId}`,
    indeterminate: false,
  })
  const cases: RecordChange[] = [
    { outcome: 'ALLOW', matched: [rule('small-amounts', 'ALLOW')], agent: 'quiet' },
    { outcome: 'DENY', matched: [rule('no-drop', 'DENY'), rule('small-amounts', 'ALLOW')], agent: 'loud' },
    { outcome: 'DENY', matched: [rule('no-drop', 'DENY')], agent: 'loud' },
    { outcome: 'DENY', matched: [rule('no-drop', 'DENY')], agent: 'other' },
    { outcome: 'DENY', reasonCode: 'DEFAULT_DENY', matched: [], agent: 'loud' },
    { outcome: 'REQUIRE_APPROVAL', matched: [rule('refunds', 'REQUIRE_APPROVAL')], agent: 'quiet' },
    {
      outcome: 'REQUIRE_APPROVAL',
      matched: [rule('mass-mail', 'DENY_EXCEPT_APPROVAL')],
      agent: 'quiet',
      monitored: [rule('trial', 'DENY')],
    },
  ]
  const records = cases.map((change, i) => sampleRecord(i, NOW + i, { tenant, ...change }))
  const foreign = sampleRecord(99, NOW, { tenant: other, outcome: 'DENY' })
  await store.insert(
    'events',
    ndjson(
      writer,
      [...records, foreign].map((record, i) => ({ seq: i + 1, record })),
    ),
  )

  t.same(await queries.totals(tenant, PERIOD), { total: 7, allowed: 1, requireApproval: 2, denied: 4 })
  t.same(await queries.totals(tenant, { fromMs: NOW + 1, untilMs: NOW + 3 }), {
    total: 2,
    allowed: 0,
    requireApproval: 0,
    denied: 2,
  })
  t.same(await queries.topViolations(tenant, PERIOD, 10), [
    { ruleId: 'no-drop', policy: 'payments', description: 'about no-drop', count: 3, agents: 2 },
    { ruleId: 'DEFAULT_DENY', policy: '', description: '', count: 1, agents: 1 },
    { ruleId: 'mass-mail', policy: 'payments', description: 'about mass-mail', count: 1, agents: 1 },
  ])
  t.equal((await queries.topViolations(tenant, PERIOD, 1)).length, 1)
  t.same(await queries.riskiestAgents(tenant, PERIOD, 10), [
    { agent: 'loud', violations: 3, decisions: 3 },
    { agent: 'other', violations: 1, decisions: 1 },
    { agent: 'quiet', violations: 1, decisions: 3 },
  ])

  const wanted = records[6] as AuditRecord
  const found = (await queries.get(tenant, wanted.decisionId)) as StoredEvent
  t.same(found, {
    decisionId: wanted.decisionId,
    timeMs: wanted.timeMs,
    tenant,
    environment: wanted.environment,
    agent: 'quiet',
    principal: wanted.principal,
    sessionId: wanted.sessionId,
    requestId: wanted.requestId,
    tool: wanted.tool,
    outcome: 'REQUIRE_APPROVAL',
    reasonCode: wanted.decision.reasonCode,
    reason: wanted.decision.reason,
    ruleIds: ['mass-mail'],
    monitoredRuleIds: ['trial'],
    policyRevision: wanted.decision.policyRevision,
    argumentsJson: masker.arguments(wanted.arguments).json,
    argumentsDigest: digest(wanted.arguments),
    violation: true,
    evaluationNs: wanted.evaluationNs,
  })
  t.equal(await queries.get(other, wanted.decisionId), null, 'another tenant does not see it')
  t.equal(await queries.get(tenant, uuidv7(NOW)), null)
  t.equal(await queries.get(tenant, randomUUID()), null, 'an id without a time')

  const ids = async (filter: Partial<Parameters<AuditQueries['list']>[1]>): Promise<number[]> =>
    (await queries.list(tenant, { period: PERIOD, limit: 10, ...filter })).map((event) => event.timeMs - NOW)
  t.same(await ids({}), [6, 5, 4, 3, 2, 1, 0], 'latest first')
  t.same(await ids({ limit: 2 }), [6, 5])
  t.same(await ids({ outcome: 'DENY', agent: 'loud' }), [4, 2, 1])
  t.same(await ids({ ruleId: 'small-amounts' }), [1, 0], 'any matched rule')
  t.same(await ids({ ruleId: 'trial' }), [6], 'a monitored rule')

  const first = await queries.since(tenant, start.cursor, 5)
  t.same(
    first.events.map((event) => event.timeMs - NOW),
    [0, 1, 2, 3, 4],
    'oldest first',
  )
  const second = await queries.since(tenant, first.cursor, 5)
  t.same(
    second.events.map((event) => event.timeMs - NOW),
    [5, 6],
  )
  t.same((await queries.since(tenant, second.cursor, 5)).events, [])
  t.same(
    (await queries.since(tenant, (await queries.since(tenant, '', 1)).cursor, 5)).events,
    [],
    'an empty cursor begins at the end',
  )
  await store.insert('events', ndjson(randomUUID(), [{ seq: 1, record: sampleRecord(50, NOW + 50, { tenant }) }]))
  t.equal((await queries.since(tenant, second.cursor, 5)).events.length, 1, 'a writer that the cursor does not know')
  await t.rejects(queries.since(tenant, 'bm9uZQ', 5), { name: 'RangeError' })

  const daily = await store.query(
    `SELECT decisions, violations, agents FROM ${store.database}.decisions_daily WHERE tenant = {tenant:String}`,
    {
      tenant,
    },
  )
  t.same(daily, [{ decisions: '8', violations: '5', agents: '4' }])
  const [integrity] = await store.query(
    `SELECT gaps, duplicates, last_seq FROM ${store.database}.integrity WHERE writer_id = {writer:String}`,
    {
      writer,
    },
  )
  t.same(integrity, { gaps: '0', duplicates: '0', last_seq: '8' })
  const rules = await store.query(
    `SELECT rule_id FROM ${store.database}.rules_daily WHERE tenant = {tenant:String} ORDER BY violations DESC LIMIT 1`,
    {
      tenant,
    },
  )
  t.same(rules, [{ rule_id: 'no-drop' }])
}

contract('embedded chDB', () => openChdbStore({ folder: temporaryFolder(t) }))
contract('ClickHouse HTTP interface in front of chDB', async () => {
  const front = await startFront(join(temporaryFolder(t), 'front'))
  t.teardown(() => front.kill())
  return openClickHouseStore({ url: front.url, writerId: randomUUID() })
})
const testUrl = process.env['TEST_CLICKHOUSE_URL']
if (testUrl) contract('ClickHouse server', async () => openClickHouseStore({ url: testUrl, writerId: randomUUID() }))

t.test('a store that cannot be used says what to do', async (t) => {
  await t.test('the folder is open in another process', async (t) => {
    const folder = temporaryFolder(t)
    const front = await startFront(join(folder, 'data'))
    t.teardown(() => front.kill())
    await t.rejects(openChdbStore({ folder }), {
      kind: 'unusable',
      message: /cannot be opened.*another process.*data folder/s,
    })
    await front.kill()
    const store = await openChdbStore({ folder })
    await store.close()
    t.pass('a kill -9 of the holder frees it')
  })
  await t.test('a wrong password', async (t) => {
    const front = await startFront(join(temporaryFolder(t), 'front'))
    t.teardown(() => front.kill())
    const store = openClickHouseStore({ url: front.url.replace(/:[^:@/]*@/, ':wrong@'), writerId: randomUUID() })
    t.teardown(() => store.close())
    await t.rejects(store.migrate(), { kind: 'unusable', code: 516 })
  })
  await t.test('nobody listens', async (t) => {
    const store = openClickHouseStore({ url: 'http://127.0.0.1:9', writerId: randomUUID() })
    t.teardown(() => store.close())
    await t.rejects(store.migrate(), { kind: 'unavailable', message: /ECONNREFUSED/ })
  })
  for (const url of ['', 'clickhouse', 'tcp://host:9000', 'http://host/na%20me', 'http://host/a;DROP']) {
    t.throws(
      () => openClickHouseStore({ url, writerId: 'w' }),
      { name: 'StoreError', message: /CLICKHOUSE_URL|database name/ },
      `url ${JSON.stringify(url)}`,
    )
  }
})
