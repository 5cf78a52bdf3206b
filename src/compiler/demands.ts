import { Ints } from './ints.js'
import type { Pattern } from './names.js'
import { Interned, Numbered, type Series } from './numbered.js'

/**
 * What an entry demands of a name: of each term one pattern must be fitted. Its number is the place at which `terms,
 * (patterns, pattern…)…` stand.
 */
export class Demand extends Numbered {
  constructor(
    madeFor: number,
    readonly id: number,
    readonly terms: readonly (readonly Pattern[])[],
  ) {
    super(madeFor)
  }

  get size(): number {
    return this.terms.reduce((size, { length }) => size + 1 + length, 1)
  }
}

/** Few demands, and many entries: equal ones are one. */
export class Demands {
  readonly #series: Series
  readonly #known: Interned<string, Demand>
  #made = 0

  constructor(series: Series) {
    this.#series = series
    this.#known = new Interned(series)
  }

  of(terms: readonly (readonly Pattern[])[]): Demand {
    // The count tells no term from a term without a pattern.
    let key = `${terms.length}`
    for (const term of terms) {
      key += ';'
      for (const { id } of term) key += `${id},`
    }
    const known = this.#known.get(key)
    if (known !== undefined) return known
    return this.#known.add(key, new Demand(this.#series.last + 1, this.#made++, terms))
  }

  sweep(live: number): void {
    this.#known.sweep(live)
  }
}

/** @param demands in the order of their places */
export function writeDemands(demands: readonly Demand[]): Int32Array<ArrayBuffer> {
  const code = new Ints()
  for (const { terms } of demands) {
    code.push(terms.length)
    for (const term of terms) {
      code.push(term.length)
      for (const { number } of term) code.push(number)
    }
  }
  return code.toArray()
}
