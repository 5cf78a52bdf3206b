import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import {
  type AuditStore,
  type AuditTable,
  checkDatabaseName,
  countRangeSql,
  insertSettings,
  limitedSql,
  type QueryLimits,
  type QueryParams,
  type RangeCount,
  type Row,
  StoreError,
  seqsInRangeSql,
  toCount,
  toSeqs,
  toStoreError,
} from './audit-store.js'
import { migrate } from './migrations.js'
import { RollUps } from './roll-ups.js'

export interface ClickHouseOptions {
  /** `http(s)://user:password@host:port/database`; the database defaults to `audit`. */
  readonly url: string
  /** Whose events are inserted: tells our inserts from those of other servers on the same database. */
  readonly writerId: string
  /** An insert or query that takes longer counts as failed. @default 30_000 */
  readonly requestMs?: number
}

/** A ClickHouse server or cluster, by the official client. Connects with the first call. */
export function openClickHouseStore(options: ClickHouseOptions): AuditStore {
  return new ClickHouseStore(options)
}

class ClickHouseStore implements AuditStore {
  readonly database: string
  readonly rollUps: RollUps
  readonly #client: ClickHouseClient
  readonly #requestMs: number
  readonly #queryIdPrefix: string

  constructor(options: ClickHouseOptions) {
    const url = parseUrl(options.url)
    this.database = checkDatabaseName(decodeURIComponent(url.pathname.slice(1)) || 'audit')
    this.rollUps = new RollUps(this.database, (sql, params) => this.#run(sql, params))
    this.#requestMs = options.requestMs ?? 30_000
    this.#queryIdPrefix = `portcullis-${options.writerId}-`
    this.#client = createClient({
      url: `${url.protocol}//${url.host}`,
      username: decodeURIComponent(url.username) || 'default',
      password: decodeURIComponent(url.password),
      request_timeout: this.#requestMs,
      application: 'portcullis',
      max_open_connections: 4,
      // The default logger prints to the console of the process; errors are thrown anyway.
      log: { level: ClickHouseLogLevel.OFF },
    })
  }

  async migrate(): Promise<void> {
    await migrate(this.database, (sql) => this.#run(sql, {}))
  }

  async insert(table: AuditTable, ndjson: readonly Buffer[]): Promise<void> {
    const settings = insertSettings({ max_execution_time: Math.ceil(this.#requestMs / 1_000) })
    try {
      const { stream } = await this.#client.exec({
        query: `INSERT INTO ${this.database}.${table} SETTINGS ${settings} FORMAT JSONEachRow`,
        values: Readable.from(ndjson, { objectMode: false }),
        query_id: `${this.#queryIdPrefix}${randomUUID()}`,
      })
      // Read to the end, so that the connection goes back to the pool.
      for await (const _ of stream);
    } catch (error) {
      throw toStoreError(error)
    }
  }

  async seqsInRange(writerId: string, from: number, to: number): Promise<ReadonlyMap<number, number>> {
    const sql = limitedSql(seqsInRangeSql(this.database), { maxRows: to - from + 1, maxMs: this.#requestMs })
    return toSeqs(await this.#run(sql, { writer: writerId, from, to }))
  }

  async countRange(writerId: string, from: number, to: number): Promise<RangeCount> {
    const sql = limitedSql(countRangeSql(this.database), { maxRows: 1, maxMs: this.#requestMs })
    return toCount(await this.#run(sql, { writer: writerId, from, to }))
  }

  async query(sql: string, params: QueryParams, limits: QueryLimits = {}): Promise<readonly Row[]> {
    return this.#run(limitedSql(sql, limits), params)
  }

  /**
   * An insert whose connection broke, or whose sender died, may still be at work on the server and land after a read-back
   * that did not see it. It carries our prefix in its query id, so it can be waited for.
   */
  async settle(): Promise<void> {
    const sql = 'SELECT count() AS running FROM system.processes WHERE startsWith(query_id, {prefix:String})'
    const deadline = performance.now() + 2 * this.#requestMs
    for (;;) {
      const [row] = await this.query(sql, { prefix: this.#queryIdPrefix })
      if (Number(row?.['running'] ?? 0) === 0) return
      if (performance.now() > deadline)
        throw new StoreError('unavailable', 'an earlier insert is still running on the server')
      await setTimeout(100)
    }
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  async #run(sql: string, params: QueryParams): Promise<readonly Row[]> {
    try {
      if (!/^\s*SELECT\b/i.test(sql)) {
        await this.#client.command({ query: sql, query_params: { ...params } })
        return []
      }
      const result = await this.#client.query({ query: sql, query_params: { ...params }, format: 'JSONEachRow' })
      // The client's own reader of rows leaves out a last line that is cut off, and so takes nonsense for no rows.
      return toRows(await result.text())
    } catch (error) {
      throw toStoreError(error)
    }
  }
}

/** @throws {StoreError} for a text that is no rows: a proxy's page, a message of the server in mid-answer */
function toRows(text: string): readonly Row[] {
  try {
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row)
  } catch {
    throw new StoreError('unavailable', 'the server answered with something else than rows')
  }
}

function parseUrl(text: string): URL {
  try {
    const url = new URL(text)
    if (url.protocol === 'http:' || url.protocol === 'https:') return url
  } catch {
    // Told below, without the text: it may hold a password.
  }
  throw new StoreError('unusable', 'CLICKHOUSE_URL is no URL of the form http(s)://user:password@host:8123/database')
}
