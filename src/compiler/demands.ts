import { Ints } from './ints.js'

/**
 * What entries demand of a name: of each term one pattern must be fitted. Few demands, and many entries. A demand is known by
 * its place, at which stands `terms, (patterns, pattern…)…`.
 */
export class Demands {
  readonly #code = new Ints()
  readonly #places = new Map<string, number>()

  intern(terms: readonly (readonly number[])[]): number {
    // The count tells no term from a term without a pattern.
    const key = `${terms.length} ${terms.map((term) => term.join()).join(';')}`
    const known = this.#places.get(key)
    if (known !== undefined) return known
    const place = this.#code.push(terms.length)
    for (const term of terms) {
      this.#code.push(term.length)
      for (const pattern of term) this.#code.push(pattern)
    }
    this.#places.set(key, place)
    return place
  }

  finish(): Int32Array<ArrayBuffer> {
    return this.#code.toArray()
  }
}
