// `npm run fault -- approvals [--requests 1000] [--deciders 200] [--approvals 500] [--attempts 200] [--timers 50000] [--url URL]
// [--json]`: processes race for requests, one-time approvals and timers, and are killed at random. Exit code 1 when anything was
// decided, used or fired twice, lost or missed.
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { runApprovalsFault } from './harness.js'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000' },
    deciders: { type: 'string', default: '200' },
    approvals: { type: 'string', default: '500' },
    attempts: { type: 'string', default: '201' },
    timers: { type: 'string', default: '50000' },
    processes: { type: 'string', default: '3' },
    life: { type: 'string', default: '20000' },
    url: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const result = await runApprovalsFault({
  requests: Number(values.requests),
  deciders: Number(values.deciders),
  approvals: Number(values.approvals),
  attempts: Number(values.attempts),
  timers: Number(values.timers),
  processes: Number(values.processes),
  maxLifeMs: Number(values.life),
  target: values.url ?? null,
  onProgress: (line) => console.log(line),
})
const {
  requests,
  votes,
  decided,
  double,
  lost,
  approvals,
  consumes,
  consumed,
  consumedTwice,
  timers,
  firedTwice,
  missed,
} = result
console.log(`${votes} votes on ${requests} requests: decided ${decided}, twice ${double}, lost ${lost}`)
console.log(`${consumes} uses of ${approvals} approvals: used ${consumed}, twice ${consumedTwice}`)
console.log(
  `${timers} timers: twice ${firedTwice}, missed ${missed}, late by p50 ${result.lagP50Ms} ms, p99 ${result.lagP99Ms} ms`,
)
console.log(`${result.kills} kills, ${result.seconds} s, other answers ${JSON.stringify(result.odd)}`)
if (values.json) {
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`
  console.log(JSON.stringify({ ...result, node: process.version, machine, engine: values.url ? 'server' : 'embedded' }))
}
const isRight =
  decided === requests && consumed === approvals && double + lost + consumedTwice + firedTwice + missed === 0
process.exitCode = isRight ? 0 : 1
