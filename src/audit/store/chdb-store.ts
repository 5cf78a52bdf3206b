import { closeSync, openSync, unlinkSync, writeFileSync, writevSync } from 'node:fs'
import { join } from 'node:path'
import type { Session } from 'chdb'
import { makeFolder } from '../folders.js'
import {
  type AuditStore,
  type AuditTable,
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

export interface ChdbOptions {
  /** Folder of the engine; locked by one process at a time. */
  readonly folder: string
  /** Cap of the engine's memory in bytes. @default 700 MB */
  readonly memoryBytes?: number
}

const SETTINGS = [
  'max_threads=1',
  'max_insert_threads=1',
  'session_timezone=UTC',
  // Compiling an expression takes longer than any statement of ours saves by it.
  'compile_expressions=0',
  'compile_aggregate_expressions=0',
  'compile_sort_description=0',
]

/** A file is read as the columns of the table and their defaults; nothing is guessed from what it holds. */
const AS_TABLE = { use_structure_from_insertion_table_in_table_functions: 1 }

/**
 * The embedded ClickHouse engine. Its calls block threads of libuv's pool for as long as they run, so it belongs into a
 * process of its own, never into the one that answers Decide.
 */
export async function openChdbStore(options: ChdbOptions): Promise<AuditStore> {
  const { Session } = await load()
  makeFolder(options.folder)
  const config = join(options.folder, 'config.xml')
  writeFileSync(config, configXml(options.memoryBytes ?? 700_000_000))
  const args = [`--config-file=${config}`, ...SETTINGS.map((setting) => `--${setting}`)]
  const open = (): Session => {
    try {
      return new Session(join(options.folder, 'data'), { connectionArgs: args })
    } catch (error) {
      throw new StoreError(
        'unusable',
        `the embedded audit store in ${options.folder} cannot be opened: another process has it open, or the folder cannot be written ` +
          `(${error instanceof Error ? error.message : String(error)}). Stop the other process, or give this one a data folder of its own`,
        { isPassing: true, cause: error },
      )
    }
  }
  // A connection runs one statement at a time: a slow query must not hold up an insert.
  const writer = open()
  const reader = open()
  return new ChdbStore(options.folder, writer, reader)
}

async function load(): Promise<typeof import('chdb')> {
  try {
    return await import('chdb')
  } catch (error) {
    throw new StoreError(
      'unusable',
      'the embedded audit store needs the optional package `chdb` (Linux with glibc, or macOS): run `npm install chdb`, ' +
        `or set CLICKHOUSE_URL to a ClickHouse server (${error instanceof Error ? error.message : String(error)})`,
      { cause: error },
    )
  }
}

class ChdbStore implements AuditStore {
  readonly database = 'audit'
  readonly rollUps: RollUps
  readonly #folder: string
  readonly #writer: Session
  readonly #reader: Session
  /** The end of the last statement of the writer. */
  #written: Promise<unknown> = Promise.resolve()

  constructor(folder: string, writer: Session, reader: Session) {
    this.#folder = folder
    this.#writer = writer
    this.#reader = reader
    this.rollUps = new RollUps(this.database, (sql, params) => this.#write(sql, params))
  }

  async migrate(): Promise<void> {
    await migrate(this.database, (sql) => this.#write(sql, {}), ' ENGINE = Atomic')
  }

  async insert(table: AuditTable, ndjson: readonly Buffer[]): Promise<void> {
    const fd = this.#fileOf(ndjson)
    try {
      await this.#write(
        `INSERT INTO ${this.database}.${table} SETTINGS ${insertSettings(AS_TABLE)} SELECT * FROM file(${fd}, 'JSONEachRow')`,
        {},
      )
    } catch (error) {
      throw toStoreError(error)
    } finally {
      closeSync(fd)
    }
  }

  /**
   * The rows in a file without a name, since the engine takes half as long for a file as for the same bytes behind a
   * statement, which it copies and looks through as text. By its number, for a path could hold what the engine takes for a
   * pattern. It is not synced: what is in it is in the spool.
   */
  #fileOf(ndjson: readonly Buffer[]): number {
    const path = join(this.#folder, 'batch.ndjson')
    const fd = openSync(path, 'w+', 0o600)
    try {
      unlinkSync(path)
      writeAll(fd, ndjson)
      return fd
    } catch (error) {
      closeSync(fd)
      throw toStoreError(error)
    }
  }

  async seqsInRange(writerId: string, from: number, to: number): Promise<ReadonlyMap<number, number>> {
    const sql = limitedSql(seqsInRangeSql(this.database), { maxRows: to - from + 1, maxMs: 60_000 })
    return toSeqs(await this.#write(sql, { writer: writerId, from, to }))
  }

  async countRange(writerId: string, from: number, to: number): Promise<RangeCount> {
    const sql = limitedSql(countRangeSql(this.database), { maxRows: 1, maxMs: 60_000 })
    return toCount(await this.#write(sql, { writer: writerId, from, to }))
  }

  async query(sql: string, params: QueryParams, limits: QueryLimits = {}): Promise<readonly Row[]> {
    return run(this.#reader, limitedSql(sql, limits), params)
  }

  /** The engine is in this process, and a process that died took its inserts with it. */
  async settle(): Promise<void> {}

  async close(): Promise<void> {
    this.#reader.close()
    this.#writer.close()
  }

  #write(sql: string, params: QueryParams): Promise<readonly Row[]> {
    return this.#inTurn(() => run(this.#writer, sql, params))
  }

  /** The shippers of several spools share the connection; a statement that waits here takes no thread. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#written.then(work)
    this.#written = done.catch(() => undefined)
    return done
  }
}

/** Positioned, so that the file's own offset stays at its beginning, where the engine starts to read. */
function writeAll(fd: number, pieces: readonly Buffer[]): void {
  let at = 0
  for (let left = pieces; left.length > 0; ) {
    let written = writevSync(fd, left, at)
    at += written
    let whole = 0
    while (whole < left.length && written >= left[whole]!.length) written -= left[whole++]!.length
    left = left.slice(whole)
    if (written > 0) left = [left[0]!.subarray(written), ...left.slice(1)]
  }
}

async function run(session: Session, sql: string, params: QueryParams): Promise<readonly Row[]> {
  try {
    // The package lets one statement with parameters run at a time, over all connections: an insert must not hold up questions.
    const result =
      Object.keys(params).length === 0
        ? await session.queryAsync(sql, { format: 'JSONEachRow' })
        : await session.queryBindAsync(sql, params, { format: 'JSONEachRow' })
    return parseRows(result.text())
  } catch (error) {
    throw toStoreError(error)
  }
}

function parseRows(ndjson: string): Row[] {
  return ndjson
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row)
}

function configXml(memoryBytes: number): string {
  return `<clickhouse>
  <max_server_memory_usage>${memoryBytes}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>16777216</uncompressed_cache_size>
  <background_pool_size>2</background_pool_size>
</clickhouse>
`
}
