import { setFlagsFromString } from 'node:v8'
import {
  type CedarValueJson,
  type Entities,
  preparsePolicySet,
  type StatefulAuthorizationCall,
  statefulIsAuthorized,
} from '@cedar-policy/cedar-wasm/nodejs'
import type { Call } from '../../../src/model/call.js'
import type { Outcome } from '../../../src/model/outcome.js'
import type { Peer } from '../peer.js'
import { type PlainCondition, type PlainPolicies, type PlainRule, type ToolPattern, teamOf, toTest } from '../plain.js'

// V8 as of Node 20 ends the process ("unreachable code" in Deoptimizer::DoComputeBuiltinContinuation) when it must leave optimised code
// in the middle of an inlined call into WebAssembly that returns a reference, as Cedar's do. Not inlining costs nothing measurable.
setFlagsFromString('--no-turbo-inline-js-wasm-calls')

/**
 * The policy set is parsed once and named by each call. The agent is the principal, the tool the action, in an action group for
 * each glob that fits it, the environment the resource; team and arguments are the context, since a team as the agent's parent
 * costs an entity a call and measures up to a third slower. So a call brings its action's groups and no other entity. Cedar has
 * two effects: both of our restrictive outcomes are `forbid`, told apart by the ids of the policies that decided.
 */
export const cedar: Peer = {
  name: 'cedar',
  npm: '@cedar-policy/cedar-wasm',
  async open(policies, calls) {
    const id = `bench-${policies.rules.length}`
    const staticPolicies = Object.fromEntries(policies.rules.map((rule) => [rule.id, toCedar(rule)]))
    const parsed = preparsePolicySet(id, { staticPolicies })
    if (parsed.type === 'failure') throw new Error(`cedar refuses the policies: ${JSON.stringify(parsed.errors[0])}`)
    const requests = toRequests(id, policies, calls)
    const outcomes = new Map(policies.rules.map((rule) => [rule.id, rule.outcome]))
    return { isAsync: false, decide: (call) => decide(requests[call]!, outcomes, policies.otherwise) }
  },
}

function decide(
  request: StatefulAuthorizationCall,
  outcomes: ReadonlyMap<string, Outcome>,
  otherwise: Outcome,
): Outcome {
  const answer = statefulIsAuthorized(request)
  if (answer.type === 'failure') throw new Error(`cedar: ${JSON.stringify(answer.errors[0])}`)
  const { decision, diagnostics } = answer.response
  if (diagnostics.errors.length > 0) throw new Error(`cedar: ${JSON.stringify(diagnostics.errors[0])}`)
  if (decision === 'allow') return 'ALLOW'
  if (diagnostics.reason.length === 0) return otherwise
  return diagnostics.reason.some((id) => outcomes.get(id) === 'DENY') ? 'DENY' : 'REQUIRE_APPROVAL'
}

function toRequests(id: string, policies: PlainPolicies, calls: readonly Call[]): StatefulAuthorizationCall[] {
  const globs = new Map(
    policies.rules.flatMap(({ tools }) => tools ?? []).flatMap((one) => (one.isGlob ? [[one.text, toTest(one)]] : [])),
  )
  const groups = new Map(
    policies.tools.map((tool) => [
      tool,
      [...globs].filter(([, fits]) => fits(tool)).map(([text]) => ({ type: 'Action', id: text })),
    ]),
  )
  return calls.map((call) => {
    const action = { type: 'Action', id: call.tool }
    const parents = groups.get(call.tool)!
    const entities: Entities = parents.length === 0 ? [] : [{ uid: action, attrs: {}, parents }]
    return {
      principal: { type: 'Agent', id: call.agent.id },
      action,
      resource: { type: 'Environment', id: call.environment },
      // Arguments of the comparison are texts, numbers, booleans and lists of texts, which are Cedar's own.
      context: { ...(call.arguments as Record<string, CedarValueJson>), team: teamOf(call) },
      entities,
      preparsedPolicySetId: id,
      validateRequest: false,
    }
  })
}

function toCedar({ outcome, tools, environments, teams, conditions }: PlainRule): string {
  const tests = conditions.map(toTestText)
  if (teams !== null) {
    tests.unshift(teams.length === 1 ? `context.team == ${quote(teams[0]!)}` : `${setOf(teams)}.contains(context.team)`)
  }
  const environment = (name: string) => `resource == Environment::${quote(name)}`
  if (environments !== null && environments.length > 1) tests.unshift(`(${environments.map(environment).join(' || ')})`)
  const resource = environments?.length === 1 ? environment(environments[0]!) : 'resource'
  const when = tests.length === 0 ? '' : ` when { ${tests.join(' && ')} }`
  return `${outcome === 'ALLOW' ? 'permit' : 'forbid'} (principal, ${actionOf(tools)}, ${resource})${when};`
}

function actionOf(tools: readonly ToolPattern[] | null): string {
  if (tools === null) return 'action'
  const [first] = tools
  const uid = (text: string) => `Action::${quote(text)}`
  if (tools.length === 1) return `action ${first!.isGlob ? 'in' : '=='} ${uid(first!.text)}`
  return `action in [${tools.map(({ text }) => uid(text)).join(', ')}]`
}

function toTestText(condition: PlainCondition): string {
  const value = `context.${condition.key}`
  switch (condition.kind) {
    case 'compare':
      return `${value} ${condition.op} ${typeof condition.value === 'string' ? quote(condition.value) : condition.value}`
    case 'one-of':
      return `${condition.negated ? '!' : ''}${setOf(condition.values)}.contains(${value})`
    case 'contains-any':
      return `(${condition.values.map((word) => `${value} like ${quote(`*${word}*`)}`).join(' || ')})`
    case 'intersects':
      return `${value}.containsAny(${setOf(condition.values)})`
  }
}

function setOf(values: readonly string[]): string {
  return `[${values.map(quote).join(', ')}]`
}

function quote(text: string): string {
  return JSON.stringify(text)
}
