import { existsSync } from 'node:fs'
import t from 'tap'
import type { AuditEvent } from '../../sdk/typescript/client.js'
import { startServer } from './harness.js'

const allowed = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod', arguments: { order_id: 'A1' } }
const denied = { ...allowed, agent: { id: 'support-2' }, tool: 'delete_customer', arguments: { password: 'hunter2' } }
const refund = { ...allowed, tool: 'issue_refund', arguments: { order_id: 'A1', amount: 450 } }

const skip = !existsSync('node_modules/chdb') && 'chdb is not installed'

t.test('from a decision to the analyst', { skip }, async (t) => {
  const { app, client } = await startServer(t, { argv: ['--audit-store', 'embedded'] })
  const past = await client.decide(allowed)
  const stop = new AbortController()
  const tail = client.auditTail(10, stop.signal)
  t.teardown(() => stop.abort())
  const next = async (): Promise<AuditEvent> => (await tail.next()).value as AuditEvent
  t.match(await next(), { decisionId: past.decisionId, outcome: 'ALLOW' }, 'a tail begins with what was')

  const deny = await client.decide({ ...denied, requestId: 'r1', sessionId: 's1', principal: { id: 'alice' } })
  const event = await next()
  t.match(event, {
    decisionId: deny.decisionId,
    tenant: 'default',
    environment: 'prod',
    agent: 'support-2',
    principal: 'alice',
    sessionId: 's1',
    requestId: 'r1',
    tool: 'delete_customer',
    outcome: 'DENY',
    reasonCode: 'RULE_DENY',
    reason: deny.reason,
    ruleIds: ['DENY_DELETE'],
    policyRevision: app.live.revision,
    violation: true,
    evaluationNs: deny.evaluationNs,
  })
  t.notMatch(event.argumentsJson, 'hunter2', 'secrets are masked')
  t.match(event.argumentsDigest, /^[0-9a-f]{64}$/)
  const approve = await client.decide(refund)
  t.equal((await next()).decisionId, approve.decisionId)

  t.strictSame(await client.auditGet(deny.decisionId), event)
  t.equal(await client.auditGet('0198c0de-0000-7000-8000-000000000000'), null)
  t.strictSame(
    (await client.auditQuery({ outcome: 'DENY', agent: 'support-2', ruleId: 'DENY_DELETE' })).map((e) => e.decisionId),
    [deny.decisionId],
  )
  t.strictSame(await client.auditQuery({ agent: "' OR 1=1 --" }), [])
  t.match(await client.auditOverview(), {
    totals: { total: 3, allowed: 1, requireApproval: 1, denied: 1 },
    topViolations: [{ ruleId: 'DENY_DELETE', policy: 'support', count: 1, agents: 1 }],
    riskiestAgents: [{ agent: 'support-2', violations: 1, decisions: 1, violationRate: 1 }],
  })
  t.match(await client.auditTotals(), { total: 3 })
  t.equal((await client.auditTopViolations()).length, 1)
  t.equal((await client.auditRiskyAgents({ limit: 1 })).length, 1)
  const long = new Date('2020-01-01')
  t.match(await client.auditTotals({ from: long, until: new Date('2020-02-01') }), { total: 0 })
})
