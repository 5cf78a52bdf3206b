import type { AuditedDecision, AuditRecord } from '../../src/model/audit-record.js'
import type { JsonObject } from '../../src/model/json.js'
import { parseJsonObject } from '../../src/model/parse-json.js'
import { uuidv7 } from '../../src/model/uuid.js'

/** Records as the server makes them: own ids and arguments each, answers shared and frozen. */
export type Make = (n: number, nowMs: number) => AuditRecord

/** How long the arguments are, in bytes of JSON; about, for the numbers in them vary. */
export const SIZES = { small: 40, typical: 230, large: 4_000 } as const
export type Size = keyof typeof SIZES

const DECISIONS: readonly AuditedDecision[] = Array.from({ length: 64 }, (_, i) =>
  Object.freeze({
    outcome: 'ALLOW',
    reasonCode: 'RULE_ALLOW',
    reason: `read-only access is allowed by rule reads-${i} of policy analytics`,
    matched: [
      {
        ruleId: `reads-${i}`,
        policy: 'analytics',
        effect: 'ALLOW',
        description: 'analysts may read what is not personal',
        indeterminate: false,
      },
    ],
    monitored: [],
    policyRevision: `sha256:${'0123456789abcdef'.repeat(4)}`,
  } as const),
)
const WORDS = 'weekly report for the finance team with all open orders of the last quarter by region and by customer'

/** @param count of different arguments; they come again after that many */
export function recordsOf(size: Size, count: number): Make {
  const args = Array.from({ length: count }, (_, i) => toArguments(size, i))
  return (n, nowMs) => ({
    decisionId: uuidv7(nowMs),
    timeMs: nowMs,
    tenant: 'acme',
    environment: 'production',
    agent: `agent-${n % 500}`,
    principal: `user-${n % 97}`,
    sessionId: `session-${n % 2_000}`,
    requestId: '',
    delegationChain: [],
    tool: `analytics.query-${n % 40}`,
    arguments: args[n % count]!,
    argumentsDigest: null,
    decision: DECISIONS[n % DECISIONS.length]!,
    evaluationNs: 400 + (n % 700),
  })
}

function toArguments(size: Size, n: number): JsonObject {
  const key = ((n * 2_654_435_761) >>> 0).toString(36)
  if (size === 'small') return decoded({ order: `ord_${key}`, limit: n % 50 })
  const note =
    size === 'large' ? `${WORDS}. `.repeat(Math.ceil((SIZES.large - 200) / WORDS.length)) : WORDS.slice(0, 34)
  return decoded({
    query: `SELECT id, total FROM orders WHERE customer_id = ${n * 7_919} AND status = 'open'`,
    limit: 100 + (n % 50),
    dry_run: n % 2 === 0,
    customer: `cus_${key}`,
    note,
    recipients: [`a${n}@example.com`, 'b@example.com'],
  })
}

/** As they come out of the decoder: objects without a prototype. */
function decoded(value: object): JsonObject {
  return parseJsonObject(JSON.stringify(value))
}
