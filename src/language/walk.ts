import { assertNever } from '../model/assert-never.js'
import type { Expr } from './ast.js'

/** Direct subexpressions, in the order of the text. */
export function children(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'literal':
    case 'duration':
    case 'timestamp':
    case 'cidr':
    case 'name':
    case 'reference':
      return NONE
    case 'list-literal':
      return expr.items
    case 'map-literal':
      return expr.entries.map(({ value }) => value)
    case 'field':
      return [expr.of]
    case 'index':
      return [expr.of, expr.index]
    case 'call':
      return expr.args
    case 'not':
    case 'negate':
    case 'exists':
      return [expr.operand]
    case 'and':
    case 'or':
      return expr.operands
    case 'arithmetic':
    case 'compare':
    case 'relation':
      return [expr.left, expr.right]
    case 'matches':
    case 'time-window':
      return [expr.subject]
    case 'quantifier':
      return [expr.over, expr.body]
    default:
      return assertNever(expr)
  }
}

const NONE: readonly Expr[] = []

/** Visits the expression and everything in it, outermost first; without recursion, so that no depth overflows. */
export function walk(expr: Expr, visit: (expr: Expr) => void): void {
  const open: Expr[] = [expr]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    visit(next)
    open.push(...children(next).toReversed())
  }
}
