// The process that a fault run kills: appends records as a server would, and prints the id of each one when, and only when,
// it was acknowledged. Arguments: data folder, records per second, number of the worker that it is (or none), bytes of a segment.
import { openAuditLog } from '../../../src/audit/index.js'
import { sampleRecord } from './record.js'

const [dataDir = '', perSecond = '2000', number = '', segmentBytes = '262144'] = process.argv.slice(2)
const worker = number === '' ? null : Number(number)
const log = openAuditLog({ dataDir, worker, segmentBytes: Number(segmentBytes), onProblem: () => undefined })
const TICK_MS = 5
const perTick = Math.max(1, Math.round((Number(perSecond) * TICK_MS) / 1_000))
let made = 0
let isEnding = false

async function burst(): Promise<void> {
  const acknowledged: Promise<string>[] = []
  for (let i = 0; i < perTick; i++) {
    // Some belong to hours that are rolled up already, as after an outage of the store.
    const agoMs = made % 10 === 0 ? (made % 50) * 3_600_000 : 0
    const record = sampleRecord(made++, Date.now() - agoMs)
    const safe = log.append(record, record.decision.outcome === 'ALLOW' ? 'written' : 'fsync')
    acknowledged.push(safe.then(() => record.decisionId))
  }
  process.stdout.write(`${(await Promise.all(acknowledged)).join('\n')}\n`)
}

process.on('SIGTERM', () => {
  isEnding = true
})
process.stdout.write('ready\n')
while (!isEnding) {
  await burst()
  await new Promise((resolve) => setTimeout(resolve, TICK_MS))
}
await log.close()
