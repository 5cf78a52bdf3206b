import { mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { auditQueries } from '../../src/audit/queries.js'
import type { AuditStore, Row } from '../../src/audit/store/audit-store.js'
import { openChdbStore } from '../../src/audit/store/chdb-store.js'
import type { Period, RiskyAgent, Totals, Violation } from '../../src/model/audit-queries.js'
import { ownCpuNs } from '../support/cpu.js'
import { type Spread, spreadOf } from '../support/rounds.js'

export interface OverviewOptions {
  readonly rows: number
  readonly rounds: number
  /** Where the store lies: the disk that is measured. */
  readonly folder: string
}

export interface OverviewResult {
  readonly rows: number
  readonly days: number
  /** Milliseconds of the overview (totals, top violations, riskiest agents) with the roll-ups, and by plain statements. */
  readonly overviewMs: Spread
  /** CPU of the process for it, all threads, in milliseconds: what the engine does meanwhile on its own included. */
  readonly cpuMs: Spread
  readonly plainMs: Spread
  /** Time to roll all of it up, in milliseconds, and bytes on disk of the rows and of the roll-ups. */
  readonly rollUpMs: number
  readonly rowBytes: number
  readonly rollUpBytes: number
}

const DAYS = 30
const AGENTS = 5_000
const TENANT = 'acme'
const LIMIT = 10
/** How old a roll-up must be to be used; shortened. */
const SETTLE_MS = 1_000
/** How long a plain statement may take on a machine that others use, too. */
const PLAIN_MS = 120_000
/** Rows of one INSERT; the engine has a cap of memory. */
const BLOCK = 250_000

/**
 * Fills a store with rows of the last thirty days, one tenant, few agents with many calls and many with few, and asks for the
 * security overview of all of them, on a period that neither begins nor ends with an hour, and another one each time, so that
 * no cache knows the question. The answers are compared with those of plain aggregates over the rows.
 */
export async function measureOverview({ rows, rounds, folder }: OverviewOptions): Promise<OverviewResult> {
  const dataDir = mkdtempSync(path.join(folder, 'portcullis-bench-'))
  // As the shipper process has it: one thread.
  const store = await openChdbStore({ folder: dataDir })
  try {
    await store.migrate()
    const untilMs = Date.now()
    await fill(store, rows, { fromMs: untilMs - DAYS * 86_400_000, untilMs })
    const startedMs = performance.now()
    while (await store.rollUps.closeSome());
    const rollUpMs = performance.now() - startedMs
    const queries = auditQueries((sql, params, limits) => store.query(sql, params, limits), store.database, SETTLE_MS)
    await sleep(2 * SETTLE_MS)
    const overview = async (period: Period): Promise<Overview> => {
      // As the service asks: all at once.
      const [totals, violations, agents] = await Promise.all([
        queries.totals(TENANT, period),
        queries.topViolations(TENANT, period, LIMIT),
        queries.riskiestAgents(TENANT, period, LIMIT),
      ])
      return { totals, violations, agents }
    }
    const overviewMs: number[] = []
    const cpuMs: number[] = []
    const plainMs: number[] = []
    for (let round = -1; round < rounds; round++) {
      const periodMs = DAYS * 86_400_000 - 1_234_567
      const period = { fromMs: untilMs - periodMs - round, untilMs: untilMs - round }
      const startedNs = ownCpuNs()
      const [answer, ms] = await timed(() => overview(period))
      const cpu = (ownCpuNs() - startedNs) / 1e6
      const [plain, plainTime] = await timed(() => plainOverview(store, period))
      if (JSON.stringify(answer) !== JSON.stringify(plain)) {
        throw new Error(`the overview says ${JSON.stringify(answer)}, the rows say ${JSON.stringify(plain)}`)
      }
      if (round < 0) continue
      overviewMs.push(ms)
      cpuMs.push(cpu)
      plainMs.push(plainTime)
    }
    const bytesOf = async (tables: string): Promise<number> => {
      const sql = `SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = '${store.database}' AND table IN (${tables})`
      return Number((await store.query(sql, {}))[0]?.['bytes'])
    }
    return {
      rows,
      days: DAYS,
      overviewMs: spreadOf(overviewMs),
      cpuMs: spreadOf(cpuMs),
      plainMs: spreadOf(plainMs),
      rollUpMs,
      rowBytes: await bytesOf("'events'"),
      rollUpBytes: await bytesOf("'total_spans', 'agent_spans', 'rule_spans', 'rule_agent_spans', 'spans'"),
    }
  } finally {
    await store.close()
    rmSync(dataDir, { recursive: true })
  }
}

interface Overview {
  readonly totals: Totals
  readonly violations: readonly Violation[]
  readonly agents: readonly RiskyAgent[]
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const startedMs = performance.now()
  const value = await work()
  return [value, performance.now() - startedMs]
}

/** Made inside the engine: what is measured here is the question, not the way in. */
async function fill(store: AuditStore, rows: number, { fromMs, untilMs }: Period): Promise<void> {
  const step = (untilMs - fromMs) / rows
  for (let from = 0; from < rows; from += BLOCK) {
    await store.rollUps.statement(
      `INSERT INTO ${store.database}.events (event_id, writer_id, seq, ts, tenant, environment, agent_id, principal, session_id, tool, outcome,
  reason_code, reason, rule_id, policy, rule_description, rule_ids, policies, effects, violation, policy_revision, arguments, evaluation_ns)
WITH cityHash64(number) AS h, toUInt32(pow((h % 1000003) / 1000003., 3) * ${AGENTS}) AS a, bitShiftRight(h, 20) % 100 AS roll,
  multiIf(roll < 8, 'DENY', roll < 11, 'REQUIRE_APPROVAL', 'ALLOW') AS said, bitShiftRight(h, 32) % 120 AS r
SELECT generateUUIDv4(), 'bench', number + 1, fromUnixTimestamp64Milli(toInt64(${fromMs} + number * ${step}), 'UTC'), '${TENANT}', 'production',
  concat('agent-', toString(a)), concat('user-', toString(a % 97)), concat('session-', toString(intDiv(number, 40))),
  concat('tool-', toString(h % 16)), said, multiIf(roll < 8, 'RULE_DENY', roll < 11, 'RULE_APPROVAL', 'RULE_ALLOW'),
  'decided by a rule', concat('rule-', toString(r)), concat('policy-', toString(r % 12)), concat('what rule ', toString(r), ' is for'),
  [concat('rule-', toString(r))], [concat('policy-', toString(r % 12))], [said], roll < 9, 'sha256:0123456789abcdef',
  concat('{"order":', toString(h), ',"limit":100}'), 500
FROM numbers(${from}, ${Math.min(BLOCK, rows - from)})`,
      {},
    )
  }
}

/** The same by the plainest statements over the rows. */
async function plainOverview(store: AuditStore, { fromMs, untilMs }: Period): Promise<Overview> {
  const where = `tenant = {tenant:String} AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts < fromUnixTimestamp64Milli({until:Int64}, 'UTC')`
  const ask = (sql: string): Promise<readonly Row[]> =>
    store.query(
      sql.replace('EVENTS', `${store.database}.events WHERE ${where}`),
      { tenant: TENANT, from: fromMs, until: untilMs },
      { maxMs: PLAIN_MS },
    )
  const [totals, violations, agents] = await Promise.all([
    ask(`SELECT count() AS total, countIf(outcome = 'ALLOW') AS allowed, countIf(outcome = 'REQUIRE_APPROVAL') AS asked,
countIf(outcome = 'DENY') AS denied FROM EVENTS`),
    ask(`SELECT rule_id, policy, argMax(rule_description, ts) AS description, count() AS violations, uniqExact(agent_id) AS agents
FROM EVENTS AND violation GROUP BY rule_id, policy ORDER BY violations DESC, agents DESC, policy, rule_id LIMIT ${LIMIT}`),
    ask(`SELECT agent_id, countIf(violation) AS violations, count() AS decisions FROM EVENTS
GROUP BY agent_id HAVING violations > 0 ORDER BY violations DESC, violations / decisions DESC, agent_id LIMIT ${LIMIT}`),
  ])
  const [sum] = totals
  return {
    totals: {
      total: Number(sum?.['total']),
      allowed: Number(sum?.['allowed']),
      requireApproval: Number(sum?.['asked']),
      denied: Number(sum?.['denied']),
    },
    violations: violations.map((row) => ({
      ruleId: String(row['rule_id']),
      policy: String(row['policy']),
      description: String(row['description']),
      count: Number(row['violations']),
      agents: Number(row['agents']),
    })),
    agents: agents.map((row) => ({
      agent: String(row['agent_id']),
      violations: Number(row['violations']),
      decisions: Number(row['decisions']),
    })),
  }
}
