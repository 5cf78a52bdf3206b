import { createMongoAbility, type MongoQuery, type RawRuleOf, subject } from '@casl/ability'
import type { Outcome } from '../../../src/model/outcome.js'
import type { Peer } from '../peer.js'
import { type CompareOp, escapeRegExp, expand, type PlainCondition, type PlainRule, teamOf } from '../plain.js'

/**
 * CASL indexes its rules by action and subject type, so the tool is the action, globs written out, and the environment the
 * subject type; team and arguments are the subject's fields. The last rule that fits wins, so the strictest come last. It has
 * two effects, so both of our restrictive outcomes are `cannot`, told apart by their reason.
 */
export const casl: Peer = {
  name: 'casl',
  npm: '@casl/ability',
  async open({ rules, otherwise, tools }, calls) {
    const ability = createMongoAbility(rules.toReversed().map((rule) => toRaw(rule, tools)))
    const subjects = calls.map((call) => subject(call.environment, { ...call.arguments, team: teamOf(call) }))
    return {
      isAsync: false,
      decide(call) {
        const rule = ability.relevantRuleFor(calls[call]!.tool, subjects[call]!)
        return (rule?.reason as Outcome | undefined) ?? otherwise
      },
    }
  },
}

function toRaw(rule: PlainRule, tools: readonly string[]): RawRuleOf<ReturnType<typeof createMongoAbility>> {
  const conditions: Record<string, object>[] = rule.conditions.map(toQuery)
  if (rule.teams !== null) conditions.unshift({ team: { $in: rule.teams } })
  return {
    action: rule.tools === null ? 'manage' : [...expand(rule.tools, tools)],
    subject: rule.environments === null ? 'all' : [...rule.environments],
    inverted: rule.outcome !== 'ALLOW',
    reason: rule.outcome,
    ...(conditions.length === 0 ? {} : { conditions: merged(conditions, rule.id) }),
  }
}

/** One object with one entry a field, as one would write it by hand; CASL knows no `$and` unless it is taught. */
function merged(conditions: readonly Record<string, object>[], rule: string): MongoQuery {
  const query: Record<string, Record<string, unknown>> = {}
  for (const [field, tests] of conditions.flatMap(Object.entries)) {
    const known = (query[field] ??= {})
    for (const [operator, value] of Object.entries(tests)) {
      if (operator in known) throw new Error(`rule ${rule}: CASL takes ${operator} of ${field} only once`)
      known[operator] = value
    }
  }
  return query
}

const OPERATORS: Readonly<Record<CompareOp, string>> = {
  '==': '$eq',
  '!=': '$ne',
  '<': '$lt',
  '<=': '$lte',
  '>': '$gt',
  '>=': '$gte',
}

function toQuery(condition: PlainCondition): Record<string, object> {
  const { key } = condition
  switch (condition.kind) {
    case 'compare':
      return { [key]: { [OPERATORS[condition.op]]: condition.value } }
    case 'one-of':
      return { [key]: { [condition.negated ? '$nin' : '$in']: condition.values } }
    case 'contains-any':
      return { [key]: { $regex: condition.values.map(escapeRegExp).join('|') } }
    case 'intersects':
      return { [key]: { $in: condition.values } }
  }
}
