import type {
  AuditQueries,
  ControlEventFilter,
  EventFilter,
  Period,
  RiskyAgent,
  StoredEvent,
  Totals,
  Violation,
} from '../model/audit-queries.js'
import type { ControlEvent } from '../model/control-event.js'
import type { Outcome } from '../model/outcome.js'
import { isUuid, uuidv7TimeMs } from '../model/uuid.js'
import { cutPeriod } from './pieces.js'
import type { QueryLimits, QueryParams, Row } from './store/audit-store.js'
import { closedSpansSql, DAY_SECONDS, HOUR_SECONDS } from './store/roll-ups.js'

/** Runs one SELECT with typed parameters. */
export type RunQuery = (sql: string, params: QueryParams, limits?: QueryLimits) => Promise<readonly Row[]>

const MAX_LIMIT = 1_000
/** The id's time is the record's to within a second; the rest is for clocks that were set while a call was decided. */
const ID_SLACK_MS = 2_000
/** A tail looks this far back from the newest event that it has seen, for writers whose rows arrive late. */
const TAIL_WINDOW_MS = 3_600_000

const SETTLE_MS = 5_000

/** Where the rows of a period are summed up already, and where they have to be read, as conditions. */
interface Sources {
  readonly spans: string
  readonly rows: string
}

/** What a decision broke: the deciding rule, or the default that decided. */
const RULE = "if(rule_id = '', reason_code, rule_id) AS rule"
/** Rules that have violations in one period; far more than policies have. */
const MAX_RULES = 1_000_000
const COLUMNS =
  'event_id, toUnixTimestamp64Milli(ts) AS time_ms, tenant, environment, agent_id, principal, session_id, request_id, tool, ' +
  'outcome, reason_code, reason, rule_ids, monitored_rule_ids, policy_revision, arguments, arguments_sha256, violation, evaluation_ns, approval_id'
/** Of an event that was handed over twice either row says the same; see the view `control_events`. */
const EVENT_COLUMNS =
  "event_id, toUnixTimestamp64Milli(ts) AS time_ms, tenant, kind, attrs['subject'] AS subject, attrs['actor'] AS actor, " +
  "reason, attrs['state'] AS state, attrs['shown_digest'] AS shown_digest, agent_id, tool"
const IN_PERIOD =
  "tenant = {tenant:String} AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts < fromUnixTimestamp64Milli({until:Int64}, 'UTC')"

/**
 * The analyst's questions as SQL. Every statement is bound to one tenant and one period by the sort key, every value is a
 * typed parameter or a number, and rows and time are capped.
 *
 * @param settleMs how old a roll-up must be to be used: what reopened its span has arrived by then
 */
