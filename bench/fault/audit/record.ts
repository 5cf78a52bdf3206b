import type { AuditedDecision, AuditedRule, AuditRecord } from '../../../src/model/audit-record.js'
import type { Outcome } from '../../../src/model/outcome.js'
import { uuidv7 } from '../../../src/model/uuid.js'

const OUTCOMES: readonly Outcome[] = ['ALLOW', 'ALLOW', 'ALLOW', 'ALLOW', 'DENY', 'REQUIRE_APPROVAL']

/** The answer's fields may be given beside the record's. */
export type RecordChange = Partial<Omit<AuditRecord, 'decision'> & AuditedDecision>

/** A plausible decision; the same `n` gives the same one except for its id and time. */
export function sampleRecord(n: number, nowMs: number, change: RecordChange = {}): AuditRecord {
  const outcome = change.outcome ?? (OUTCOMES[n % OUTCOMES.length] as Outcome)
  const { reasonCode, reason, matched, monitored, policyRevision, ...fields } = change
  return {
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
    argumentsDigest: null,
    evaluationNs: 1_500,
    decision: {
      outcome,
      reasonCode: reasonCode ?? CODES[outcome],
      reason: reason ?? (outcome === 'ALLOW' ? 'reads are allowed' : 'refunds need a person'),
      matched: matched ?? [sampleRule(n, outcome)],
      monitored: monitored ?? [],
      policyRevision: policyRevision ?? 'sha256:0123456789abcdef',
    },
    ...fields,
  }
}

const CODES = { ALLOW: 'RULE_ALLOW', DENY: 'RULE_DENY', REQUIRE_APPROVAL: 'RULE_APPROVAL' } as const

function sampleRule(n: number, effect: Outcome): AuditedRule {
  const description = 'a rule of the sample'
  return { ruleId: `rule-${n % 5}`, policy: 'support', effect, description, indeterminate: false }
}
