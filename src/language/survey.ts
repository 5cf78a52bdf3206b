import type { Declaration, Expr } from './ast.js'
import { children } from './walk.js'

/** The most levels of an expression. */
export const MAX_DEPTH = 64

/** What the checks ask of a condition, gathered in one walk over it. */
export interface Survey {
  /** The expression and everything in it, outermost first, in the order of the text. */
  readonly nodes: readonly Expr[]
  readonly kinds: ReadonlySet<Expr['kind']>
  /** Quantifiers inside each other. */
  readonly quantifiers: number
}

/** @param expr at most {@link MAX_DEPTH} levels deep, as every expression that was parsed is */
export function surveyOf(expr: Expr): Survey {
  const nodes: Expr[] = []
  const kinds = new Set<Expr['kind']>()
  let deepest = 0
  const visit = (node: Expr, quantifiers: number): void => {
    nodes.push(node)
    kinds.add(node.kind)
    const inner = node.kind === 'quantifier' ? quantifiers + 1 : quantifiers
    if (inner > deepest) deepest = inner
    for (const child of children(node)) visit(child, inner)
  }
  visit(expr, 0)
  return { nodes, kinds, quantifiers: deepest }
}

/** Every expression that stands in a declaration and in no other expression. */
export function expressionsOf(node: Declaration): readonly Expr[] {
  switch (node.kind) {
    case 'rule':
    case 'template':
      return node.body.conditions.map(({ expr }) => expr)
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