export function auditQueries(run: RunQuery, database = 'audit', settleMs = SETTLE_MS): AuditQueries {
  const events = `${database}.events`
  let last: { readonly key: string; readonly at: number; readonly sources: Promise<Sources> } | null = null

  async function totals(tenant: string, period: Period): Promise<Totals> {
    const { spans, rows: rest } = await sourcesOf(period)
    const [row] = await run(
      `SELECT sum(decisions) AS total, sum(allowed) AS allowed, sum(require_approval) AS require_approval, sum(denied) AS denied FROM (
SELECT sum(decisions) AS decisions, sum(allowed) AS allowed, sum(require_approval) AS require_approval, sum(denied) AS denied
FROM ${database}.total_spans WHERE tenant = {tenant:String} AND ${spans}
UNION ALL SELECT count(), countIf(outcome = 'ALLOW'), countIf(outcome = 'REQUIRE_APPROVAL'), countIf(outcome = 'DENY')
FROM ${events} WHERE tenant = {tenant:String} AND ${rest} AND kind = 'decision')`,
      { tenant },
    )
    return {
      total: number(row, 'total'),
      allowed: number(row, 'allowed'),
      requireApproval: number(row, 'require_approval'),
      denied: number(row, 'denied'),
    }
  }

  async function topViolations(tenant: string, period: Period, limit: number): Promise<readonly Violation[]> {
    const sources = await sourcesOf(period)
    const { spans, rows: rest } = sources
    const rows = await run(
      `SELECT rule, policy, argMax(description, last_ts) AS description, sum(count) AS violations FROM (
SELECT rule, policy, violations AS count, description, last_ts FROM ${database}.rule_spans WHERE tenant = {tenant:String} AND ${spans}
UNION ALL SELECT ${RULE}, policy, count(), argMax(rule_description, ts), max(ts)
FROM ${events} WHERE tenant = {tenant:String} AND ${rest} AND kind = 'decision' AND violation GROUP BY rule, policy)
GROUP BY rule, policy ORDER BY violations DESC LIMIT {limit:UInt32} WITH TIES`,
      { tenant, limit: capped(limit) },
      { maxRows: MAX_RULES },
    )
    const agents = await agentsOf(tenant, sources, rows)
    const violations = rows.map((row) => ({
      ruleId: text(row, 'rule'),
      policy: text(row, 'policy'),
      description: text(row, 'description'),
      count: number(row, 'violations'),
      agents: agents.get(ruleKey(row)) ?? 0,
    }))
    return violations.sort(byWeight).slice(0, capped(limit))
  }

  /** How many agents broke each of the rules, by {@link ruleKey}. Asked for these rules only: the sets are large. */
  async function agentsOf(
    tenant: string,
    { spans, rows: rest }: Sources,
    rules: readonly Row[],
  ): Promise<ReadonlyMap<string, number>> {
    if (rules.length === 0) return new Map()
    const areFew = rules.length <= MAX_LIMIT
    const chosen = areFew
      ? ' AND (policy, rule) IN (SELECT arrayJoin(arrayZip({policies:Array(String)}, {rules:Array(String)})))'
      : ''
    const rows = await run(
      `SELECT rule, policy, uniqExactMerge(agents) AS agents FROM (
SELECT rule, policy, agents FROM ${database}.rule_agent_spans WHERE tenant = {tenant:String} AND ${spans}${chosen}
UNION ALL SELECT ${RULE}, policy, uniqExactState(sipHash64(agent_id))
FROM ${events} WHERE tenant = {tenant:String} AND ${rest} AND kind = 'decision' AND violation${chosen} GROUP BY rule, policy)
GROUP BY rule, policy`,
      {
        tenant,
        ...(areFew
          ? { policies: rules.map((row) => text(row, 'policy')), rules: rules.map((row) => text(row, 'rule')) }
          : {}),
      },
      { maxRows: MAX_RULES },
    )
    return new Map(rows.map((row) => [ruleKey(row), number(row, 'agents')]))
  }

  async function riskiestAgents(tenant: string, period: Period, limit: number): Promise<readonly RiskyAgent[]> {
    const { spans, rows: rest } = await sourcesOf(period)
    const rows = await run(
      `SELECT agent_id, sum(bad) AS violations, sum(all) AS decisions FROM (
SELECT agent_id, violations AS bad, decisions AS all FROM ${database}.agent_spans WHERE tenant = {tenant:String} AND ${spans}
UNION ALL SELECT agent_id, countIf(violation), count() FROM ${events} WHERE tenant = {tenant:String} AND ${rest} AND kind = 'decision' GROUP BY agent_id)
GROUP BY agent_id HAVING violations > 0 ORDER BY violations DESC, violations / decisions DESC, agent_id LIMIT {limit:UInt32}`,
      { tenant, limit: capped(limit) },
    )
    return rows.map((row) => ({
      agent: text(row, 'agent_id'),
      violations: number(row, 'violations'),
      decisions: number(row, 'decisions'),
    }))
  }

  /** The same for the questions of one overview, which come together. */
  function sourcesOf(period: Period): Promise<Sources> {
    const key = `${period.fromMs} ${period.untilMs}`
    const now = performance.now()
    if (last === null || last.key !== key || now - last.at > settleMs / 10) {
      const sources = findSources(period)
      last = { key, at: now, sources }
      sources.catch(() => {
        last = null
      })
    }
    return last.sources
  }

  async function findSources(period: Period): Promise<Sources> {
    const { from, until } = bounds(period)
    // In a subquery, so that it is one moment for the whole statement.
    const asOf = `(SELECT toUnixTimestamp64Micro(now64(6)) - ${settleMs * 1_000})`
    const within = `start >= ${dateTime(from)} AND start < ${dateTime(until)}`
    const rows = await run(
      `WITH ${asOf} AS as_of SELECT seconds, toUnixTimestamp(start) AS start_seconds, toString(current) AS version
FROM (${closedSpansSql(database, `${within} AND version <= as_of`)}) ORDER BY seconds DESC, start DESC`,
      {},
      { maxRows: 100_000 },
    )
    const versionsOf = (seconds: number): ReadonlyMap<number, string> =>
      new Map(
        rows
          .filter((row) => row['seconds'] === seconds)
          .map((row) => [number(row, 'start_seconds') * 1_000, text(row, 'version')]),
      )
    const days = versionsOf(DAY_SECONDS)
    const hours = versionsOf(HOUR_SECONDS)
    const pieces = cutPeriod(
      { fromMs: from, untilMs: until },
      { days: new Set(days.keys()), hours: new Set(hours.keys()) },
    )
    const spans = [toSpans(DAY_SECONDS, pieces.days, days), toSpans(HOUR_SECONDS, pieces.hours, hours)]
    return { spans: anyOf(spans), rows: anyOf(pieces.rows.map(toRange)) }
  }

  async function get(tenant: string, decisionId: string): Promise<StoredEvent | null> {
    if (!isUuid(decisionId)) return null
    const timeMs = uuidv7TimeMs(decisionId)
    const period =
      timeMs === null
        ? { fromMs: 0, untilMs: MAX_TIME_MS }
        : { fromMs: timeMs - ID_SLACK_MS, untilMs: timeMs + ID_SLACK_MS }
    const rows = await run(`SELECT ${COLUMNS} FROM ${events} WHERE ${IN_PERIOD} AND event_id = {id:UUID} LIMIT 1`, {
      tenant,
      ...bounds(period),
      id: decisionId.toLowerCase(),
    })
    return rows[0] ? toEvent(rows[0]) : null
  }

  async function list(tenant: string, filter: EventFilter): Promise<readonly StoredEvent[]> {
    const conditions: string[] = []
    const params: Record<string, string | number> = {}
    const equal = (name: string, condition: string, value: string | undefined): void => {
      if (value === undefined || value === '') return
      conditions.push(` AND ${condition}`)
      params[name] = value
    }
    equal('agent', 'agent_id = {agent:String}', filter.agent)
    equal('tool', 'tool = {tool:String}', filter.tool)
    equal('rule', '(has(rule_ids, {rule:String}) OR has(monitored_rule_ids, {rule:String}))', filter.ruleId)
    equal('outcome', 'toString(outcome) = {outcome:String}', filter.outcome)
    equal('session', 'session_id = {session:String}', filter.sessionId)
    const rows = await run(
      `SELECT ${COLUMNS} FROM ${events} WHERE ${IN_PERIOD} AND kind = 'decision'${conditions.join('')} ORDER BY ts DESC, event_id DESC LIMIT {limit:UInt32}`,
      { tenant, ...bounds(filter.period), ...params, limit: capped(filter.limit) },
    )
    return rows.map(toEvent)
  }

  async function since(
    tenant: string,
    cursor: string,
    limit: number,
  ): Promise<{ readonly events: readonly StoredEvent[]; readonly cursor: string }> {
    if (cursor === '') return { events: [], cursor: encodeCursor(await newest(tenant)) }
    const seen = decodeCursor(cursor)
    const rows = await run(
      `SELECT writer_id, seq, ${COLUMNS} FROM ${events} WHERE ${IN_PERIOD} AND kind = 'decision'
AND seq > arrayElement({seqs:Array(UInt64)}, indexOf({writers:Array(String)}, toString(writer_id)) + 1) ORDER BY seq, writer_id LIMIT {limit:UInt32}`,
      {
        tenant,
        ...bounds({ fromMs: seen.timeMs - TAIL_WINDOW_MS, untilMs: MAX_TIME_MS }),
        writers: seen.writers.map(([writer]) => writer),
        // In front: a writer that the cursor does not know has index 0, and all its rows are new.
        seqs: [0, ...seen.writers.map(([, seq]) => seq)],
        limit: capped(limit),
      },
    )
    const writers = new Map(seen.writers)
    let { timeMs } = seen
    for (const row of rows) {
      writers.set(text(row, 'writer_id'), number(row, 'seq'))
      timeMs = Math.max(timeMs, number(row, 'time_ms'))
    }
    return { events: rows.map(toEvent), cursor: encodeCursor({ timeMs, writers: [...writers] }) }
  }

  async function newest(tenant: string): Promise<Cursor> {
    const rows = await run(
      `SELECT writer_id, max(seq) AS last, toUnixTimestamp64Milli(max(ts)) AS time_ms FROM ${events} WHERE tenant = {tenant:String} GROUP BY writer_id`,
      { tenant },
    )
    return {
      timeMs: rows.reduce((max, row) => Math.max(max, number(row, 'time_ms')), 0),
      writers: rows.map((row) => [text(row, 'writer_id'), number(row, 'last')]),
    }
  }

  async function controlEvents(tenant: string, filter: ControlEventFilter): Promise<readonly ControlEvent[]> {
    const { kind = '', subject = '' } = filter
    const ofKind = kind === '' ? '' : " AND (kind = {kind:String} OR startsWith(kind, concat({kind:String}, '.')))"
    const ofSubject = subject === '' ? '' : " AND attrs['subject'] = {subject:String}"
    const rows = await run(
      `SELECT ${EVENT_COLUMNS} FROM ${events} WHERE ${IN_PERIOD} AND kind NOT IN ('decision', 'quarantined')${ofKind}${ofSubject}
ORDER BY ts DESC, seq DESC, writer_id LIMIT 1 BY event_id LIMIT {limit:UInt32}`,
      {
        tenant,
        ...bounds(filter.period),
        limit: capped(filter.limit),
        ...(kind !== '' && { kind }),
        ...(subject !== '' && { subject }),
      },
    )
    return rows.map(toControlEvent)
  }

  return { totals, topViolations, riskiestAgents, get, list, since, controlEvents }
}

