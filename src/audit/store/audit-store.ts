import { randomUUID } from 'node:crypto'
import type { RollUps } from './roll-ups.js'

/** A row as `JSONEachRow` gives it: 64-bit integers are decimal strings. */
export type Row = Readonly<Record<string, unknown>>

/** Values of the typed parameters `{name:Type}` of a query; they never become SQL text. */
export type QueryParams = Readonly<Record<string, string | number | readonly string[] | readonly number[]>>

export type AuditTable = 'events' | 'dead_letter'

/**
 * Where audit events are kept. Two adapters: the embedded engine and a ClickHouse server; one contract suite over both.
 * Every method throws {@link StoreError}.
 */
export interface AuditStore {
  /** The database that the tables are in; a plain identifier. */
  readonly database: string
  /** Brings the schema up to date; safe to repeat. */
  migrate(): Promise<void>
  /**
   * Inserts rows of newline-delimited JSON, in any number of pieces, all or none of them (a retry reads back first: an error
   * does not say that nothing was stored).
   */
  insert(table: AuditTable, ndjson: readonly Buffer[]): Promise<void>
  /** Which sequence numbers of `from` to `to`, both inclusive, are stored, each with the number of its rows. */
  seqsInRange(writerId: string, from: number, to: number): Promise<ReadonlyMap<number, number>>
  /** How many rows, and how many different numbers, of `from` to `to`, both inclusive, are stored. Far cheaper than the numbers. */
  countRange(writerId: string, from: number, to: number): Promise<RangeCount>
  readonly rollUps: RollUps
  /** One SELECT without FORMAT and SETTINGS; at most `maxRows` rows and `maxMs` milliseconds. */
  query(sql: string, params: QueryParams, limits?: QueryLimits): Promise<readonly Row[]>
  /** Waits until no insert that this process or a dead one sent can still arrive. */
  settle(): Promise<void>
  close(): Promise<void>
}

export interface RangeCount {
  readonly rows: number
  readonly distinct: number
}

export interface QueryLimits {
  /** @default 10_000 */
  readonly maxRows?: number
  /** @default 10_000 */
  readonly maxMs?: number
}

/**
 * `data`: the rows themselves are refused, a retry with the same rows fails again. `unavailable`: try again later.
 * `unusable`: nothing gets better without a person (engine not installed, wrong password, folder in use).
 */
export type StoreErrorKind = 'data' | 'unavailable' | 'unusable'

export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly kind: StoreErrorKind
  /** ClickHouse's own number, 0 when the error did not come from it. */
  readonly code: number
  /** True for an `unusable` store that may be free in a moment: another process has it open. */
  readonly isPassing: boolean

  constructor(
    kind: StoreErrorKind,
    message: string,
    details: { readonly code?: number; readonly isPassing?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause })
    this.kind = kind
    this.code = details.code ?? 0
    this.isPassing = details.isPassing ?? false
  }
}

/** ClickHouse codes that speak of the rows' values. */
const DATA_CODES = new Set([
  6, 25, 26, 27, 33, 38, 41, 53, 69, 70, 72, 73, 117, 130, 131, 190, 321, 349, 376, 407, 441, 467, 675, 676, 691,
])
/** The engine lacks time, memory, space, threads or its files, whatever it was at: no row is to blame. */
const PASSING_CODES = new Set([74, 75, 159, 236, 241, 243, 394, 439])
/** What the parsers of the input formats add to any error of theirs, whatever its code. */
const DATA_WORDS = /\(at row \d+\)|while reading the value of key|ParsingBlockInputFormat|JSONEachRowRowInputFormat/
/** Unknown database or table after migration, no permission, wrong password, read-only. */
const UNUSABLE_CODES = new Set([164, 192, 193, 194, 497, 516])

/** Turns an error of either engine into a {@link StoreError}. */
export function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const message = error instanceof Error ? error.message || error.name : String(error)
  const code = codeOf(error) ?? Number(/\bCode: (\d+)\./.exec(message)?.[1] ?? 0)
  return new StoreError(kindOf(code, message), message.slice(0, 2_000), { code, cause: error })
}

function kindOf(code: number, message: string): StoreErrorKind {
  if (PASSING_CODES.has(code)) return 'unavailable'
  if (DATA_CODES.has(code) || DATA_WORDS.test(message)) return 'data'
  return UNUSABLE_CODES.has(code) ? 'unusable' : 'unavailable'
}

/** chDB says `clickhouseCode: 117`, the official client `code: '117'`; system errors have codes such as ECONNREFUSED. */
function codeOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null) return null
  const { clickhouseCode, code } = error as { readonly clickhouseCode?: unknown; readonly code?: unknown }
  const found = Number(clickhouseCode ?? code)
  return Number.isInteger(found) && found > 0 ? found : null
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/

/** The one piece of configuration that becomes SQL text. */
export function checkDatabaseName(name: string): string {
  if (IDENTIFIER.test(name)) return name
  throw new StoreError(
    'unusable',
    `the database name ${JSON.stringify(name)} is not allowed: letters, digits and _, at most 64`,
  )
}

/**
 * Strict parsing and no asynchronous insert. They go into the SQL text: settings sent beside it would stay in an embedded
 * session and act on later inserts. The token is never used twice, so that nothing is ever taken for a duplicate.
 *
 * @returns what stands behind SETTINGS
 */
export function insertSettings(more: Readonly<Record<string, number>> = {}): string {
  const settings: Readonly<Record<string, string | number>> = {
    async_insert: 0,
    insert_deduplication_token: randomUUID(),
    input_format_skip_unknown_fields: 0,
    input_format_null_as_default: 0,
    // Arguments are spooled as the JSON that they are, and stored as its text.
    input_format_json_read_objects_as_strings: 1,
    ...more,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${typeof value === 'number' ? value : `'${value}'`}`)
    .join(', ')
}

/** Appends the limits that no query goes without. */
export function limitedSql(sql: string, limits: QueryLimits): string {
  const seconds = Math.max(1, Math.ceil((limits.maxMs ?? 10_000) / 1_000))
  return (
    `${sql}\nSETTINGS max_execution_time = ${seconds}, max_result_rows = ${Math.trunc(limits.maxRows ?? 10_000)}, ` +
    `result_overflow_mode = 'break', output_format_json_quote_64bit_integers = 1`
  )
}

export function seqsInRangeSql(database: string): string {
  return (
    `SELECT seq, count() AS copies FROM ${database}.events ` +
    'WHERE writer_id = {writer:String} AND seq BETWEEN {from:UInt64} AND {to:UInt64} GROUP BY seq'
  )
}

export function countRangeSql(database: string): string {
  return (
    `SELECT count() AS stored, uniqExact(seq) AS distinct_seqs FROM ${database}.events ` +
    'WHERE writer_id = {writer:String} AND seq BETWEEN {from:UInt64} AND {to:UInt64}'
  )
}

export function toCount([row]: readonly Row[]): RangeCount {
  return { rows: Number(row?.['stored'] ?? 0), distinct: Number(row?.['distinct_seqs'] ?? 0) }
}

export function toSeqs(rows: readonly Row[]): ReadonlyMap<number, number> {
  return new Map(rows.map((row) => [Number(row['seq']), Number(row['copies'])]))
}
