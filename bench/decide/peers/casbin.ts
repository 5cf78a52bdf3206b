import { newEnforcer, newModelFromString } from 'casbin'
import type { Outcome } from '../../../src/model/outcome.js'
import type { Peer } from '../peer.js'
import { expand, type PlainCondition, type PlainRule, teamOf } from '../plain.js'

/**
 * Attribute-based access control with `eval`, as casbin's documentation does it; the columns that tell rules apart are compared
 * before the condition is evaluated. Policies are sorted, the strictest first, and the effect is `priority`, which stops at the first
 * match; the policy that matched says which of our outcomes it stands for. `enforceExSync`, since nothing here waits.
 */
const MODEL = `
[request_definition]
r = tool, env, team, args

[policy_definition]
p = outcome, tools, env, team, rule, eft

[policy_effect]
e = priority(p.eft) || deny

[matchers]
m = (p.tools == "*" || isOneOf(r.tool, p.tools)) && (p.env == "*" || isOneOf(r.env, p.env)) && (p.team == "*" || isOneOf(r.team, p.team)) && eval(p.rule)
`

export const casbin: Peer = {
  name: 'casbin',
  npm: 'casbin',
  async open({ rules, otherwise, tools }, calls) {
    const enforcer = await newEnforcer(newModelFromString(MODEL))
    const sets = new Map<string, ReadonlySet<string>>()
    await enforcer.addFunction('isOneOf', (value: string, set: string) => sets.get(set)!.has(value))
    await enforcer.addFunction('equalsOneOf', (value: string, ...values: string[]) => values.includes(value))
    await enforcer.addFunction('containsAny', (text: string, ...words: string[]) =>
      words.some((one) => text.includes(one)),
    )
    await enforcer.addFunction('intersects', (list: readonly string[], ...items: string[]) =>
      list.some((item) => items.includes(item)),
    )
    const keyOf = (values: readonly string[] | null) => {
      if (values === null) return '*'
      const key = values.join(' ')
      if (!sets.has(key)) sets.set(key, new Set(values))
      return key
    }
    const lines = rules.map((rule) => [
      rule.outcome,
      keyOf(rule.tools === null ? null : expand(rule.tools, tools)),
      keyOf(rule.environments),
      keyOf(rule.teams),
      ruleOf(rule),
      rule.outcome === 'ALLOW' ? 'allow' : 'deny',
    ])
    // One line of the file each: rules may be alike, and addPolicies refuses what it has already.
    enforcer
      .getModel()
      .model.get('p')!
      .get('p')!
      .policy.push(...lines)
    const requests = calls.map((call) => [call.tool, call.environment, teamOf(call), call.arguments] as const)
    return {
      isAsync: false,
      decide(call) {
        const [, matched] = enforcer.enforceExSync(...requests[call]!)
        return (matched[0] as Outcome | undefined) ?? otherwise
      },
    }
  },
}

function ruleOf({ conditions }: PlainRule): string {
  return conditions.length === 0 ? 'true' : conditions.map(toText).join(' && ')
}

function toText(condition: PlainCondition): string {
  const value = `r.args.${condition.key}`
  const values = () =>
    (condition.kind === 'compare' ? [] : condition.values).map((text) => JSON.stringify(text)).join(', ')
  switch (condition.kind) {
    case 'compare':
      return `${value} ${condition.op} ${JSON.stringify(condition.value)}`
    case 'one-of':
      return `${condition.negated ? '!' : ''}equalsOneOf(${value}, ${values()})`
    case 'contains-any':
      return `containsAny(${value}, ${values()})`
    case 'intersects':
      return `intersects(${value}, ${values()})`
  }
}
