import type { Delivery, DeliveryOutcome, DeliveryPort } from '../model/delivery.js'
import { compileGlob } from '../model/glob.js'
import type { Breakers } from './breaker.js'
import { type Channel, type Notice, SendFailed, type Sent } from './channel.js'
import { noticeOf } from './notice.js'
import { GIVE_UP_MS, pauseAfter } from './schedule.js'

export interface CourierOptions {
  readonly name: string
  readonly channel: Channel
  /** Globs over kinds, such as `approval.*`. */
  readonly kinds: readonly string[]
  /** Ids of tenants; null for all. */
  readonly tenants: readonly string[] | null
  /** Where people look, with `{id}`; empty for none. */
  readonly link: string
  readonly breakers: Breakers
  readonly random?: () => number
}

/** Puts one channel behind the port of the outbox: filter, wording, circuit breaker, schedule. */
export class Courier implements DeliveryPort {
  readonly name: string
  readonly #options: CourierOptions
  readonly #isKind: readonly ((kind: string) => boolean)[]
  /** Why the receiver wants nothing more; empty while it does. Forgotten at the next start, which asks it once more. */
  #goneWhy = ''

  constructor(options: CourierOptions) {
    this.name = options.name
    this.#options = options
    this.#isKind = options.kinds.map(compileGlob)
  }

  accepts(kind: string, tenant: string): boolean {
    const { tenants } = this.#options
    return (tenants === null || tenants.includes(tenant)) && this.#isKind.some((matches) => matches(kind))
  }

  async deliver(delivery: Delivery): Promise<DeliveryOutcome> {
    const { channel, breakers, link } = this.#options
    if (delivery.isOvertaken && !delivery.isReplay && !channel.wantsOvertaken) return { kind: 'sent', remote: '' }
    if (this.#goneWhy !== '' && !delivery.isReplay) return { kind: 'dead', why: `not tried: ${this.#goneWhy}` }
    const waitMs = channel.host === '' ? 0 : breakers.enter(channel.host)
    if (waitMs > 0) return leftAlone(delivery, channel.host, waitMs)
    let isIll = false
    try {
      const { remote } = await sendThrough(channel, noticeOf(delivery, link), delivery.earlier)
      this.#goneWhy = ''
      return { kind: 'sent', remote }
    } catch (error) {
      if (!(error instanceof SendFailed)) throw error
      isIll = error.isHostIll
      return this.#failed(delivery, error)
    } finally {
      if (channel.host !== '') breakers.ended(channel.host, isIll)
    }
  }

  async close(): Promise<void> {
    await this.#options.channel.close?.()
  }

  #failed({ attempt }: Delivery, { message: why, isRetryable, isGone, retryAfterMs }: SendFailed): DeliveryOutcome {
    if (isGone) this.#goneWhy = why
    if (!isRetryable || isGone) return { kind: 'dead', why }
    const afterMs = pauseAfter(attempt, retryAfterMs, this.#options.random ?? Math.random)
    return afterMs === null ? { kind: 'dead', why } : { kind: 'retry', afterMs, why, counts: true }
  }
}

function sendThrough(channel: Channel, notice: Notice, earlier: string): Promise<Sent> {
  return channel.update && earlier !== '' ? channel.update(notice, earlier) : channel.send(notice)
}

/** Not tried, so it does not count; but what could not be tried for days is given up all the same. */
function leftAlone({ ageMs }: Delivery, host: string, afterMs: number): DeliveryOutcome {
  const why = `not tried: ${host} failed several times in a row and is left alone for a while`
  return ageMs > GIVE_UP_MS ? { kind: 'dead', why } : { kind: 'retry', afterMs, why, counts: false }
}
