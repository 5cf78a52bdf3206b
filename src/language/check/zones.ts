import { didYouMean } from '../suggest.js'
import { walk } from '../walk.js'
import { type Check, everyLayer } from './context.js'
import { everyCondition } from './every-condition.js'

/** Time zones are IANA names; an offset such as `EST` hides daylight saving and is refused with the way out. */
export const zones: Check = (context) => {
  for (const layer of everyLayer(context)) {
    everyCondition(layer, (condition, locate) =>
      walk(condition, (expr) => {
        if (expr.kind !== 'time-window' || isZone(expr.zone)) return
        const hint =
          didYouMean(expr.zone, Intl.supportedValuesOf('timeZone')) ?? 'write an IANA name such as "America/New_York"'
        context.reporter.report('POL2302', locate(expr.span), `there is no time zone \`${expr.zone}\``, hint)
      }),
    )
  }
}

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    return false
  }
}
