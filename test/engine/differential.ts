import { compilePolicySet } from '../../src/compiler/compile.js'
import { CompileError } from '../../src/compiler/compile-error.js'
import type { PolicySet } from '../../src/compiler/policy-set.js'
import { decide } from '../../src/engine/decide.js'
import type { CheckedBundle } from '../../src/language/checked.js'
import type { Decision } from '../../src/model/decision.js'
import { type NaiveDecision, naiveDecide } from '../reference/naive.js'
import { type Draw, Generator } from './generate.js'

/** What both evaluators must agree on, as one text. */
export function summary(decision: Decision | NaiveDecision): string {
  const rule = ({ policy, ruleId, effect, indeterminate }: NaiveDecision['matched'][number]) => [
    policy,
    ruleId,
    effect,
    indeterminate,
  ]
  const isTooLong = 'tooLong' in decision ? decision.tooLong : decision.reason.includes('This call is too long')
  return JSON.stringify([
    isTooLong,
    decision.outcome,
    decision.reasonCode,
    decision.matched.map(rule),
    decision.monitored.map(rule),
    decision.obligations,
    decision.approvals,
  ])
}

export interface Disagreement {
  readonly compiled: string
  readonly naive: string
  readonly call: string
}

export interface Compared {
  readonly decisions: number
  readonly outcomes: ReadonlyMap<string, number>
  readonly disagreements: readonly Disagreement[]
}

/** Counted among the outcomes: calls that are too long for all that rules read of them. */
export const TOO_LONG = 'too long'

/** How often each call is decided: tools and environments that are called again are judged by plans. */
const TIMES = 5

/** Generates one policy set and `calls` calls, and decides each by the compiled engine and by the naive evaluator. */
export function compareOnce(draw: Draw, calls: number): Compared {
  const generator = new Generator(draw)
  const { bundle, tenant } = generator.policies()
  const policySet = compileOrRefuse(bundle, tenant)
  if (policySet === null) return { decisions: 0, outcomes: new Map(), disagreements: [] }
  const outcomes = new Map<string, number>()
  const disagreements: Disagreement[] = []
  const drawn = Array.from({ length: calls }, () => ({ call: generator.call(), nowMs: generator.nowMs() }))
  const expected = drawn.map(({ call, nowMs }) => summary(naiveDecide(call, nowMs, bundle, tenant)))
  for (let time = 0; time < TIMES; time++) {
    drawn.forEach(({ call, nowMs }, i) => {
      const compiled = decide(call, { nowMs }, policySet)
      outcomes.set(compiled.reasonCode, (outcomes.get(compiled.reasonCode) ?? 0) + 1)
      if (compiled.reason.includes('This call is too long')) outcomes.set(TOO_LONG, (outcomes.get(TOO_LONG) ?? 0) + 1)
      const naive = expected[i]!
      if (summary(compiled) === naive) return
      disagreements.push({ compiled: summary(compiled), naive, call: describeCall(call) })
    })
  }
  return { decisions: TIMES * calls, outcomes, disagreements }
}

/** Null for the rare set with a rule over the cost limit. */
function compileOrRefuse(bundle: CheckedBundle, tenant: string): PolicySet | null {
  try {
    return compilePolicySet(bundle, tenant)
  } catch (error) {
    if (error instanceof CompileError) return null
    throw error
  }
}

function describeCall(call: unknown): string {
  return JSON.stringify(call, (_key, value) => (typeof value === 'bigint' ? `${value}n` : value))
}
