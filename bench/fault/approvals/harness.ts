import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Desk } from '../../../src/approvals/desk.js'
import { Reviews } from '../../../src/approvals/reviews.js'
import type { Decision } from '../../../src/model/decision.js'
import type { Log } from '../../../src/model/log.js'
import type { Database } from '../../../src/store/database.js'
import { startEmbeddedPostgres } from '../../../src/store/embedded.js'
import { migrate } from '../../../src/store/migrate.js'
import { openDatabase, type Target } from '../../../src/store/pg-database.js'
import { ASKED, callOf, ONE, voterOf } from './cast.js'
import type { Done, Job, Racing } from './protocol.js'

export interface FaultOptions {
  /** Requests, and persons that decide about each at the same time. */
  readonly requests: number
  readonly deciders: number
  /** Approvals that may be used once, and attempts at each. */
  readonly approvals: number
  readonly attempts: number
  /** Half of them are due before any process ticks, by ten minutes; half fall due while they tick. */
  readonly timers: number
  readonly processes: number
  /** Longest life of a process before its kill, in milliseconds. */
  readonly maxLifeMs: number
  /** An empty database; null starts the embedded one in a folder of its own. */
  readonly target: Target | null
  readonly onProgress?: (line: string) => void
}

export interface FaultResult {
  readonly requests: number
  readonly votes: number
  readonly decided: number
  /** Requests with two deciding events, two notices of them, or two answers that say: you decided it. */
  readonly double: number
  /** Requests that nobody decided, and answers that the store does not know of. */
  readonly lost: number
  readonly approvals: number
  readonly consumes: number
  readonly consumed: number
  readonly consumedTwice: number
  /** Used in the store, with no process left to tell: its kill came between. */
  readonly consumedUnanswered: number
  readonly timers: number
  readonly firedTwice: number
  readonly missed: number
  /** From due to done, of those that fell due while processes ticked. */
  readonly lagP50Ms: number
  readonly lagP99Ms: number
  readonly kills: number
  /** Answers that are neither won nor lost, by text. */
  readonly odd: Readonly<Record<string, number>>
  readonly seconds: number
}

const RACER = fileURLToPath(new URL('./racer.js', import.meta.url))
const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

/** Races processes for requests, approvals and timers while killing them, then counts what the store holds. */
export async function runApprovalsFault(options: FaultOptions): Promise<FaultResult> {
  const startedAt = performance.now()
  const dataFolder = mkdtempSync(join(tmpdir(), 'portcullis-fault-'))
  const server = options.target === null ? await startEmbeddedPostgres({ dataFolder, log: SILENT }) : null
  // Its own path is one of our process alone.
  const target = options.target ?? { ...server!.target, host: join(dataFolder, 'postgres', 'cluster') }
  const database = await openDatabase(target, { poolSize: 8, statementTimeoutMs: 60_000 })
  try {
    await migrate(database)
    const run = new Run(database, target, options)
    const votes = await run.races()
    const uses = await run.uses()
    const timers = await run.timers()
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10
    return { ...votes, ...uses, ...timers, kills: run.kills, odd: run.odd, seconds }
  } finally {
    await database.close()
    await server?.close()
    rmSync(dataFolder, { recursive: true, force: true })
  }
}

class Run {
  kills = 0
  readonly odd: Record<string, number> = {}
  readonly #database: Database
  readonly #target: Target
  readonly #options: FaultOptions

  constructor(database: Database, target: Target, options: FaultOptions) {
    this.#database = database
    this.#target = target
    this.#options = options
  }

