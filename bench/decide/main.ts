import { seededDraw } from '../../test/engine/generate.js'
import { inShort, inThousands, inTime } from '../support/figures.js'
import { describeMachine } from '../support/machine.js'
import { readOptions } from '../support/options.js'
import type { Plot } from '../support/plot/plot.js'
import { type Metric, publish, single, toMetric } from '../support/report.js'
import { ratioOf, type Spread } from '../support/rounds.js'
import type { Table } from '../support/table.js'
import type { Workload } from '../support/workload.js'
import { FleetOfTools } from '../support/workloads.js'
import { type Grown, measureGrowth, WORKLOAD_NAMES } from './growth.js'
import { ThreeTeams } from './three-teams.js'
import { type Measured, measureVersus, OURS, PEERS } from './versus.js'

// npm run bench -- decide: CPU time of a decision, arguments already decoded. First beside the peers, on policies that all of
// them can say, at three sizes; then ours alone from 10 to 100,000 rules: at ten rules a tool (`fleet`), and with all rules on
// one tool where nearly none can apply (`ranges`).

const SEED = 7
const CALLS = 4_096
const options = readOptions('decide', 7)
const roundMs = options.quick ? 5 : 120
const { rounds } = options

const VERSUS: readonly { readonly rules: number; readonly workload: () => Workload }[] = [
  { rules: 20, workload: () => new ThreeTeams(seededDraw(SEED)) },
  ...(options.quick ? [1_000] : [1_000, 10_000]).map((rules) => ({
    rules,
    workload: () => new FleetOfTools(seededDraw(SEED), rules),
  })),
]
const SIZES = options.quick ? [10, 1_000] : [10, 100, 1_000, 10_000, 100_000]

/** At one number of rules, by engine. */
interface Versus {
  readonly rules: number
  readonly engines: ReadonlyMap<string, Measured>
}

const versus: Versus[] = []
for (const { rules, workload } of options.alone ? [] : VERSUS) {
  const limits = { calls: CALLS, rounds, roundMs, compareMs: options.quick ? 500 : 2_000 }
  versus.push({ rules, engines: await measureVersus(workload(), limits) })
}
const growth = await measureGrowth({ sizes: SIZES, calls: CALLS, rounds, roundMs })

publish(
  {
    name: 'decide',
    about:
      'CPU time of one decision, arguments already decoded, as rules grow; beside engines that a Node user would pick.',
    machine: describeMachine(options.alone ? [] : PEERS.map(({ npm }) => npm)),
    metrics: { ...versusMetrics(), ...growthMetrics() },
    tables: [...(options.alone ? [] : [versusTable()]), growthTable()],
    plots: [...(options.alone ? [] : [versusPlot()]), growthPlot()],
    notes: notes(),
    facts: { ratios: ratios(), growth: flatness() },
  },
  options,
)

function ratioTo(name: string, engines: Versus['engines']): Spread {
  return ratioOf(engines.get(name)!.ns, engines.get(OURS)!.ns)
}

/** How many times ours, by engine and number of rules. */
function ratios(): Record<string, Record<number, number>> {
  return Object.fromEntries(
    (options.alone ? [] : PEERS).map(({ name }) => [
      name,
      Object.fromEntries(
        versus.map(({ rules, engines }) => [rules, Math.round(ratioTo(name, engines).median * 10) / 10]),
      ),
    ]),
  )
}

/** The most rules against 1,000, by workload. */
function flatness(): Record<string, number> {
  const most = SIZES.at(-1)!
  return Object.fromEntries(
    WORKLOAD_NAMES.map((workload) => {
      const of = (rules: number) => growth.find((one) => one.workload === workload && one.rules === rules)!.ns
      return [workload, Number(ratioOf(of(most), of(1_000)).median.toFixed(2))]
    }),
  )
}

