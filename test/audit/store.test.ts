import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type RecordChange, sampleRecord } from '../../bench/fault/audit/record.js'
import { Masker } from '../../src/audit/mask.js'
import { cutPeriod } from '../../src/audit/pieces.js'
import { auditQueries } from '../../src/audit/queries.js'
import { EventRowEncoder } from '../../src/audit/row/event-row.js'
import { RowEncoder } from '../../src/audit/row/row.js'
import { type AuditStore, type Row, StoreError, toStoreError } from '../../src/audit/store/audit-store.js'
import { openChdbStore } from '../../src/audit/store/chdb-store.js'
import { openClickHouseStore } from '../../src/audit/store/clickhouse-store.js'
import { closedSpansSql, RollUps } from '../../src/audit/store/roll-ups.js'
import type { AuditQueries, StoredEvent } from '../../src/model/audit-queries.js'
import type { AuditedRule, AuditRecord } from '../../src/model/audit-record.js'
import { digest } from '../../src/model/canonical-json.js'
import type { ControlEvent } from '../../src/model/control-event.js'
import { uuidv7 } from '../../src/model/uuid.js'
import { startFront, temporaryFolder } from './support.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

const masker = new Masker(Buffer.alloc(32, 7))
const encoder = new RowEncoder(masker)
const bytes = Buffer.alloc(1_000_000)
const NOW = Date.UTC(2026, 10, 22, 12)
const PERIOD = { fromMs: NOW - 3_600_000, untilMs: NOW + 3_600_000 }

