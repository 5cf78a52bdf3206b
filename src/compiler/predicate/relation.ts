import type { RelationOp } from '../../language/ast.js'
import { assertNever } from '../../model/assert-never.js'
import { compileGlob } from '../../model/glob.js'
import { underPath } from '../views/index.js'
import { compileContainsAll, compileContainsAny, type WordSection } from '../words.js'
import {
  constantMembership,
  everyAmong,
  inRange,
  isAmong,
  type Membership,
  membershipIn,
  someAmong,
} from './membership.js'
import { FALSE, not, TRUE, type Truth, toTruth, UNKNOWN } from './truth.js'
import { AddressRange, isList, isPath, type Value } from './value.js'

export type Relation = (left: Value, right: Value) => Truth

/** A relation between two values of the call. */
export function relation(op: RelationOp): Relation {
  switch (op) {
    case 'in':
      return within
    case 'not-in':
      return (left, right) => not(within(left, right))
    case 'contains':
      return contains
    case 'contains-any':
      return containsAny
    case 'contains-all':
      return containsAll
    case 'intersects':
      return (left, right) =>
        isList(right) && isList(left) ? someAmong(left, membershipIn(right, left.length)) : UNKNOWN
    case 'subset':
      return (left, right) =>
        isList(right) && isList(left) ? everyAmong(left, membershipIn(right, left.length)) : UNKNOWN
    case 'starts-with':
      return onTexts((text, part) => text.startsWith(part))
    case 'ends-with':
      return onTexts((text, part) => text.endsWith(part))
    case 'like':
      return onTexts((text, glob) => compileGlob(glob)(text))
    case 'under':
      return under
    default:
      return assertNever(op)
  }
}

/** The same relation where the right side is a constant of the policy: what can be prepared is prepared once. */
export function relationToConstant(op: RelationOp, right: Value, automaton?: WordSection): (left: Value) => Truth {
  if (isList(right)) {
    const prepared = relationToList(op, right, automaton)
    if (prepared !== undefined) return prepared
  }
  if (op === 'like' && typeof right === 'string') {
    const matches = compileGlob(right)
    return (left) => (typeof left === 'string' ? toTruth(matches(left)) : UNKNOWN)
  }
  const related = relation(op)
  return (left) => related(left, right)
}

function relationToList(
  op: RelationOp,
  items: readonly Value[],
  automaton: WordSection | undefined,
): ((left: Value) => Truth) | undefined {
  const among = constantMembership(items)
  switch (op) {
    case 'in':
      return among
    case 'not-in':
      return (left) => not(among(left))
    case 'subset':
      return (left) => everyAmong(left, among)
    case 'intersects':
      return (left) => (isList(left) ? someAmong(left, among) : UNKNOWN)
    case 'contains-any':
      return containsAnyOf(items, among, automaton)
    case 'contains-all':
      return containsAllOf(items, automaton)
    default:
      return undefined
  }
}

function containsAnyOf(
  items: readonly Value[],
  among: Membership,
  automaton: WordSection | undefined,
): (left: Value) => Truth {
  const words = items.filter((item) => typeof item === 'string')
  const hasWord = compileContainsAny(words, automaton)
  const miss = words.length < items.length ? UNKNOWN : FALSE
  return (left) => {
    if (typeof left === 'string') return hasWord(left) ? TRUE : miss
    return isList(left) ? someAmong(left, among) : UNKNOWN
  }
}

function containsAllOf(items: readonly Value[], automaton: WordSection | undefined): (left: Value) => Truth {
  const words = items.filter((item) => typeof item === 'string')
  const hasWords = compileContainsAll(words, automaton)
  const otherwise = words.length < items.length ? UNKNOWN : TRUE
  return (left) => {
    if (typeof left === 'string') return hasWords(left) ? otherwise : FALSE
    return isList(left) ? everyAmong(items, membershipIn(left, items.length)) : UNKNOWN
  }
}

function within(left: Value, right: Value): Truth {
  if (right instanceof AddressRange) return inRange(left, right)
  return isList(right) ? isAmong(left, right) : UNKNOWN
}

function contains(left: Value, right: Value): Truth {
  if (typeof left === 'string') return typeof right === 'string' ? toTruth(left.includes(right)) : UNKNOWN
  return isList(left) ? isAmong(right, left) : UNKNOWN
}

function containsAny(left: Value, right: Value): Truth {
  if (!isList(right)) return UNKNOWN
  if (typeof left === 'string') return someAmong(right, (word) => contains(left, word))
  return isList(left) ? someAmong(right, membershipIn(left, right.length)) : UNKNOWN
}

function containsAll(left: Value, right: Value): Truth {
  if (!isList(right)) return UNKNOWN
  if (typeof left === 'string') return everyAmong(right, (word) => contains(left, word))
  return isList(left) ? everyAmong(right, membershipIn(left, right.length)) : UNKNOWN
}

/** A path under a folder, or under one of a list of folders. */
function under(left: Value, right: Value): Truth {
  if (!isPath(left)) return UNKNOWN
  if (isList(right)) return someAmong(right, (base) => under(left, base))
  if (typeof right !== 'string') return UNKNOWN
  const holds = underPath(left.record, right)
  return holds === undefined ? UNKNOWN : toTruth(holds)
}

function onTexts(holds: (left: string, right: string) => boolean): Relation {
  return (left, right) =>
    typeof left === 'string' && typeof right === 'string' ? toTruth(holds(left, right)) : UNKNOWN
}