/** How far a tail has come: the last number of each writer. */
interface Cursor {
  readonly timeMs: number
  readonly writers: readonly (readonly [writer: string, seq: number])[]
}

function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify([cursor.timeMs, cursor.writers])).toString('base64url')
}

function decodeCursor(text: string): Cursor {
  try {
    const [timeMs, writers] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as [unknown, unknown]
    if (Number.isSafeInteger(timeMs) && Array.isArray(writers) && writers.every(isWriterEntry)) {
      return { timeMs: timeMs as number, writers }
    }
  } catch {
    // Told below.
  }
  throw new RangeError('the cursor is none that this server gave out; begin again with an empty one')
}

function isWriterEntry(entry: unknown): entry is [string, number] {
  return (
    Array.isArray(entry) && typeof entry[0] === 'string' && Number.isSafeInteger(entry[1]) && (entry[1] as number) >= 0
  )
}

/**
 * Closed spans as a condition on the sums of them. It names the version that counts of each span, as it was when the period was
 * cut: a span that changes meanwhile is not counted twice, and the sums of a closing that was cut short are not counted at all.
 */
function toSpans(seconds: number, periods: readonly Period[], versions: ReadonlyMap<number, string>): string {
  const named = periods.flatMap(({ fromMs, untilMs }) =>
    Array.from({ length: (untilMs - fromMs) / (seconds * 1_000) }, (_, i) => {
      const startMs = fromMs + i * seconds * 1_000
      return `(${startMs / 1_000},${versions.get(startMs)})`
    }),
  )
  return named.length === 0 ? '0' : `seconds = ${seconds} AND (start, version) IN (${named.join(',')})`
}

