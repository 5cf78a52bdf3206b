import { type Sql, timestamp } from '../store/database.js'
import { plain } from './rows.js'

/** One line a rule, tool or approver; or one for all, with an empty key. */
export const STATS_BY = ['', 'rule', 'tool', 'approver'] as const
export type StatsBy = (typeof STATS_BY)[number]

/** Of requests that were opened in a span of time. Rates are fractions, 0 where nothing could be told. */
export interface ApprovalStats {
  readonly key: string
  readonly requests: number
  readonly pending: number
  /** People said yes, whatever became of it after. */
  readonly approved: number
  readonly rejected: number
  /** Nobody answered in time. */
  readonly timedOut: number
  readonly cancelled: number
  /** From opening to the deciding vote, of those that people decided; 0 when none. */
  readonly averageMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  /** approved / (approved + rejected). */
  readonly approvalRate: number
  readonly rejectionRate: number
  /** timed out / all that do not wait any more. */
  readonly timeoutRate: number
}

/**
 * By approver, a request counts for each person who voted on it, as that person voted: pending, timed out and cancelled say what
 * became of those they approved, and the time is until their own vote.
 *
 * @param by what the lines are about
 * @returns the most asked first, at most 1,000
 */
export async function approvalStats(
  sql: Sql,
  tenant: string,
  by: StatsBy,
  fromMs: number,
  untilMs: number,
): Promise<readonly ApprovalStats[]> {
  const rows = await sql.query<Counted>(
    `WITH counted AS (${COUNTED[by]})
     SELECT key, count(*) AS requests,
       count(*) FILTER (WHERE state = 'PENDING') AS pending,
       count(*) FILTER (WHERE verdict = 'approve') AS approved,
       count(*) FILTER (WHERE verdict = 'reject') AS rejected,
       count(*) FILTER (WHERE state = 'EXPIRED') AS timed_out,
       count(*) FILTER (WHERE state = 'CANCELLED') AS cancelled,
       coalesce(avg(took) FILTER (WHERE verdict IS NOT NULL), 0)::float8 AS average,
       coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE verdict IS NOT NULL), 0)::float8 AS p50,
       coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY took) FILTER (WHERE verdict IS NOT NULL), 0)::float8 AS p95
     FROM counted GROUP BY key ORDER BY requests DESC, key LIMIT 1000`,
    [plain(tenant), timestamp(fromMs), timestamp(untilMs)],
  )
  return rows.map(toStats)
}

interface Counted {
  readonly key: string
  readonly requests: number
  readonly pending: number
  readonly approved: number
  readonly rejected: number
  readonly timed_out: number
  readonly cancelled: number
  readonly average: number
  readonly p50: number
  readonly p95: number
}

const SPAN = 'a.tenant = $1 AND a.created_at >= $2 AND a.created_at < $3'
const DECIDED = `state,
  CASE WHEN state = 'REJECTED' THEN 'reject' WHEN decided_at IS NOT NULL THEN 'approve' END AS verdict,
  extract(epoch FROM decided_at - created_at) * 1000 AS took`

const COUNTED: Readonly<Record<StatsBy, string>> = {
  '': `SELECT '' AS key, ${DECIDED} FROM approvals a WHERE ${SPAN}`,
  rule: `SELECT r.rule AS key, ${DECIDED} FROM approvals a CROSS JOIN LATERAL unnest(a.rule_ids) AS r(rule) WHERE ${SPAN}`,
  tool: `SELECT tool AS key, ${DECIDED} FROM approvals a WHERE ${SPAN}`,
  approver: `SELECT e.actor AS key, a.state, e.verdict, extract(epoch FROM e.at - a.created_at) * 1000 AS took
    FROM approvals a JOIN approval_events e ON e.approval_id = a.id AND e.kind = 'voted' WHERE ${SPAN}`,
}

function toStats(row: Counted): ApprovalStats {
  const { key, requests, pending, approved, rejected, timed_out: timedOut, cancelled } = row
  const decided = approved + rejected
  const rate = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)
  return {
    key,
    requests,
    pending,
    approved,
    rejected,
    timedOut,
    cancelled,
    averageMs: row.average,
    p50Ms: row.p50,
    p95Ms: row.p95,
    approvalRate: rate(approved, decided),
    rejectionRate: rate(rejected, decided),
    timeoutRate: rate(timedOut, requests - pending),
  }
}
