// `npm run bench -- audit [--json] [--out] [--quick]`: what a record costs the server, how fast records reach the store, and how
// long the security overview over ten million rows takes. Each checks what it measured.
import { inThousands, inTime, withRange } from '../support/figures.js'
import { describeMachine } from '../support/machine.js'
import { readOptions } from '../support/options.js'
import { type Metric, publish, single, toMetric } from '../support/report.js'
import { ROOT } from '../support/root.js'
import { type AppendResult, measureAppends } from './append.js'
import { measureIngest } from './ingest.js'
import { measureOverview } from './overview.js'

const options = readOptions('audit', 5)
const { quick, rounds } = options
// The project's folder and not the system's temporary one, which may be memory.
const folder = ROOT
const appends = await measureAppends({ rounds, leastMs: quick ? 50 : 400, folder })
const ingest = await measureIngest({ events: quick ? 20_000 : 500_000, rounds: Math.min(rounds, 3), folder })
const overview = await measureOverview({ rows: quick ? 250_000 : 10_000_000, rounds, folder })

const nameOf = ({ size, perTurn, durability }: AppendResult): string => `${size}, ${perTurn} a turn, ${durability}`
const metrics: Record<string, Metric> = {}
for (const one of appends) {
  const name = `append ${nameOf(one)}`
  metrics[`${name}, cpu`] = toMetric(one.cpuNs, 'ns')
  metrics[`${name}, p50`] = single(one.p50Ns, 'ns')
  metrics[`${name}, p99`] = single(one.p99Ns, 'ns')
  metrics[`${name}, safe p50`] = single(one.safeP50Ns, 'ns')
  metrics[`${name}, safe p99`] = single(one.safeP99Ns, 'ns')
}
metrics['ingest'] = toMetric(ingest.eventsPerSecond, 'events/s', 'higher')
metrics['ingest, server cpu'] = toMetric(ingest.serverCpuNs, 'ns')
metrics['ingest, shipper cpu'] = toMetric(ingest.shipperCpuNs, 'ns')
metrics['ingest, shipper memory'] = toMetric(ingest.shipperBytes, 'bytes')
const size = inThousands(overview.rows)
metrics[`overview, ${size} rows`] = toMetric(overview.overviewMs, 'ms')
metrics[`overview, ${size} rows, cpu`] = toMetric(overview.cpuMs, 'ms')
metrics[`overview, ${size} rows, plain`] = toMetric(overview.plainMs, 'ms')
metrics['bytes a row'] = single(overview.rowBytes / overview.rows, 'bytes')
metrics['roll-up bytes a row'] = single(overview.rollUpBytes / overview.rows, 'bytes')

const inMs = (ms: number): string => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`
publish(
  {
    name: 'audit',
    about: 'What a record costs the server, how fast records reach the store, how long the security overview takes.',
    machine: describeMachine(['chdb']),
    metrics,
    tables: [
      {
        title: 'Append: main-thread CPU a record; time that the thread is kept a record; time until it is told safe',
        head: ['arguments, records a turn, level', 'CPU', 'kept p50', 'kept p99', 'safe p50', 'safe p99'],
        rows: appends.map((one) => [
          nameOf(one),
          inTime(one.cpuNs.median),
          ...[one.p50Ns, one.p99Ns, one.safeP50Ns, one.safeP99Ns].map(inTime),
        ]),
      },
      {
        title: 'Ingest: appended, shipped, inserted, read back',
        head: ['events', 'events/s', 'server CPU an event', 'shipper CPU an event', 'shipper memory'],
        rows: [
          [
            inThousands(ingest.events),
            inThousands(Math.round(ingest.eventsPerSecond.median)),
            inTime(ingest.serverCpuNs.median),
            inTime(ingest.shipperCpuNs.median),
            `${Math.round(ingest.shipperBytes.median / 1e6)} MB`,
          ],
        ],
      },
      {
        title: `Security overview: one tenant, ${overview.days} days`,
        head: [
          'rows',
          'with roll-ups',
          'its CPU',
          'plain statements',
          'to roll all up',
          'bytes a row',
          'roll-up bytes a row',
        ],
        rows: [
          [
            size,
            `${withRange(overview.overviewMs)} ms`,
            inMs(overview.cpuMs.median),
            `${withRange(overview.plainMs)} ms`,
            inMs(overview.rollUpMs),
            (overview.rowBytes / overview.rows).toFixed(0),
            (overview.rollUpBytes / overview.rows).toFixed(1),
          ],
        ],
      },
    ],
    plots: [
      {
        kind: 'bars',
        title: 'A record: CPU time of the main thread',
        value: { label: 'a record', scale: 'linear', format: inTime },
        bars: appends.map((one) => ({ name: nameOf(one), value: one.cpuNs.median, group: one.durability })),
      },
    ],
    notes: [
      'CPU of the main thread counts making the record, masking, printing, framing, the checksum, the write and the callback.',
      `Every sample of append was counted in the segments; ${ingest.events} events a round were stored once each, with no number missing; every overview was equal to plain aggregates over the rows.`,
      'The engine runs with one thread, as in the shipper process.',
    ],
  },
  options,
)
process.exit(0)
