import { assertNever } from '../../model/assert-never.js'
import { compileGlob } from '../../model/glob.js'
import type { Layer } from '../entry.js'
import type { DeclaredNames } from '../functions/undeclared.js'
import { undeclaredOf } from '../functions/undeclared.js'
import { isConstant } from '../predicates.js'
import { compileRegex } from '../regex.js'
import type { Term } from '../term.js'
import { compileTimeWindow } from '../time-window.js'
import type { WordSection } from '../words.js'
import { arithmetic, negate } from './arithmetic.js'
import { COMPARISONS, testAgainst } from './compare.js'
import type { TruthFn, ValueFn } from './frame.js'
import { applyFunction, applyView, isFunction, isView } from './functions.js'
import { allItems, anyItem } from './quantifier.js'
import { readReference } from './reference.js'
import { relation, relationToConstant } from './relation.js'
import { FALSE, not, TRUE, type Truth, toTruth, UNKNOWN } from './truth.js'
import { AddressRange, Duration, Instant, isList, isMap, member, type Value } from './value.js'

/** What a term may ask of the policy set that it stands in. */
export interface LowerScope {
  readonly list: (list: number) => readonly Value[]
  readonly automaton: (automaton: number) => WordSection
  /** Names of the arguments that a tool's declarations have, as far as the layer sees them; undefined for a tool without any. */
  readonly parametersOf: (layer: Layer, tool: string) => DeclaredNames | undefined
}

/**
 * Lowers a term that compares or tests one slot (see `testedSlot`) to a function of that slot's value: one call instead of a
 * chain of closures.
 */
export function lowerTest(term: Term, scope: LowerScope): (value: Value) => Truth {
  switch (term.kind) {
    case 'compare':
      return testAgainst(term.op, constantValue(term.right, scope))
    case 'relation':
      return relationToConstant(
        term.op,
        constantValue(term.right, scope),
        term.automaton === undefined ? undefined : scope.automaton(term.automaton),
      )
    case 'matches': {
      const found = compileRegex(term.pattern, term.flags)
      return (text) => (typeof text === 'string' ? toTruth(found(text)) : UNKNOWN)
    }
    case 'exists':
      return (value) => toTruth(value !== undefined)
    case 'fits':
      return fits(term.names, term.globs)
    default:
      throw new Error(`unreachable: ${term.kind} is no test of a slot`)
  }
}

/** Lowers a condition to a closure over Kleene's three values. */
export function lowerTruth(term: Term, scope: LowerScope): TruthFn {
  switch (term.kind) {
    case 'not': {
      const operand = lowerTruth(term.operand, scope)
      return (frame) => not(operand(frame))
    }
    case 'and':
      return conjunction(term.operands.map((operand) => lowerTruth(operand, scope)))
    case 'or':
      return disjunction(term.operands.map((operand) => lowerTruth(operand, scope)))
    case 'compare':
    case 'relation':
      return lowerBinary(term, scope)
    case 'matches':
    case 'fits': {
      const subject = lowerValue(term.subject, scope)
      const test = lowerTest(term, scope)
      return (frame) => test(subject(frame))
    }
    case 'exists': {
      const operand = lowerValue(term.operand, scope)
      return (frame) => toTruth(operand(frame) !== undefined)
    }
    case 'quantifier': {
      const over = lowerValue(term.over, scope)
      const body = lowerTruth(term.body, scope)
      return term.quantifier === 'any' ? anyItem(over, body, term) : allItems(over, body, term)
    }
    case 'time-window': {
      const subject = lowerValue(term.subject, scope)
      const inside = compileTimeWindow(term)
      return (frame) => {
        const instant = subject(frame)
        return instant instanceof Instant ? toTruth(inside(instant.ms)) : UNKNOWN
      }
    }
    case 'active': {
      const from = term.fromMs ?? Number.NEGATIVE_INFINITY
      const until = term.untilMs ?? Number.POSITIVE_INFINITY
      return (frame) => toTruth(frame.nowMs >= from && frame.nowMs < until)
    }
    case 'literal':
    case 'duration':
    case 'timestamp':
    case 'cidr':
    case 'list':
    case 'map':
    case 'named-list':
    case 'nothing':
    case 'slot':
    case 'reference':
    case 'tenant':
    case 'variable':
    case 'field':
    case 'index':
    case 'call':
    case 'negate':
    case 'arithmetic': {
      const value = lowerValue(term, scope)
      return (frame) => truthOf(value(frame))
    }
    default:
      return assertNever(term)
  }
}

