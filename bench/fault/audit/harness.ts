import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { auditFolders, spoolsOf } from '../../../src/audit/folders.js'
import { ShipperProcess } from '../../../src/audit/shipper/process.js'
import { closedSpansSql } from '../../../src/audit/store/roll-ups.js'

export interface FaultOptions {
  /** Kills of producers and shipper together; two in three hit the shipper. */
  readonly kills: number
  /** Producers, each with a spool of its own, as of a server of several processes. @default 1 */
  readonly workers?: number
  /** Records that a producer makes a second. @default 2_000 */
  readonly perSecond?: number
  /** Longest life of a process before its kill, in milliseconds. @default 1_200 */
  readonly maxLifeMs?: number
  /** Null for the embedded engine. */
  readonly clickhouseUrl?: string | null
  readonly onProgress?: (line: string) => void
}

export interface FaultResult {
  readonly kills: number
  readonly producerKills: number
  readonly shipperKills: number
  /** Records that `append` said were safe. */
  readonly acknowledged: number
  /** Rows in the store. */
  readonly stored: number
  /** Acknowledged records that have no row. */
  readonly lost: number
  readonly duplicates: number
  /** Sequence numbers between the first and the last of the writer that have no row. */
  readonly gaps: number
  /** Hours and days that are rolled up, and agents of one whose sums are not those of its rows. */
  readonly rolledUp: number
  readonly wrongSums: number
  readonly seconds: number
}

const PRODUCER = fileURLToPath(new URL('./producer.js', import.meta.url))

/** Kills producers and shippers at random moments, then counts acknowledged records against rows. */
export async function runAuditFault(options: FaultOptions): Promise<FaultResult> {
  const startedAt = performance.now()
  const dataDir = mkdtempSync(join(tmpdir(), 'portcullis-fault-'))
  const acknowledged = new Set<string>()
  const perSecond = String(options.perSecond ?? 2_000)
  const maxLifeMs = options.maxLifeMs ?? 1_200
  const workers = options.workers ?? 1
  const startProducer = (worker: number): Promise<ChildProcess> =>
    runProducer([dataDir, perSecond, workers === 1 ? '' : String(worker)], acknowledged)
  const producers: ChildProcess[] = []
  for (let worker = 1; worker <= workers; worker++) producers.push(await startProducer(worker))
  const shipper = new ShipperProcess({
    config: {
      spools: spoolsOf(dataDir),
      chdbFolder: auditFolders(dataDir).chdb,
      clickhouseUrl: options.clickhouseUrl ?? null,
      tuning: { flushMs: 100, pollMs: 20, keepMs: 0, maxRows: 2_000, closeMs: 50, maxBackoffMs: 500 },
    },
    longestPauseMs: 100,
    onProblem: (problem) => options.onProgress?.(problem),
  })
  try {
    await shipper.start()
    let producerKills = 0
    let shipperKills = 0
    for (let kill = 0; kill < options.kills; kill++) {
      await sleep(Math.random() * maxLifeMs)
      if (kill % 3 === 0) {
        const at = producerKills % workers
        await killAndWait(producers[at]!)
        producers[at] = await startProducer(at + 1)
        producerKills++
      } else {
        process.kill(await pidOf(shipper), 'SIGKILL')
        shipperKills++
      }
      if (kill % 10 === 9) options.onProgress?.(`${kill + 1} kills, ${acknowledged.size} acknowledged`)
    }
    const ended = producers.map((producer) => once(producer, 'close'))
    for (const producer of producers) producer.kill('SIGTERM')
    await Promise.all(ended)
    await shipper.drain()
    const counts = await count(shipper, acknowledged)
    return {
      kills: options.kills,
      producerKills,
      shipperKills,
      acknowledged: acknowledged.size,
      ...counts,
      seconds: Math.round((performance.now() - startedAt) / 100) / 10,
    }
  } finally {
    for (const producer of producers) producer.kill('SIGKILL')
    await shipper.close(0)
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** Resolves when the producer appends; its acknowledgements go into the set, whole lines only. */
function runProducer(argv: readonly string[], acknowledged: Set<string>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [PRODUCER, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] })
  let rest = ''
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === 'ready') resolve(child)
        else acknowledged.add(line)
      }
    })
  })
}

/** `close` and not `exit`: what it had printed has been read by then. */
async function killAndWait(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  await closed
}

async function pidOf(shipper: ShipperProcess): Promise<number> {
  for (;;) {
    const { pid } = shipper.status()
    if (pid !== null) return pid
    await sleep(5)
  }
}

type Counts = Pick<FaultResult, 'stored' | 'lost' | 'duplicates' | 'gaps' | 'rolledUp' | 'wrongSums'>

const CLOSED = closedSpansSql('audit', '1')
const SUMS = 'toInt64(decisions) AS d, toInt64(allowed) AS a, toInt64(denied) AS n, toInt64(violations) AS v'
/** What roll-ups say less what the rows say. */
const WRONG_SUMS = `SELECT count() AS wrong FROM (
SELECT seconds, start, tenant, agent_id FROM (
  SELECT seconds, start, tenant, agent_id, ${SUMS} FROM audit.agent_spans
  WHERE (seconds, start, version) IN (SELECT seconds, start, current FROM (${CLOSED}))
  UNION ALL SELECT seconds, start, tenant, agent_id, -toInt64(count()), -toInt64(countIf(outcome = 'ALLOW')),
    -toInt64(countIf(outcome = 'DENY')), -toInt64(countIf(violation))
  FROM (SELECT arrayJoin([3600, 86400]) AS seconds, toDateTime(intDiv(toUnixTimestamp(ts), seconds) * seconds, 'UTC') AS start,
    tenant, agent_id, outcome, violation FROM audit.events WHERE kind = 'decision')
  WHERE (seconds, start) IN (SELECT seconds, start FROM (${CLOSED})) GROUP BY seconds, start, tenant, agent_id)
GROUP BY seconds, start, tenant, agent_id HAVING sum(d) != 0 OR sum(a) != 0 OR sum(n) != 0 OR sum(v) != 0)`

async function count(shipper: ShipperProcess, acknowledged: ReadonlySet<string>): Promise<Counts> {
  const [row] = await shipper.query(
    'SELECT count() AS writers, sum(stored) AS stored, sum(gaps) AS gaps, sum(duplicates) AS duplicates, max(last_seq) AS last_seq FROM audit.integrity',
    {},
  )
  const missing = new Set(acknowledged)
  const lastSeq = Number(row?.['last_seq'] ?? 0)
  const writers = Number(row?.['writers'] ?? 1)
  // Each number once for each writer, and a query gives at most 10,000 rows.
  const page = Math.floor(10_000 / writers)
  for (let from = 1; from <= lastSeq; from += page) {
    const rows = await shipper.query(
      'SELECT event_id FROM audit.events WHERE seq BETWEEN {from:UInt64} AND {to:UInt64}',
      {
        from,
        to: from + page - 1,
      },
    )
    for (const event of rows) missing.delete(String(event['event_id']))
  }
  const [wrong] = await shipper.query(WRONG_SUMS, {})
  const [spans] = await shipper.query(`SELECT count() AS closed FROM (${CLOSED})`, {})
  return {
    rolledUp: Number(spans?.['closed'] ?? 0),
    wrongSums: Number(wrong?.['wrong'] ?? Number.NaN),
    stored: Number(row?.['stored'] ?? 0),
    lost: missing.size,
    duplicates: Number(row?.['duplicates'] ?? 0),
    gaps: Number(row?.['gaps'] ?? 0),
  }
}
