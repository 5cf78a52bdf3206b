import type { Expr } from '../language/ast.js'
import { children } from '../language/walk.js'

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
