import type { QueryParams, Row } from './audit-store.js'

/** Lengths of the spans that are rolled up, in seconds, longest first. */
export const DAY_SECONDS = 86_400
export const HOUR_SECONDS = 3_600
/** Closed this long after its end, so that rows of an ordinary delay are in it. By the store's clock, like all times here. */
const LATE_SECONDS = 600
/** Spans with rows that are closed at once, so that a closing holds up the shipper for a moment only. */
const MAX_SPANS = { [HOUR_SECONDS]: 24, [DAY_SECONDS]: 1 } as const
/** Older rows are gone, and roll-ups with them. */
const KEPT_DAYS = 2_557

/** Runs one statement with typed parameters. */
export type RunStatement = (sql: string, params: QueryParams) => Promise<readonly Row[]>

/**
 * Of `spans`, the version that counts for each span that is closed, as of a version. The newest entry decides; where a
 * closing and a reopening have the same version, the reopening does.
 */
export function closedSpansSql(db: string, conditions: string): string {
  return (
    `SELECT seconds, start, argMax(version, (version, 1 - closed)) AS current FROM ${db}.spans WHERE ${conditions} ` +
    'GROUP BY seconds, start HAVING argMax(closed, (version, 1 - closed)) = 1'
  )
}

/**
 * Hours and days of `events` summed up: all in all, per agent, per rule, and which agents a rule stopped.
 *
 * INVARIANT: a closed span says what its rows say. It is summed up from the rows themselves, under a version taken before
 * they are read, and closed by an entry in `spans` after its sums are stored. Whoever stores a row whose span may be closed
 * opens that span again after the row is there, under a version taken then. So of a row that a closing did not see, the
 * reopening is the newer entry. Until it is closed again, a span is read from its rows.
 */
export class RollUps {
  readonly #db: string
  /** What the roll-ups are made with. */
  readonly statement: RunStatement

  constructor(db: string, statement: RunStatement) {
    this.#db = db
    this.statement = statement
  }

  /** Opens the spans again that rows of a range of numbers are in, if anybody may have closed them. */
  async reopen(writerId: string, from: number, to: number): Promise<void> {
    await this.statement(
      `INSERT INTO ${this.#db}.spans (seconds, start, version, closed)
SELECT arrayJoin([${HOUR_SECONDS}, ${DAY_SECONDS}]) AS seconds, toDateTime(intDiv(toUnixTimestamp(ts), seconds) * seconds, 'UTC') AS start,
  max(toUnixTimestamp64Micro(now64(6))), 0
FROM ${this.#db}.events
WHERE writer_id = {writer:String} AND seq BETWEEN {from:UInt64} AND {to:UInt64} AND ts <= now() - ${LATE_SECONDS}
GROUP BY seconds, start HAVING toUnixTimestamp(start) + seconds + ${LATE_SECONDS} <= toUnixTimestamp(now())`,
      { writer: writerId, from, to },
    )
  }

  /** Closes some spans that are due and open, the newest first. True when there may be more. */
  async closeSome(): Promise<boolean> {
    const hours = await this.#close(HOUR_SECONDS)
    const days = await this.#close(DAY_SECONDS)
    return hours || days
  }

