import { type ConditionProperties, Engine } from 'json-rules-engine'
import type { Outcome } from '../../../src/model/outcome.js'
import { STRICTNESS } from '../../../src/model/outcome.js'
import type { Peer } from '../peer.js'
import { type CompareOp, expand, type PlainCondition, type PlainRule, teamOf } from '../plain.js'

/**
 * A rule each, all its tests under `all`; which tool is tested first, by the conditions' priority. The strictest rules have the
 * highest priority, and the engine is stopped at the first of them that holds, so that later ones are not looked at.
 */
export const jsonRulesEngine: Peer = {
  name: 'json-rules-engine',
  npm: 'json-rules-engine',
  async open({ rules, otherwise, tools }, calls) {
    const engine = new Engine()
    engine.addOperator('containsAny', (text: string, words: readonly string[]) =>
      words.some((word) => text.includes(word)),
    )
    engine.addOperator('intersects', (list: readonly string[], items: readonly string[]) =>
      list.some((item) => items.includes(item)),
    )
    for (const rule of rules) {
      engine.addRule({
        name: rule.id,
        priority: 1 + STRICTNESS[rule.outcome],
        conditions: { all: conditionsOf(rule, tools) },
        event: { type: rule.outcome },
      })
    }
    engine.on('success', () => {
      engine.stop()
    })
    const requests = calls.map((call) => ({
      tool: call.tool,
      environment: call.environment,
      team: teamOf(call),
      ...call.arguments,
    }))
    return {
      isAsync: true,
      async decide(call) {
        const { events } = await engine.run(requests[call])
        return (events[0]?.type as Outcome | undefined) ?? otherwise
      },
    }
  },
}

function conditionsOf(rule: PlainRule, tools: readonly string[]): ConditionProperties[] {
  const scope = (fact: string, values: readonly string[] | null, priority: number): ConditionProperties[] => {
    if (values === null) return []
    return [
      values.length === 1
        ? { fact, operator: 'equal', value: values[0], priority }
        : { fact, operator: 'in', value: values, priority },
    ]
  }
  return [
    ...scope('tool', rule.tools === null ? null : expand(rule.tools, tools), 30),
    ...scope('environment', rule.environments, 20),
    ...scope('team', rule.teams, 20),
    ...rule.conditions.map(toProperties),
  ]
}

const OPERATORS: Readonly<Record<CompareOp, string>> = {
  '==': 'equal',
  '!=': 'notEqual',
  '<': 'lessThan',
  '<=': 'lessThanInclusive',
  '>': 'greaterThan',
  '>=': 'greaterThanInclusive',
}

function toProperties(condition: PlainCondition): ConditionProperties {
  const { key: fact } = condition
  switch (condition.kind) {
    case 'compare':
      return { fact, operator: OPERATORS[condition.op], value: condition.value }
    case 'one-of':
      return { fact, operator: condition.negated ? 'notIn' : 'in', value: condition.values }
    case 'contains-any':
      return { fact, operator: 'containsAny', value: condition.values }
    case 'intersects':
      return { fact, operator: 'intersects', value: condition.values }
  }
}