/** Lowers a term to a closure over values; a truth is a boolean, and unknown is `undefined`. */
export function lowerValue(term: Term, scope: LowerScope): ValueFn {
  if (isConstant(term)) {
    const value = constantValue(term, scope)
    return () => value
  }
  switch (term.kind) {
    case 'slot': {
      const { slot } = term
      return (frame) => frame.slot(slot)
    }
    case 'reference':
      return readReference(term.root, term.path)
    case 'tenant':
      return (frame) => frame.call.tenant
    case 'nothing':
      return () => undefined
    case 'variable': {
      const { depth } = term
      return (frame) => frame.variables[depth]
    }
    case 'field': {
      const of = lowerValue(term.of, scope)
      const { field } = term
      return (frame) => member(of(frame), field)
    }
    case 'index': {
      const of = lowerValue(term.of, scope)
      const index = lowerValue(term.index, scope)
      return (frame) => itemAt(of(frame), index(frame))
    }
    case 'call':
      return lowerCall(term, scope)
    case 'negate': {
      const operand = lowerValue(term.operand, scope)
      return (frame) => negate(operand(frame))
    }
    case 'arithmetic': {
      const left = lowerValue(term.left, scope)
      const right = lowerValue(term.right, scope)
      const { op } = term
      return (frame) => arithmetic(op, left(frame), right(frame))
    }
    case 'list': {
      const items = term.items.map((item) => lowerValue(item, scope))
      return (frame) => items.map((item) => item(frame))
    }
    case 'map': {
      const entries = term.entries.map(([key, value]) => ({ key, value: lowerValue(value, scope) }))
      return (frame) => toMap(entries.map(({ key, value }) => [key, value(frame)]))
    }
    case 'not':
    case 'and':
    case 'or':
    case 'compare':
    case 'relation':
    case 'matches':
    case 'exists':
    case 'quantifier':
    case 'time-window':
    case 'fits':
    case 'active': {
      const truth = lowerTruth(term, scope)
      return (frame) => fromTruth(truth(frame))
    }
    case 'literal':
    case 'duration':
    case 'timestamp':
    case 'cidr':
    case 'named-list':
      throw new Error(`unreachable: ${term.kind} is a constant`)
    default:
      return assertNever(term)
  }
}

/** The value of a constant term (see `isConstant`). */
function constantValue(term: Term, scope: LowerScope): Value {
  switch (term.kind) {
    case 'literal':
      return term.value
    case 'duration':
      return new Duration(term.ms)
    case 'timestamp':
      return new Instant(term.ms)
    case 'cidr':
      return new AddressRange(term.text)
    case 'negate':
      return negate(constantValue(term.operand, scope))
    case 'list':
      return term.items.map((item) => constantValue(item, scope))
    case 'map':
      return toMap(term.entries.map(([key, value]) => [key, constantValue(value, scope)]))
    case 'named-list':
      return scope.list(term.list)
    default:
      throw new Error(`unreachable: ${term.kind} is no constant`)
  }
}

/** Whether a text is one of the names or fits one of the globs; false for what is no text. */
function fits(names: readonly string[], globs: readonly string[]): (value: Value) => Truth {
  const [only] = names
  if (names.length === 1 && globs.length === 0) return (value) => (value === only ? TRUE : FALSE)
  const literals = new Set(names)
  const matchers = globs.map(compileGlob)
  return (value) =>
    typeof value === 'string' && (literals.has(value) || matchers.some((matches) => matches(value))) ? TRUE : FALSE
}

function lowerBinary(term: Extract<Term, { kind: 'compare' | 'relation' }>, scope: LowerScope): TruthFn {
  const left = lowerValue(term.left, scope)
  if (isConstant(term.right)) {
    const test = lowerTest(term, scope)
    return (frame) => test(left(frame))
  }
  const right = lowerValue(term.right, scope)
  const holds = term.kind === 'compare' ? COMPARISONS[term.op] : relation(term.op)
  return (frame) => holds(left(frame), right(frame))
}

function lowerCall(term: Extract<Term, { kind: 'call' }>, scope: LowerScope): ValueFn {
  const { fn, args, layer } = term
  const [operand] = args
  if (operand === undefined || args.length !== 1) return () => undefined
  const value = lowerValue(operand, scope)
  if (isView(fn)) return (frame) => applyView(fn, value(frame))
  if (!isFunction(fn)) return () => undefined
  if (fn !== 'undeclared') return (frame) => applyFunction(fn, value(frame))
  if (layer === null) return () => undefined
  const { parametersOf } = scope
  return (frame) => {
    const given = value(frame)
    return isMap(given) ? undeclaredOf(given, parametersOf(layer, frame.call.tool)) : undefined
  }
}

function conjunction(operands: readonly TruthFn[]): TruthFn {
  return (frame) => {
    let all: Truth = TRUE
    for (const operand of operands) {
      const truth = operand(frame)
      if (truth === FALSE) return FALSE
      if (truth === UNKNOWN) all = UNKNOWN
    }
    return all
  }
}

function disjunction(operands: readonly TruthFn[]): TruthFn {
  return (frame) => {
    let some: Truth = FALSE
    for (const operand of operands) {
      const truth = operand(frame)
      if (truth === TRUE) return TRUE
      if (truth === UNKNOWN) some = UNKNOWN
    }
    return some
  }
}

function truthOf(value: Value): Truth {
  return typeof value === 'boolean' ? toTruth(value) : UNKNOWN
}

function fromTruth(truth: Truth): boolean | undefined {
  return truth === UNKNOWN ? undefined : truth === TRUE
}

/** An item of a list by position from 0, or a member of a map by key. */
function itemAt(of: Value, index: Value): Value {
  if (isList(of)) return typeof index === 'number' && Number.isInteger(index) && index >= 0 ? of[index] : undefined
  return typeof index === 'string' ? member(of, index) : undefined
}

/** Without a prototype, so that no key means more than itself. */
function toMap(entries: readonly (readonly [string, Value])[]): { readonly [key: string]: Value } {
  const map: { [key: string]: Value } = Object.create(null)
  for (const [key, value] of entries) map[key] = value
  return map
}
