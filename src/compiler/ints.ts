/** Integers of 32 bits, appended one by one: an Int32Array that grows. */
export class Ints {
  #items = new Int32Array(64)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** @returns where it stands */
  push(item: number): number {
    if (this.#length === this.#items.length) this.#grow()
    this.#items[this.#length] = item
    return this.#length++
  }

  at(index: number): number {
    return this.#items[index]!
  }

  set(index: number, item: number): void {
    this.#items[index] = item
  }

  /** What was appended, and more behind it; valid until something is appended. */
  get items(): Int32Array {
    return this.#items
  }

  /** A copy of exactly what was appended. */
  toArray(): Int32Array<ArrayBuffer> {
    return this.#items.slice(0, this.#length)
  }

  #grow(): void {
    const larger = new Int32Array(2 * this.#items.length)
    larger.set(this.#items)
    this.#items = larger
  }
}
