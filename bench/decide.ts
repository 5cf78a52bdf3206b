import { cpus } from 'node:os'
import { performance } from 'node:perf_hooks'
import { compilePolicySet } from '../src/compiler/compile.js'
import type { PolicySet } from '../src/compiler/policy-set.js'
import { decide } from '../src/engine/decide.js'
import type { CheckedBundle } from '../src/language/checked.js'
import type { Call } from '../src/model/call.js'
import { summary } from '../test/engine/differential.js'
import { seededDraw } from '../test/engine/generate.js'
import { naiveDecide } from '../test/reference/naive.js'
import { FleetOfTools, RareLimits } from './support/workloads.js'

// npm run bench -- decide [--json]: nanoseconds per decision as the number of rules grows, arguments already decoded: at ten
// rules a tool (`fleet`), and with all rules on one tool, where nearly none can apply (`ranges`). Sizes alternate within a
// round; the medians of the rounds are reported. Every size is first checked against the naive evaluator on a sample of its calls.

const SIZES = [10, 100, 1_000, 10_000, 100_000]
const CALLS = 4_096
const CHECKED = { calls: 64, rules: 10_000 }
const ROUNDS = 7
const ROUND_MS = 120
const NOW_MS = Date.UTC(2026, 0, 5, 12)

const WORKLOADS = { fleet: FleetOfTools, ranges: RareLimits }

interface Case {
  readonly workload: keyof typeof WORKLOADS
  readonly rules: number
  readonly policySet: PolicySet
  readonly calls: readonly Call[]
  readonly compileMs: number
  readonly heapBytesPerRule: number
  readonly checked: number
  readonly samples: number[]
}

function prepare(workload: Case['workload'], rules: number): Case {
  const generator = new WORKLOADS[workload](seededDraw(7), rules)
  const bundle = generator.bundle()
  const calls = Array.from({ length: CALLS }, () => generator.call())
  const before = heapUsed()
  const startedMs = performance.now()
  const policySet = compilePolicySet(bundle, 'default')
  const compileMs = performance.now() - startedMs
  const heapBytesPerRule = (heapUsed() - before) / rules
  const checked = rules <= CHECKED.rules ? check(bundle, policySet, calls.slice(0, CHECKED.calls)) : 0
  return { workload, rules, policySet, calls, compileMs, heapBytesPerRule, checked, samples: [] }
}

function check(bundle: CheckedBundle, policySet: PolicySet, calls: readonly Call[]): number {
  for (const call of calls) {
    const compiled = summary(decide(call, { nowMs: NOW_MS }, policySet))
    const naive = summary(naiveDecide(call, NOW_MS, bundle, 'default'))
    if (compiled !== naive) throw new Error(`compiled and naive differ:\n${compiled}\n${naive}`)
  }
  return calls.length
}

function heapUsed(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
}

/** Decides every call over and over for a while. @returns nanoseconds of CPU a decision: neighbours' load counts less than on the clock */
function run({ policySet, calls }: Case): number {
  const facts = { nowMs: NOW_MS }
  let decisions = 0
  let matched = 0
  const startedMs = performance.now()
  const startedCpu = process.cpuUsage()
  while (performance.now() - startedMs < ROUND_MS) {
    for (const call of calls) matched += decide(call, facts, policySet).matched.length
    decisions += calls.length
  }
  const { user, system } = process.cpuUsage(startedCpu)
  if (matched === 0) throw new Error('no rule ever matched: the benchmark measures nothing')
  return ((user + system) * 1e3) / decisions
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!
}

const cases = (['fleet', 'ranges'] as const).flatMap((workload) => SIZES.map((rules) => prepare(workload, rules)))
for (const one of cases) run(one)
for (let round = 0; round < ROUNDS; round++) for (const one of cases) one.samples.push(run(one))

const results = cases.map(({ workload, rules, samples, compileMs, heapBytesPerRule, checked }) => ({
  workload,
  rules,
  ns: Math.round(median(samples)),
  minNs: Math.round(Math.min(...samples)),
  maxNs: Math.round(Math.max(...samples)),
  compileMs: Math.round(compileMs),
  heapBytesPerRule: Math.round(heapBytesPerRule),
  checked,
}))
const growthOf = (workload: Case['workload']) => {
  const of = (rules: number) => results.find((result) => result.workload === workload && result.rules === rules)!.ns
  return Number((of(100_000) / of(1_000)).toFixed(2))
}
const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version }
const growth = { fleet: growthOf('fleet'), ranges: growthOf('ranges') }

console.log(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`)
console.table(results)
console.log(`100,000 rules against 1,000: fleet ${growth.fleet} times, ranges ${growth.ranges} times`)
console.log(JSON.stringify({ results, growth, ...machine }))
