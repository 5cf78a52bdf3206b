import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describeInLine, type Machine } from './machine.js'
import type { BenchOptions } from './options.js'
import { type Plot, renderPlots } from './plot/plot.js'
import { RESULTS } from './root.js'
import type { Spread } from './rounds.js'
import { type Table, toMarkdown, toPlainText } from './table.js'

/** One figure by which two runs are compared; `compare` joins them by name. */
export interface Metric {
  /** The median of the rounds. */
  readonly value: number
  readonly min: number
  readonly max: number
  /** `ns`, `ms`, `bytes`, `calls/s` and the like. */
  readonly unit: string
  readonly better: 'lower' | 'higher'
}

export interface Report {
  /** Name of the benchmark, and of its files in bench/results/. */
  readonly name: string
  /** One sentence: what was measured. */
  readonly about: string
  readonly machine: Machine
  /** Every figure, by a name that stays the same from run to run: `fleet, 10000 rules`. */
  readonly metrics: Readonly<Record<string, Metric>>
  readonly tables: readonly Table[]
  readonly plots: readonly Plot[]
  /** Sentences below the tables: ratios, what was checked, what could not be measured and why. */
  readonly notes: readonly string[]
  /** What else the JSON says, at its top level. */
  readonly facts?: Readonly<Record<string, unknown>>
}

export function toMetric({ median, min, max }: Spread, unit: string, better: Metric['better'] = 'lower'): Metric {
  return { value: round(median), min: round(min), max: round(max), unit, better }
}

/** A figure without rounds. */
export function single(value: number, unit: string, better: Metric['better'] = 'lower'): Metric {
  return { value: round(value), min: round(value), max: round(value), unit, better }
}

/** Prints a report, writes its files with `--out`, and ends with its JSON line with `--json`. */
export function publish(report: Report, { json, out, quick }: BenchOptions): void {
  const { name, about, machine, metrics, notes, tables, facts } = report
  console.log([about, describeInLine(machine), ...tables.map(toPlainText), notes.join('\n')].join('\n\n'))
  const data = { name, about, machine, quick, metrics, notes, ...facts }
  if (out) write(report, data, quick)
  if (json) console.log(JSON.stringify(data))
}

/** A quick run makes the files, so that whatever is wrong with them shows, and keeps none: its figures say nothing. */
function write(report: Report, data: object, quick: boolean): void {
  const files = [
    ['json', `${JSON.stringify(data, null, 2)}\n`],
    ['md', toPage(report)],
    ...(report.plots.length > 0 ? [['svg', renderPlots(report.plots)] as const] : []),
  ] as const
  if (quick) {
    console.log('\nnothing is written: a quick run says nothing about time')
    return
  }
  mkdirSync(RESULTS, { recursive: true })
  for (const [extension, text] of files) writeFileSync(path.join(RESULTS, `${report.name}.${extension}`), text)
  console.log(`\nwritten to bench/results: ${files.map(([extension]) => `${report.name}.${extension}`).join(', ')}`)
}

function toPage({ name, about, machine, tables, plots, notes }: Report): string {
  return `${[
    `# ${name}`,
    about,
    `Made by \`npm run bench -- ${name} --out\` on ${describeInLine(machine)}. How to read it: [docs/benchmarks.md](../../docs/benchmarks.md).`,
    ...(plots.length > 0 ? [`![${name}](${name}.svg)`] : []),
    ...tables.map(toMarkdown),
    notes.map((note) => `- ${note}`).join('\n'),
  ].join('\n\n')}\n`
}

/** Four figures that count: more would be noise, and differ from run to run. */
function round(value: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) : value
}