function versusMetrics(): Record<string, Metric> {
  const metrics: Record<string, Metric> = {}
  for (const { rules, engines } of versus) {
    for (const [name, { ns }] of engines) {
      metrics[`${rules} rules, ${name}`] = toMetric(ns, 'ns')
      if (name !== OURS)
        metrics[`${rules} rules, ${name}/${OURS}`] = toMetric(ratioTo(name, engines), 'times', 'higher')
    }
  }
  return metrics
}

function growthMetrics(): Record<string, Metric> {
  const metrics: Record<string, Metric> = {}
  for (const { workload, rules, ns, compileMs, indexBytesARule, bytesARule } of growth) {
    const name = `${workload}, ${rules} rules`
    metrics[name] = toMetric(ns, 'ns')
    metrics[`${name}, compile`] = single(compileMs, 'ms')
    if (rules < 1_000) continue
    metrics[`${name}, index a rule`] = single(indexBytesARule, 'bytes')
    metrics[`${name}, memory a rule`] = single(bytesARule, 'bytes')
  }
  return metrics
}

function versusTable(): Table {
  return {
    title: 'Beside other engines: time a decision, and how many times ours',
    head: [
      'engine',
      ...versus.flatMap(({ rules }) => [`${inThousands(rules)} rules`, 'times ours', 'load ms', 'calls compared']),
    ],
    rows: [OURS, ...PEERS.map(({ name }) => name)].map((name) => [
      name,
      ...versus.flatMap(({ engines }) => {
        const { ns, loadMs, compared } = engines.get(name)!
        const times = name === OURS ? '1' : inShort(ratioTo(name, engines).median)
        return [inTime(ns.median), times, inShort(loadMs), inShort(compared)]
      }),
    ]),
  }
}

function growthTable(): Table {
  const bytes = (one: Grown, value: number) => (one.rules < 1_000 ? '-' : inShort(value))
  return {
    title: 'Ours as rules grow',
    head: [
      'rules',
      'ns a decision',
      'least',
      'most',
      'compile ms',
      'index bytes a rule',
      'bytes a rule in all',
      'checked',
    ],
    rows: growth.map((one) => [
      `${one.workload} ${inThousands(one.rules)}`,
      ...[one.ns.median, one.ns.min, one.ns.max, one.compileMs].map(inShort),
      bytes(one, one.indexBytesARule),
      bytes(one, one.bytesARule),
      inShort(one.checked),
    ]),
  }
}

function versusPlot(): Plot {
  return {
    kind: 'lines',
    title: 'Time of a decision, beside other engines',
    x: { label: 'rules', scale: 'log', format: inThousands },
    y: { label: 'CPU time a decision', scale: 'log', format: inTime },
    series: [OURS, ...PEERS.map(({ name }) => name)].map((name) => ({
      name,
      points: versus.map(({ rules, engines }) => [rules, engines.get(name)!.ns.median] as const),
    })),
  }
}

function growthPlot(): Plot {
  return {
    kind: 'lines',
    title: 'Time of a decision as rules grow',
    x: { label: 'rules', scale: 'log', format: inThousands },
    y: { label: 'CPU ns a decision', scale: 'linear', format: (ns) => String(ns) },
    series: WORKLOAD_NAMES.map((workload) => ({
      name: workload === 'fleet' ? 'ten rules a tool' : 'one tool, rare limits',
      points: growth.filter((one) => one.workload === workload).map(({ rules, ns }) => [rules, ns.median] as const),
    })),
  }
}

function notes(): readonly string[] {
  const flat = Object.entries(flatness()).map(([workload, times]) => `${workload} ${times} times`)
  const compared = 'Every outcome of every engine was compared with ours on the calls named; a difference ends the run.'
  const naive =
    'Calls under `checked` were compared with the naive evaluator in full: outcome, rules, reasons, approvals.'
  return [
    ...(options.alone ? [] : [compared]),
    naive,
    ...(options.quick ? [] : [`${inThousands(SIZES.at(-1)!)} rules against 1k: ${flat.join(', ')}.`]),
    'Medians of alternated rounds; CPU time of the process, collector and compiler threads included.',
  ]
}
