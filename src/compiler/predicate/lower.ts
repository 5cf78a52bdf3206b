import type { Expr } from '../../language/ast.js'
import type { ListItem } from '../../language/checked.js'
import { assertNever } from '../../model/assert-never.js'
import { type DeclaredNames, undeclaredOf } from '../functions/undeclared.js'
import { compileRegex } from '../regex.js'
import { compileTimeWindow } from '../time-window.js'
import { arithmetic, negate } from './arithmetic.js'
import { COMPARISONS } from './compare.js'
import type { TruthFn, ValueFn } from './frame.js'
import { applyFunction, applyView, isFunction, isView } from './functions.js'
import { allItems, anyItem } from './quantifier.js'
import { readReference } from './reference.js'
import { relation, relationToConstant } from './relation.js'
import { FALSE, not, TRUE, type Truth, toTruth, UNKNOWN } from './truth.js'
import { AddressRange, Duration, Instant, isList, isMap, member, type Value } from './value.js'

/** What names mean where an expression stands. */
export interface Scope {
  readonly lists: ReadonlyMap<string, readonly ListItem[]>
  /** Quantifier variables, the outermost first; the position is the depth. */
  readonly variables: readonly string[]
  /** Names of the arguments that a tool's declarations have, as far as the layer sees them; undefined for a tool without any. */
  readonly parametersOf: (tool: string) => DeclaredNames | undefined
  /** The slot of a value that is the same all through a decision; equal keys share one. */
  readonly slotOf: (key: string) => number
  /** Equal for two expressions that mean the same, in any layer; undefined where a quantifier variable is involved. */
  readonly invariantKey: (expr: Expr, scope: Scope) => string | undefined
}

/** Lowers a condition to a closure over Kleene's three values. */
export function lowerTruth(expr: Expr, scope: Scope): TruthFn {
  switch (expr.kind) {
    case 'not': {
      const operand = lowerTruth(expr.operand, scope)
      return (frame) => not(operand(frame))
    }
    case 'and':
      return conjunction(expr.operands.map((operand) => lowerTruth(operand, scope)))
    case 'or':
      return disjunction(expr.operands.map((operand) => lowerTruth(operand, scope)))
    case 'compare': {
      const left = lowerValue(expr.left, scope)
      const holds = COMPARISONS[expr.op]
      const constant = constantValue(expr.right, scope)
      if (constant !== undefined) {
        const { value } = constant
        return (frame) => holds(left(frame), value)
      }
      const right = lowerValue(expr.right, scope)
      return (frame) => holds(left(frame), right(frame))
    }
    case 'relation':
      return lowerRelation(expr, scope)
    case 'matches': {
      const subject = lowerValue(expr.subject, scope)
      const found = compileRegex(expr.pattern, expr.flags)
      return (frame) => {
        const text = subject(frame)
        return typeof text === 'string' ? toTruth(found(text)) : UNKNOWN
      }
    }
    case 'exists': {
      const operand = lowerValue(expr.operand, scope)
      return (frame) => toTruth(operand(frame) !== undefined)
    }
    case 'quantifier': {
      const over = lowerValue(expr.over, scope)
      const depth = scope.variables.length
      const body = lowerTruth(expr.body, { ...scope, variables: [...scope.variables, expr.variable.name] })
      return expr.quantifier === 'any' ? anyItem(over, body, depth) : allItems(over, body, depth)
    }
    case 'time-window': {
      const subject = lowerValue(expr.subject, scope)
      const inside = compileTimeWindow(expr)
      return (frame) => {
        const instant = subject(frame)
        return instant instanceof Instant ? toTruth(inside(instant.ms)) : UNKNOWN
      }
    }
    case 'literal':
    case 'duration':
    case 'timestamp':
    case 'cidr':
    case 'list-literal':
    case 'map-literal':
    case 'reference':
    case 'name':
    case 'field':
    case 'index':
    case 'call':
    case 'negate':
    case 'arithmetic': {
      const value = lowerValue(expr, scope)
      return (frame) => truthOf(value(frame))
    }
    default:
      return assertNever(expr)
  }
}

