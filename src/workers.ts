import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server as Listener, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { closeStore, openControl, openStore, type Server } from './app.js'
import type { RunningAuditStore } from './audit/index.js'
import type { Config } from './config.js'
import type { AuditQueries } from './model/audit-queries.js'
import type { Log } from './model/log.js'
import type { ControlStore } from './store/control-store.js'
import { type DataFolderLock, lockDataFolder } from './store/data-folder.js'
import { addressOf, listen } from './transport/grpc/listen.js'
import type { FromWorker, Ready, ToWorker } from './worker.js'

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url))
/** Pauses before a worker that keeps ending is started again, milliseconds; one that lived longer than the window was sound. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000
/** Workers that may die within the window before the server gives up; one that says why it cannot start is not counted. */
const MAX_DEATHS = 10
const WINDOW_MS = 60_000
/** What a drain may take beyond its time: closing the spool. */
const CLOSE_MS = 10_000

/**
 * A server of several processes on one port. The parent, which this is, holds the data folder, listens, hands each connection to
 * the worker that has fewest, runs the one shipper over all spools, starts workers again when they die, and answers nothing
 * itself.
 *
 * Connections are handed over one by one, by descriptor, rather than by node:cluster: there a connection on its way to a worker
 * that dies hangs for ever, and the port is given up while no worker lives.
 *
 * Resolves when every worker's policies are live and the port takes connections. What was opened before a failure is closed.
 *
 * @throws what {@link startApp} throws, as plain errors
 */
export async function startWorkers(config: Config, log: Log): Promise<Server> {
  const workers = new Workers(config, log)
  try {
    return await workers.start()
  } catch (error) {
    await workers.abort()
    throw error
  }
}

class Workers {
  readonly #config: Config
  readonly #log: Log
  readonly #listener: Listener
  readonly #closing = new AbortController()
  /** By number, the one that was given a connection last at the end; some may not take connections yet. */
  readonly #running = new Map<number, WorkerProcess>()
  /** Connections that came while no worker took any. */
  readonly #waiting: Socket[] = []
  /** When workers died, within the window. */
  #deaths: number[] = []
  #lock: DataFolderLock | null = null
  #store: RunningAuditStore | null = null
  #control: ControlStore | null = null
  #closed: Promise<boolean> | null = null
  #giveUp: (why: string) => void = () => undefined

