import type { TruthFn, ValueFn } from './frame.js'
import { FALSE, TRUE, type Truth, UNKNOWN } from './truth.js'
import { isList } from './value.js'

/**
 * Items that a quantifier looks at, by nesting depth; the truth of the rest is unknown. Static, so that what a condition
 * may cost is known when it is compiled, and the answer never depends on the order of evaluation.
 */
export const ITEM_LIMITS: readonly number[] = [10_000, 100, 10]

export function itemLimit(depth: number): number {
  return ITEM_LIMITS[Math.min(depth, ITEM_LIMITS.length - 1)]!
}

/** `any x in xs: body`: Kleene-or over the items; false over an empty list. */
export function anyItem(over: ValueFn, body: TruthFn, depth: number): TruthFn {
  return quantified(over, body, depth, TRUE, FALSE)
}

/** `all x in xs: body`: Kleene-and over the items; true over an empty list. */
export function allItems(over: ValueFn, body: TruthFn, depth: number): TruthFn {
  return quantified(over, body, depth, FALSE, TRUE)
}

function quantified(over: ValueFn, body: TruthFn, depth: number, decisive: Truth, otherwise: Truth): TruthFn {
  const limit = itemLimit(depth)
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
