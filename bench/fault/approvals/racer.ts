// One process of racers: votes or uses approvals as the harness says, all of a request at once, and reports request by request.
import { Desk } from '../../../src/approvals/desk.js'
import { ApprovalRefused, Reviews } from '../../../src/approvals/reviews.js'
import { startTimers } from '../../../src/approvals/timers.js'
import { type Database, StoreUnavailable } from '../../../src/store/database.js'
import { openDatabase } from '../../../src/store/pg-database.js'
import { ASKED, callOf, ONE, voterOf } from './cast.js'
import type { Done, Job, Racing } from './protocol.js'

/** Requests that are raced for at a time. */
const AT_A_TIME = 4

type Attempt = (request: Racing) => Promise<string | null>

process.once('message', (job: Job) => {
  void run(job)
})

async function run({ target, work, requests }: Job): Promise<void> {
  const database = await openDatabase(target, { poolSize: 8, statementTimeoutMs: 30_000, connectTimeoutMs: 60_000 })
  if (work.kind === 'tick') {
    startTimers(database, console as never)
    // A poll keeps no process alive; being asked to is the harness's way to keep this one.
    setInterval(() => undefined, 1_000)
  }
  process.send?.({ ready: true })
  if (work.kind === 'tick') return
  const attempts =
    work.kind === 'vote' ? voting(database, work.persons) : Array.from({ length: work.times }, () => using(database))
  const queue = [...requests]
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
        process.send?.(await race(request, attempts))
      }
    }),
  )
  process.send?.({ finished: true })
  await database.close()
  process.disconnect?.()
}

async function race(request: Racing, attempts: readonly Attempt[]): Promise<Done> {
  const odd: string[] = []
  const answers = await Promise.all(
    attempts.map((attempt) =>
      attempt(request).catch((error: unknown) => {
        odd.push(error instanceof StoreUnavailable ? `store: ${error.reason}` : String(error))
        return null
      }),
    ),
  )
  const won = answers.filter((answer) => answer !== null)
  return { id: request.id, won, lost: answers.length - won.length - odd.length, odd }
}

const REFUSED = new Set(['ALREADY_DECIDED', 'NOT_ELIGIBLE', 'ALREADY_VOTED'])

/** One attempt a person; some say no. */
function voting(database: Database, persons: readonly string[]): readonly Attempt[] {
  const reviews = new Reviews({ database, people: null, mask: (args) => args, decideAnew: () => ASKED })
  return persons.map((person) => async ({ id: approvalId, shownDigest }) => {
    const verdict = Math.random() < 0.8 ? 'approve' : 'reject'
    const vote = {
      approvalId,
      shownDigest,
      verdict,
      comment: '',
      editedArguments: null,
      remember: null,
      onBehalfOf: '',
    } as const
    try {
      const { state, endedBy } = await reviews.review(voterOf(person), vote)
      return state === 'PENDING' ? null : `${state} ${endedBy}`
    } catch (error) {
      if (error instanceof ApprovalRefused && REFUSED.has(error.refusal.code)) return null
      throw error
    }
  })
}

function using(database: Database): Attempt {
  const desk = new Desk({ database, people: null, mask: (args) => args })
  return async ({ id, amount }) => {
    const { outcome, reasonCode } = await desk.settle(callOf(amount), ONE, id)
    if (outcome === 'ALLOW') return 'CONSUMED'
    if (reasonCode !== 'APPROVAL_REVOKED') throw new Error(reasonCode)
    return null
  }
}
