import { LRUCache } from 'lru-cache'

/** A request id came again with another call. */
export class RequestIdReused extends Error {
  override readonly name = 'RequestIdReused'
  constructor(requestId: string) {
    super(`request_id \`${requestId}\` was used for another call`)
  }
}

export interface AnsweredRequestsOptions {
  /** How many answers are remembered; the one asked for longest ago makes room. At least 1. */
  readonly maxEntries: number
  /** How long an answer is remembered, milliseconds from when the first request came in. */
  readonly ttlMs: number
}

interface Entry<T> {
  readonly fingerprint: string
  answer: T | Promise<T>
}

/**
 * Answers by request id, so that a retry gets the first answer and leaves no second record, also while the first is still
 * under way. Memory only: after a restart, after `ttlMs`, and when `maxEntries` newer ones pushed it out, a request id is as
 * good as new and its call is decided again.
 */
export class AnsweredRequests<T extends object> {
  readonly #entries: LRUCache<string, Entry<T>>

  constructor(options: AnsweredRequestsOptions) {
    this.#entries = new LRUCache({ max: options.maxEntries, ttl: options.ttlMs })
  }

  /**
   * @param key whose request id it is and under which policies, and the id
   * @param fingerprint equal for equal calls only
   * @param work makes the answer; when it fails, or `keep` is false for what it made, nothing is remembered
   * @throws {RequestIdReused} when the key is remembered with another fingerprint
   */
  once(
    key: { readonly scope: readonly string[]; readonly requestId: string },
    fingerprint: string,
    work: () => T | Promise<T>,
    keep: (answer: T) => boolean,
  ): T | Promise<T> {
    // As JSON, so that no choice of names makes two scopes the same text.
    const name = JSON.stringify([...key.scope, key.requestId])
    const found = this.#entries.get(name)
    if (found) {
      if (found.fingerprint !== fingerprint) throw new RequestIdReused(key.requestId)
      return found.answer
    }
    const made = work()
    if (!(made instanceof Promise)) {
      if (keep(made)) this.#entries.set(name, { fingerprint, answer: made })
      return made
    }
    const entry: Entry<T> = { fingerprint, answer: made }
    this.#entries.set(name, entry)
    const forget = (): void => {
      if (this.#entries.peek(name) === entry) this.#entries.delete(name)
    }
    made.then((answer) => {
      if (keep(answer)) entry.answer = answer
      else forget()
    }, forget)
    return made
  }

  get size(): number {
    return this.#entries.size
  }
}
