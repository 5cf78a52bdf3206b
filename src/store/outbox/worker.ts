import { setTimeout as sleep } from 'node:timers/promises'
import type { Delivery, DeliveryOutcome, DeliveryPort } from '../../model/delivery.js'
import type { Log } from '../../model/log.js'
import type { Database } from '../database.js'
import { every, type Poll } from '../every.js'
import { fanOut } from './fan-out.js'
import { type Leased, lease, record } from './leases.js'
import { tidyOutbox } from './tidy.js'

export interface OutboxOptions {
  readonly database: Database
  /** With distinct names. The same ones on every instance: which channels a thing goes through is settled by whoever sees it first. */
  readonly channels: readonly DeliveryPort[]
  readonly log: Log
  /** How often is looked for what is due, whatever was announced. @default 1,000 */
  readonly pollMs?: number
  /** After which a try that said nothing is taken for one of a dead process. Longer than any try may take. @default 60,000 */
  readonly leaseMs?: number
  /** How many a channel sends at a time. @default 16 */
  readonly mostAtATime?: number
}

const TIDY_MS = 3_600_000
/** A channel may take half a minute; whoever stops a server does not wait so long. */
const CLOSE_MS = 5_000

/**
 * Sends what the outbox holds, at least once and under the same id each time. Any number of instances may run; each channel
 * is worked by itself, so that one which hangs holds up none of the others.
 */
export class Outbox {
  readonly #options: Required<OutboxOptions>
  readonly #polls = new Map<string, Poll>()
  #fanOut: Poll | null = null
  #tidy: Poll | null = null
  #isClosed = false
  readonly #failing = new Set<string>()

  constructor(options: OutboxOptions) {
    const names = options.channels.map(({ name }) => name)
    if (new Set(names).size < names.length) throw new TypeError(`two channels have one name: ${names.join(', ')}`)
    this.#options = { pollMs: 1_000, leaseMs: 60_000, mostAtATime: 16, ...options }
  }

  start(): void {
    const { channels, pollMs } = this.#options
    if (this.#fanOut) throw new TypeError('the outbox is started once')
    for (const channel of channels) {
      this.#polls.set(
        channel.name,
        this.#every(pollMs, channel.name, () => this.#drain(channel)),
      )
    }
    this.#fanOut = this.#every(pollMs, 'all channels', () => this.#spread())
    this.#tidy = this.#every(TIDY_MS, 'old deliveries', () => this.#tidyUp())
    this.nudge()
    for (const poll of this.#polls.values()) poll.now()
  }

  /** Something may be new: looks at once. */
  nudge(): void {
    this.#fanOut?.now()
  }

  /** Something waits in some channel: looks at once in all of them. */
  nudgeChannels(): void {
    for (const poll of this.#polls.values()) poll.now()
  }

  /** Sends what is due now, and returns when nothing is. For tests and commands; {@link start} does so for ever. */
  async drain(): Promise<void> {
    await fanOut(this.#options.database, this.#options.channels)
    await Promise.all(this.#options.channels.map((channel) => this.#drain(channel)))
  }

  /** Lets tries under way end and records them, for a while, then closes the channels. What is cut off is tried again elsewhere. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const polls = [this.#fanOut, this.#tidy, ...this.#polls.values()]
    await Promise.race([Promise.all(polls.map((poll) => poll?.close())), sleep(CLOSE_MS, undefined, { ref: false })])
    for (const channel of this.#options.channels) await channel.close?.()
  }

  async #spread(): Promise<void> {
    for (const name of await fanOut(this.#options.database, this.#options.channels)) this.#polls.get(name)?.now()
  }

  async #drain(channel: DeliveryPort): Promise<void> {
    const { database, mostAtATime, leaseMs } = this.#options
    while (!this.#isClosed) {
      const taken = await lease(database, channel.name, mostAtATime, leaseMs)
      // Each is recorded as it ends: what hangs beside it must not have it sent twice.
      const ended = await Promise.allSettled(taken.map((leased) => this.#send(channel, leased)))
      for (const end of ended) if (end.status === 'rejected') throw end.reason
      if (taken.length === 0) return
    }
  }

  async #send(channel: DeliveryPort, leased: Leased): Promise<void> {
    const { database, log } = this.#options
    const outcome = await deliver(channel, leased.delivery)
    this.#tell(channel.name, leased.delivery, outcome)
    if (await record(database, leased, outcome)) return
    log.warn('delivery recorded by another server', { channel: channel.name, id: leased.delivery.id })
  }

  #tell(channel: string, { id, kind, attempt }: Delivery, outcome: DeliveryOutcome): void {
    const { log } = this.#options
    const fields = { channel, kind, id, attempt }
    if (outcome.kind === 'sent') log.debug('notice sent', fields)
    else if (outcome.kind === 'dead') log.error('notice given up', { ...fields, why: outcome.why })
    // Where nothing was tried there is nothing new to say.
    else if (outcome.counts) {
      log.warn('notice not sent, tried again later', {
        ...fields,
        afterMs: Math.round(outcome.afterMs),
        why: outcome.why,
      })
    }
  }

  async #tidyUp(): Promise<void> {
    const { database, channels, log } = this.#options
    const names = channels.map(({ name }) => name)
    const given = await tidyOutbox(database, names)
    if (given > 0) log.error('notices given up, no server has their channel', { count: given, channels: names })
  }

  /** Failures are told once an outage. */
  #every(ms: number, what: string, read: () => Promise<void>): Poll {
    const { log } = this.#options
    const onError = (error: unknown): void => {
      if (this.#failing.has(what)) return
      this.#failing.add(what)
      log.warn('outbox cannot be worked', { what, cause: error instanceof Error ? error : new Error(String(error)) })
    }
    return every(
      ms,
      async () => {
        await read()
        this.#failing.delete(what)
      },
      onError,
    )
  }
}

const MOST_FAULTS = 10
const AFTER_FAULT_MS = 300_000

/** A channel that throws is a fault of ours, and no reason to lose what it was given. */
async function deliver(channel: DeliveryPort, delivery: Delivery): Promise<DeliveryOutcome> {
  try {
    return await channel.deliver(delivery)
  } catch (error) {
    const why = `fault of the channel: ${error instanceof Error ? error.message : String(error)}`
    if (delivery.attempt >= MOST_FAULTS) return { kind: 'dead', why }
    return { kind: 'retry', afterMs: AFTER_FAULT_MS, why, counts: true }
  }
}