  async races(): Promise<Pick<FaultResult, 'requests' | 'votes' | 'decided' | 'double' | 'lost'>> {
    const { requests: count, deciders, processes } = this.#options
    const requests = await this.#open(count, 0, ASKED)
    this.#say(`${count} requests wait, ${deciders} persons in ${processes} processes decide about each`)
    const shares = Array.from({ length: processes }, (_, share) =>
      Array.from({ length: deciders }, (_, person) => `person-${person}`).filter((_, at) => at % processes === share),
    )
    const answers = await this.#race(requests, (share) => ({ kind: 'vote', persons: shares[share]! }))
    const rows = await this.#database.query<{
      id: string
      state: string
      by: string
      decisions: number
      notices: number
      gaps: number
      persons: number
      votes: number
    }>(
      `SELECT a.id, a.state, a.doc::json ->> 'endedBy' AS by,
         count(*) FILTER (WHERE e.kind IN ('approved', 'rejected')) AS decisions,
         (SELECT count(*) FROM outbox o WHERE o.payload ->> 'approvalId' = a.id::text AND o.kind IN ('approval.approved', 'approval.rejected')) AS notices,
         max(e.version) - count(*) AS gaps,
         count(DISTINCT e.actor) FILTER (WHERE e.kind = 'voted') AS persons, count(*) FILTER (WHERE e.kind = 'voted') AS votes
       FROM approvals a JOIN approval_events e ON e.approval_id = a.id WHERE a.rule_ids = ARRAY['RACE'] AND a.id = ANY($1::uuid[])
       GROUP BY a.id`,
      [requests.map(({ id }) => id)],
    )
    let double = 0
    let lost = requests.length - rows.length
    for (const { id, state, by, decisions, notices, gaps, persons, votes } of rows) {
      const won = answers.get(id) ?? []
      if (decisions > 1 || notices > 1 || won.length > 1 || persons !== votes) double++
      const isKnown = won.every((answer) => answer === `${state} ${by}`)
      if (decisions === 0 || notices === 0 || state === 'PENDING' || gaps !== 0 || !isKnown) lost++
    }
    return {
      requests: count,
      votes: count * deciders,
      decided: rows.filter(({ state }) => state !== 'PENDING').length,
      double,
      lost,
    }
  }

  async uses(): Promise<
    Pick<FaultResult, 'approvals' | 'consumes' | 'consumed' | 'consumedTwice' | 'consumedUnanswered'>
  > {
    const { approvals, attempts, processes } = this.#options
    const requests = await this.#open(approvals, 1_000_000, ONE)
    const reviews = new Reviews({ database: this.#database, people: null, mask: (args) => args, decideAnew: () => ONE })
    for (const { id: approvalId, shownDigest } of requests) {
      const vote = {
        approvalId,
        shownDigest,
        verdict: 'approve',
        comment: '',
        editedArguments: null,
        remember: null,
        onBehalfOf: '',
      } as const
      await reviews.review(voterOf('ann'), vote)
    }
    const times = Math.ceil(attempts / processes)
    this.#say(`${approvals} approvals may be used once, ${times * processes} attempts at each`)
    const answers = await this.#race(requests, () => ({ kind: 'consume', times }))
    const rows = await this.#database.query<{ id: string; uses: number }>(
      `SELECT approval_id AS id, count(*) AS uses FROM approval_events WHERE kind = 'consumed' GROUP BY approval_id`,
    )
    const uses = new Map(rows.map((row) => [row.id, row.uses]))
    const answered = (id: string): number => answers.get(id)?.length ?? 0
    return {
      approvals,
      consumes: approvals * times * processes,
      consumed: uses.size,
      consumedTwice: requests.filter(({ id }) => (uses.get(id) ?? 0) > 1 || answered(id) > 1).length,
      consumedUnanswered: requests.filter(({ id }) => uses.has(id) && answered(id) === 0).length,
    }
  }

  async timers(): Promise<Pick<FaultResult, 'timers' | 'firedTwice' | 'missed' | 'lagP50Ms' | 'lagP99Ms'>> {
    const { timers } = this.#options
    if (timers === 0) return { timers, firedTwice: 0, missed: 0, lagP50Ms: 0, lagP99Ms: 0 }
    const half = Math.floor(timers / 2)
    const [template] = await this.#open(1, 2_000_000, ONE)
    await this.#copies(template!.id, half, 'overdue', -600_000, 0)
    const stop = this.#keepTicking()
    await this.#until(() => this.#pending('overdue'), 'fired that were due for ten minutes', half)
    // At most a thousand a second: what a tick of one process takes.
    const spanMs = Math.max(1_000, timers - half)
    // They are made before the first is due.
    await this.#copies(template!.id, timers - half, 'upcoming', 500 + timers / 5, spanMs)
    await this.#until(() => this.#pending('upcoming'), 'fired in time', timers - half)
    await stop()
    const [counts] = await this.#database.query<{ twice: number; fired: number; p50: number; p99: number }>(
      `WITH fired AS (
         SELECT a.id, a.session_id, a.expires_at, a.state, count(e.*) AS times, min(e.at) AS at
         FROM approvals a LEFT JOIN approval_events e ON e.approval_id = a.id AND e.kind = 'expired'
         WHERE a.session_id IN ('overdue', 'upcoming') GROUP BY a.id)
       SELECT count(*) FILTER (WHERE times > 1) AS twice, count(*) FILTER (WHERE times = 1 AND state = 'EXPIRED') AS fired,
         coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM at - expires_at) * 1000) FILTER (WHERE session_id = 'upcoming'), 0)::float8 AS p50,
         coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM at - expires_at) * 1000) FILTER (WHERE session_id = 'upcoming'), 0)::float8 AS p99
       FROM fired`,
    )
    const { twice, fired, p50, p99 } = counts!
    return {
      timers,
      firedTwice: twice,
      missed: timers - twice - fired,
      lagP50Ms: Math.round(p50),
      lagP99Ms: Math.round(p99),
    }
  }

  async #open(count: number, from: number, decision: Decision): Promise<readonly Racing[]> {
    const desk = new Desk({
      database: this.#database,
      people: null,
      mask: (args) => args,
      mostWaiting: 1e6,
      mostAMinute: 1e6,
    })
    const amounts = Array.from({ length: count }, (_, at) => from + at)
    const opened: { id: string; amount: number }[] = []
    for (let at = 0; at < count; at += 50) {
      const some = amounts.slice(at, at + 50).map(async (amount) => {
        const { opened: request } = await desk.settle(callOf(amount), decision, '')
        return { id: request!.id, amount }
      })
      opened.push(...(await Promise.all(some)))
    }
    const rows = await this.#database.query<{ id: string; shown: string }>(
      `SELECT id, doc::json ->> 'shownDigest' AS shown FROM approvals WHERE id = ANY($1::uuid[])`,
      [opened.map(({ id }) => id)],
    )
    const shown = new Map(rows.map((row) => [row.id, row.shown]))
    return opened.map(({ id, amount }) => ({ id, amount, shownDigest: shown.get(id)! }))
  }

  /** All processes go through all requests, in one order, until each has been reported by each. */
  async #race(
    requests: readonly Racing[],
    workOf: (share: number) => Job['work'],
  ): Promise<ReadonlyMap<string, string[]>> {
    const won = new Map<string, string[]>()
    const shares = Array.from({ length: this.#options.processes }, async (_, share) => {
      const left = new Map(requests.map((request) => [request.id, request]))
      while (left.size > 0) {
        await this.#live({ target: this.#target, work: workOf(share), requests: [...left.values()] }, (done) => {
          left.delete(done.id)
          if (done.won.length > 0) won.set(done.id, [...(won.get(done.id) ?? []), ...done.won])
          for (const answer of done.odd) this.odd[answer] = (this.odd[answer] ?? 0) + 1
        })
      }
    })
    await Promise.all(shares)
    return won
  }

  /** One process from its start to its end, which is often a kill. What it did and did not report is done again by the next. */
  #live(job: Job, onDone: (done: Done) => void): Promise<void> {
    const child = this.#start(job)
    return new Promise((resolve, reject) => {
      let isFinished = false
      let timer: NodeJS.Timeout | undefined
      const kill = (): void => {
        if (!isFinished && child.kill('SIGKILL')) this.kills++
      }
      child.on('message', (message: Done | { finished: true } | { ready: true }) => {
        if ('finished' in message) isFinished = true
        // Its life is counted from its first work, so that each gets something done.
        else if ('ready' in message) timer = setTimeout(kill, (0.3 + 0.7 * Math.random()) * this.#options.maxLifeMs)
        else onDone(message)
      })
      child.on('exit', (code) => {
        clearTimeout(timer)
        if (code === 0 || code === null) resolve()
        else reject(new Error(`a process of racers ended with code ${code}`))
      })
    })
  }

  #start(job: Job): ChildProcess {
    const child = fork(RACER, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    child.send(job)
    return child
  }

  /** Processes that tick, each killed now and then. */
  #keepTicking(): () => Promise<void> {
    let isOver = false
    const live = new Set<ChildProcess>()
    const seats = Array.from({ length: this.#options.processes }, async () => {
      while (!isOver) {
        const child = this.#start({ target: this.#target, work: { kind: 'tick' }, requests: [] })
        live.add(child)
        const ended = new Promise((resolve) => child.on('exit', resolve))
        const ready = new Promise((resolve) => child.once('message', resolve))
        await Promise.race([ready, ended])
        await Promise.race([
          ended,
          sleep((0.3 + 0.7 * Math.random()) * 2 * this.#options.maxLifeMs, undefined, { ref: false }),
        ])
        if (child.kill('SIGKILL')) this.kills++
        await ended
        live.delete(child)
      }
    })
    return async () => {
      isOver = true
      for (const child of live) child.kill('SIGKILL')
      await Promise.all(seats)
    }
  }

  /** Requests like this one, that end by the clock between `fromMs` from now and `spanMs` later. */
  async #copies(id: string, count: number, mark: string, fromMs: number, spanMs: number): Promise<void> {
    await this.#database.transaction(async (tx) => {
      await tx.script(`SET LOCAL statement_timeout = '300s'`)
      await tx.execute(
        `WITH base AS (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3::bigint AS start),
         made AS (
           SELECT gen_random_uuid() AS id, encode(sha256(($2 || n)::bytea), 'hex') AS digest,
             start + ($4::bigint * n / $1::bigint) AS due FROM base, generate_series(1, $1::bigint) AS n)
         INSERT INTO approvals SELECT made.id, a.tenant, a.version, a.state, made.digest, made.digest, a.agent, a.principal, $2,
           a.delegators, a.tool, a.environment, a.rule_ids, a.reason, a.roles, a.created_at, to_timestamp(due / 1000.0), NULL, NULL, false,
           to_timestamp(due / 1000.0),
           regexp_replace(replace(replace(replace(a.doc, a.id::text, made.id::text), a.digest, made.digest),
             '"sessionId":""', '"sessionId":"' || $2 || '"'), '"deadlineMs":[0-9]+', '"deadlineMs":' || due)
         FROM approvals a, made WHERE a.id = $5::uuid`,
        [count, mark, fromMs, spanMs, id],
      )
      // The event that the opening would have written: versions have no gaps.
      await tx.execute(
        `INSERT INTO approval_events (approval_id, version, tenant, kind, at, actor, why, state, shown_digest)
         SELECT id, 1, tenant, 'opened', created_at, agent, '', 'PENDING', '' FROM approvals WHERE session_id = $1`,
        [mark],
      )
    })
  }

  async #pending(mark: string): Promise<number> {
    const [row] = await this.#database.query<{ n: number }>(
      `SELECT count(*) AS n FROM approvals WHERE state = 'PENDING' AND session_id = $1`,
      [mark],
    )
    return row!.n
  }

  /** Until none is left, or nothing has moved for half a minute. */
  async #until(left: () => Promise<number>, what: string, of: number): Promise<void> {
    let before = of
    for (let still = 0; still < 60; still++) {
      const now = await left()
      if (now < before) still = 0
      before = now
      if (now === 0) break
      await sleep(500)
    }
    this.#say(`${of - before} of ${of} timers ${what}`)
  }

  #say(line: string): void {
    this.#options.onProgress?.(line)
  }
}
