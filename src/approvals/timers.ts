import type { ApprovalRequest } from '../model/approval.js'
import type { Log } from '../model/log.js'
import type { Database } from '../store/database.js'
import { every, type Poll } from '../store/every.js'
import { step } from './machine.js'
import { type Change, clockMs, save } from './requests.js'
import { readRequest } from './rows.js'

/** How many requests one transaction moves: few enough that it ends soon, and others take theirs beside it. */
const MOST_AT_A_TIME = 100
const TICK_MS = 1_000

/** Requests whose timers ran, and the latest of them, in milliseconds. */
export interface Ticked {
  readonly moved: number
  readonly lagMs: number
}

/**
 * Does what is due, in all tenants, until nothing is. Any number of instances may do so at once: each takes rows that no other
 * has locked, and moves them in the transaction that locked them, so that each timer runs once.
 */
export async function tick(
  database: Database,
  moved?: (requests: readonly ApprovalRequest[]) => void,
): Promise<Ticked> {
  const ticked = { moved: 0, lagMs: 0 }
  for (;;) {
    const taken = await database.transaction(async (tx) => {
      const rows = await tx.query<{ doc: string; due: number }>(
        `SELECT doc, next_timer_at AS due FROM approvals WHERE next_timer_at <= clock_timestamp()
         ORDER BY next_timer_at LIMIT ${MOST_AT_A_TIME} FOR UPDATE SKIP LOCKED`,
      )
      if (rows.length === 0) return null
      const nowMs = await clockMs(tx)
      const changes = rows.map(({ doc }): Change => {
        const before = readRequest(doc)
        return { before, done: step(before, { kind: 'tick' }, nowMs), untilMs: null }
      })
      await save(
        tx,
        changes.filter(({ done }) => done.events.length > 0),
      )
      return {
        requests: changes.map(({ done }) => done.request),
        lagMs: nowMs - Math.min(...rows.map(({ due }) => due)),
        full: rows.length === MOST_AT_A_TIME,
      }
    })
    if (taken === null) return ticked
    ticked.moved += taken.requests.length
    ticked.lagMs = Math.max(ticked.lagMs, taken.lagMs)
    moved?.(taken.requests)
    if (!taken.full) return ticked
  }
}

/** Ticks about once a second until it is closed. No instance leads; one that stands still is made up for by the others. */
export function startTimers(database: Database, log: Log, ticked?: (ticked: Ticked) => void): Poll {
  let isFailing = false
  const poll = every(
    TICK_MS,
    async () => {
      const done = await tick(database)
      ticked?.(done)
      isFailing = false
    },
    (error) => {
      // Once an outage: what is due is done after it.
      if (!isFailing)
        log.warn('timers of approvals cannot run', { cause: error instanceof Error ? error : new Error(String(error)) })
      isFailing = true
    },
  )
  poll.now()
  return poll
}
