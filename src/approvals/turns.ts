/** Runs what is of one key one after the other, so that a key that is asked for in haste takes one connection and not all. */
export class Turns {
  readonly #mostWaiting: number
  readonly #lines = new Map<string, { waiting: number; last: Promise<unknown> }>()

  /** @param mostWaiting of one key */
  constructor(mostWaiting: number) {
    this.#mostWaiting = mostWaiting
  }

  /** Null where too many of this key are waiting already; `run` is not called then. */
  take<T>(key: string, run: () => Promise<T>): Promise<T> | null {
    const line = this.#lines.get(key) ?? { waiting: 0, last: Promise.resolve() }
    if (line.waiting >= this.#mostWaiting) return null
    line.waiting++
    this.#lines.set(key, line)
    const turn = line.last.then(run).finally(() => {
      line.waiting--
      if (line.waiting === 0) this.#lines.delete(key)
    })
    line.last = turn.catch(() => undefined)
    return turn
  }
}
