import { assertNever } from '../model/assert-never.js'
import type { Log } from '../model/log.js'
import type { Database } from './database.js'
import { reachEmbeddedPostgres, startEmbeddedPostgres } from './embedded.js'
import { migrate } from './migrate.js'
import { openDatabase, type PgOptions, type Target } from './pg-database.js'

export type ControlStoreOptions = {
  readonly log: Log
  readonly pool?: PgOptions
} & (
  | {
      readonly kind: 'embedded'
      /** Locked by the caller. */
      readonly dataFolder: string
      /** How many may ask it, each with a pool of this size. @default 1 */
      readonly processes?: number
    }
  | {
      /** The embedded one of another process, which has it open and outlives us: PostgreSQL is not started, nor stopped. */
      readonly kind: 'shared'
      readonly dataFolder: string
    }
  | {
      readonly kind: 'postgres'
      /** May hold a password, so it is never printed. */
      readonly url: string
    }
)

/** PostgreSQL with our schema, ready for use. */
export interface ControlStore {
  readonly database: Database
  /** Closes the connections, then stops the embedded PostgreSQL. Safe to call twice. */
  close(): Promise<void>
}

/**
 * Starts or reaches PostgreSQL and brings its schema up to date.
 *
 * @throws {EmbeddedPostgresError}, {StoreUnavailable}, {StoreRefused} or {MigrationRefused}, each with what to do
 */
export async function openControlStore(options: ControlStoreOptions): Promise<ControlStore> {
  const { log, pool } = options
  const server = await reachServer(options)
  let database: Database | null = null
  const close = async (): Promise<void> => {
    await database?.close()
    await server.close()
  }
  try {
    const onProblem = (problem: string): void => log.warn('control store problem', { problem })
    database = await openDatabase(server.target, { onProblem, ...pool })
    const applied = await migrate(database)
    if (applied.length > 0) log.info('control store brought up to date', { applied })
  } catch (error) {
    await close()
    throw error
  }
  log.info('control store open', { address: options.kind === 'postgres' ? database.address : options.kind })
  let closing: Promise<void> | null = null
  return { database, close: () => (closing ??= close()) }
}

interface Reached {
  readonly target: Target
  close(): Promise<void> | void
}

async function reachServer(options: ControlStoreOptions): Promise<Reached> {
  switch (options.kind) {
    case 'postgres':
      return { target: options.url, close: () => undefined }
    case 'shared':
      return reachEmbeddedPostgres(options.dataFolder)
    case 'embedded': {
      const { processes = 1, pool: { poolSize = 10 } = {} } = options
      // A listener beside each pool, and some for whoever looks into it.
      const max_connections = String(Math.max(60, processes * (poolSize + 1) + 10))
      return startEmbeddedPostgres({ ...options, settings: { max_connections } })
    }
    default:
      return assertNever(options)
  }
}
