import type { RuleCheck } from './context.js'

const MAX_ROWS = 1_000_000_000

/** Obligations that an enforcement point can carry out. */
export const obligations: RuleCheck = ({ node }, _, report) => {
  const { effect } = node.body
  if (effect.kind !== 'allow') return
  for (const obligation of effect.obligations) {
    const tell = (message: string, hint: string): void => report('POL2305', obligation.span, message, hint)
    if (obligation.kind === 'max_rows') {
      const { rows } = obligation
      if (!Number.isInteger(rows) || rows < 1 || rows > MAX_ROWS) {
        tell(`\`max_rows ${rows}\` is no number of rows`, `write a whole number from 1 to ${MAX_ROWS}`)
      }
    } else if (obligation.kind === 'notify') {
      if (obligation.target.trim() === '') tell('`notify` names nobody', 'write a role or a channel')
    } else if (!/^(?:args|result|context)\./.test(obligation.target)) {
      const message = `\`${obligation.target}\` is nothing that can be changed`
      tell(message, `write \`${obligation.kind} args.FIELD\` or \`${obligation.kind} result.FIELD\``)
    }
  }
}
