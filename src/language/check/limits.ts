import { children, depthOf, walk } from '../walk.js'
import { type Check, everyLayer } from './context.js'
import { everyCondition } from './every-condition.js'

/** Levels and nodes of one condition, and quantifiers within quantifiers: bounds that hold whatever a call brings. */
export const MAX_DEPTH = 64
const MAX_NODES = 5_000
const MAX_QUANTIFIERS = 3

export const limits: Check = (context) => {
  for (const layer of everyLayer(context)) {
    everyCondition(layer, (condition, locate) => {
      const report = (what: string, has: number, limit: number, hint: string): void =>
        context.reporter.report(
          'POL2306',
          locate(condition.span),
          `this condition has ${has} ${what}; the limit is ${limit}`,
          hint,
        )
      const depth = depthOf(condition)
      if (depth > MAX_DEPTH) report('levels', depth, MAX_DEPTH, 'give parts of it rules of their own')
      let nodes = 0
      walk(condition, () => nodes++)
      if (nodes > MAX_NODES) report('parts', nodes, MAX_NODES, 'move long lists to `list NAME from "file.txt"`')
      const nesting = quantifierNesting(condition)
      if (nesting > MAX_QUANTIFIERS) {
        report(
          '`any` and `all` inside each other',
          nesting,
          MAX_QUANTIFIERS,
          'use `intersects`, `subset of` or `in` for the inner ones',
        )
      }
    })
  }
}

type Expr = Parameters<typeof depthOf>[0]

function quantifierNesting(condition: Expr): number {
  let deepest = 0
  const open: { readonly expr: Expr; readonly depth: number }[] = [{ expr: condition, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { expr, depth } = next
    const inner = expr.kind === 'quantifier' ? depth + 1 : depth
    deepest = Math.max(deepest, inner)
    for (const child of children(expr)) open.push({ expr: child, depth: inner })
  }
  return deepest
}
