import { type Check, everyLayer } from './context.js'

const MAX_ROWS = 1_000_000_000

/** Obligations that an enforcement point can carry out. */
export const obligations: Check = (context) => {
  for (const layer of everyLayer(context)) {
    for (const { rule } of layer.rules) {
      if (rule.effect.kind !== 'allow') continue
      for (const obligation of rule.effect.obligations) {
        const report = (message: string, hint: string): void =>
          context.reporter.report('POL2305', rule.locate(obligation.span), message, hint)
        if (obligation.kind === 'max_rows') {
          const { rows } = obligation
          if (!Number.isInteger(rows) || rows < 1 || rows > MAX_ROWS) {
            report(`\`max_rows ${rows}\` is no number of rows`, `write a whole number from 1 to ${MAX_ROWS}`)
          }
        } else if (obligation.kind === 'notify') {
          if (obligation.target.trim() === '') report('`notify` names nobody', 'write a role or a channel')
        } else if (!/^(?:args|result|context)\./.test(obligation.target)) {
          const message = `\`${obligation.target}\` is nothing that can be changed`
          report(message, `write \`${obligation.kind} args.FIELD\` or \`${obligation.kind} result.FIELD\``)
        }
      }
    }
  }
}
