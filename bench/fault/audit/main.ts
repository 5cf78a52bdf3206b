// `npm run fault -- audit --kills 150 [--workers 2] [--json]`: SIGKILLs producers and shippers at random moments and counts what was
// acknowledged against what is stored. Exit code 1 when anything is lost, stored twice or missing between.
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { runAuditFault } from './harness.js'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    workers: { type: 'string', default: '1' },
    rate: { type: 'string', default: '2000' },
    url: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const result = await runAuditFault({
  kills: Number(values.kills),
  workers: Number(values.workers),
  perSecond: Number(values.rate),
  clickhouseUrl: values.url ?? null,
  onProgress: (line) => {
    if (/^\d+ kills/.test(line)) console.log(line)
  },
})
const { acknowledged, stored, lost, duplicates, gaps, rolledUp, wrongSums } = result
console.log(
  `acknowledged ${acknowledged}, stored ${stored}, lost ${lost}, duplicates ${duplicates}, gaps ${gaps}, rolled up ${rolledUp}, wrong sums ${wrongSums}`,
)
if (values.json) {
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`
  console.log(JSON.stringify({ ...result, node: process.version, machine, engine: values.url ? 'clickhouse' : 'chdb' }))
}
process.exitCode = lost + duplicates + gaps + wrongSums === 0 ? 0 : 1
