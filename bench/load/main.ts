import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { inShort, inThousands } from '../support/figures.js'
import { describeMachine } from '../support/machine.js'
import { readOptions } from '../support/options.js'
import type { Plot } from '../support/plot/plot.js'
import { type Metric, publish, toMetric } from '../support/report.js'
import { alternate, type Spread, spreadOf } from '../support/rounds.js'
import type { Table } from '../support/table.js'
import type { LoadFigures } from './measure.js'
import { policyTexts } from './policies.js'
import type { SwapFigures } from './swap.js'

// npm run bench -- load [--rules N]: from policy text to a compiled set. Each size is loaded by fresh processes, so that nothing
// is warm; then ten rules, one in each of ten files or all in what there is, are edited and the folder is loaded again.
// Medians of the processes; CPU is that of the whole process, its compiler and collector threads included.

const options = readOptions('load', 5, { rules: 'N' })
const SIZES =
  options.extra.rules !== undefined ? [Number(options.extra.rules)] : options.quick ? [1_000] : [1_000, 10_000, 100_000]

const FIGURES: readonly { readonly key: keyof LoadFigures; readonly name: string; readonly unit: string }[] = [
  { key: 'coldMs', name: 'cold', unit: 'ms' },
  { key: 'coldCpuMs', name: 'cold, CPU', unit: 'ms' },
  { key: 'parseMs', name: 'cold, parse', unit: 'ms' },
  { key: 'checkMs', name: 'cold, check', unit: 'ms' },
  { key: 'compileMs', name: 'cold, compile', unit: 'ms' },
  { key: 'reloadMs', name: 'reload', unit: 'ms' },
  { key: 'reloadParseMs', name: 'reload, parse', unit: 'ms' },
  { key: 'reloadCheckMs', name: 'reload, check', unit: 'ms' },
  { key: 'reloadCompileMs', name: 'reload, compile', unit: 'ms' },
  { key: 'heapBytesPerRule', name: 'memory a rule', unit: 'bytes' },
]

/** At one number of rules, by figure. */
interface Loads {
  readonly rules: number
  readonly spreads: ReadonlyMap<keyof LoadFigures, Spread>
}

const SWAPS: readonly { readonly key: keyof SwapFigures; readonly name: string; readonly unit: string }[] = [
  { key: 'longestStepMs', name: 'longest step of a swap', unit: 'ms' },
  { key: 'swapMs', name: 'longest pause while loading', unit: 'ms' },
  { key: 'leastSwapMs', name: 'least of them', unit: 'ms' },
  { key: 'steadyMs', name: 'longest pause beside a busy thread', unit: 'ms' },
  { key: 'leastSteadyMs', name: 'least of those', unit: 'ms' },
  { key: 'reloadMs', name: 'change to live', unit: 'ms' },
  { key: 'keptBytesPerRule', name: 'kept by the server', unit: 'bytes a rule' },
]

const folders = SIZES.map((rules) => ({ rules, folder: writePolicies(rules) }))
process.on('exit', () => {
  for (const { folder } of folders) rmSync(folder, { recursive: true, force: true })
})
const loads = await measure()
const swaps = folders.map(({ rules, folder }) => ({
  rules,
  figures: child<SwapFigures>('swap.js', folder, String(rules)),
}))
publish(
  {
    name: 'load',
    about: 'Time from policy text to a policy set that decides: cold, and again after ten rules were edited.',
    machine: describeMachine(['nearley', 'moo']),
    metrics: metrics(),
    tables: [table(), swapTable()],
    plots: [plot()],
    notes: [
      'Every run is a process of its own; medians of the runs. CPU is that of the whole process, collector and compiler included.',
      'Every run checks that each rule was read without a diagnostic, and that a reload decides as a fresh load does.',
    ],
  },
  options,
)

async function measure(): Promise<readonly Loads[]> {
  const runs = new Map(folders.map(({ rules }) => [rules, [] as LoadFigures[]]))
  const cases = folders.map(({ rules, folder }) => {
    const run = () => {
      const figures = child<LoadFigures>('measure.js', folder)
      if (figures.rules !== rules) throw new Error(`${rules} rules were written and ${figures.rules} read`)
      return runs.get(rules)!.push(figures)
    }
    return [rules, run] as const
  })
  await alternate(new Map(cases), { rounds: options.rounds, warmUps: 0 })
  return folders.map(({ rules }) => ({
    rules,
    spreads: new Map(FIGURES.map(({ key }) => [key, spreadOf(runs.get(rules)!.map((run) => run[key]))])),
  }))
}

function writePolicies(rules: number): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-load-'))
  for (const [name, text] of policyTexts(rules)) writeFileSync(path.join(folder, name), text)
  return folder
}

function child<Figures>(script: string, ...args: readonly string[]): Figures {
  const file = fileURLToPath(new URL(`./${script}`, import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', file, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the measuring process failed: ${stderr}`)
  return JSON.parse(stdout) as Figures
}

function metrics(): Record<string, Metric> {
  const loading = loads.flatMap(({ rules, spreads }) =>
    FIGURES.map(({ key, name, unit }) => [`${rules} rules, ${name}`, toMetric(spreads.get(key)!, unit)] as const),
  )
  const swapping = swaps.flatMap(({ rules, figures }) =>
    SWAPS.map(({ key, name, unit }) => [`${rules} rules, ${name}`, toMetric(spreadOf([figures[key]]), unit)] as const),
  )
  return Object.fromEntries([...loading, ...swapping])
}

function table(): Table {
  return {
    title: 'Milliseconds to load, and bytes a rule kept',
    head: ['rules', ...FIGURES.map(({ name }) => name)],
    rows: loads.map(({ rules, spreads }) => [
      inThousands(rules),
      ...FIGURES.map(({ key }) => inShort(spreads.get(key)!.median)),
    ]),
  }
}

function swapTable(): Table {
  return {
    title: 'Policies swapped while decisions are made, milliseconds unless it says otherwise',
    head: ['rules', ...SWAPS.map(({ name }) => name)],
    rows: swaps.map(({ rules, figures }) => [inThousands(rules), ...SWAPS.map(({ key }) => inShort(figures[key]))]),
  }
}

function plot(): Plot {
  const points = (key: keyof LoadFigures) =>
    loads.map(({ rules, spreads }) => [rules, spreads.get(key)!.median] as const)
  return {
    kind: 'lines',
    title: 'From policy text to a policy set',
    x: { label: 'rules', scale: 'log', format: inThousands },
    y: { label: 'milliseconds', scale: 'log', format: inThousands },
    series: [
      { name: 'cold', points: points('coldMs') },
      { name: 'after ten edits', points: points('reloadMs') },
    ],
  }
}
