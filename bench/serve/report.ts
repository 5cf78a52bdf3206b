import { inShort, inThousands } from '../support/figures.js'
import { describeMachine } from '../support/machine.js'
import type { Plot } from '../support/plot/plot.js'
import { type Metric, type Report, single, toMetric } from '../support/report.js'
import { ratioOf, type Spread, spreadOf } from '../support/rounds.js'
import type { Table } from '../support/table.js'

/** One load on one server, in one round. */
export interface Sample {
  /** Decisions a second. */
  readonly perSecond: number
  /** Microseconds a decision, of the server's main thread, and of all its threads. */
  readonly cpuUs: number
  readonly allCpuUs: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
}

/** One load on one server, over the rounds. */
export interface Measured {
  readonly load: string
  readonly server: string
  /** At least one. */
  readonly samples: readonly Sample[]
}

export interface Setting {
  readonly rules: number
  readonly rounds: number
  readonly seconds: number
  /** Part of the checked calls that were allowed; NaN where no call was checked. */
  readonly allowed: number
  /** What h2load counted with one request repeated, calls a second, by server. */
  readonly repeated: Readonly<Record<string, number>>
}

const CLOSED = 'unary, 64 in flight'
const BATCHES = 'batch of 100, 8 in flight'
/** The load that one stream carries. */
export const STREAM = 'stream of batches of 100, 8 in flight'

/** What is set against what: figure, the load and server above, the load and server below. */
const RATIOS: readonly (readonly [name: string, key: 'perSecond' | 'cpuUs', above: Place, below: Place])[] = [
  ['audit off / bare', 'perSecond', [CLOSED, 'audit off'], [CLOSED, 'bare']],
  ['audit on / bare', 'perSecond', [CLOSED, 'audit on'], [CLOSED, 'bare']],
  ['audit on / audit off', 'perSecond', [CLOSED, 'audit on'], [CLOSED, 'audit off']],
  ['CPU, bare / audit off', 'cpuUs', [CLOSED, 'bare'], [CLOSED, 'audit off']],
  ['CPU, bare / audit on', 'cpuUs', [CLOSED, 'bare'], [CLOSED, 'audit on']],
  ['batch of 100 / unary, audit off', 'perSecond', [BATCHES, 'audit off'], [CLOSED, 'audit off']],
  ['batch of 100 / unary, audit on', 'perSecond', [BATCHES, 'audit on'], [CLOSED, 'audit on']],
  ['stream of batches / unary, audit off', 'perSecond', [STREAM, 'audit off'], [CLOSED, 'audit off']],
  ['stream of batches / unary, audit on', 'perSecond', [STREAM, 'audit on'], [CLOSED, 'audit on']],
  ['100,000 rules / 10 rules', 'perSecond', [CLOSED, '100,000 rules'], [CLOSED, '10 rules']],
]
type Place = readonly [load: string, server: string]

export function toReport(measured: readonly Measured[], setting: Setting): Report {
  const ratios = toRatios(measured)
  const { rules, rounds, seconds, allowed, repeated } = setting
  return {
    name: 'serve',
    about:
      'The server over real sockets, on one core, against a load generator in C on another, beside a bare grpc-js server.',
    machine: describeMachine(['@grpc/grpc-js']),
    metrics: { ...toMetrics(measured), ...ratioMetrics(ratios), ...repeatedMetrics(repeated) },
    tables: [loadTable(measured), ratioTable(ratios)],
    plots: toPlots(measured),
    notes: [
      `${inThousands(rules)} rules unless said; 4,096 different requests, every one with a request id of its own.`,
      ...(Number.isNaN(allowed)
        ? []
        : [
            `Answers were compared with the engine's before the first round; ${Math.round(100 * allowed)} % of the calls are allowed.`,
          ]),
      `${rounds} rounds of ${seconds} s a load; CPU is that of the server's main thread, a decision, by the scheduler's count.`,
      ...Object.entries(repeated).map(
        ([server, rate]) => `h2load, one request repeated, ${server}: ${inShort(rate)} calls/s.`,
      ),
    ],
    facts: { ratios: Object.fromEntries([...ratios].map(([name, { median }]) => [name, Number(median.toFixed(3))])) },
  }
}

