import type { TruthFn, ValueFn } from './frame.js'
import { FALSE, TRUE, type Truth, UNKNOWN } from './truth.js'
import { isList } from './value.js'

export interface QuantifierPlace {
  /** Quantifiers around this one. */
  readonly depth: number
  /** Items that it looks at; the truth of the rest is unknown. */
  readonly limit: number
}

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
  { depth, limit }: QuantifierPlace,
  decisive: Truth,
  otherwise: Truth,
): TruthFn {
  return (frame) => {
    const items = over(frame)
    if (!isList(items)) return UNKNOWN
    const count = Math.min(items.length, limit)
    let truth: Truth = items.length > limit ? UNKNOWN : otherwise
    for (let i = 0; i < count; i++) {
      frame.variables[depth] = items[i]
      const one = body(frame)
      if (one === decisive) return decisive
      if (one === UNKNOWN) truth = UNKNOWN
    }
    return truth
  }
}
