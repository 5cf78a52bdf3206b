// A server as far as the audit goes: opens the log and the store, appends ten records, says its shipper's process id, and
// waits to be killed.

import { sampleRecord } from '../../bench/fault/audit/record.js'
import { openAuditLog, startAuditStore } from '../../src/audit/index.js'

const [dataDir = ''] = process.argv.slice(2)
const log = openAuditLog({ dataDir })
const store = await startAuditStore({ dataDir })
for (let i = 0; i < 10; i++) await log.append(sampleRecord(i, Date.now()), 'fsync')
process.send?.(store.status().pid)
