import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Database } from '../../src/store/database.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded.js'
import { migrate } from '../../src/store/migrate.js'
import { openDatabase, type PgOptions } from '../../src/store/pg-database.js'
import { silent } from './silent-log.js'

export { silent }

/** `embedded` over its socket, `server` over TCP: the PostgreSQL that is installed on this machine, if one is. */
export type Engine = 'embedded' | 'server'

/** Folder of the installed server's programs; null when there is none. Debian's package keeps it off the path. */
export const SERVER_BIN: string | null =
  ['15', '16', '17', '18']
    .map((version) => `/usr/lib/postgresql/${version}/bin`)
    .find((bin) => existsSync(join(bin, 'postgres'))) ?? null

export const ENGINES: readonly { readonly engine: Engine; readonly skip: string | false }[] = [
  { engine: 'embedded', skip: false },
  { engine: 'server', skip: SERVER_BIN === null && 'no PostgreSQL server is installed here' },
]

export interface FreshDatabase {
  readonly database: Database
  /** For other processes: `postgres://...`. */
  readonly url: string
}

interface Server {
  readonly postgres: EmbeddedPostgres
  readonly admin: Database
  readonly urlOf: (database: string) => string
}

const servers = new Map<Engine, Promise<Server>>()
let made = 0

/**
 * A database of its own, migrated, on a server that is started once a test process and ends with it. It costs some
 * 50 ms after the first. Not synchronised to disk: what survives a power cut is tested elsewhere.
 *
 * @param isEmpty leaves out the migrations
 */
export async function freshDatabase(
  test: { teardown(close: () => Promise<void>): void },
  engine: Engine = 'embedded',
  { isEmpty = false, ...pool }: PgOptions & { readonly isEmpty?: boolean } = {},
): Promise<FreshDatabase> {
  let server = servers.get(engine)
  if (server === undefined) {
    server = startServer(engine)
    servers.set(engine, server)
  }
  const { admin, urlOf } = await server
  const name = `test_${++made}`
  await admin.execute(`CREATE DATABASE ${name} TEMPLATE ${isEmpty ? 'template0' : 'migrated'}`)
  const url = urlOf(name)
  const database = await openDatabase(url, pool)
  test.teardown(() => database.close())
  return { database, url }
}

async function startServer(engine: Engine): Promise<Server> {
  const dataFolder = mkdtempSync(join(tmpdir(), 'portcullis-test-'))
  const bin = engine === 'server' ? SERVER_BIN : null
  await copyCluster(dataFolder, bin)
  const port = engine === 'server' ? await freePort() : 5432
  const settings = {
    fsync: 'off',
    max_connections: '200',
    ...(engine === 'server' && { listen_addresses: '127.0.0.1', port: String(port) }),
  }
  const postgres = await startEmbeddedPostgres({ dataFolder, log: silent, bin, settings })
  stopWithUs(postgres.pid)
  const { user, password } = postgres.target
  const login = `${user}:${encodeURIComponent(password)}`
  const urlOf = (database: string): string =>
    engine === 'server'
      ? `postgres://${login}@127.0.0.1:${port}/${database}`
      : `postgres://${login}@/${database}?host=${encodeURIComponent(join(dataFolder, 'postgres', 'cluster'))}`
  const admin = await openDatabase(urlOf('postgres'), { poolSize: 1, statementTimeoutMs: 60_000 })
  t.teardown(async () => {
    await admin.close()
    await postgres.close()
    rmSync(dataFolder, { recursive: true, force: true })
  })
  await admin.execute('CREATE DATABASE migrated TEMPLATE template0')
  const migrated = await openDatabase(urlOf('migrated'), { poolSize: 1 })
  await migrate(migrated)
  await migrated.close()
  return { postgres, admin, urlOf }
}

/** Making a cluster takes seconds of a busy machine, and copying one a fraction: the first test that needs it makes it for all. */
export async function copyCluster(dataFolder: string, bin: string | null): Promise<void> {
  const maker = readFileSync(fileURLToPath(import.meta.resolve('../../src/store/embedded-cluster.js')), 'utf8')
  const key = createHash('sha256').update(`${bin}\0${process.getuid?.()}\0${maker}`).digest('hex').slice(0, 16)
  const original = join(tmpdir(), `portcullis-test-cluster-${key}`)
  if (!existsSync(original)) {
    const making = mkdtempSync(`${original}-`)
    const postgres = await startEmbeddedPostgres({ dataFolder: making, log: silent, bin })
    await postgres.close()
    try {
      renameSync(making, original)
    } catch {
      // Another test process was faster.
      rmSync(making, { recursive: true, force: true })
    }
  }
  mkdirSync(dataFolder, { recursive: true })
  execFileSync('cp', ['-a', join(original, 'postgres'), dataFolder])
}

/** Stops a process when ours ends in a way that runs no teardown: the pipe ends then. */
export function stopWithUs(pid: number | null): void {
  const watch = spawn('sh', ['-c', 'read _; kill -INT "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watch.unref()
  ;(watch.stdin as unknown as { unref(): void }).unref()
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  await new Promise((closed) => server.close(closed))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
