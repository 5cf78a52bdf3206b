import { ipInCidr } from '../views/index.js'
import { canonicalInteger } from './arithmetic.js'
import { equal } from './compare.js'
import { FALSE, TRUE, type Truth, toTruth, UNKNOWN } from './truth.js'
import { AddressRange, isIp, isList, type Value } from './value.js'

/** Is the value among the items? Kleene-or of `==`; an address may also lie in a range. */
export type Membership = (value: Value) => Truth

/** One item of a list against a value. */
export function isItem(value: Value, item: Value): Truth {
  return item instanceof AddressRange && value !== null ? inRange(value, item) : equal(value, item)
}

/** Only `ip(…)` lies in a range. */
export function inRange(value: Value, range: AddressRange): Truth {
  if (!isIp(value)) return UNKNOWN
  const inside = ipInCidr(value.record, range.text)
  return inside === undefined ? UNKNOWN : toTruth(inside)
}

/** Membership in a list that is known only now. */
export function isAmong(value: Value, items: readonly Value[]): Truth {
  let some: Truth = FALSE
  for (const item of items) {
    const truth = isItem(value, item)
    if (truth === TRUE) return TRUE
    if (truth === UNKNOWN) some = UNKNOWN
  }
  return some
}

/**
 * Membership in a constant list: one look-up however long the list is, for texts, numbers, booleans and null. A value of
 * another type than some item's is unknown where no item equals it, just as the comparison with that item is.
 */
export function constantMembership(items: readonly Value[]): Membership {
  const strings = new Set<string>()
  const numbers = new Set<number | bigint>()
  const booleans = new Set<boolean>()
  const others: Value[] = []
  let hasNull = false
  for (const item of items) {
    if (typeof item === 'string') strings.add(item)
    else if (typeof item === 'number') numbers.add(item)
    else if (typeof item === 'bigint') numbers.add(canonicalInteger(item))
    else if (typeof item === 'boolean') booleans.add(item)
    else if (item === null) hasNull = true
    else others.push(item)
  }
  const count = items.length
  const kinds = Number(strings.size > 0) + Number(numbers.size > 0) + Number(booleans.size > 0)
  const miss = (mine: number): Truth => (kinds > Math.min(mine, 1) || others.length > 0 ? UNKNOWN : FALSE)
  const stringMiss = miss(strings.size)
  const numberMiss = miss(numbers.size)
  const booleanMiss = miss(booleans.size)
  return (value) => {
    switch (typeof value) {
      case 'string':
        return strings.has(value) ? TRUE : stringMiss
      case 'number':
        return numbers.has(value) ? TRUE : Number.isNaN(value) && numbers.size > 0 ? UNKNOWN : numberMiss
      case 'bigint':
        return numbers.has(canonicalInteger(value)) ? TRUE : numberMiss
      case 'boolean':
        return booleans.has(value) ? TRUE : booleanMiss
      case 'undefined':
        return count === 0 ? FALSE : UNKNOWN
      default:
        if (value === null) return hasNull ? TRUE : isAmong(null, others)
        if (others.length === 0) return kinds > 0 ? UNKNOWN : FALSE
        return orUnknown(isAmong(value, others), kinds > 0)
    }
  }
}

function orUnknown(truth: Truth, unknown: boolean): Truth {
  return truth === FALSE && unknown ? UNKNOWN : truth
}

/** Below this many items a loop costs less than a set. */
const SMALL_LIST = 8

/** Membership in a list of this call; `lookups` values will be asked for. */
export function membershipIn(items: readonly Value[], lookups: number): Membership {
  if (items.length <= SMALL_LIST || lookups <= 1) return (value) => isAmong(value, items)
  return constantMembership(items)
}

/** Kleene-or over the subjects: some subject is among the items. */
export function someAmong(subjects: Value, membership: Membership): Truth {
  if (!isList(subjects)) return UNKNOWN
  let some: Truth = FALSE
  for (const subject of subjects) {
    const truth = membership(subject)
    if (truth === TRUE) return TRUE
    if (truth === UNKNOWN) some = UNKNOWN
  }
  return some
}

/** Kleene-and over the subjects: every subject is among the items. */
export function everyAmong(subjects: Value, membership: Membership): Truth {
  if (!isList(subjects)) return UNKNOWN
  let all: Truth = TRUE
  for (const subject of subjects) {
    const truth = membership(subject)
    if (truth === FALSE) return FALSE
    if (truth === UNKNOWN) all = UNKNOWN
  }
  return all
}
