import { printTimestamp } from '../literals.js'
import type { RuleCheck } from './context.js'

/** `active from A until B` needs A before B; the check reads no clock, so a rule of the past is no finding. */
export const activeDates: RuleCheck = ({ node }, _, report) => {
  const { active } = node.body
  if (active === null || active.fromMs === null || active.untilMs === null || active.fromMs < active.untilMs) return
  const message = `rule \`${node.id.name}\` is never active: ${printTimestamp(active.fromMs)} is not before ${printTimestamp(active.untilMs)}`
  report('POL3004', active.span, message, 'exchange the two dates')
}
