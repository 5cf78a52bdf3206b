/**
 * The port to PostgreSQL. What asks the control store sees this file and nothing of the driver behind it.
 *
 * Values come back as: int2, int4, int8, float as number (an int8 past 2^53 fails the statement: cast it to text); numeric as
 * text; timestamptz as milliseconds since 1970, fractions of one cut off; json and jsonb as plain JSON values; bytea as Buffer; uuid, date, text as string;
 * arrays of those as arrays; null as null.
 */
export type SqlValue =
  | string
  | number
  | boolean
  | bigint
  | Uint8Array
  | null
  | readonly string[]
  | readonly number[]
  | readonly boolean[]

/** One statement at a time, its values always beside it and never in its text. */
export interface Sql {
  /**
   * The rows of one statement.
   * @param sql with `$1`, `$2`, ... where the values go
   * @throws {StoreUnavailable} when the database cannot be asked now
   * @throws {QueryFailed} when it was asked and refused
   */
  query<Row extends object>(sql: string, values?: readonly SqlValue[]): Promise<readonly Row[]>
  /** Runs one statement; how many rows it changed. Throws as {@link Sql.query} does. */
  execute(sql: string, values?: readonly SqlValue[]): Promise<number>
}

/** What runs inside one transaction; unusable after it. Statements run in the order in which they were asked for. */
export interface Transaction extends Sql {
  /** Several statements in one text, without values: for migrations. */
  script(sql: string): Promise<void>
}

export interface TransactionOptions {
  /** @default `read committed` */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable'
  /** How often it is run at most, when the database gives up because of others (deadlock, serialisation). 1 to 20. @default 5 */
  readonly attempts?: number
}

export interface Database extends Sql {
  /**
   * Runs and commits; rolls back when `run` fails, and passes its error on.
   *
   * `run` is called again from its beginning after a deadlock or a serialisation failure, so it does nothing that a rollback
   * does not undo. When it keeps failing so, the error is a {@link StoreUnavailable} with the reason `contended`.
   */
  transaction<T>(run: (tx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>
  /** A connection of its own, outside the pool, that hears the channels. For {@link Listener}. */
  listen(channels: readonly string[], hear: Hear): Promise<ListenConnection>
  /** `host:port/database`, or the folder of the socket; no user, no password. */
  readonly address: string
  readonly connections: { readonly open: number; readonly idle: number; readonly waiting: number }
  /** Waits for what runs, then closes all connections. Safe to call twice. */
  close(): Promise<void>
}

export interface Hear {
  notification(channel: string, id: string): void
  /** At most once, and never before the connection was handed out. */
  lost(cause: Error): void
}

export interface ListenConnection {
  /** One round trip. Throws {@link StoreUnavailable} when no answer comes within the statement timeout. */
  ping(): Promise<void>
  /** Never waits for a server that does not answer. */
  close(): void
}

/**
 * Why the database cannot be asked now.
 *
 * - `unreachable`: nobody answers at the address, the name is unknown, TLS fails
 * - `login`: user, password or database are refused
 * - `starting`: it starts up, shuts down or recovers
 * - `full`: it has no connection, no memory or no disk left for us
 * - `read-only`: a standby, or the old primary after a failover
 * - `timeout`: no answer, or no free connection of our own pool, in time
 * - `lost`: the connection broke while the statement was under way
 * - `contended`: deadlocks or serialisation failures, again and again
 * - `broken`: it reports a fault of its files or of the system below it
 * - `closed`: our own side has been closed
 */
export type UnavailableReason =
  | 'unreachable'
  | 'login'
  | 'starting'
  | 'full'
  | 'read-only'
  | 'timeout'
  | 'lost'
  | 'contended'
  | 'broken'
  | 'closed'

/** The database cannot be asked now; the same question may be answered later. Never a mistake in the question. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
  constructor(
    readonly reason: UnavailableReason,
    message: string,
    /**
     * True when a change may have been made although no answer came: the connection broke between question and answer, or
     * between COMMIT and its answer. Read before asking again.
     */
    readonly mayHaveCommitted: boolean,
    options?: ErrorOptions,
  ) {
    super(`the control store cannot be asked: ${message}`, options)
  }
}

/** The database understood the question and refused it: a constraint, or a mistake of ours. */
export class QueryFailed extends Error {
  override readonly name = 'QueryFailed'
  constructor(
    message: string,
    /** Five characters, https://www.postgresql.org/docs/current/errcodes-appendix.html */
    readonly sqlState: string,
    /** Name of the constraint that refused, where one did. */
    readonly constraint: string | null,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** Whether a row was refused because another one is there already. */
export function isDuplicate(error: unknown, constraint?: string): boolean {
  return (
    error instanceof QueryFailed &&
    error.sqlState === '23505' &&
    (constraint === undefined || error.constraint === constraint)
  )
}

/** A point in time as a value for a timestamptz parameter. @param ms since 1970 */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString()
}

/** A JSON value as a value for a json or jsonb parameter. */
export function json(value: unknown): string {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new TypeError('no JSON value')
  return text
}
