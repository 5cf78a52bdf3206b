// One of several server processes, started by workers.ts and of no use without it: decides by policies and records in a spool
// of its own. Connections and answers about the audit come from the parent.
import type { Socket } from 'node:net'
import { type App, noQueries, openControl, type Surroundings, startApp } from './app.js'
import { auditFolders } from './audit/folders.js'
import type { Config } from './config.js'
import type { AuditQueries } from './model/audit-queries.js'
import type { Log } from './model/log.js'
import { type ControlStore, openControlStore } from './store/control-store.js'
import { lockDataFolder } from './store/data-folder.js'
import { logToStandardError } from './telemetry/log.js'
import type { PolicyCounts } from './tenants/load-policies.js'

/** What the parent says; `connection` comes with its socket. In this order: start, open, then any. */
export type ToWorker =
  | { readonly type: 'start'; readonly worker: number; readonly config: Config }
  /** The data folder is the server's: open the spool. */
  | { readonly type: 'open'; readonly folder: string }
  | { readonly type: 'connection'; readonly id: number }
  | { readonly type: 'reload' }
  | { readonly type: 'drain' }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly message: string }

/** In this order: loaded, ready, then any; or refused, and the process ends. */
export type FromWorker =
  | { readonly type: 'loaded' }
  | ({ readonly type: 'ready' } & Ready)
  /** The worker could not start; the message is for a person. */
  | { readonly type: 'refused'; readonly message: string }
  /** A connection has arrived, and no other worker needs it; later, it is closed. */
  | { readonly type: 'taken'; readonly id: number }
  | { readonly type: 'gone' }
  | {
      readonly type: 'ask'
      readonly id: number
      readonly question: keyof AuditQueries
      readonly args: readonly unknown[]
    }

/** What a worker that takes connections says of itself. */
export interface Ready {
  readonly revision: string
  readonly counts: PolicyCounts
  /** Changes only when the spool was lost. */
  readonly writerId: string
}

/** A worker of a server that was killed may hold the spool for a moment longer than its server lived. */
const SPOOL_WAIT_MS = 10_000

class Worker {
  #app: App | null = null
  readonly #opened: Promise<string>
  #open: (folder: string) => void = () => undefined
  #accept: (socket: Socket) => void = (socket) => socket.destroy()
  readonly #asked = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>()
  #lastId = 0

  constructor() {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  receive(message: ToWorker, socket: Socket | undefined): void {
    switch (message.type) {
      case 'start':
        void this.#start(message.worker, message.config)
        break
      case 'open':
        this.#open(message.folder)
        break
      case 'connection':
        // Before anything is read from it.
        tell({ type: 'taken', id: message.id })
        // The client may have gone on the way here.
        if (socket === undefined) tell({ type: 'gone' })
        else this.#take(socket)
        break
      case 'reload':
        void this.#app?.reload()
        break
      case 'drain':
        void this.#end()
        break
      case 'answer':
        this.#answered(message.id)?.resolve(message.answer)
        break
      case 'failed':
        this.#answered(message.id)?.reject(new Error(message.message))
        break
    }
  }

  async #start(worker: number, config: Config): Promise<void> {
    const log = logToStandardError(config.log, { worker })
    try {
      const app = await startApp(shareOf(config), log, undefined, this.#surroundings(worker, config, log))
      this.#app = app
      const { revision, counts } = app.live
      tell({ type: 'ready', revision, counts, writerId: app.auditStatus.writerId })
      log.debug('worker ready', { pid: process.pid, revision })
    } catch (error) {
      log.debug('could not start', { cause: error instanceof Error ? error : new Error(String(error)) })
      const message = error instanceof Error ? error.message : String(error)
      process.send?.({ type: 'refused', message } satisfies FromWorker, () => process.exit(1))
    }
  }

  #surroundings(worker: number, config: Config, log: Log): Surroundings {
    return {
      takeData: async () => {
        tell({ type: 'loaded' })
        const folder = await this.#opened
        const lock = await lockDataFolder(auditFolders(folder, worker).spool, SPOOL_WAIT_MS)
        return { folder, worker, release: () => lock.release() }
      },
      openControl: (folder) => this.#openControl(folder, config, log),
      openStore: async () => ({ queries: config.audit.store === 'none' ? noQueries : this.#queries(), running: null }),
      listen: async (server) => {
        this.#accept = (socket) => server.accept(socket)
        return 'the port of its parent'
      },
    }
  }

  /** The parent's: it has started the embedded PostgreSQL, and the schema is up to date. */
  async #openControl(dataFolder: string, config: Config, log: Log): Promise<ControlStore | null> {
    if (config.control.store !== 'embedded') return openControl(config, dataFolder, log)
    return openControlStore({ kind: 'shared', dataFolder, log, pool: { poolSize: config.control.poolSize } })
  }

  #take(socket: Socket): void {
    socket.once('close', () => tell({ type: 'gone' }))
    this.#accept(socket)
  }

  /** The parent's: the embedded store can be opened by one process only. */
  #queries(): AuditQueries {
    const ask =
      (question: keyof AuditQueries) =>
      (...args: readonly unknown[]): Promise<never> =>
        new Promise<unknown>((resolve, reject) => {
          const id = ++this.#lastId
          this.#asked.set(id, { resolve, reject })
          tell({ type: 'ask', id, question, args })
        }) as Promise<never>
    return {
      totals: ask('totals'),
      topViolations: ask('topViolations'),
      riskiestAgents: ask('riskiestAgents'),
      get: ask('get'),
      list: ask('list'),
      since: ask('since'),
      controlEvents: ask('controlEvents'),
    }
  }

  #answered(id: number): { resolve: (answer: unknown) => void; reject: (error: Error) => void } | undefined {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    return asked
  }

  /** Exit code 0 when every call under way finished in time. */
  async #end(): Promise<void> {
    const inTime = (await this.#app?.close()) ?? true
    process.exit(inTime ? 0 : 1)
  }
}

/** The spool's cap is of a disk that all workers write to; every other limit holds for each of them. */
function shareOf(config: Config): Config {
  const spoolMaxBytes = Math.floor(config.audit.spoolMaxBytes / config.workers)
  return { ...config, audit: { ...config.audit, spoolMaxBytes } }
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message)
}

/** Nobody else may answer for a server that is gone; what was acknowledged is in the spool. */
function endNow(): void {
  process.kill(process.pid, 'SIGKILL')
}

const worker = new Worker()
process.on('message', (message: ToWorker, socket: Socket | undefined) => worker.receive(message, socket))
process.on('disconnect', endNow)
if (!process.connected) endNow()
// Signals of a terminal reach the whole process group; the parent says what to do.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
