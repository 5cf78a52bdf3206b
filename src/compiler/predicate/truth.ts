/** Kleene's three values as small integers, so that a memo of them fits a typed array. */
export type Truth = 0 | 1 | 2
export const FALSE = 0
export const TRUE = 1
export const UNKNOWN = 2

export function not(truth: Truth): Truth {
  return truth === UNKNOWN ? UNKNOWN : truth === TRUE ? FALSE : TRUE
}

export function toTruth(holds: boolean): Truth {
  return holds ? TRUE : FALSE
}