function ndjson(
  writer: string,
  rows: readonly { readonly seq: number; readonly record: AuditRecord }[],
): readonly Buffer[] {
  const line = ({ seq, record }: { readonly seq: number; readonly record: AuditRecord }): string =>
    `${bytes.toString('utf8', 0, encoder.write(record, writer, seq, bytes, 0))}\n`
  return rows.map((row) => Buffer.from(line(row)))
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
        const error = await store.insert('events', [...good, Buffer.from(bad)]).then(
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

    await t.test('control events', (t) => controlEvents(t, store))
    await t.test('a database from before control events', (t) => fromBefore(t, store))
    await t.test('the questions', (t) => questions(t, store))
    await t.test('roll-ups say what their rows say', (t) => rollUps(t, store))
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

const eventEncoder = new EventRowEncoder(masker)
const DIGEST = '4111111111111111'.repeat(4)

function eventOf(changes: Partial<ControlEvent> = {}): ControlEvent {
  return {
    eventId: randomUUID(),
    timeMs: NOW,
    tenant: 'default',
    kind: 'approval.voted',
    subject: '0192f3c4-4111-7111-8111-111111111111',
    actor: 'ann@example.com',
    why: 'looks right',
    state: 'APPROVED',
    shownDigest: DIGEST,
    agent: 'support-1',
    tool: 'issue_refund',
    ...changes,
  }
}

function eventRow(event: ControlEvent, writer: string, seq: number): Buffer {
  return Buffer.from(`${bytes.toString('utf8', 0, eventEncoder.write(event, writer, seq, bytes, 0))}\n`)
}

t.test('the row of a control event', async (t) => {
  const why = 'password=hunter2 says card 4111 1111 1111 1111'
  const row = JSON.parse(String(eventRow(eventOf({ why, actor: 'ann\ud800' }), 'w', 7))) as Record<string, unknown>
  t.match(row, { writer_id: 'w', seq: 7, ts: NOW, kind: 'approval.voted', tenant: 'default', agent_id: 'support-1' })
  t.notMatch(row['reason'], /hunter2|4111/)
  t.match(row['reason'], /^password=\[masked:/)
  t.equal(row['redactions'], 2)
  t.same(
    row['attrs'],
    {
      subject: eventOf().subject,
      actor: 'ann\ufffd',
      state: 'APPROVED',
      shown_digest: DIGEST,
    },
    'ids and digests are no cards',
  )
  const bare = JSON.parse(
    String(eventRow(eventOf({ state: '', shownDigest: '', agent: '', tool: '', why: 'a'.repeat(9_999) }), 'w', 1)),
  ) as Record<string, unknown>
  t.same(Object.keys(bare['attrs'] as object), ['subject', 'actor'])
  t.equal(String(bare['reason']).length, 4_096)
  t.notOk('tool' in bare || 'agent_id' in bare)
  t.equal(eventEncoder.write(eventOf(), 'w', 1, Buffer.alloc(40), 0), -1, 'no room')
})

async function controlEvents(t: Test, store: AuditStore): Promise<void> {
  const tenant = `tenant-${randomUUID()}`
  const [writer, other] = [randomUUID(), randomUUID()]
  const queries = auditQueries((sql, params, limits) => store.query(sql, params, limits), store.database)
  const hostile = "x' OR 1=1 --\u0000\u001b[2J{kind:String}"
  const events = [
    eventOf({ tenant, kind: 'approval.opened', actor: 'support-1', why: '', state: 'PENDING' }),
    eventOf({ tenant, timeMs: NOW + 1 }),
    eventOf({ tenant, timeMs: NOW + 2, kind: 'kill.engaged', subject: 'k-1', actor: hostile, why: hostile, state: '' }),
    eventOf({ tenant, timeMs: NOW + 3, kind: 'kill.released', subject: 'k-1', shownDigest: '', agent: '', tool: '' }),
    eventOf({ tenant, timeMs: NOW + 4, kind: 'killer.other', subject: hostile }),
  ]
  const call = sampleRecord(1, NOW, { tenant })
  const opened = { ...call.decision, opened: { id: '0192f3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d' } }
  await store.insert('events', [
    ...events.map((event, i) => eventRow(event, writer, i + 1)),
    // The same once more, as after a crash between handing over and marking.
    ...events.slice(1, 3).map((event, i) => eventRow(event, other, i + 1)),
    ...ndjson(writer, [{ seq: 6, record: { ...call, decision: opened } }]),
  ])
  const ask = (filter: object = {}, limit = 100) => queries.controlEvents(tenant, { period: PERIOD, limit, ...filter })
  t.strictSame(await ask(), events.toReversed(), 'each once, whole, the latest first')
  t.strictSame(await ask({}, 2), events.slice(3).toReversed())
  const kindsOf = async (filter: object): Promise<readonly string[]> => (await ask(filter)).map(({ kind }) => kind)
  t.same(await kindsOf({ kind: 'kill' }), ['kill.released', 'kill.engaged'])
  t.same(await kindsOf({ kind: 'kill.engaged' }), ['kill.engaged'])
  t.same(await kindsOf({ kind: 'decision' }), [])
  t.same(await kindsOf({ subject: 'k-1' }), ['kill.released', 'kill.engaged'])
  t.same(await kindsOf({ subject: hostile }), ['killer.other'])
  t.same(await kindsOf({ period: { fromMs: NOW + 2, untilMs: NOW + 3 } }), ['kill.engaged'])
  t.same(await queries.controlEvents(hostile, { period: PERIOD, limit: 9 }), [], 'another tenant has none')
  const [view] = await store.query(
    `SELECT count() AS events, countIf(why = 'looks right') AS right FROM ${store.database}.control_events WHERE tenant = {tenant:String}`,
    { tenant },
  )
  t.equal(Number(view?.['events']), events.length, 'the view has each once')

  const listed = await queries.list(tenant, { period: PERIOD, limit: 9 })
  t.same(
    listed.map(({ approvalId }) => approvalId),
    [opened.opened.id],
    'decisions are listed without them, and know their approval',
  )
  t.match(await queries.totals(tenant, PERIOD), { total: 1 })
}

async function fromBefore(t: Test, store: AuditStore): Promise<void> {
  const { database: db } = store
  const run = (sql: string) => store.rollUps.statement(sql, {})
  await run(`DROP VIEW ${db}.control_events`)
  await run(`ALTER TABLE ${db}.events DROP COLUMN approval_id, DROP INDEX i_kind`)
  await run(`ALTER TABLE ${db}.migrations DELETE WHERE version >= 7 SETTINGS mutations_sync = 2`)
  const tenant = `tenant-${randomUUID()}`
  const writer = randomUUID()
  await store.insert('events', ndjson(writer, [{ seq: 1, record: sampleRecord(1, NOW, { tenant }) }]))
  await store.migrate()
  await store.insert('events', [eventRow(eventOf({ tenant }), writer, 2)])
  const queries = auditQueries((sql, params, limits) => store.query(sql, params, limits), db)
  t.match(await queries.list(tenant, { period: PERIOD, limit: 9 }), [{ approvalId: '' }], 'old rows stay readable')
  t.match(await queries.controlEvents(tenant, { period: PERIOD, limit: 9 }), [{ actor: 'ann@example.com' }])
  t.same(await store.countRange(writer, 1, 2), { rows: 2, distinct: 2 })
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
  t.equal((await queries.topViolations(tenant, PERIOD, 2))[1]?.ruleId, 'DEFAULT_DENY', 'the first of those that tie')
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
    approvalId: '',
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

const HOUR_MS = 3_600_000

/** Closes what is due; the answers must stay those of the rows themselves, whatever is closed, open or half done. */
async function rollUps(t: Test, store: AuditStore): Promise<void> {
  const tenant = `tenant-${randomUUID()}`
  const writer = randomUUID()
  const run: Parameters<typeof auditQueries>[0] = (sql, params, limits) => store.query(sql, params, limits)
  const queries = auditQueries(run, store.database, 0)
  const nowMs = Date.now()
  const today = Math.floor(nowMs / (24 * HOUR_MS)) * 24 * HOUR_MS
  let seq = 0
  const insert = async (times: readonly number[]): Promise<void> => {
    const rows = times.map((timeMs) => {
      const n = seq++
      const ruleId = `rule-${n % 3}`
      const effect = n % 4 === 0 ? 'DENY' : 'ALLOW'
      const matched =
        n % 8 === 0 ? [] : [{ ruleId, policy: 'p', effect, description: `${n}`, indeterminate: false } as const]
      const change = { tenant, agent: `agent-${n % 5}`, outcome: effect, matched } as const
      return { seq: n + 1, record: sampleRecord(n, timeMs, change) }
    })
    await store.insert('events', ndjson(writer, rows))
  }
  const periods = [
    { fromMs: today - 72 * HOUR_MS, untilMs: nowMs + 1 },
    { fromMs: 0, untilMs: nowMs + HOUR_MS },
    { fromMs: today - 50 * HOUR_MS + 1, untilMs: today - 20 * HOUR_MS - 1 },
    { fromMs: today - 48 * HOUR_MS, untilMs: today - 24 * HOUR_MS },
    { fromMs: today - 30 * HOUR_MS, untilMs: today - 29 * HOUR_MS },
  ]
  const check = async (what: string): Promise<void> => {
    for (const [i, period] of periods.entries()) {
      const answers = [
        await queries.totals(tenant, period),
        await queries.topViolations(tenant, period, 10),
        await queries.riskiestAgents(tenant, period, 10),
      ]
      t.same(answers, await plainAnswers(store, tenant, period), `${what}, period ${i}`)
    }
  }
  const closeAll = async (): Promise<void> => {
    while (await store.rollUps.closeSome());
  }
  const closedSpans = async (): Promise<number> => {
    const sql = `SELECT count() AS closed FROM (${closedSpansSql(store.database, '1')})`
    return Number((await store.query(sql, {}))[0]?.['closed'])
  }

  const times = Array.from({ length: 300 }, (_, i) => nowMs - Math.floor((i / 300) ** 2 * 110 * HOUR_MS))
  await insert(times)
  await check('nothing closed')
  await store.rollUps.closeSome()
  await check('some closed')
  await closeAll()
  const closed = await closedSpans()
  t.ok(closed >= 100)
  await check('all closed that may be')
  const [read] = await store.query(
    `SELECT sum(decisions) AS summed FROM ${store.database}.agent_spans WHERE tenant = {tenant:String}`,
    { tenant },
  )
  t.ok(Number(read?.['summed']) > 300, 'hours and days are summed up')

  await insert([today - 30 * HOUR_MS, today - 30 * HOUR_MS + 5, today - 49 * HOUR_MS, nowMs])
  await store.rollUps.reopen(writer, 301, 304)
  t.equal(await closedSpans(), closed - 4, 'two hours and two days are open again')
  await check('late rows')
  await closeAll()
  t.equal(await closedSpans(), closed)
  await check('late rows, closed again')

  // A closing that was cut short: sums without their entry in `spans`.
  await store.rollUps.reopen(writer, 301, 303)
  const cutShort = new RollUps(store.database, (sql, params) => {
    if (sql.includes('.spans (')) throw new StoreError('unavailable', 'killed')
    return store.rollUps.statement(sql, params)
  })
  await t.rejects(cutShort.closeSome(), { message: 'killed' })
  await check('a closing that was cut short')
  await closeAll()
  await check('and done again')

  await t.test('a database of an earlier version is brought up to date', async (t) => {
    const { database: db, rollUps: sums } = store
    // Version 4 had the agents of a rule beside its other sums.
    const before = [
      `CREATE TABLE ${db}.rule_spans_4 (tenant LowCardinality(String), seconds UInt32, start DateTime('UTC'), policy LowCardinality(String),
  rule LowCardinality(String), version UInt64, violations UInt64, agents AggregateFunction(uniqExact, UInt64),
  description LowCardinality(String), last_ts DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY (tenant, seconds, start, policy, rule)`,
      `INSERT INTO ${db}.rule_spans_4 SELECT tenant, seconds, start, policy, rule, version, violations, agents, description, last_ts
FROM ${db}.rule_spans INNER JOIN ${db}.rule_agent_spans USING (tenant, seconds, start, policy, rule, version)`,
      `DROP TABLE ${db}.rule_agent_spans`,
      `DROP TABLE ${db}.rule_spans`,
      `RENAME TABLE ${db}.rule_spans_4 TO ${db}.rule_spans`,
      `ALTER TABLE ${db}.migrations DELETE WHERE version > 4 SETTINGS mutations_sync = 1`,
    ]
    for (const statement of before) await sums.statement(statement, {})
    const [old] = await store.query(`SELECT count() AS rows FROM ${db}.rule_spans`, {})
    t.ok(Number(old?.['rows']) > 100)
    await store.migrate()
    await check('after the migration')
    // As when it was cut short before it was noted, and is done again by the next start.
    await sums.statement(`ALTER TABLE ${db}.rule_spans ADD COLUMN agents AggregateFunction(uniqExact, UInt64)`, {})
    await sums.statement(`ALTER TABLE ${db}.migrations DELETE WHERE version > 4 SETTINGS mutations_sync = 1`, {})
    await store.migrate()
    await check('after the migration, done twice')
    await insert([today - 30 * HOUR_MS])
    await sums.reopen(writer, 305, 305)
    await closeAll()
    await check('closed after the migration')
    t.end()
  })
}

/** The same answers by the plainest statements over the rows. */
async function plainAnswers(
  store: AuditStore,
  tenant: string,
  period: { fromMs: number; untilMs: number },
): Promise<unknown[]> {
  const where = `tenant = {tenant:String} AND toUnixTimestamp64Milli(ts) >= {from:Int64} AND toUnixTimestamp64Milli(ts) < {until:Int64}`
  const params = { tenant, from: period.fromMs, until: period.untilMs }
  const ask = (sql: string): Promise<readonly Row[]> =>
    store.query(sql.replace('EVENTS', `${store.database}.events WHERE ${where}`), params)
  const [totals] =
    await ask(`SELECT count() AS total, countIf(outcome = 'ALLOW') AS allowed, countIf(outcome = 'REQUIRE_APPROVAL') AS asked,
countIf(outcome = 'DENY') AS denied FROM EVENTS`)
  const rules =
    await ask(`SELECT if(rule_id = '', reason_code, rule_id) AS rule, policy, argMax(rule_description, ts) AS description, count() AS c,
uniqExact(agent_id) AS agents FROM EVENTS AND violation GROUP BY rule, policy ORDER BY c DESC, agents DESC, policy, rule LIMIT 10`)
  const agents =
    await ask(`SELECT agent_id, countIf(violation) AS bad, count() AS decisions FROM EVENTS GROUP BY agent_id HAVING bad > 0
ORDER BY bad DESC, bad / decisions DESC, agent_id LIMIT 10`)
  return [
    {
      total: Number(totals?.['total']),
      allowed: Number(totals?.['allowed']),
      requireApproval: Number(totals?.['asked']),
      denied: Number(totals?.['denied']),
    },
    rules.map((row) => ({
      ruleId: row['rule'],
      policy: row['policy'],
      description: row['description'],
      count: Number(row['c']),
      agents: Number(row['agents']),
    })),
    agents.map((row) => ({
      agent: row['agent_id'],
      violations: Number(row['bad']),
      decisions: Number(row['decisions']),
    })),
  ]
}

t.test('a period is cut into pieces that are exactly it', (t) => {
  const hour = fc.integer({ min: 0, max: 24 * 6 })
  fc.assert(
    fc.property(
      fc.uniqueArray(hour),
      fc.uniqueArray(fc.integer({ min: 0, max: 6 })),
      fc.nat(6 * 24 * HOUR_MS),
      fc.nat(6 * 24 * HOUR_MS),
      (hours, days, a, b) => {
        const closed = {
          hours: new Set(hours.map((h) => h * HOUR_MS)),
          days: new Set(days.map((d) => d * 24 * HOUR_MS)),
        }
        const pieces = cutPeriod({ fromMs: a, untilMs: b }, closed)
        const all = [...pieces.days, ...pieces.hours, ...pieces.rows].sort((x, y) => x.fromMs - y.fromMs)
        const isWhole = all.length === 0 ? b <= a : all[0]!.fromMs === a && all.at(-1)!.untilMs === b
        const isTight = all.every(
          (piece, i) => piece.fromMs < piece.untilMs && (i === 0 || all[i - 1]!.untilMs === piece.fromMs),
        )
        const spans = (piece: { fromMs: number; untilMs: number }, length: number): number[] =>
          Array.from({ length: (piece.untilMs - piece.fromMs) / length }, (_, i) => piece.fromMs + i * length)
        return (
          isWhole &&
          isTight &&
          pieces.days.every((piece) => spans(piece, 24 * HOUR_MS).every((start) => closed.days.has(start))) &&
          pieces.hours.every((piece) => spans(piece, HOUR_MS).every((start) => closed.hours.has(start)))
        )
      },
    ),
  )
  const everySecondHour = new Set(Array.from({ length: 1_000 }, (_, i) => 2 * i * HOUR_MS))
  const long = { fromMs: 0, untilMs: 2_000 * HOUR_MS }
  t.same(
    cutPeriod(long, { hours: everySecondHour, days: new Set() }),
    { days: [], hours: [], rows: [long] },
    'too many pieces',
  )
  const hours = new Set(Array.from({ length: 5_001 }, (_, i) => i * HOUR_MS))
  const longer = { fromMs: 0, untilMs: 5_001 * HOUR_MS }
  t.same(cutPeriod(longer, { hours, days: new Set() }), { days: [], hours: [], rows: [longer] }, 'too many spans')
  t.end()
})

contract('embedded chDB', () => openChdbStore({ folder: temporaryFolder(t) }))
contract('ClickHouse HTTP interface in front of chDB', async () => {
  const front = await startFront(join(temporaryFolder(t), 'front'))
  t.teardown(() => front.kill())
  return openClickHouseStore({ url: front.url, writerId: randomUUID() })
})
const testUrl = process.env['TEST_CLICKHOUSE_URL']
if (testUrl) contract('ClickHouse server', async () => openClickHouseStore({ url: testUrl, writerId: randomUUID() }))

t.test('an error is the fault of the rows only where it says so', (t) => {
  const parser = 'While executing JSONEachRowRowInputFormat: (at row 3)'
  const cases: [string, object, StoreError['kind']][] = [
    ['a value that a column does not take', { clickhouseCode: 117 }, 'data'],
    ['the parser, whatever its code', { code: '9999' }, 'data'],
    ['no memory, while it parsed', { clickhouseCode: 241 }, 'unavailable'],
    ['no time, while it parsed', { code: '159' }, 'unavailable'],
    ['no space', { code: '243' }, 'unavailable'],
  ]
  for (const [what, codes, kind] of cases) {
    t.equal(toStoreError(Object.assign(new Error(`${what}. ${parser}`), codes)).kind, kind, what)
  }
  t.equal(toStoreError(Object.assign(new Error('write'), { code: 'ENOSPC' })).kind, 'unavailable')
  t.end()
})

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
