import t from 'tap'
import { runAuditFault } from '../../bench/fault/audit/harness.js'

t.test('random SIGKILLs of producers and shippers', async (t) => {
  const result = await runAuditFault({ kills: 21, workers: 2, maxLifeMs: 900 })
  const { acknowledged, stored, lost, duplicates, gaps, rolledUp, wrongSums } = result
  t.comment(
    `acknowledged ${acknowledged}, stored ${stored}, lost ${lost}, duplicates ${duplicates}, gaps ${gaps}, rolled up ${rolledUp}, wrong sums ${wrongSums}`,
  )
  t.ok(acknowledged > 100)
  t.ok(stored >= acknowledged)
  t.same({ lost, duplicates, gaps, wrongSums }, { lost: 0, duplicates: 0, gaps: 0, wrongSums: 0 })
  t.ok(rolledUp > 10)
})
