import type { ApprovalRequest } from '../model/approval.js'
import type { Log } from '../model/log.js'
import type { Database } from '../store/database.js'
import { every, type Poll } from '../store/every.js'
import { readRequest } from './rows.js'

/** How often all that is waited for is read again, announcements or not. */
const REREAD_MS = 2_000
/** How many ids one statement asks for. */
const MOST_AT_A_TIME = 5_000

export interface WaitingOptions {
  readonly database: Pick<Database, 'query'>
  readonly log: Log
  /** @default 2,000 */
  readonly rereadMs?: number
}

/** Told each newer version once, versions between may be left out; a call that throws ends nobody else's wait. */
export type TellRequest = (request: ApprovalRequest) => void

interface Waiter {
  readonly tell: TellRequest
  seen: number
}

/**
 * Who waits on this instance, for which request. Announcements make it fast: `announced` reads one request again. Right it is
 * because everything waited for is read every two seconds, in one statement. Waits cost a map entry each.
 */
export class Waiting {
  readonly #options: WaitingOptions
  readonly #waiters = new Map<string, Set<Waiter>>()
  readonly #queues = new Map<string, Set<TellRequest>>()
  /** Versions of all that is alive, by tenants whose queue somebody watches. */
  readonly #known = new Map<string, Map<string, number>>()
  readonly #poll: Poll
  /** Announced and not read yet: those that come while one is read share the next statement. */
  #announced = new Set<string>()
  #reading: Promise<void> | null = null
  #isFailing = false

  constructor(options: WaitingOptions) {
    this.#options = options
    this.#poll = every(
      options.rereadMs ?? REREAD_MS,
      () => this.reread(),
      (error) => this.#complain(error),
    )
  }

  /** How many wait. */
  get size(): number {
    let size = 0
    for (const waiters of this.#waiters.values()) size += waiters.size
    return size
  }

  /**
   * Tells of every version above `afterVersion`, the present one too, until the returned function is called.
   * @param id of a request that the caller may see
   */
  watch(id: string, afterVersion: number, tell: TellRequest): () => void {
    const waiter: Waiter = { tell, seen: afterVersion }
    const waiters = this.#waiters.get(id) ?? new Set()
    waiters.add(waiter)
    this.#waiters.set(id, waiters)
    this.announced(id)
    return () => {
      waiters.delete(waiter)
      if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id)
    }
  }

  /** The first version above `afterVersion`; null when none comes in time or the signal ends the wait. */
  wait(id: string, afterVersion: number, ms: number, signal?: AbortSignal): Promise<ApprovalRequest | null> {
    return new Promise((resolve) => {
      const done = (request: ApprovalRequest | null): void => {
        stop()
        clearTimeout(timer)
        signal?.removeEventListener('abort', none)
        resolve(request)
      }
      const none = (): void => done(null)
      const stop = this.watch(id, afterVersion, done)
      const timer = setTimeout(none, ms)
      signal?.addEventListener('abort', none)
      if (signal?.aborted) none()
    })
  }

  /** Tells of every request of the tenant that is opened or changes from now on, and within two seconds of all that is alive;
   * the same version may be told twice. */
  watchQueue(tenant: string, tell: TellRequest): () => void {
    const tellers = this.#queues.get(tenant) ?? new Set()
    tellers.add(tell)
    this.#queues.set(tenant, tellers)
    return () => {
      tellers.delete(tell)
      if (tellers.size > 0 || this.#queues.get(tenant) !== tellers) return
      this.#queues.delete(tenant)
      this.#known.delete(tenant)
    }
  }

  /** A request changed, here or on another instance. Unknown ids cost nothing unless somebody watches a queue. */
  announced(id: string): void {
    if (!this.#waiters.has(id) && this.#queues.size === 0) return
    this.#announced.add(id)
    this.#reading ??= this.#readAnnounced().finally(() => {
      this.#reading = null
    })
  }

  /** Reads all that is waited for: at intervals, and after the listener connected anew. */
  async reread(): Promise<void> {
    const ids = [...this.#waiters.keys()]
    for (let at = 0; at < ids.length; at += MOST_AT_A_TIME) {
      await this.#readChanged(ids.slice(at, at + MOST_AT_A_TIME))
    }
    for (const tenant of this.#queues.keys()) await this.#rereadQueue(tenant)
    this.#isFailing = false
  }

  async close(): Promise<void> {
    await this.#poll.close()
    await this.#reading
    this.#waiters.clear()
    this.#queues.clear()
  }

  async #readAnnounced(): Promise<void> {
    // In a turn of its own: what is announced at one moment is asked in one statement.
    await Promise.resolve()
    while (this.#announced.size > 0) {
      const ids = [...this.#announced].slice(0, MOST_AT_A_TIME)
      for (const id of ids) this.#announced.delete(id)
      try {
        await this.#read(ids)
      } catch (error) {
        this.#complain(error)
      }
    }
  }

  /** Versions first, whole requests only where one is newer: most of what is waited for has not changed. */
  async #readChanged(ids: readonly string[]): Promise<void> {
    const rows = await this.#options.database.query<{ id: string; version: number }>(
      'SELECT id, version FROM approvals WHERE id = ANY($1::uuid[])',
      [ids],
    )
    const newer = rows.filter(({ id, version }) =>
      [...(this.#waiters.get(id) ?? [])].some(({ seen }) => seen < version),
    )
    if (newer.length > 0) await this.#read(newer.map(({ id }) => id))
  }

  async #rereadQueue(tenant: string): Promise<void> {
    // At first nothing is known: all that is alive is told, so that nothing falls between a watcher's own reading and this one.
    const before = this.#known.get(tenant) ?? new Map<string, number>()
    const rows = await this.#options.database.query<{ id: string; version: number }>(
      `SELECT id, version FROM approvals WHERE tenant = $1 AND state IN ('PENDING', 'APPROVED')`,
      [tenant],
    )
    const now = new Map(rows.map(({ id, version }) => [id, version]))
    this.#known.set(tenant, now)
    const changed = [...now].filter(([id, version]) => before.get(id) !== version).map(([id]) => id)
    const ended = [...before.keys()].filter((id) => !now.has(id))
    const told = [...changed, ...ended]
    for (let at = 0; at < told.length; at += MOST_AT_A_TIME) await this.#read(told.slice(at, at + MOST_AT_A_TIME))
  }

  async #read(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const rows = await this.#options.database.query<{ doc: string }>(
      'SELECT doc FROM approvals WHERE id = ANY($1::uuid[])',
      [ids],
    )
    for (const { doc } of rows) this.#tell(readRequest(doc))
  }

  #tell(request: ApprovalRequest): void {
    for (const waiter of [...(this.#waiters.get(request.id) ?? [])]) {
      if (waiter.seen >= request.version) continue
      waiter.seen = request.version
      this.#call(waiter.tell, request)
    }
    for (const tell of [...(this.#queues.get(request.subject.tenant) ?? [])]) this.#call(tell, request)
  }

  #call(tell: TellRequest, request: ApprovalRequest): void {
    try {
      tell(request)
    } catch (error) {
      this.#options.log.error('somebody who waits for an approval failed', { cause: asError(error) })
    }
  }

  /** Once an outage: streams stay open and say nothing new. */
  #complain(error: unknown): void {
    if (!this.#isFailing) this.#options.log.warn('approvals cannot be read', { cause: asError(error) })
    this.#isFailing = true
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
