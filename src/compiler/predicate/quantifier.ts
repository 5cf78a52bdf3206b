import type { Term } from '../term.js'
import { isPlainAddress } from '../views/index.js'
import type { TruthFn, ValueFn } from './frame.js'
import { FALSE, TRUE, type Truth, UNKNOWN } from './truth.js'
import { isList, type Value } from './value.js'

export interface QuantifierPlace {
  /** Quantifiers around this one. */
  readonly depth: number
  /** Items that it looks at; the truth of the rest is unknown. */
  readonly limit: number
  readonly body: Term
}

/**
 * Times that the body may ask `domain` of an item that is no plain address or host (see `isPlainAddress`): reading one takes
 * microseconds, and a request has room for thousands.
 */
export const MAX_ODD_HOSTS = 400

/** `any x in xs: body`: Kleene-or over the items; false over an empty list. */
export function anyItem(over: ValueFn, body: TruthFn, place: QuantifierPlace): TruthFn {
  return quantified(over, body, place, TRUE, FALSE)
}

/** `all x in xs: body`: Kleene-and over the items; true over an empty list. */
export function allItems(over: ValueFn, body: TruthFn, place: QuantifierPlace): TruthFn {
  return quantified(over, body, place, FALSE, TRUE)
}

function quantified(
  over: ValueFn,
  body: TruthFn,
  { depth, limit, body: term }: QuantifierPlace,
  decisive: Truth,
  otherwise: Truth,
): TruthFn {
  const domains = countDomains(term)
  const mostOdd = domains === 0 ? Number.POSITIVE_INFINITY : Math.floor(MAX_ODD_HOSTS / domains)
  return (frame) => {
    const items = over(frame)
    if (!isList(items)) return UNKNOWN
    const count = Math.min(limit, mostOdd < items.length ? untilOdd(items, mostOdd) : items.length)
    let truth: Truth = items.length > count ? UNKNOWN : otherwise
    for (let i = 0; i < count; i++) {
      frame.variables[depth] = items[i]
      const one = body(frame)
      if (one === decisive) return decisive
      if (one === UNKNOWN) truth = UNKNOWN
    }
    return truth
  }
}

/** How many items there are before one more than `most` is odd. */
function untilOdd(items: readonly Value[], most: number): number {
  let odd = 0
  for (const [i, item] of items.entries()) {
    if (typeof item === 'string' && isPlainAddress(item)) continue
    if (odd === most) return i
    odd++
  }
  return items.length
}

/** How often a term asks for the domain of what a variable holds; any other is asked once a decision, in a slot. */
function countDomains(term: unknown): number {
  if (typeof term !== 'object' || term === null) return 0
  const own = 'kind' in term && term.kind === 'call' && 'fn' in term && term.fn === 'domain' ? 1 : 0
  return Object.values(term).reduce((sum: number, part) => sum + countDomains(part), own)
}
