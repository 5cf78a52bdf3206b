import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import {
  type Database,
  type Hear,
  type ListenConnection,
  QueryFailed,
  type SqlValue,
  StoreUnavailable,
  type Transaction,
  type TransactionOptions,
} from './database.js'
import { connectError, leavesConnection, queryError, YIELDED } from './pg-errors.js'
import { valueTypes } from './pg-values.js'

/** Where the server is: a URL, or the parts of one. */
export type Target =
  | string
  | {
      /** A name, an address, or the absolute path of the folder that holds the socket. */
      readonly host: string
      readonly port: number
      readonly user: string
      readonly password: string
      readonly database: string
    }

export interface PgOptions {
  /** Connections of the pool, 1 to 1,000. One more is the listener's. @default 10 */
  readonly poolSize?: number
  /** How long a new connection, or a free one of the pool, is waited for, in milliseconds. @default 5,000 */
  readonly connectTimeoutMs?: number
  /** How long a statement may take, in milliseconds; a second more until the connection itself is given up. @default 5,000 */
  readonly statementTimeoutMs?: number
  /** Told when an idle connection of the pool breaks; it is replaced by itself. */
  readonly onProblem?: (problem: string) => void
}

/** The oldest major version that is tested. */
const LEAST_MAJOR = 15
const DEFAULT_ATTEMPTS = 5
/** First pause after a deadlock, doubled each time, up to twice as long by chance. */
const YIELD_MS = 5
const GRACE_MS = 1_000
/** For scripts, whose statements may each take long. */
const SCRIPT_MS = 3_600_000

/**
 * Connects to PostgreSQL and makes sure that it can hold our state.
 *
 * @throws {StoreUnavailable} when it cannot be reached, or is a standby
 * @throws {StoreRefused} when it is too old or its encoding is not UTF8
 */
