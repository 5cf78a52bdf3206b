import type { Expr } from '../language/ast.js'
import { assertNever } from '../model/assert-never.js'

/**
 * What an expression reads: `caller` when agent, principal, environment, tool and clock settle it, `request` when it needs
 * the arguments, the context or the session, which are not known yet where an agent asks which tools it may see.
 */
export type Dependence = 'caller' | 'request'

export function dependence(expr: Expr): Dependence {
  return children(expr).some((child) => dependence(child) === 'request') || readsRequest(expr) ? 'request' : 'caller'
}

function readsRequest(expr: Expr): boolean {
  return expr.kind === 'reference' && (expr.root === 'args' || expr.root === 'context' || expr.root === 'session')
}

function children(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'literal':
    case 'duration':
    case 'timestamp':
    case 'cidr':
    case 'name':
    case 'reference':
      return []
    case 'list-literal':
      return expr.items
    case 'map-literal':
      return expr.entries.map((entry) => entry.value)
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