function toRange({ fromMs, untilMs }: Period): string {
  return `ts >= ${timestamp(fromMs)} AND ts < ${timestamp(untilMs)}`
}

function anyOf(conditions: readonly string[]): string {
  const possible = conditions.filter((condition) => condition !== '0')
  return possible.length === 0 ? '0' : `(${possible.join(' OR ')})`
}

function ruleKey(row: Row): string {
  return JSON.stringify([text(row, 'policy'), text(row, 'rule')])
}

function byWeight(a: Violation, b: Violation): number {
  return b.count - a.count || b.agents - a.agents || byBytes(a.policy, b.policy) || byBytes(a.ruleId, b.ruleId)
}

/** As the store sorts texts, so that an order does not depend on who sorted. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

const MAX_TIME_MS = 4_102_444_800_000

/** SQL of a time in milliseconds, which is a number of ours and never a text from outside. */
function timestamp(ms: number): string {
  return `fromUnixTimestamp64Milli(${Math.trunc(ms)}, 'UTC')`
}

function dateTime(ms: number): string {
  return `toDateTime(${Math.trunc(ms / 1_000)}, 'UTC')`
}

function bounds(period: Period): { from: number; until: number } {
  const clamped = (ms: number): number => Math.min(MAX_TIME_MS, Math.max(0, Math.trunc(Number.isFinite(ms) ? ms : 0)))
  return { from: clamped(period.fromMs), until: clamped(period.untilMs) }
}

