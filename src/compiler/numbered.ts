/**
 * What rules name and images number: a predicate, a slot, a pattern of names, a text. It is one object from one image to the
 * next, so that what was made of a rule can point to it, and has in each image the number that is due to it there.
 */
export abstract class Numbered {
  /** In the image that was made last. */
  number = -1
  /** That image; 0 before the first. */
  image = 0

  /** @param madeFor the image that it was made for */
  constructor(readonly madeFor: number) {}
}

/** Images of one series are counted from 1. */
export interface Series {
  /** The image that was made last; 0 before the first. */
  readonly last: number
}

/** Whether it points to nothing but what the last image or the one in the making holds: what these do without is forgotten. */
export function isLive({ image, madeFor }: Numbered, { last }: Series): boolean {
  return image >= last || madeFor > last
}

/** Numbers things of one kind for an image, in the order in which it comes to them. */
export class Numbering<T extends Numbered> {
  readonly items: T[] = []
  readonly #image: number
  readonly #sizeOf: (item: T) => number
  #next = 0

  /** @param sizeOf how many numbers one takes */
  constructor(image: number, sizeOf: (item: T) => number = () => 1) {
    this.#image = image
    this.#sizeOf = sizeOf
  }

  of(item: T): number {
    if (item.image !== this.#image) {
      item.image = this.#image
      item.number = this.#next
      this.#next += this.#sizeOf(item)
      this.items.push(item)
    }
    return item.number
  }

  all(items: readonly T[]): void {
    for (const item of items) this.of(item)
  }
}

/** One object for all that is equal. */
export class Interned<K, T extends Numbered> {
  readonly #known = new Map<K, T>()
  readonly #series: Series

  constructor(series: Series) {
    this.#series = series
  }

  get(key: K): T | undefined {
    const known = this.#known.get(key)
    return known !== undefined && isLive(known, this.#series) ? known : undefined
  }

  add(key: K, item: T): T {
    this.#known.set(key, item)
    return item
  }

  /** Forgets what the last image does without, once that is most of what there is. */
  sweep(live: number): void {
    if (this.#known.size <= 2 * live + FEW) return
    for (const [key, item] of this.#known) if (item.image !== this.#series.last) this.#known.delete(key)
  }
}

const FEW = 64