  constructor(config: Config, log: Log) {
    this.#config = config
    this.#log = log
    this.#listener = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy())
      this.#assign(socket)
    })
  }

  async start(): Promise<Server> {
    const { host, port } = this.#config.listen
    const first = Array.from({ length: this.#config.workers }, (_, i) => this.#fork(i + 1))
    // The folder is taken when the policies are live: with faulty ones the server leaves no trace on disk.
    await Promise.all(first.map((worker) => worker.loaded))
    this.#lock = await lockDataFolder(this.#config.data)
    const { folder } = this.#lock
    // Before the workers, who share it; a server by URL they reach by themselves.
    if (this.#config.control.store === 'embedded') this.#control = await openControl(this.#config, folder, this.#log)
    const ready: Ready[] = []
    // One after the other, for the first makes what they share.
    for (const worker of first) ready.push(await worker.open(folder))
    this.#store = await openStore(this.#config, folder, (problem) => this.#log.warn('audit problem', { problem }))
    const address = addressOf(host, await listen(this.#listener, host, port))
    for (const [i, worker] of first.entries()) void this.#keepAlive(worker, folder, ready[i]!.writerId)
    return this.#served(address, ready[0]!)
  }

  #served(address: string, live: Ready): Server {
    const running = this.#running
    return {
      address,
      httpAddress: null,
      live,
      get underWay() {
        return { connections: [...running.values()].reduce((sum, { connections }) => sum + connections, 0) }
      },
      failed: new Promise((resolve) => {
        this.#giveUp = resolve
      }),
      reload: async () => {
        for (const worker of running.values()) worker.tell({ type: 'reload' })
      },
      close: () => (this.#closed ??= this.#close()),
    }
  }

  /** Ends what a start that failed had begun. */
  async abort(): Promise<void> {
    this.#closing.abort()
    if (this.#listener.listening) this.#listener.close()
    await Promise.all([...this.#running.values()].map((worker) => worker.kill()))
    await this.#store?.close(0)
    await this.#control?.close()
    await this.#lock?.release()
  }

  async #close(): Promise<boolean> {
    this.#closing.abort()
    this.#listener.close()
    for (const socket of this.#waiting.splice(0)) socket.destroy()
    const longestMs = this.#config.drainMs + CLOSE_MS
    const inTime = await Promise.all([...this.#running.values()].map((worker) => worker.drain(longestMs)))
    if (this.#store) await closeStore(this.#store, null)
    await this.#control?.close()
    await this.#lock?.release()
    return inTime.every(Boolean)
  }

  #fork(number: number): WorkerProcess {
    const worker = new WorkerProcess(number, this.#config, {
      ask: (question, args) => this.#ask(question, args),
      returned: (socket) => this.#assign(socket),
    })
    this.#running.set(number, worker)
    void worker.ended.then(() => {
      if (this.#running.get(number) === worker) this.#running.delete(number)
    })
    return worker
  }

  async #ask(question: keyof AuditQueries, args: readonly unknown[]): Promise<unknown> {
    if (this.#store === null) throw new Error('the audit store is not open')
    const { queries } = this.#store
    return (queries[question] as (...args: readonly unknown[]) => Promise<unknown>)(...args)
  }

  /** To the worker with fewest connections; of several, to the one that was given none for longest. */
  #assign(socket: Socket): void {
    if (this.#closing.signal.aborted) {
      socket.destroy()
      return
    }
    let chosen: WorkerProcess | null = null
    for (const worker of this.#running.values()) {
      if (worker.isReady && (chosen === null || worker.connections < chosen.connections)) chosen = worker
    }
    // One more than it takes, so that it says in its log that it has too many; not more, for it may not take any.
    if (chosen !== null && chosen.connections > this.#config.limits.maxConnections) socket.destroy()
    else if (chosen === null) this.#keepWaiting(socket)
    else {
      this.#running.delete(chosen.number)
      this.#running.set(chosen.number, chosen)
      chosen.give(socket)
    }
  }

  #keepWaiting(socket: Socket): void {
    if (this.#waiting.length < this.#config.limits.maxConnections) this.#waiting.push(socket)
    else socket.destroy()
  }

  /** Starts a worker again whenever it ends, until the server closes or gives up. */
  async #keepAlive(first: WorkerProcess, folder: string, writerId: string): Promise<void> {
    const { number } = first
    const { signal } = this.#closing
    let pauseMs = FIRST_PAUSE_MS
    for (let worker = first; ; worker = this.#fork(number)) {
      if (worker !== first) await this.#bringUp(worker, folder, writerId)
      const { how, refusal, livedMs } = await worker.ended
      if (signal.aborted) return
      if (livedMs > WINDOW_MS) pauseMs = FIRST_PAUSE_MS
      const { pid, connections } = worker
      const why = refusal === null ? {} : { why: refusal }
      this.#log.error('worker ended, another one is started', {
        worker: number,
        pid,
        how,
        connections,
        pauseMs,
        ...why,
      })
      if (refusal === null && this.#diesTooOften()) {
        this.#giveUp(`${MAX_DEATHS + 1} workers died within ${WINDOW_MS / 1_000} s`)
        return
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
    }
  }

  async #bringUp(worker: WorkerProcess, folder: string, writerId: string): Promise<void> {
    try {
      await worker.loaded
      const ready = await worker.open(folder)
      // The shipper took the writer's id when it started.
      if (ready.writerId !== writerId) this.#store?.restart()
      this.#log.info('worker serves again', { worker: worker.number, pid: worker.pid, revision: ready.revision })
      for (const socket of this.#waiting.splice(0)) this.#assign(socket)
    } catch {
      // Its end says why.
    }
  }

  #diesTooOften(): boolean {
    const nowMs = performance.now()
    this.#deaths = [...this.#deaths.filter((atMs) => nowMs - atMs < WINDOW_MS), nowMs]
    return this.#deaths.length > MAX_DEATHS
  }
}

interface Parent {
  ask(question: keyof AuditQueries, args: readonly unknown[]): Promise<unknown>
  /** A connection that did not reach the worker before it ended. */
  returned(socket: Socket): void
}

interface Ending {
  /** `SIGKILL`, `exit code 1`. */
  readonly how: string
  readonly code: number | null
  /** What kept it from starting, for a person; null when it did not say. */
  readonly refusal: string | null
  readonly livedMs: number
}

/** One life of a worker. */
class WorkerProcess {
  readonly number: number
  /** Rejects, as {@link open} does, with what kept the worker from starting. */
  readonly loaded: Promise<unknown>
  readonly ended: Promise<Ending>
  /** Takes connections. */
  isReady = false
  connections = 0
  readonly #child: ChildProcess
  readonly #parent: Parent
  readonly #startedMs = performance.now()
  /** Connections that the worker has not said to have. */
  readonly #underWay = new Map<number, Socket>()
  #lastId = 0
  readonly #awaited = new Map<FromWorker['type'], (message: FromWorker) => void>()
  #refusal: string | null = null

  constructor(number: number, config: Config, parent: Parent) {
    this.number = number
    this.#parent = parent
    this.#child = fork(WORKER, [String(number)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    })
    this.ended = this.#end()
    this.loaded = this.#said('loaded')
    this.#child.on('message', (message: FromWorker) => this.#receive(message))
    this.tell({ type: 'start', worker: number, config })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Opens the spool; resolves when the worker takes connections. */
  async open(folder: string): Promise<Ready> {
    const ready = this.#said('ready')
    this.tell({ type: 'open', folder })
    const { revision, counts, writerId } = await ready
    this.isReady = true
    return { revision, counts, writerId }
  }

  tell(message: ToWorker): void {
    // A worker that is gone is noticed by its end.
    if (this.#child.connected) this.#child.send(message, () => undefined)
  }

  give(socket: Socket): void {
    this.connections++
    const id = ++this.#lastId
    this.#underWay.set(id, socket)
    // Kept open, for Node forgets one that its receiver did not live to acknowledge, and then neither end is closed.
    this.#child.send({ type: 'connection', id } satisfies ToWorker, socket, { keepOpen: true }, () => undefined)
  }

  /** Lets it finish what is under way. True when it did, within its own time. */
  async drain(longestMs: number): Promise<boolean> {
    this.isReady = false
    this.tell({ type: 'drain' })
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), longestMs)
    const { code } = await this.ended
    clearTimeout(timer)
    return code === 0
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
  }

  #receive(message: FromWorker): void {
    if (message.type === 'taken') this.#taken(message.id)
    else if (message.type === 'gone') this.connections--
    else if (message.type === 'refused') this.#refusal = message.message
    else if (message.type === 'ask') void this.#answer(message.id, this.#parent.ask(message.question, message.args))
    else this.#awaited.get(message.type)?.(message)
  }

  /** Closes our descriptor of it; the worker's stays open. */
  #taken(id: number): void {
    this.#underWay.get(id)?.destroy()
    this.#underWay.delete(id)
  }

  async #answer(id: number, asked: Promise<unknown>): Promise<void> {
    try {
      this.tell({ type: 'answer', id, answer: await asked })
    } catch (error) {
      this.tell({ type: 'failed', id, message: error instanceof Error ? error.message : String(error) })
    }
  }

  /** The next message of a type; rejects when the worker ends before. */
  #said<T extends 'loaded' | 'ready'>(type: T): Promise<Extract<FromWorker, { type: T }>> {
    const said = new Promise<Extract<FromWorker, { type: T }>>((resolve) => {
      this.#awaited.set(type, (message) => resolve(message as Extract<FromWorker, { type: T }>))
    })
    const ended = this.ended.then(({ how, refusal }) => {
      throw new Error(refusal ?? `worker ${this.number} ended (${how}) before it was ready`)
    })
    const first = Promise.race([said, ended])
    // Whoever waits is told; while nobody does, the end is.
    first.catch(() => undefined)
    return first
  }

  async #end(): Promise<Ending> {
    const child = this.#child
    // `close` comes behind the exit and the last message; `disconnect` does not come at all while a descriptor is under way.
    const how = await Promise.race([
      new Promise<string>((resolve) => child.on('error', (error) => child.pid === undefined && resolve(error.message))),
      once(child, 'close').then(([code, signal]) => (signal === null ? `exit code ${code}` : String(signal))),
    ])
    this.isReady = false
    for (const socket of this.#underWay.values()) setImmediate(() => this.#parent.returned(socket))
    this.#underWay.clear()
    return { how, code: child.exitCode, refusal: this.#refusal, livedMs: performance.now() - this.#startedMs }
  }
}
