import { checkBundle } from '../../src/language/check.js'
import type { CheckedBundle, SourceBundle } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'

/** A Monday noon; no rule of a workload reads the clock. */
export const FACTS = { nowMs: Date.UTC(2026, 0, 5, 12) }

/** Policies, and calls to judge by them. The same draw gives the same of both. */
export interface Workload {
  /** As many rules as were asked for, as policy text. */
  sources(): SourceBundle
  /** Every tool that calls name. */
  readonly tools: readonly string[]
  /** The next call of an endless row; all arguments that rules of its tool read are there, and of the right type. */
  call(): Call
}

/**
 * The next calls, no two of them alike: a call that comes again flatters every cache. Calls of one agent share its subject, as
 * those do that a server reads.
 * @throws {RangeError} when the workload hardly has so many
 */
export function distinctCalls(workload: Workload, count: number): readonly Call[] {
  const calls = new Map<string, Call>()
  const agents = new Map<string, Call['agent']>()
  for (let drawn = 0; calls.size < count; drawn++) {
    if (drawn > 10 * count) throw new RangeError(`the workload has only ${calls.size} different calls of ${count}`)
    const call = workload.call()
    const agent = JSON.stringify(call.agent)
    if (!agents.has(agent)) agents.set(agent, Object.freeze(call.agent))
    calls.set(JSON.stringify(call), { ...call, agent: agents.get(agent)! })
  }
  return [...calls.values()]
}

/** @throws {Error} with the first diagnostic when the text has an error */
export function checkSources(sources: SourceBundle): CheckedBundle {
  const bundle = checkBundle(sources)
  const error = bundle.diagnostics.find(({ severity }) => severity === 'error')
  if (error === undefined) return bundle
  const { file, line } = error.location
  throw new Error(`${file}:${line}: ${error.code} ${error.message}`)
}

export function callOf(agent: Call['agent'], tool: string, environment: string, args: Call['arguments']): Call {
  return {
    requestId: 'r',
    tenant: 'default',
    agent,
    principal: null,
    sessionId: 's',
    delegationChain: [],
    tool,
    environment,
    arguments: args,
    context: {},
  }
}

/** Files stay under the size that the checker takes. */
const RULES_A_FILE = 4_000

/** @param rule the text of a rule, by its number */
export function sourcesOf(rules: number, rule: (number: number) => string): SourceBundle {
  const policies = new Map<string, Uint8Array>()
  for (let first = 0; first < rules; first += RULES_A_FILE) {
    const name = `bench-${first / RULES_A_FILE}`
    const texts = [`policy ${name}\ndefault allow\n`]
    for (let number = first; number < Math.min(rules, first + RULES_A_FILE); number++) texts.push(rule(number))
    policies.set(`${name}.policy`, new TextEncoder().encode(texts.join('\n')))
  }
  return { policies, attachments: new Map() }
}
