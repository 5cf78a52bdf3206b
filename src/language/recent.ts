/**
 * A bounded map that forgets what was not asked for lately, in two generations: what is looked up moves to the young one, and
 * when that is full the old one is dropped. It holds up to twice `size` entries and costs little more than a Map, which is what
 * counts where ten thousand texts are looked up in a few milliseconds.
 */
export class Recent<V extends {}> {
  #young = new Map<string, V>()
  #old = new Map<string, V>()

  /** @param size entries of a generation, integer ≥ 1 */
  constructor(readonly size: number) {}

  get(key: string): V | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.size) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