function capped(limit: number): number {
  return Math.min(MAX_LIMIT, Math.max(1, Math.trunc(Number.isFinite(limit) ? limit : 1)))
}

function toEvent(row: Row): StoredEvent {
  return {
    decisionId: text(row, 'event_id'),
    timeMs: number(row, 'time_ms'),
    tenant: text(row, 'tenant'),
    environment: text(row, 'environment'),
    agent: text(row, 'agent_id'),
    principal: text(row, 'principal'),
    sessionId: text(row, 'session_id'),
    requestId: text(row, 'request_id'),
    tool: text(row, 'tool'),
    outcome: text(row, 'outcome') as Outcome,
    reasonCode: text(row, 'reason_code'),
    reason: text(row, 'reason'),
    ruleIds: texts(row, 'rule_ids'),
    monitoredRuleIds: texts(row, 'monitored_rule_ids'),
    policyRevision: text(row, 'policy_revision'),
    argumentsJson: text(row, 'arguments'),
    argumentsDigest: text(row, 'arguments_sha256'),
    violation: row['violation'] === true || row['violation'] === 1,
    evaluationNs: number(row, 'evaluation_ns'),
    approvalId: text(row, 'approval_id'),
  }
}

function toControlEvent(row: Row): ControlEvent {
  return {
    eventId: text(row, 'event_id'),
    timeMs: number(row, 'time_ms'),
    tenant: text(row, 'tenant'),
    kind: text(row, 'kind'),
    subject: text(row, 'subject'),
    actor: text(row, 'actor'),
    why: text(row, 'reason'),
    state: text(row, 'state'),
    shownDigest: text(row, 'shown_digest'),
    agent: text(row, 'agent_id'),
    tool: text(row, 'tool'),
  }
}

function text(row: Row, column: string): string {
  const value = row[column]
  return typeof value === 'string' ? value : ''
}

function texts(row: Row, column: string): readonly string[] {
  const value = row[column]
  return Array.isArray(value) ? value.map(String) : []
}

/** 64-bit integers come as strings; counts and times of the audit are far below 2^53. */
function number(row: Row | undefined, column: string): number {
  return Number(row?.[column] ?? 0)
}
