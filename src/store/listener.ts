import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../model/log.js'
import type { Database, ListenConnection, Sql } from './database.js'

export interface ListenerOptions {
  readonly database: Pick<Database, 'listen' | 'address'>
  /** Lower case letters, digits and `_`, at most 63. */
  readonly channels: readonly string[]
  /**
   * Reads everything anew. Called after each connect, the first one too, because nothing is known of what was said while no
   * connection was there. When it fails the connection is made anew.
   */
  onResync(): Promise<void>
  /** What changed, by id. What comes while `onResync` runs is handed on after it. */
  onNotification(channel: string, id: string): void
  readonly log: Log
  /** @default 5,000 */
  readonly heartbeatMs?: number
  /** First and longest pause before the next try. @default 250 and 10,000 */
  readonly backoffMs?: { readonly least: number; readonly most: number }
  /** @default Math.random */
  readonly random?: () => number
}

export interface ListenerStatus {
  readonly isConnected: boolean
  /** Connections made after the first one. */
  readonly reconnects: number
}

/**
 * Hears what other instances announce, on a connection of its own, and connects again for ever. It is there for speed: whoever
 * uses it reads at intervals beside it ({@link every}), so that nothing rests on an announcement that arrives.
 */
export class Listener {
  readonly #options: ListenerOptions
  readonly #stop = new AbortController()
  #running: Promise<void> | null = null
  #connects = 0
  #isConnected = false

  constructor(options: ListenerOptions) {
    for (const channel of options.channels) checkChannel(channel)
    this.#options = options
  }

  /** Begins to connect, and resolves once the first `onResync` is done; later with a server that is not there yet. */
  start(): Promise<void> {
    if (this.#running) throw new TypeError('the listener is started once')
    return new Promise((first) => {
      this.#running = this.#run(first).finally(first)
    })
  }

  get status(): ListenerStatus {
    return { isConnected: this.#isConnected, reconnects: Math.max(0, this.#connects - 1) }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(first: () => void): Promise<void> {
    const { signal } = this.#stop
    const { log, database, random = Math.random, backoffMs = { least: 250, most: 10_000 } } = this.#options
    let pauseMs = backoffMs.least
    while (!signal.aborted) {
      try {
        await this.#hear(() => {
          pauseMs = backoffMs.least
          if (this.#connects > 1) log.info('control store heard again', { address: database.address })
          first()
        })
      } catch (cause) {
        if (signal.aborted) return
        log.warn('control store not heard, connecting again', {
          address: database.address,
          cause: cause instanceof Error ? cause : new Error(String(cause)),
        })
      } finally {
        this.#isConnected = false
      }
      // Half of it by chance: instances that lost the same server do not come back in step.
      await sleep(pauseMs * (0.5 + 0.5 * random()), undefined, { signal }).catch(() => undefined)
      pauseMs = Math.min(2 * pauseMs, backoffMs.most)
    }
  }

  /** One connection from its beginning to its end, which is always an error. */
  async #hear(onHeard: () => void): Promise<never> {
    const { database, channels, onResync, onNotification, heartbeatMs = 5_000 } = this.#options
    const { signal } = this.#stop
    let early: (readonly [string, string])[] | null = []
    let fail: (error: Error) => void = () => undefined
    const failed = new Promise<never>((_, reject) => {
      fail = reject
    })
    failed.catch(() => undefined)
    const connection = await database.listen(channels, {
      notification: (channel, id) => {
        if (early) early.push([channel, id])
        else onNotification(channel, id)
      },
      lost: fail,
    })
    const stop = (): void => fail(new Error('closed'))
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    try {
      this.#connects++
      // LISTEN first, then read: a change that the reading misses is announced after it.
      await Promise.race([onResync(), failed])
      for (const [channel, id] of early) onNotification(channel, id)
      early = null
      this.#isConnected = true
      onHeard()
      return await Promise.race([failed, beat(connection, heartbeatMs, signal)])
    } finally {
      signal.removeEventListener('abort', stop)
      connection.close()
    }
  }
}

/** A connection whose other end vanished without a word looks like a quiet one. */
async function beat(connection: ListenConnection, ms: number, signal: AbortSignal): Promise<never> {
  for (;;) {
    await sleep(ms, undefined, { signal, ref: false })
    await connection.ping()
  }
}

/**
 * Announces a change to all listeners, at the commit of the transaction and never when it rolls back. Commits with an
 * announcement wait for each other in the whole server, so it has no place where every call passes.
 *
 * @param id of what changed, at most 256 bytes; never the change itself: whoever hears it reads
 */
export async function notify(tx: Sql, channel: string, id: string): Promise<void> {
  checkChannel(channel)
  if (Buffer.byteLength(id) > 256) throw new RangeError('an announcement is an id of at most 256 bytes')
  await tx.query('SELECT pg_notify($1, $2)', [channel, id])
}

function checkChannel(channel: string): void {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(channel)) throw new TypeError(`\`${channel}\` is no name of a channel`)
}
