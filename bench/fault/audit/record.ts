import { createHash } from 'node:crypto'
import type { AuditRecord } from '../../../src/model/audit-record.js'
import type { Outcome } from '../../../src/model/outcome.js'
import { uuidv7 } from '../../../src/model/uuid.js'

const OUTCOMES: readonly Outcome[] = ['ALLOW', 'ALLOW', 'ALLOW', 'ALLOW', 'DENY', 'REQUIRE_APPROVAL']

/** A plausible decision; the same `n` gives the same one except for its id and time. */
export function sampleRecord(n: number, nowMs: number, change: Partial<AuditRecord> = {}): AuditRecord {
  const outcome = OUTCOMES[n % OUTCOMES.length] as Outcome
  const restricts = outcome !== 'ALLOW'
  return {
    kind: 'decision',
    decisionId: uuidv7(nowMs),
    timeMs: nowMs,
    tenant: 'acme',
    environment: 'production',
    agent: `agent-${n % 7}`,
    principal: 'user-17',
    sessionId: `session-${n % 31}`,
    requestId: `request-${n}`,
    delegationChain: [],
    tool: n % 2 === 0 ? 'database.query' : 'email.send',
    arguments: { query: `SELECT * FROM orders WHERE id = ${n}`, limit: 100, password: 'hunter2' },
    argumentsDigest: createHash('sha256').update(String(n)).digest('hex'),
    outcome,
    reasonCode: outcome === 'ALLOW' ? 'RULE_ALLOW' : outcome === 'DENY' ? 'RULE_DENY' : 'RULE_APPROVAL',
    reason: restricts ? 'refunds need a person' : 'reads are allowed',
    rules: [
      {
        ruleId: `rule-${n % 5}`,
        policy: 'support',
        effect: outcome,
        description: 'a rule of the sample',
        indeterminate: false,
      },
    ],
    monitored: [],
    policyRevision: 'sha256:0123456789abcdef',
    evaluationNs: 1_500,
    ...change,
  }
}
