import type { Location } from '../../model/span.js'
import type { Check, LayerView } from './context.js'

/** One rule id names one rule in everything that a tenant's calls are judged by; the audit and tests rely on it. */
export const duplicateIds: Check = ({ reporter, fleet, tenants }) => {
  const check = (seen: Map<string, Location>, { rules }: LayerView): void => {
    for (const { rule } of rules) {
      const earlier = seen.get(rule.id)
      if (rule.id === 'default') {
        const message = '`default` is no rule id: it names the default of a policy'
        reporter.report('POL2003', rule.location, message, 'choose another id')
      } else if (earlier !== undefined) {
        const message = `rule id \`${rule.id}\` is used twice`
        reporter.report(
          'POL2003',
          rule.location,
          message,
          `the other one is at ${earlier.file}:${earlier.line}; rename one`,
        )
      } else seen.set(rule.id, rule.location)
    }
  }
  const fleetIds = new Map<string, Location>()
  check(fleetIds, fleet)
  for (const tenant of tenants) check(new Map(fleetIds), tenant)
}
