import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import type { DecideRequest } from '../../sdk/typescript/client.js'
import { startServer } from '../server/harness.js'

const hasGrpc = spawnSync('python3', ['-c', 'import grpc, grpc_tools']).status === 0
const skip = !hasGrpc && 'needs python3 with grpcio and grpcio-tools (pip install grpcio grpcio-tools)'

/** Both spellings of the same calls. */
const calls: readonly (DecideRequest & { readonly requestId: string })[] = [
  { requestId: 'r0', agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod' },
  { requestId: 'r1', agent: { id: 'support-1' }, tool: 'delete_customer', environment: 'prod' },
  {
    requestId: 'r2',
    agent: { id: 'support-1', labels: { team: 'billing' } },
    principal: { id: 'alice' },
    sessionId: 's1',
    delegationChain: ['planner'],
    tool: 'issue_refund',
    environment: 'prod',
    arguments: { order_id: 'Ä1', amount: 450.5, notes: [null, true, { deep: '🙂' }] },
  },
  { requestId: 'r3', agent: { id: 'nobody' }, tool: 'issue_refund', environment: 'prod', arguments: { amount: 1 } },
]

t.test('a Python client generated from the proto gets the same answers', { skip }, async (t) => {
  const { app, client, log } = await startServer(t)
  const inTypeScript = await client.decideBatch(calls)
  const expected = inTypeScript.map(({ response }) => response)

  const struct = calls.map(({ arguments: args, ...call }) => ({ ...call, ...(args && { argumentsStruct: args }) }))
  const run = promisify(execFile)('python3', ['test/foreign/python_client.py', app.address, 'proto'])
  run.child.stdin?.end(JSON.stringify(struct))
  const { stdout } = await run
  const answers = JSON.parse(stdout)

  for (const method of ['unary', 'batch', 'stream']) {
    for (const [i, answer] of answers[method].entries()) {
      const where = `${method} ${calls[i]?.requestId}`
      // The ids are those of the calls above, so the server repeats its answers: nothing differs, not even times.
      t.equal(answer.decision_id, expected[i]?.decisionId, where)
      t.equal(answer.outcome, expected[i]?.outcome, where)
      t.equal(answer.reason, expected[i]?.reason, where)
      t.equal(answer.reason_code, expected[i]?.reasonCode, where)
      t.equal(answer.policy_revision, expected[i]?.policyRevision, where)
      t.equal(Number(answer.evaluation_ns), expected[i]?.evaluationNs, where)
      t.strictSame(
        (answer.matched_rules ?? []).map((rule: { rule_id: string }) => rule.rule_id),
        expected[i]?.matchedRules.map((rule) => rule.ruleId),
        where,
      )
    }
    t.equal(answers[method].length, calls.length)
  }
  t.strictSame(
    expected.map((answer) => answer?.outcome),
    ['ALLOW', 'DENY', 'REQUIRE_APPROVAL', 'DENY'],
  )
  t.equal(app.auditStatus.lastSeq, calls.length, 'one record a call, whoever asked how often')
  t.strictSame(answers.error, {
    code: 'INVALID_ARGUMENT',
    message: 'agent is missing',
    reason: 'FIELD_REQUIRED',
    domain: 'portcullis',
    metadata: { field: 'agent' },
  })
  t.notOk(log.lines.some((line) => line.level === 'error'))
})
