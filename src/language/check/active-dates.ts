import { printTimestamp } from '../literals.js'
import { type Check, everyLayer } from './context.js'

/** `active from A until B` needs A before B; the check reads no clock, so a rule of the past is no finding. */
export const activeDates: Check = (context) => {
  for (const layer of everyLayer(context)) {
    for (const { rule } of layer.rules) {
      const { active } = rule
      if (active === null || active.fromMs === null || active.untilMs === null || active.fromMs < active.untilMs)
        continue
      const message = `rule \`${rule.id}\` is never active: ${printTimestamp(active.fromMs)} is not before ${printTimestamp(active.untilMs)}`
      context.reporter.report('POL3004', rule.locate(active.span), message, 'exchange the two dates')
    }
  }
}
