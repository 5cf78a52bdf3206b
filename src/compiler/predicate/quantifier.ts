import type { TruthFn, ValueFn } from './frame.js'
import { FALSE, TRUE, type Truth, UNKNOWN } from './truth.js'
import { isList } from './value.js'

/**
 * Items that a quantifier looks at, by how many quantifiers there are from the outermost to the innermost of those around and
 * within it; the truth of the rest is unknown. Static, so that what a condition may cost is known when it is compiled, and the
 * answer never depends on the order of evaluation.
 */
export const ITEM_LIMITS: readonly number[] = [10_000, 100, 20]

/** @param levels from 1 */
export function itemLimit(levels: number): number {
  return ITEM_LIMITS[Math.min(levels, ITEM_LIMITS.length) - 1]!
}

/** Quantifiers around one, and quantifiers in all from the outermost to the innermost. */
export interface QuantifierPlace {
  readonly depth: number
  readonly levels: number
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
  { depth, levels }: QuantifierPlace,
  decisive: Truth,
  otherwise: Truth,
): TruthFn {
  const limit = itemLimit(levels)
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
