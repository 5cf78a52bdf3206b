import t from 'tap'
import { runApprovalsFault } from '../../bench/fault/approvals/harness.js'
import { ENGINES, freshDatabase } from '../store/databases.js'

for (const { engine, skip } of ENGINES) {
  t.test(`three processes race and are killed, on ${engine}`, { skip }, async (t) => {
    const { url } = await freshDatabase(t, engine)
    const result = await runApprovalsFault({
      requests: 8,
      deciders: 12,
      approvals: 6,
      attempts: 30,
      timers: 100,
      processes: 3,
      maxLifeMs: 2_500,
      target: url,
    })
    t.match(result, {
      decided: 8,
      double: 0,
      lost: 0,
      consumed: 6,
      consumedTwice: 0,
      timers: 100,
      firedTwice: 0,
      missed: 0,
      odd: {},
    })
    t.equal(result.votes, 96)
    t.equal(result.consumes, 180)
  })
}
