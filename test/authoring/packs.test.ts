import { fileURLToPath } from 'node:url'
import t from 'tap'
import { demoDay } from '../../bench/demo/day.js'
import { readPolicyFolder } from '../../src/authoring/policy-folder.js'
import { runTests } from '../../src/authoring/run-tests.js'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { decide } from '../../src/engine/decide.js'
import { checkBundle } from '../../src/language/check.js'

const bundle = checkBundle(await readPolicyFolder(fileURLToPath(new URL('../../../policies', import.meta.url))))

t.test('the packs check without a finding', async (t) => {
  t.same(
    bundle.diagnostics.filter((d) => d.severity !== 'info'),
    [],
  )
})

t.test('their tests pass, and every enforced rule decides at least one of them', async (t) => {
  const results = [...runTests(bundle)]
  t.same(
    results.filter((result) => !result.passed).map(({ name, failures }) => ({ name, failures })),
    [],
  )
  const decided = new Set(results.flatMap((result) => result.decision.matched.map((rule) => rule.ruleId)))
  const rules = [bundle.fleet, ...bundle.tenants.values()].flatMap((layer) =>
    layer.policies.flatMap((policy) => policy.rules),
  )
  t.ok(rules.length > 30)
  t.same(
    rules.filter((rule) => !rule.monitor && !decided.has(rule.id)).map((rule) => rule.id),
    [],
  )
})

t.test('a query without LIMIT is allowed with one, also where a person must say yes', async (t) => {
  const policySet = compilePolicySet(bundle, 'default')
  const ask = (sql: string) => {
    const call = {
      requestId: '',
      tenant: 'default',
      agent: { id: 'analytics-bot-1', labels: {} },
      principal: null,
      sessionId: '',
      delegationChain: [],
      tool: 'query_database',
      environment: 'prod',
      arguments: { sql },
      context: {},
    }
    const { outcome, obligations } = decide(call, { nowMs: 0 }, policySet)
    return { outcome, obligations }
  }
  const limit = [{ kind: 'max_rows', target: '', value: 1000, ruleId: 'ALLOW_READS' }]
  t.same(ask('SELECT id, total FROM orders'), { outcome: 'ALLOW', obligations: limit })
  t.same(ask('SELECT id, plan FROM users'), { outcome: 'REQUIRE_APPROVAL', obligations: limit })
  t.same(ask('DELETE FROM orders WHERE id = 7'), { outcome: 'DENY', obligations: [] })
})

t.test('a day of the three scenarios gives the numbers of the roadmap', async (t) => {
  const policySet = compilePolicySet(bundle, 'default')
  const counts: Record<string, Record<string, number>> = {}
  for (const call of demoDay()) {
    const decision = decide(
      {
        requestId: '',
        tenant: 'default',
        agent: { id: call.agent, labels: {} },
        principal: { id: call.principal, labels: {} },
        sessionId: call.session,
        delegationChain: [],
        tool: call.tool,
        environment: 'prod',
        arguments: call.args,
        context: {},
      },
      { nowMs: call.atMs },
      policySet,
    )
    if (decision.outcome !== call.expect) t.fail(`${call.tool}: ${decision.outcome}`, { call, decision })
    const scenario = (counts[call.scenario] ??= {})
    scenario[decision.outcome] = (scenario[decision.outcome] ?? 0) + 1
  }
  t.same(counts, {
    support: { ALLOW: 485, REQUIRE_APPROVAL: 12, DENY: 3 },
    analytics: { ALLOW: 190, REQUIRE_APPROVAL: 2, DENY: 8 },
    marketing: { ALLOW: 71, REQUIRE_APPROVAL: 4, DENY: 5 },
  })
})
