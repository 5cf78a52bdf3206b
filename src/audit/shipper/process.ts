import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type QueryLimits, type QueryParams, type Row, StoreError } from '../store/audit-store.js'
import type { FromShipper, ShipperConfig, ToShipper } from './protocol.js'
import type { ShipperStatus } from './shipper.js'

export interface ShipperProcessOptions {
  readonly config: ShipperConfig
  /** Longest pause before a process that keeps dying is started again. @default 10_000 */
  readonly longestPauseMs?: number
  /** Told about every trouble of the store, the spool and the process, in one sentence each. */
  readonly onProblem: (problem: string) => void
}

interface Pending {
  readonly resolve: (rows: readonly Row[]) => void
  readonly reject: (error: Error) => void
}

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url))
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 10_000
const RESTART_WAIT_MS = 10_000
/** A process that lived this long was not in a crash loop. */
const STABLE_MS = 30_000

/**
 * Keeps one shipper process alive: starts it again when it dies, with growing pauses, and carries queries to it. Its death
 * costs nothing but time: the spool has what it had not stored.
 */
export class ShipperProcess {
  readonly #options: ShipperProcessOptions
  readonly #pending = new Map<number, Pending>()
  #child: ChildProcess | null = null
  #status: ShipperStatus | null = null
  #lastId = 0
  #pauseMs = FIRST_PAUSE_MS
  #timer: NodeJS.Timeout | null = null
  #closing = false
  #restarts = 0
  #first: { readonly resolve: () => void; readonly reject: (error: Error) => void } | null = null

  constructor(options: ShipperProcessOptions) {
    this.#options = options
  }

  /** Resolves when the store is ready, or cannot be reached right now; rejects when it cannot be used at all. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#first = { resolve, reject }
      this.#spawn()
    })
  }

  status(): { readonly shipper: ShipperStatus | null; readonly pid: number | null; readonly restarts: number } {
    return { shipper: this.#status, pid: this.#child?.pid ?? null, restarts: this.#restarts }
  }

  /** Waits for a process that is being started again, at most {@link RESTART_WAIT_MS}; a read may be repeated safely. */
  query(sql: string, params: QueryParams, limits: QueryLimits = {}): Promise<readonly Row[]> {
    return this.#askUntil(performance.now() + RESTART_WAIT_MS, (id) => ({ type: 'query', id, sql, params, limits }))
  }

  /** Resolves when all that was in the spool is in the store; waits as long as that takes. */
  async drain(): Promise<void> {
    await this.#askUntil(Number.POSITIVE_INFINITY, (id) => ({ type: 'drain', id }))
  }

  /** Ends the process, which is started again. */
  restart(): void {
    this.#child?.kill('SIGKILL')
  }

  /** Ships what is in the spool for at most `drainMs`, then ends the process. */
  async close(drainMs: number): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    if (this.#timer) clearTimeout(this.#timer)
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      this.#send({ type: 'stop', drainMs })
      // The drain plus what a running insert may take; then it is ended, which loses nothing.
      const timer = setTimeout(() => child.kill('SIGKILL'), drainMs + 10_000)
      await gone
      clearTimeout(timer)
    }
    this.#failPending(closed())
  }

  #spawn(): void {
    const startedAt = performance.now()
    const child = fork(CHILD, [], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: ['--max-old-space-size=512'],
      serialization: 'advanced',
      // Its own group would outlive a kill of ours; it leaves by the closed channel instead.
      detached: false,
    })
    this.#child = child
    let lastWords = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      lastWords = (lastWords + text).slice(-1_000)
    })
    child.on('message', (message: FromShipper) => this.#receive(message))
    child.on('error', (error) => this.#options.onProblem(`audit shipper: ${error.message}`))
    child.on('exit', (code, signal) => {
      if (this.#child !== child) return
      this.#child = null
      this.#failPending(restarting())
      if (this.#closing) return
      if (performance.now() - startedAt > STABLE_MS) this.#pauseMs = FIRST_PAUSE_MS
      this.#options.onProblem(
        `audit shipper ended (${signal ?? `exit code ${code}`}) and is started again${afterColon(lastWords)}`,
      )
      this.#restarts++
      this.#timer = setTimeout(() => this.#spawn(), this.#pauseMs * (0.5 + Math.random() / 2))
      this.#pauseMs = Math.min(this.#options.longestPauseMs ?? LONGEST_PAUSE_MS, this.#pauseMs * 2)
    })
    this.#send({ type: 'start', config: this.#options.config })
  }

  #receive(message: FromShipper): void {
    switch (message.type) {
      case 'status':
        this.#status = message.status
        if (message.status.state === 'running') this.#pauseMs = FIRST_PAUSE_MS
        if (message.status.state !== 'starting') this.#started()
        break
      case 'problem':
        this.#options.onProblem(message.message)
        break
      case 'unusable':
        this.#unusable(message.message)
        break
      case 'rows':
        this.#take(message.id)?.resolve(message.rows)
        break
      case 'drained':
        this.#take(message.id)?.resolve([])
        break
      case 'failed':
        this.#take(message.id)?.reject(new StoreError(message.kind, message.message, message))
        break
    }
  }

  #started(): void {
    this.#first?.resolve()
    this.#first = null
  }

  #unusable(message: string): void {
    if (!this.#first) {
      this.#options.onProblem(`audit shipper: ${message}`)
      return
    }
    this.#closing = true
    this.#child?.kill('SIGKILL')
    this.#first.reject(new StoreError('unusable', message))
    this.#first = null
  }

  async #askUntil(deadline: number, messageOf: (id: number) => ToShipper): Promise<readonly Row[]> {
    for (;;) {
      try {
        return await this.#ask(messageOf)
      } catch (error) {
        const isPassing = error instanceof StoreError && error.isPassing && !this.#closing
        if (!isPassing || performance.now() > deadline) throw error
        await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS))
      }
    }
  }

  #ask(messageOf: (id: number) => ToShipper): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      this.#pending.set(id, { resolve, reject })
      if (!this.#send(messageOf(id))) this.#take(id)?.reject(this.#closing ? closed() : restarting())
    })
  }

  #send(message: ToShipper): boolean {
    const child = this.#child
    if (!child?.connected) return false
    child.send(message, (error) => {
      if (error && 'id' in message) this.#take(message.id)?.reject(restarting())
    })
    return true
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  #failPending(error: Error): void {
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
  }
}

function restarting(): StoreError {
  return new StoreError('unavailable', 'the audit store is starting again', { isPassing: true })
}

function closed(): StoreError {
  return new StoreError('unavailable', 'the audit store is closed')
}

function afterColon(text: string): string {
  const trimmed = text.trim()
  return trimmed === '' ? '' : `: ${trimmed}`
}
