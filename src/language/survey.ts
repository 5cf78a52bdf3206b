import { approvalOf, clauseExpressions } from './approval-clause.js'
import type { Declaration, Expr } from './ast.js'
import { children } from './walk.js'

/** The most levels of an expression. */
export const MAX_DEPTH = 64

/** What the checks ask of a condition, gathered in one walk over it. */
export interface Survey {
  /** The expression and everything in it, outermost first, in the order of the text. */
  readonly nodes: readonly Expr[]
  has(kind: Expr['kind']): boolean
  /** Quantifiers inside each other. */
  readonly quantifiers: number
}

/** @param expr at most {@link MAX_DEPTH} levels deep, as every expression that was parsed is */
export function surveyOf(expr: Expr): Survey {
  return new Walk(expr)
}

const BITS = new Map<Expr['kind'], number>()

function bitOf(kind: Expr['kind']): number {
  let bit = BITS.get(kind)
  if (bit === undefined) {
    bit = 1 << BITS.size
    BITS.set(kind, bit)
  }
  return bit
}

class Walk implements Survey {
  readonly nodes: Expr[] = []
  quantifiers = 0
  #kinds = 0

  constructor(expr: Expr) {
    this.#visit(expr, 0)
  }

  has(kind: Expr['kind']): boolean {
    return (this.#kinds & bitOf(kind)) !== 0
  }

  #visit(expr: Expr, quantifiers: number): void {
    this.nodes.push(expr)
    this.#kinds |= bitOf(expr.kind)
    const inner = expr.kind === 'quantifier' ? quantifiers + 1 : quantifiers
    if (inner > this.quantifiers) this.quantifiers = inner
    for (const child of children(expr)) this.#visit(child, inner)
  }
}

/** Every expression that stands in a declaration and in no other expression. */
export function expressionsOf(node: Declaration): readonly Expr[] {
  switch (node.kind) {
    case 'rule':
    case 'template': {
      const conditions = node.body.conditions.map(({ expr }) => expr)
      const clause = approvalOf(node.body.effect)
      return clause === null ? conditions : [...conditions, ...clauseExpressions(clause)]
    }
    case 'policy':
      return node.defaultEffect?.kind === 'default-approval' ? clauseExpressions(node.defaultEffect.approval) : []
    case 'use':
      return node.arguments
    case 'list':
      return node.source.kind === 'inline' ? node.source.items : []
    case 'test':
      return node.given.flatMap(({ args, context, agentLabels, principalLabels }) =>
        [args, context, agentLabels, principalLabels].filter((expr) => expr !== null),
      )
    default:
      return []
  }
}

/** Levels of nodes under the expression, itself included; stops to count far above the limit. No recursion. */
export function depthOf(expr: Expr): number {
  const open: { readonly expr: Expr; readonly depth: number }[] = [{ expr, depth: 1 }]
  let deepest = 1
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { depth } = next
    if (depth > deepest) deepest = depth
    for (const child of children(next.expr)) open.push({ expr: child, depth: depth + 1 })
  }
  return deepest
}
