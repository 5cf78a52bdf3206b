import type { Log } from '../model/log.js'
import { type Database, StoreUnavailable, type Transaction } from '../store/database.js'

export { StoreUnavailable } from '../store/database.js'

import { CONTROL_CHANNEL, currentEpoch } from '../store/epoch.js'
import { every, type Poll } from '../store/every.js'
import { Listener } from '../store/listener.js'

/** Reads a part of what every instance knows; what it returns puts the part in place, at once and without fail. */
export type ControlPart = (tx: Transaction) => Promise<() => void>

export interface ControlStateOptions {
  readonly database: Database
  readonly parts: readonly ControlPart[]
  /** Unique among the instances that live; shown to people. */
  readonly instance: string
  readonly log: Log
  /** Never goes back; milliseconds. @default performance.now */
  readonly monotonicMs?: () => number
  /** How old what is known may be while calls are still let through, milliseconds. @default 60,000 */
  readonly maxStalenessMs?: number
  /** @default 1,000 */
  readonly pollMs?: number
  /** Whether announcements are heard; false only where polling alone is to be tried. @default true */
  readonly hears?: boolean
}

/**
 * Keys, kill switches and what else must hold while the database is down: whole in memory, read again on every announcement and
 * every second, swapped in one turn. Each instance writes which epoch it serves, so that an operator sees who denies already.
 */
export class ControlState {
  readonly #options: ControlStateOptions
  readonly #listener: Listener | null
  #poll: Poll | null = null
  #epoch = -1
  #readMs = Number.NEGATIVE_INFINITY
  #isFailing = false

  constructor(options: ControlStateOptions) {
    this.#options = options
    const { database, log, hears = true } = options
    this.#listener = hears
      ? new Listener({
          database,
          channels: [CONTROL_CHANNEL],
          onResync: () => this.refresh(),
          onNotification: () => this.#poll?.now(),
          log,
        })
      : null
  }

  /** Reads everything once; a server must not begin on nothing. @throws {StoreUnavailable} */
  async start(): Promise<void> {
    await this.refresh()
    const { pollMs = 1_000 } = this.#options
    this.#poll = every(
      pollMs,
      () => this.refresh(),
      (error) => this.#failed(error),
    )
    void this.#listener?.start()
  }

  /** What is served; an epoch is confirmed when it is in place here. */
  get epoch(): number {
    return this.#epoch
  }

  /** How old what is known is, milliseconds. */
  get ageMs(): number {
    return this.#nowMs() - this.#readMs
  }

  isStale(): boolean {
    return this.ageMs > (this.#options.maxStalenessMs ?? 60_000)
  }

  get status(): {
    readonly epoch: number
    readonly ageMs: number
    readonly reconnects: number
    readonly isHeard: boolean
  } {
    const { reconnects = 0, isConnected = false } = this.#listener?.status ?? {}
    return { epoch: this.#epoch, ageMs: this.ageMs, reconnects, isHeard: isConnected }
  }

  /** Reads what changed, puts it in place and confirms it. Two at a time do no harm: an older one never replaces a newer. */
  async refresh(): Promise<void> {
    const { database, parts } = this.#options
    // The age counts from before the reading: what is committed while we read may not be in it.
    const asOfMs = this.#nowMs()
    const epoch = await currentEpoch(database)
    if (epoch > this.#epoch) {
      const read = async (
        tx: Transaction,
      ): Promise<{ readonly epoch: number; readonly puts: readonly (() => void)[] }> => {
        const seen = await currentEpoch(tx)
        const puts: (() => void)[] = []
        for (const part of parts) puts.push(await part(tx))
        return { epoch: seen, puts }
      }
      const snapshot = await database.transaction(read, { isolation: 'repeatable read' })
      if (snapshot.epoch > this.#epoch) {
        for (const put of snapshot.puts) put()
        this.#epoch = snapshot.epoch
      }
    }
    this.#readMs = Math.max(this.#readMs, asOfMs)
    if (this.#isFailing) {
      this.#isFailing = false
      this.#options.log.info('control state is fresh again', { epoch: this.#epoch })
    }
    await this.#confirm()
  }

  async close(): Promise<void> {
    await this.#poll?.close()
    await this.#listener?.close()
    const { database, instance } = this.#options
    await database.execute('DELETE FROM instances WHERE instance = $1', [instance]).catch(() => undefined)
  }

  async #confirm(): Promise<void> {
    const { database, instance } = this.#options
    await database.execute(
      `INSERT INTO instances (instance, epoch) VALUES ($1, $2)
       ON CONFLICT (instance) DO UPDATE SET epoch = excluded.epoch, seen_at = clock_timestamp()`,
      [instance, this.#epoch],
    )
  }

  /** Said once: a database that is down for an hour is one event. */
  #failed(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error))
    if (this.#isFailing && error instanceof StoreUnavailable) return
    this.#isFailing = true
    const { log, maxStalenessMs = 60_000 } = this.#options
    log.warn('control state cannot be read, what is known goes on to hold', {
      ageMs: this.ageMs,
      maxStalenessMs,
      cause,
    })
  }

  #nowMs(): number {
    return (this.#options.monotonicMs ?? (() => performance.now()))()
  }
}
