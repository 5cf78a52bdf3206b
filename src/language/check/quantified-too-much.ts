import type { Expr } from '../ast.js'
import { walk } from '../walk.js'
import { type Check, everyLayer } from './context.js'
import { everyCondition } from './every-condition.js'

/**
 * `any r in args.to: domain(r) == "x" or args.amount > 100`: the body reaches to the end, so that the amount is not looked
 * at where the list is empty. The same goes for `and` under `all`, which then holds.
 */
export const quantifiedTooMuch: Check = (context) => {
  for (const layer of everyLayer(context)) {
    everyCondition(layer, (condition, locate) =>
      walk(condition, (expr) => {
        if (expr.kind !== 'quantifier') return
        const { quantifier, body, variable } = expr
        if (body.kind !== (quantifier === 'any' ? 'or' : 'and')) return
        const apart = body.operands.find((operand) => !reads(operand, variable.name))
        if (apart === undefined) return
        context.reporter.report(
          'POL3012',
          locate(apart.span),
          `this does not read \`${variable.name}\`, and with an empty list \`${quantifier}\` is ${quantifier === 'any' ? 'false' : 'true'} whatever it says`,
          `put it before \`${quantifier}\`, or the \`${quantifier} …\` in parentheses`,
        )
      }),
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
