import { Ints } from './ints.js'

/**
 * What entries demand of a name: of each term one pattern must be fitted. Few demands, and many entries. A demand is known by
 * its place, at which stands `terms, (patterns, pattern…)…`.
 */
export class Demands {
  readonly #code = new Ints()
  readonly #places = new Map<string, number>()

  intern(terms: readonly (readonly number[])[]): number {
    const key = terms.length === 1 && terms[0]!.length === 1 ? String(terms[0]![0]) : JSON.stringify(terms)
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
