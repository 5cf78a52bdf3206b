import type { ConditionCheck } from './context.js'

/** Nodes of one condition, and quantifiers within quantifiers: bounds that hold whatever a call brings. The parser bounds its depth. */
const MAX_NODES = 5_000
const MAX_QUANTIFIERS = 3

export const limits: ConditionCheck = ({ nodes, quantifiers }, report) => {
  const tell = (what: string, has: number, limit: number, hint: string): void => {
    const [condition] = nodes
    if (condition !== undefined && has > limit) {
      report('POL2306', condition.span, `this condition has ${has} ${what}; the limit is ${limit}`, hint)
    }
  }
  tell('parts', nodes.length, MAX_NODES, 'move long lists to `list NAME from "file.txt"`')
  const hint = 'use `intersects`, `subset of` or `in` for the inner ones'
  tell('`any` and `all` inside each other', quantifiers, MAX_QUANTIFIERS, hint)
}
