import type {
  AuditQueries,
  EventFilter,
  Period,
  RiskyAgent,
  StoredEvent,
  Totals,
  Violation,
} from '../model/audit-queries.js'
import type { Outcome } from '../model/outcome.js'
import { isUuid, uuidv7TimeMs } from '../model/uuid.js'
import type { QueryLimits, QueryParams, Row } from './store/audit-store.js'

/** Runs one SELECT with typed parameters. */
export type RunQuery = (sql: string, params: QueryParams, limits?: QueryLimits) => Promise<readonly Row[]>

const MAX_LIMIT = 1_000
/** The id's time is the record's to within a second; the rest is for clocks that were set while a call was decided. */
const ID_SLACK_MS = 2_000
/** A tail looks this far back from the newest event that it has seen, for writers whose rows arrive late. */
const TAIL_WINDOW_MS = 3_600_000

const COLUMNS =
  'event_id, toUnixTimestamp64Milli(ts) AS time_ms, tenant, environment, agent_id, principal, session_id, request_id, tool, ' +
  'outcome, reason_code, reason, rule_ids, monitored_rule_ids, policy_revision, arguments, arguments_sha256, violation, evaluation_ns'
const IN_PERIOD =
  "tenant = {tenant:String} AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts < fromUnixTimestamp64Milli({until:Int64}, 'UTC')"

/**
 * The analyst's questions as SQL. Every statement is bound to one tenant and one period by the sort key, every value is a
 * typed parameter, and rows and time are capped.
 */
export function auditQueries(run: RunQuery, database = 'audit'): AuditQueries {
  const events = `${database}.events`

  async function totals(tenant: string, period: Period): Promise<Totals> {
    const [row] = await run(
      `SELECT count() AS total, countIf(outcome = 'ALLOW') AS allowed, countIf(outcome = 'REQUIRE_APPROVAL') AS require_approval,
countIf(outcome = 'DENY') AS denied FROM ${events} WHERE ${IN_PERIOD} AND kind = 'decision'`,
      { tenant, ...bounds(period) },
    )
    return {
      total: number(row, 'total'),
      allowed: number(row, 'allowed'),
      requireApproval: number(row, 'require_approval'),
      denied: number(row, 'denied'),
    }
  }

  async function topViolations(tenant: string, period: Period, limit: number): Promise<readonly Violation[]> {
    const rows = await run(
      `SELECT if(rule_id = '', reason_code, rule_id) AS rule, policy, argMax(rule_description, ts) AS description,
count() AS violations, uniqExact(agent_id) AS agents FROM ${events} WHERE ${IN_PERIOD} AND kind = 'decision' AND violation
GROUP BY rule, policy ORDER BY violations DESC, agents DESC, policy, rule LIMIT {limit:UInt32}`,
      { tenant, ...bounds(period), limit: capped(limit) },
    )
    return rows.map((row) => ({
      ruleId: text(row, 'rule'),
      policy: text(row, 'policy'),
      description: text(row, 'description'),
      count: number(row, 'violations'),
      agents: number(row, 'agents'),
    }))
  }

  async function riskiestAgents(tenant: string, period: Period, limit: number): Promise<readonly RiskyAgent[]> {
    const rows = await run(
      `SELECT agent_id, countIf(violation) AS violations, count() AS decisions FROM ${events} WHERE ${IN_PERIOD} AND kind = 'decision'
GROUP BY agent_id HAVING violations > 0 ORDER BY violations DESC, violations / decisions DESC, agent_id LIMIT {limit:UInt32}`,
      { tenant, ...bounds(period), limit: capped(limit) },
    )
    return rows.map((row) => ({
      agent: text(row, 'agent_id'),
      violations: number(row, 'violations'),
      decisions: number(row, 'decisions'),
    }))
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

  return { totals, topViolations, riskiestAgents, get, list, since }
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

const MAX_TIME_MS = 4_102_444_800_000

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
