import { setMaxListeners } from 'node:events'

/** Counts calls under way and tells them when the server drains. One for the whole server. */
export class InFlight {
  readonly #draining = new AbortController()
  #calls = 0
  #streams = 0
  #idle: (() => void) | null = null

  constructor() {
    // Every open stream listens, and there may be thousands.
    setMaxListeners(0, this.#draining.signal)
  }

  /** Aborted once the server drains; streams end themselves then. */
  get draining(): AbortSignal {
    return this.#draining.signal
  }
  get calls(): number {
    return this.#calls
  }
  get streams(): number {
    return this.#streams
  }

  enter(kind: 'call' | 'stream'): void {
    if (kind === 'call') this.#calls++
    else this.#streams++
  }
  leave(kind: 'call' | 'stream'): void {
    if (kind === 'call') this.#calls--
    else this.#streams--
    if (this.#calls + this.#streams === 0) this.#idle?.()
  }

  /** Tells streams to end; resolves when nothing is under way. */
  async drain(): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve
    })
    this.#draining.abort()
    if (this.#calls + this.#streams > 0) await idle
  }
}
