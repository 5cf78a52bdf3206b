// An instance as far as control events go: hands them to the audit of a data folder, and dies by kill -9 at the moment when
// the audit has them and the control store does not know.

import { openAuditLog } from '../../src/audit/index.js'
import type { Database, Transaction } from '../../src/store/database.js'
import { relayEvents } from '../../src/store/events/relay.js'
import { openDatabase } from '../../src/store/pg-database.js'

const [url = '', dataDir = ''] = process.argv.slice(2)
const database = await openDatabase(url, { poolSize: 1 })
const dying = (tx: Transaction): Transaction => ({
  ...tx,
  query: (sql, values) => tx.query(sql, values),
  execute: (sql, values) => {
    if (sql.startsWith('UPDATE')) process.kill(process.pid, 'SIGKILL')
    return tx.execute(sql, values)
  },
})
const doomed: Database = {
  ...database,
  query: (sql, values) => database.query(sql, values),
  execute: (sql, values) => database.execute(sql, values),
  transaction: (run, options) => database.transaction((tx) => run(dying(tx)), options),
}
await relayEvents(doomed, openAuditLog({ dataDir }))