export async function openDatabase(target: Target, options: PgOptions = {}): Promise<Database> {
  const database = new PgDatabase(target, options)
  try {
    await checkServer(database)
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

/** The database can be asked and is none that we can use. The message says what to do. */
export class StoreRefused extends Error {
  override readonly name = 'StoreRefused'
}

/** `host:port/database` of a URL: what may be shown of it. */
export function addressOf(target: Target): string {
  const { host, port, database } = typeof target === 'string' ? new pg.Client(target) : target
  return `${host.includes(':') ? `[${host}]` : host}:${port}/${database ?? ''}`
}

async function checkServer(database: Database): Promise<void> {
  const [server] = await database.query<{ version: number; standby: boolean; encoding: string }>(
    `SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby,
            current_setting('server_encoding') AS encoding`,
  )
  if (server === undefined) throw new StoreRefused(`${database.address} answers as no PostgreSQL does`)
  const major = Math.floor(server.version / 10_000)
  if (major < LEAST_MAJOR) {
    throw new StoreRefused(`${database.address} is PostgreSQL ${major}; version ${LEAST_MAJOR} or newer is needed`)
  }
  if (server.standby) {
    throw new StoreUnavailable(
      'read-only',
      `${database.address} is a standby. DATABASE_URL has to name the primary`,
      false,
    )
  }
  if (server.encoding !== 'UTF8') {
    throw new StoreRefused(
      `the database ${database.address} has the encoding ${server.encoding}; make one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`,
    )
  }
}

class PgDatabase implements Database {
  readonly address: string
  readonly #pool: pg.Pool
  readonly #config: pg.PoolConfig
  #closing: Promise<void> | null = null

  constructor(target: Target, options: PgOptions) {
    const { poolSize = 10, connectTimeoutMs = 5_000, statementTimeoutMs = 5_000, onProblem } = options
    this.address = addressOf(target)
    this.#config = {
      ...(typeof target === 'string' ? { connectionString: target } : target),
      fallback_application_name: 'portcullis',
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: statementTimeoutMs + GRACE_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      types: valueTypes,
    }
    this.#pool = new pg.Pool({
      ...this.#config,
      max: poolSize,
      idleTimeoutMillis: 60_000,
      onConnect: (client) => prepareSession(client, statementTimeoutMs),
    })
    this.#pool.on('error', (error) => onProblem?.(`an idle connection to ${this.address} broke: ${error.message}`))
  }

  get connections(): { open: number; idle: number; waiting: number } {
    const { totalCount: open, idleCount: idle, waitingCount: waiting } = this.#pool
    return { open, idle, waiting }
  }

  query<Row extends object>(sql: string, values: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return this.#once((client) => rows<Row>(client, sql, values, false))
  }

  execute(sql: string, values: readonly SqlValue[] = []): Promise<number> {
    return this.#once((client) => changed(client, sql, values, false))
  }

  async transaction<T>(run: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const { isolation = 'read committed', attempts = DEFAULT_ATTEMPTS } = options
    for (let attempt = 1; ; attempt++) {
      const tx = new PgTransaction(await this.#begin(isolation))
      try {
        const result = await run(tx)
        await tx.commit()
        return result
      } catch (error) {
        await tx.rollback()
        if (!tx.hasYielded) throw error
        if (attempt >= attempts) {
          throw new StoreUnavailable('contended', `a transaction gave way to others ${attempts} times`, false, {
            cause: error,
          })
        }
      }
      await sleep(YIELD_MS * 2 ** (attempt - 1) * (1 + Math.random()))
    }
  }

  async listen(channels: readonly string[], hear: Hear): Promise<ListenConnection> {
    const client = new pg.Client(this.#config)
    let isOver = false
    let isHandedOut = false
    const over = (cause: Error): void => {
      if (isOver) return
      isOver = true
      // Also when nothing answers any more: with a statement under way, end() cuts the connection.
      void client.end().catch(() => undefined)
      if (isHandedOut) hear.lost(cause)
    }
    client.on('error', over)
    client.on('end', () => over(new Error('the connection ended')))
    client.on('notification', ({ channel, payload = '' }) => {
      if (!isOver) hear.notification(channel, payload)
    })
    try {
      await client.connect()
      for (const channel of channels) await client.query(`LISTEN ${client.escapeIdentifier(channel)}`)
      if (isOver) throw new Error('Connection terminated')
    } catch (error) {
      over(new Error('not connected'))
      throw connectError(error, this.address)
    }
    isHandedOut = true
    return {
      ping: async () => {
        await rows(client, 'SELECT 1', [], false)
      },
      close: () => {
        isHandedOut = false
        over(new Error('closed'))
      },
    }
  }

  close(): Promise<void> {
    // A server that does not answer keeps nobody from stopping.
    this.#closing ??= Promise.race([this.#pool.end(), sleep(GRACE_MS * 5, undefined, { ref: false })])
    return this.#closing
  }

  async #once<T>(ask: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect()
    try {
      const result = await ask(client)
      client.release()
      return result
    } catch (error) {
      client.release(!isUsable(error))
      throw error
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    if (this.#closing) throw new StoreUnavailable('closed', 'it has been closed', false)
    try {
      const client = await this.#pool.connect()
      // Between two statements of a transaction nobody waits for the connection's errors; the next statement has them.
      client.on('error', ignore)
      const release = client.release.bind(client)
      client.release = (broken?: Error | boolean): void => {
        client.off('error', ignore)
        release(broken)
      }
      return client
    } catch (error) {
      throw connectError(error, this.address)
    }
  }

  /** Connections that broke while idle are found out here, where nothing can have happened yet, so the next one is tried. */
  async #begin(isolation: NonNullable<TransactionOptions['isolation']>): Promise<pg.PoolClient> {
    for (let left = this.#pool.idleCount; ; left--) {
      const client = await this.#connect()
      try {
        await rows(client, BEGIN[isolation], [], true)
        return client
      } catch (error) {
        client.release(true)
        if (left <= 0 || !(error instanceof StoreUnavailable) || error.reason === 'timeout') throw error
      }
    }
  }
}

const BEGIN = {
  'read committed': 'BEGIN ISOLATION LEVEL READ COMMITTED',
  'repeatable read': 'BEGIN ISOLATION LEVEL REPEATABLE READ',
  serializable: 'BEGIN ISOLATION LEVEL SERIALIZABLE',
} as const

class PgTransaction implements Transaction {
  readonly #client: pg.PoolClient
  /** The last statement asked for; the driver wants one at a time. */
  #last: Promise<unknown> = Promise.resolve()
  #isOver = false
  #isBroken = false
  /** Whether the database gave it up for the sake of another one. */
  hasYielded = false

  constructor(client: pg.PoolClient) {
    this.#client = client
  }

  query<Row extends object>(sql: string, values: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return this.#inTurn(() => rows<Row>(this.#client, sql, values, true))
  }

  execute(sql: string, values: readonly SqlValue[] = []): Promise<number> {
    return this.#inTurn(() => changed(this.#client, sql, values, true))
  }

  async script(sql: string): Promise<void> {
    const script = { text: sql, query_timeout: SCRIPT_MS }
    await this.#inTurn(() =>
      this.#client.query(script).catch((error: unknown) => Promise.reject(queryError(error, true))),
    )
  }

  async commit(): Promise<void> {
    const committed = this.#inTurn(() => this.#client.query('COMMIT'))
    this.#isOver = true
    try {
      const { command } = await committed
      // What PostgreSQL answers to COMMIT when a statement failed and `run` went on as if it had not.
      if (command !== 'COMMIT')
        throw new QueryFailed('the transaction failed before its end and was rolled back', '25P02', null)
    } catch (error) {
      throw queryError(error, false)
    }
    this.#client.release()
  }

  /** Whatever became of it, the connection is given back. */
  async rollback(): Promise<void> {
    this.#isOver = true
    await this.#last
    try {
      if (!this.#isBroken) await this.#client.query('ROLLBACK')
      this.#client.release(this.#isBroken)
    } catch {
      this.#client.release(true)
    }
  }

  #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#isOver) return Promise.reject(new TypeError('the transaction is over; await every statement inside it'))
    const result = this.#last.then(ask)
    this.#last = result.then(ignore, (error: unknown) => this.#note(error))
    return result
  }

  #note(error: unknown): void {
    const sqlState =
      error instanceof QueryFailed ? error.sqlState : error instanceof pg.DatabaseError ? (error.code ?? '') : ''
    if (YIELDED.has(sqlState)) this.hasYielded = true
    if (!isUsable(error)) this.#isBroken = true
  }
}

