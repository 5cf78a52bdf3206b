import type { CompareOp } from '../../language/ast.js'
import { FALSE, not, TRUE, type Truth, toTruth, UNKNOWN } from './truth.js'
import { AddressRange, Duration, Instant, isList, isMap, type Value, type ValueMap } from './value.js'

/** Deeper values are not compared: the answer is unknown. */
export const MAX_COMPARE_DEPTH = 64

/**
 * Equality without conversions. Null equals null alone and compares with anything; otherwise two types are unknown.
 * Numbers and big integers compare by their exact values, texts as they are, lists and maps by their members.
 */
export function equal(left: Value, right: Value, depth = 0): Truth {
  if (left === undefined || right === undefined) return UNKNOWN
  if (left === null || right === null) return toTruth(left === right)
  switch (typeof left) {
    case 'string':
    case 'boolean':
      return typeof right === typeof left ? toTruth(left === right) : UNKNOWN
    case 'number':
    case 'bigint':
      return isNumeric(left) && isNumeric(right) ? toTruth(orderNumbers(left, right) === 0) : UNKNOWN
    default:
      return equalObjects(left, right, depth)
  }
}

function equalObjects(left: Value, right: Value, depth: number): Truth {
  if (depth === MAX_COMPARE_DEPTH) return UNKNOWN
  if (left instanceof Instant) return right instanceof Instant ? toTruth(left.ms === right.ms) : UNKNOWN
  if (left instanceof Duration) return right instanceof Duration ? toTruth(left.ms === right.ms) : UNKNOWN
  if (left instanceof AddressRange) return right instanceof AddressRange ? toTruth(left.text === right.text) : UNKNOWN
  if (isList(left)) return isList(right) ? equalLists(left, right, depth) : UNKNOWN
  return isMap(left) && isMap(right) ? equalMaps(left, right, depth) : UNKNOWN
}

function equalLists(left: readonly Value[], right: readonly Value[], depth: number): Truth {
  if (left.length !== right.length) return FALSE
  let all: Truth = TRUE
  for (let i = 0; i < left.length; i++) {
    const truth = equal(left[i], right[i], depth + 1)
    if (truth === FALSE) return FALSE
    if (truth === UNKNOWN) all = UNKNOWN
  }
  return all
}

function equalMaps(left: ValueMap, right: ValueMap, depth: number): Truth {
  const keys = Object.keys(left)
  if (keys.length !== Object.keys(right).length) return FALSE
  let all: Truth = TRUE
  for (const key of keys) {
    if (!Object.hasOwn(right, key)) return FALSE
    const truth = equal(left[key], right[key], depth + 1)
    if (truth === FALSE) return FALSE
    if (truth === UNKNOWN) all = UNKNOWN
  }
  return all
}

/** A NaN, which no JSON text denotes but a careless caller may pass, is no number. */
export function isNumeric(value: Value): value is number | bigint {
  return typeof value === 'number' ? !Number.isNaN(value) : typeof value === 'bigint'
}

/**
 * Negative, zero or positive as the left comes before, with or after the right; `undefined` where they have no order. Texts
 * have none: "1000" would come before "99".
 */
export function order(left: Value, right: Value): number | undefined {
  if (isNumeric(left)) return isNumeric(right) ? orderNumbers(left, right) : undefined
  if (left instanceof Instant) return right instanceof Instant ? left.ms - right.ms : undefined
  if (left instanceof Duration) return right instanceof Duration ? left.ms - right.ms : undefined
  return undefined
}

/** Exact across numbers and big integers. */
function orderNumbers(left: number | bigint, right: number | bigint): number {
  return left < right ? -1 : left > right ? 1 : 0
}

/** One function an operator, shared by all comparisons of a policy set. */
export const COMPARISONS: Readonly<Record<CompareOp, (left: Value, right: Value) => Truth>> = {
  '==': (left, right) => equal(left, right),
  '!=': (left, right) => not(equal(left, right)),
  '<': (left, right) => {
    const sign = order(left, right)
    return sign === undefined ? UNKNOWN : toTruth(sign < 0)
  },
  '<=': (left, right) => {
    const sign = order(left, right)
    return sign === undefined ? UNKNOWN : toTruth(sign <= 0)
  },
  '>': (left, right) => {
    const sign = order(left, right)
    return sign === undefined ? UNKNOWN : toTruth(sign > 0)
  },
  '>=': (left, right) => {
    const sign = order(left, right)
    return sign === undefined ? UNKNOWN : toTruth(sign >= 0)
  },
}

/** The comparison with a constant; the comparisons that policies make most have no detour. */
export function testAgainst(op: CompareOp, constant: Value): (value: Value) => Truth {
  const holds = COMPARISONS[op]
  if ((op === '==' || op === '!=') && (typeof constant === 'string' || typeof constant === 'boolean')) {
    const same = op === '==' ? TRUE : FALSE
    const other = op === '==' ? FALSE : TRUE
    const type = typeof constant
    return (value) => (value === constant ? same : typeof value === type || value === null ? other : UNKNOWN)
  }
  return (value) => holds(value, constant)
}