  async #close(seconds: keyof typeof MAX_SPANS): Promise<boolean> {
    const due = await this.#due(seconds)
    if (due === null) return false
    const { first, last, version } = due
    const [found] = await this.statement(
      `SELECT count() AS events, toUnixTimestamp(max(ts)) AS newest FROM ${this.#db}.events WHERE ${between(first * seconds, (last + 1) * seconds)}`,
      {},
    )
    const lastUsed = Number(found?.['events'] ?? 0) === 0 ? first - 1 : Math.floor(Number(found?.['newest']) / seconds)
    // Spans without a row, as of a night, need no sums.
    const from = lastUsed < last ? lastUsed + 1 : Math.max(first, last - MAX_SPANS[seconds] + 1)
    if (lastUsed === last) await this.#sumUp(seconds, from, last, version)
    await this.statement(
      `INSERT INTO ${this.#db}.spans (seconds, start, version, closed)
SELECT ${seconds}, toDateTime((${from} + number) * ${seconds}, 'UTC'), ${version}, 1 FROM numbers(${last - from + 1})`,
      {},
    )
    return true
  }

  async #sumUp(seconds: number, first: number, last: number, version: string): Promise<void> {
    const rows = `FROM ${this.#db}.events WHERE ${between(first * seconds, (last + 1) * seconds)} AND kind = 'decision'`
    const start = `toDateTime(intDiv(toUnixTimestamp(ts), ${seconds}) * ${seconds}, 'UTC') AS start`
    await this.statement(
      `INSERT INTO ${this.#db}.agent_spans (tenant, seconds, start, agent_id, version, decisions, allowed, require_approval, denied, violations)
SELECT tenant, ${seconds}, ${start}, agent_id, ${version}, count(), countIf(outcome = 'ALLOW'),
  countIf(outcome = 'REQUIRE_APPROVAL'), countIf(outcome = 'DENY'), countIf(violation) ${rows} GROUP BY tenant, start, agent_id`,
      {},
    )
    await this.statement(
      `INSERT INTO ${this.#db}.total_spans (tenant, seconds, start, version, decisions, allowed, require_approval, denied)
SELECT tenant, ${seconds}, ${start}, ${version}, count(), countIf(outcome = 'ALLOW'), countIf(outcome = 'REQUIRE_APPROVAL'),
  countIf(outcome = 'DENY') ${rows} GROUP BY tenant, start`,
      {},
    )
    const rule = "policy, if(rule_id = '', reason_code, rule_id) AS rule"
    await this.statement(
      `INSERT INTO ${this.#db}.rule_spans (tenant, seconds, start, policy, rule, version, violations, description, last_ts)
SELECT tenant, ${seconds}, ${start}, ${rule}, ${version}, count(), argMax(rule_description, ts), max(ts)
${rows} AND violation GROUP BY tenant, start, policy, rule`,
      {},
    )
    await this.statement(
      `INSERT INTO ${this.#db}.rule_agent_spans (tenant, seconds, start, policy, rule, version, agents)
SELECT tenant, ${seconds}, ${start}, ${rule}, ${version}, uniqExactState(sipHash64(agent_id))
${rows} AND violation GROUP BY tenant, start, policy, rule`,
      {},
    )
  }

  /** The newest run of spans that are due, counted from the epoch, and a version taken before its rows are read. */
  async #due(
    seconds: number,
  ): Promise<{ readonly first: number; readonly last: number; readonly version: string } | null> {
    const [bounds] = await this.statement(
      `SELECT toString(toUnixTimestamp64Micro(now64(6))) AS version, count() AS events,
  greatest(toUnixTimestamp(min(ts)), toUnixTimestamp(now()) - ${KEPT_DAYS - 1} * 86400) AS oldest,
  least(toUnixTimestamp(max(ts)) + ${seconds}, toUnixTimestamp(now()) - ${LATE_SECONDS}) AS newest FROM ${this.#db}.events`,
      {},
    )
    if (Number(bounds?.['events'] ?? 0) === 0) return null
    const oldest = Math.floor(Number(bounds?.['oldest']) / seconds)
    const rows = await this.statement(
      `SELECT toUnixTimestamp(start) AS start_seconds FROM (${closedSpansSql(this.#db, `seconds = ${seconds}`)})`,
      {},
    )
    const closed = new Set(rows.map((row) => Number(row['start_seconds']) / seconds))
    let last = Math.floor(Number(bounds?.['newest']) / seconds) - 1
    while (last >= oldest && closed.has(last)) last--
    if (last < oldest) return null
    let first = last
    while (first > oldest && !closed.has(first - 1)) first--
    return { first, last, version: String(bounds?.['version']) }
  }
}

/** @param from seconds since the epoch, like `until`, which is not in it */
function between(from: number, until: number): string {
  return `ts >= toDateTime64(${from}, 3, 'UTC') AND ts < toDateTime64(${until}, 3, 'UTC')`
}