/** Settings that the meaning of our statements rests on, whatever the role or the server has as defaults. */
async function prepareSession(client: pg.ClientBase, statementTimeoutMs: number): Promise<void> {
  await client.query(
    `SELECT set_config('statement_timeout', $1, false), set_config('idle_in_transaction_session_timeout', $2, false),
            set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), set_config('bytea_output', 'hex', false)`,
    [String(statementTimeoutMs), String(2 * statementTimeoutMs)],
  )
}

async function rows<Row extends object>(
  client: pg.ClientBase,
  sql: string,
  values: readonly SqlValue[],
  inTransaction: boolean,
): Promise<readonly Row[]> {
  return (await ask<Row>(client, sql, values, inTransaction)).rows
}

async function changed(
  client: pg.ClientBase,
  sql: string,
  values: readonly SqlValue[],
  inTransaction: boolean,
): Promise<number> {
  return (await ask(client, sql, values, inTransaction)).rowCount ?? 0
}

/** The extended protocol even without values: it takes a single statement, so nothing can be smuggled in behind one. */
async function ask<Row extends object>(
  client: pg.ClientBase,
  text: string,
  values: readonly SqlValue[],
  inTransaction: boolean,
): Promise<pg.QueryResult<Row>> {
  const statement = { text, values: [...values], queryMode: 'extended' }
  try {
    return await client.query<Row>(statement)
  } catch (error) {
    throw queryError(error, inTransaction)
  }
}

/** Whether a connection may be used again after the error of a statement. */
function isUsable(error: unknown): boolean {
  if (error instanceof StoreUnavailable || error instanceof QueryFailed)
    return error.cause === undefined || leavesConnection(error.cause)
  return leavesConnection(error)
}

function ignore(): void {
  // Nothing to do: see where it is used.
}
