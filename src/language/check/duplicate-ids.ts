import type { Location } from '../../model/span.js'
import type { Check, CheckContext, LayerView } from './context.js'

/** One rule id names one rule in everything that a tenant's calls are judged by; the audit and tests rely on it. */
export const duplicateIds: Check = (context) => {
  const { reporter, fleet, tenants } = context
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
  checkPolicies(context)
  const fleetIds = new Map<string, Location>()
  check(fleetIds, fleet)
  for (const tenant of tenants) check(new Map(fleetIds), tenant)
}

/** Answers name policies, so one name is one policy in what a tenant sees. */
function checkPolicies({ reporter, fleet, tenants }: CheckContext): void {
  const check = (seen: Map<string, Location>, { layer }: LayerView): void => {
    for (const { name, location } of layer.policies) {
      const earlier = seen.get(name)
      if (earlier === undefined) seen.set(name, location)
      else
        reporter.report(
          'POL2001',
          location,
          `policy \`${name}\` is declared twice`,
          `the other one is at ${earlier.file}:${earlier.line}`,
        )
    }
  }
  const fleetNames = new Map<string, Location>()
  check(fleetNames, fleet)
  for (const tenant of tenants) check(new Map(fleetNames), tenant)
}
