import type { Expr } from '../ast.js'
import { walk } from '../walk.js'
import type { ConditionCheck } from './context.js'

/**
 * `any r in args.to: domain(r) == "x" or args.amount > 100`: the body reaches to the end, so that the amount is not looked
 * at where the list is empty. The same goes for `and` under `all`, which then holds.
 */
export const quantifiedTooMuch: ConditionCheck = ({ nodes, quantifiers }, report) => {
  if (quantifiers === 0) return
  for (const expr of nodes) {
    if (expr.kind !== 'quantifier') continue
    const { quantifier, body, variable } = expr
    if (body.kind !== (quantifier === 'any' ? 'or' : 'and')) continue
    const apart = body.operands.find((operand) => !reads(operand, variable.name))
    if (apart === undefined) continue
    report(
      'POL3012',
      apart.span,
      `this does not read \`${variable.name}\`, and with an empty list \`${quantifier}\` is ${quantifier === 'any' ? 'false' : 'true'} whatever it says`,
      `put it before \`${quantifier}\`, or the \`${quantifier} …\` in parentheses`,
    )
  }
}

function reads(expr: Expr, variable: string): boolean {
  let found = false
  walk(expr, (node) => {
    if (node.kind === 'name' && node.name === variable) found = true
  })
  return found
}
