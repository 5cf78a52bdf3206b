import { performance } from 'node:perf_hooks'
import { compile } from '../../src/compiler/compile.js'
import { bytesOf, type PolicyImage } from '../../src/compiler/image.js'
import { openPolicySet, type PolicySet } from '../../src/compiler/policy-set.js'
import { decide } from '../../src/engine/decide.js'
import type { CheckedBundle } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import { summary } from '../../test/engine/differential.js'
import { seededDraw } from '../../test/engine/generate.js'
import { naiveDecide } from '../../test/reference/naive.js'
import { cpuNsEach, UNCOUNTED } from '../support/cpu.js'
import { collect, liveBytes } from '../support/memory.js'
import { alternate, type Spread } from '../support/rounds.js'
import { checkSources, distinctCalls, FACTS, type Workload } from '../support/workload.js'
import { FleetOfTools, RareLimits } from '../support/workloads.js'

const SEED = 7
const WORKLOADS = { fleet: FleetOfTools, ranges: RareLimits }
/** The naive evaluator looks at every rule. */
const CHECKED = { calls: 64, rules: 10_000 }

export type WorkloadName = keyof typeof WORKLOADS
export const WORKLOAD_NAMES: readonly WorkloadName[] = ['fleet', 'ranges']

/** Ours at one number of rules. */
export interface Grown {
  readonly workload: WorkloadName
  readonly rules: number
  readonly ns: Spread
  /** From the checked bundle to a policy set that is ready, in milliseconds. */
  readonly compileMs: number
  /** What finds the rules that match: everything of the image but texts and what answers say of a rule. */
  readonly indexBytesARule: number
  /** Everything that the policy set keeps alive, by rule: sources, parse cache and checked bundle are let go. */
  readonly bytesARule: number
  /** Calls compared with the naive evaluator. */
  readonly checked: number
}

interface Case extends Omit<Grown, 'ns'> {
  readonly policySet: PolicySet
  readonly calls: readonly Call[]
}

export interface GrowthLimits {
  readonly sizes: readonly number[]
  readonly calls: number
  readonly rounds: number
  /** Time of a size in a round, in milliseconds. */
  readonly roundMs: number
}

/** Times a decision of ours as the rules grow; sizes alternate within a round. */
export async function measureGrowth(limits: GrowthLimits): Promise<readonly Grown[]> {
  const cases = WORKLOAD_NAMES.flatMap((workload) => limits.sizes.map((rules) => prepare(workload, rules, limits)))
  const spreads = await alternate(new Map(cases.map((one) => [one, () => sample(one, limits.roundMs)])), limits)
  return cases.map((one) => ({ ...one, ns: spreads.get(one)! }))
}

function prepare(workload: WorkloadName, rules: number, { calls: count }: GrowthLimits): Case {
  const calls = distinctCalls(new WORKLOADS[workload](seededDraw(SEED + 1), rules), count)
  const before = liveBytes()
  const loaded = load(new WORKLOADS[workload](seededDraw(SEED), rules), rules, calls)
  const bytesARule = (liveBytes() - before) / rules
  return { ...loaded, workload, rules, calls, bytesARule }
}

/** A function of its own, so that nothing of the bundle outlives it. */
function load(workload: Workload, rules: number, calls: readonly Call[]) {
  const bundle = checkSources(workload.sources())
  const startedMs = performance.now()
  const image = compile(bundle, 'default')
  const policySet = openPolicySet(image)
  for (const _ of policySet.prepare());
  const compileMs = performance.now() - startedMs
  const checked = rules > CHECKED.rules ? 0 : check(bundle, policySet, calls.slice(0, CHECKED.calls))
  return { policySet, compileMs, checked, indexBytesARule: bytesOf(indexOf(image)) / rules }
}

function indexOf({ programs, predicates, tools, environments, demands, always }: PolicyImage): Partial<PolicyImage> {
  return { programs, predicates, tools, environments, demands, always }
}

function check(bundle: CheckedBundle, policySet: PolicySet, calls: readonly Call[]): number {
  for (const call of calls) {
    const compiled = summary(decide(call, FACTS, policySet))
    const naive = summary(naiveDecide(call, FACTS.nowMs, bundle, 'default'))
    if (compiled !== naive) throw new Error(`compiled and naive differ:\n${compiled}\n${naive}`)
  }
  return calls.length
}

function sample({ policySet, calls }: Case, roundMs: number): number {
  let matched = 0
  const work = () => {
    for (const call of calls) matched += decide(call, FACTS, policySet).matched.length
    return calls.length
  }
  collect()
  cpuNsEach(roundMs * UNCOUNTED, work)
  const ns = cpuNsEach(roundMs, work)
  if (matched === 0) throw new Error('no rule ever matched: the benchmark measures nothing')
  return ns
}
