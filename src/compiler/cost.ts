import type { Expr } from '../language/ast.js'
import { assertNever } from '../model/assert-never.js'

/** A rule whose conditions cost more steps than this is refused; a comparison of an argument is 2 steps. */
export const MAX_RULE_COST = 1_000_000

/** Items that a list is taken to have where the cost of a loop is estimated. */
const LOOP_ITEMS = 100
const TEXT_SCAN = 20
const LIST_SCAN = 20
const REGEX_SCAN = 200
const VIEW_PARSE = 500

/**
 * Abstract steps of one evaluation: 1 a comparison or a look-up, more for scans of texts and lists, most for parsing, and
 * 100 times the body for a quantifier. Used to order predicates (cheap first) and to bound what a rule may cost.
 */
export function staticCost(expr: Expr): number {
  switch (expr.kind) {
    case 'literal':
    case 'duration':
    case 'timestamp':
    case 'cidr':
    case 'name':
      return 0
    case 'reference':
      return 1 + Math.max(0, expr.path.length - 1)
    case 'list-literal':
      return total(expr.items)
    case 'map-literal':
      return total(expr.entries.map((entry) => entry.value))
    case 'field':
      return 1 + staticCost(expr.of)
    case 'index':
      return 1 + staticCost(expr.of) + staticCost(expr.index)
    case 'call':
      return callCost(expr.fn) + total(expr.args)
    case 'not':
    case 'negate':
    case 'exists':
      return staticCost(expr.operand)
    case 'and':
    case 'or':
      return 1 + total(expr.operands)
    case 'arithmetic':
    case 'compare':
      return 1 + staticCost(expr.left) + staticCost(expr.right)
    case 'relation':
      return relationCost(expr.op) + staticCost(expr.left) + staticCost(expr.right)
    case 'matches':
      return REGEX_SCAN + staticCost(expr.subject)
    case 'quantifier':
      return 1 + staticCost(expr.over) + LOOP_ITEMS * (1 + staticCost(expr.body))
    case 'time-window':
      return 5 + staticCost(expr.subject)
    default:
      return assertNever(expr)
  }
}

function total(exprs: readonly Expr[]): number {
  return exprs.reduce((sum, expr) => sum + staticCost(expr), 0)
}

function callCost(fn: string): number {
  switch (fn) {
    case 'count':
      return 1
    case 'lower':
    case 'length':
      return TEXT_SCAN
    case 'sum':
    case 'min':
    case 'max':
    case 'undeclared':
      return LIST_SCAN
    default:
      return VIEW_PARSE
  }
}

function relationCost(op: Extract<Expr, { kind: 'relation' }>['op']): number {
  switch (op) {
    case 'in':
    case 'not-in':
      return 2
    case 'starts-with':
    case 'ends-with':
    case 'like':
      return 3
    case 'contains':
    case 'under':
      return TEXT_SCAN
    case 'contains-any':
    case 'contains-all':
    case 'intersects':
    case 'subset':
      return 2 * LIST_SCAN
    default:
      return assertNever(op)
  }
}