function spread({ samples }: Measured, key: keyof Sample): Spread {
  return spreadOf(samples.map((sample) => sample[key]))
}

/** Round by round; those whose loads were both measured. */
function toRatios(measured: readonly Measured[]): ReadonlyMap<string, Spread> {
  const find = ([load, server]: Place) => measured.find((one) => one.load === load && one.server === server)
  const ratios = new Map<string, Spread>()
  for (const [name, key, above, below] of RATIOS) {
    const [over, under] = [find(above), find(below)]
    if (over !== undefined && under !== undefined) ratios.set(name, ratioOf(spread(over, key), spread(under, key)))
  }
  return ratios
}

function toMetrics(measured: readonly Measured[]): Record<string, Metric> {
  return Object.fromEntries(
    measured.flatMap((one) => {
      const name = `${one.load}, ${one.server}`
      return [
        [name, toMetric(spread(one, 'perSecond'), 'decisions/s', 'higher')],
        [`${name}, CPU`, toMetric(spread(one, 'cpuUs'), 'µs')],
        [`${name}, p50`, toMetric(spread(one, 'p50Us'), 'µs')],
        [`${name}, p99`, toMetric(spread(one, 'p99Us'), 'µs')],
      ]
    }),
  )
}

function ratioMetrics(ratios: ReadonlyMap<string, Spread>): Record<string, Metric> {
  return Object.fromEntries([...ratios].map(([name, ratio]) => [name, toMetric(ratio, 'times', 'higher')]))
}

function repeatedMetrics(repeated: Setting['repeated']): Record<string, Metric> {
  return Object.fromEntries(
    Object.entries(repeated).map(([server, rate]) => [`h2load, ${server}`, single(rate, 'calls/s', 'higher')]),
  )
}

function loadTable(measured: readonly Measured[]): Table {
  return {
    title: 'Loads, by server',
    head: [
      'load',
      'server',
      'decisions/s',
      'least',
      'most',
      'CPU µs',
      'CPU µs, all threads',
      'p50 µs',
      'p99 µs',
      'p99.9 µs',
    ],
    rows: measured.map((one) => {
      const rate = spread(one, 'perSecond')
      const others = (['cpuUs', 'allCpuUs', 'p50Us', 'p99Us', 'p999Us'] as const).map((key) => spread(one, key).median)
      const whole = [rate.median, rate.min, rate.max].map(Math.round)
      return [one.load, one.server, ...[...whole, ...others].map(inShort)]
    }),
  }
}

function ratioTable(ratios: ReadonlyMap<string, Spread>): Table {
  return {
    title: 'Ratios, round by round',
    head: ['what', 'median', 'least', 'most'],
    rows: [...ratios].map(([name, { median, min, max }]) => [name, ...[median, min, max].map(inShort)]),
  }
}

function toPlots(measured: readonly Measured[]): readonly Plot[] {
  const arrivals = measured.filter(({ load }) => load.includes('Poisson'))
  const closed = measured.filter(({ load }) => !load.includes('Poisson'))
  const name = ({ load, server }: Measured) => `${load}, ${server}`
  return [
    {
      kind: 'bars' as const,
      title: 'Decisions a second',
      value: { label: 'decisions/s', scale: 'log' as const, format: inThousands },
      bars: closed.map((one) => ({ name: name(one), value: spread(one, 'perSecond').median, group: one.server })),
    },
    {
      kind: 'bars' as const,
      title: 'Latency at 10,000 calls a second that arrive by chance',
      value: { label: 'µs', scale: 'log' as const, format: inThousands },
      bars: arrivals.flatMap((one) => [
        { name: `p50, ${one.server}`, value: spread(one, 'p50Us').median, group: 'p50' },
        { name: `p99, ${one.server}`, value: spread(one, 'p99Us').median, group: 'p99' },
      ]),
    },
  ]
    .map((plot) => ({ ...plot, bars: plot.bars.filter(({ value }) => value > 0) }))
    .filter(({ bars }) => bars.length > 0)
}