/** Lowers an expression to a closure over values; a truth is a boolean, and unknown is `undefined`. */
export function lowerValue(expr: Expr, scope: Scope): ValueFn {
  const constant = constantValue(expr, scope)
  if (constant !== undefined) return () => constant.value
  switch (expr.kind) {
    case 'reference':
      return memoised(expr, scope, readReference(expr.root, expr.path))
    case 'name': {
      const depth = scope.variables.lastIndexOf(expr.name)
      return depth < 0 ? () => undefined : (frame) => frame.variables[depth]
    }
    case 'field': {
      const of = lowerValue(expr.of, scope)
      const field = expr.field
      return (frame) => member(of(frame), field)
    }
    case 'index': {
      const of = lowerValue(expr.of, scope)
      const index = lowerValue(expr.index, scope)
      return (frame) => itemAt(of(frame), index(frame))
    }
    case 'call':
      return memoised(expr, scope, lowerCall(expr, scope))
    case 'negate': {
      const operand = lowerValue(expr.operand, scope)
      return (frame) => negate(operand(frame))
    }
    case 'arithmetic': {
      const left = lowerValue(expr.left, scope)
      const right = lowerValue(expr.right, scope)
      const op = expr.op
      return (frame) => arithmetic(op, left(frame), right(frame))
    }
    case 'list-literal': {
      const items = expr.items.map((item) => lowerValue(item, scope))
      return (frame) => items.map((item) => item(frame))
    }
    case 'map-literal': {
      const entries = expr.entries.map(({ key, value }) => ({ key, value: lowerValue(value, scope) }))
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
    case 'time-window': {
      const truth = lowerTruth(expr, scope)
      return (frame) => fromTruth(truth(frame))
    }
    case 'literal':
    case 'duration':
    case 'timestamp':
    case 'cidr':
      throw new Error(`unreachable: ${expr.kind} is a constant`)
    default:
      return assertNever(expr)
  }
}

/** The value of an expression that holds nothing of the call; undefined where it does. */
export function constantValue(
  expr: Expr,
  scope: Pick<Scope, 'lists' | 'variables'>,
): { readonly value: Value } | undefined {
  switch (expr.kind) {
    case 'literal':
      return { value: expr.value }
    case 'duration':
      return { value: new Duration(expr.ms) }
    case 'timestamp':
      return { value: new Instant(expr.ms) }
    case 'cidr':
      return { value: new AddressRange(expr.text) }
    case 'negate': {
      const operand = constantValue(expr.operand, scope)
      return operand && { value: negate(operand.value) }
    }
    case 'list-literal': {
      const items = expr.items.map((item) => constantValue(item, scope))
      return items.every((item) => item !== undefined) ? { value: items.map((item) => item.value) } : undefined
    }
    case 'map-literal': {
      const entries: [string, Value][] = []
      for (const { key, value } of expr.entries) {
        const constant = constantValue(value, scope)
        if (constant === undefined) return undefined
        entries.push([key, constant.value])
      }
      return { value: toMap(entries) }
    }
    case 'name': {
      const list = scope.variables.includes(expr.name) ? undefined : scope.lists.get(expr.name)
      return list && { value: list }
    }
    default:
      return undefined
  }
}

function lowerCall(expr: Extract<Expr, { kind: 'call' }>, scope: Scope): ValueFn {
  const operand = expr.args[0]
  if (operand === undefined || expr.args.length !== 1) return () => undefined
  const value = lowerValue(operand, scope)
  const fn = expr.fn
  if (isView(fn)) return (frame) => applyView(fn, value(frame))
  if (!isFunction(fn)) return () => undefined
  if (fn !== 'undeclared') return (frame) => applyFunction(fn, value(frame))
  const { parametersOf } = scope
  return (frame) => {
    const args = value(frame)
    return isMap(args) ? undeclaredOf(args, parametersOf(frame.call.tool)) : undefined
  }
}

function lowerRelation(expr: Extract<Expr, { kind: 'relation' }>, scope: Scope): TruthFn {
  const left = lowerValue(expr.left, scope)
  const constant = constantValue(expr.right, scope)
  if (constant !== undefined) {
    const holds = relationToConstant(expr.op, constant.value)
    return (frame) => holds(left(frame))
  }
  const right = lowerValue(expr.right, scope)
  const holds = relation(expr.op)
  return (frame) => holds(left(frame), right(frame))
}

/** Reads or computes once a decision what does not depend on a quantifier variable: one parse of one argument by one view. */
function memoised(expr: Expr, scope: Scope, compute: ValueFn): ValueFn {
  const key = scope.invariantKey(expr, scope)
  if (key === undefined) return compute
  const slot = scope.slotOf(key)
  return (frame) => frame.slot(slot, compute)
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
