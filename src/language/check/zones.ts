import { didYouMean } from '../suggest.js'
import type { ConditionCheck } from './context.js'

/** Time zones are IANA names; an offset such as `EST` hides daylight saving and is refused with the way out. */
export const zones: ConditionCheck = (condition, report) => {
  if (!condition.has('time-window')) return
  for (const expr of condition.nodes) {
    if (expr.kind !== 'time-window' || isZone(expr.zone)) continue
    const hint =
      didYouMean(expr.zone, Intl.supportedValuesOf('timeZone')) ?? 'write an IANA name such as "America/New_York"'
    report('POL2302', expr.span, `there is no time zone \`${expr.zone}\``, hint)
  }
}

/** Asking costs as much as checking ten rules; there are some hundred names, in as many spellings as letters have cases. */
const KNOWN = new Set<string>()
const MAX_KNOWN = 1_000

function isZone(zone: string): boolean {
  if (KNOWN.has(zone)) return true
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    if (KNOWN.size < MAX_KNOWN) KNOWN.add(zone)
    return true
  } catch {
    return false
  }
}
