import t from 'tap'
import type { Call } from '../../src/model/call.js'
import type { Decision, MatchedRule } from '../../src/model/decision.js'
import { AutoKill } from '../../src/state/auto-kill.js'

const rule: MatchedRule = {
  ruleId: 'NO_EXFILTRATION',
  policy: 'p',
  effect: 'DENY',
  description: '',
  why: '',
  severity: 'critical',
  tags: [],
  indeterminate: false,
  location: { file: 'p.policy', line: 1, column: 1, start: 0, end: 1 },
}
const decided = (changes: Partial<MatchedRule> = {}, outcome: Decision['outcome'] = 'DENY'): Decision => ({
  outcome,
  reasonCode: 'RULE_DENY',
  reason: '',
  matched: [{ ...rule, ...changes }],
  monitored: [],
  obligations: [],
  approvals: [],
  nearMisses: [],
  policyRevision: 'r',
})
const by = (agent: string, tenant = 'acme'): Call => ({
  requestId: '',
  tenant,
  agent: { id: agent, labels: {} },
  principal: null,
  sessionId: '',
  delegationChain: [],
  tool: 'x',
  environment: 'prod',
  arguments: {},
  context: {},
})

function watching(fails: readonly boolean[] = []): { readonly engaged: string[]; readonly watch: AutoKill } {
  const engaged: string[] = []
  const engage = async (tenant: string, agent: string, reason: string): Promise<void> => {
    engaged.push(`${tenant}/${agent}: ${reason}`)
    if (fails[engaged.length - 1] === true) throw new Error('down')
  }
  return { engaged, watch: new AutoKill({ rule: { most: 3, withinMs: 60_000 }, engage }) }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

t.test('the third critical violation within a minute stops the agent, once', async (t) => {
  const { engaged, watch } = watching()
  for (const at of [0, 10, 20, 30]) watch.observe(by('a'), decided(), at)
  t.strictSame(engaged, ['acme/a: 3 critical violations within 1 min, the last by rule NO_EXFILTRATION'])
  await turn()
  watch.observe(by('a'), decided(), 40)
  t.equal(engaged.length, 1, 'after a release it takes three again')
})

t.test('what does not count', async (t) => {
  const { engaged, watch } = watching()
  for (let at = 0; at < 20; at++) {
    watch.observe(by('a'), decided({ severity: 'high' }), at)
    watch.observe(by('a'), decided({ severity: null }), at)
    watch.observe(by('a'), decided({ effect: 'REQUIRE_APPROVAL' }, 'REQUIRE_APPROVAL'), at)
    watch.observe(by('a'), decided({ effect: 'ALLOW' }, 'ALLOW'), at)
    watch.observe(by(`other-${at}`), decided(), at)
    watch.observe(by('a', `tenant-${at}`), decided(), at)
    watch.observe(by('slow'), decided(), at * 30_000)
  }
  t.strictSame(engaged, [])
  for (let at = 0; at < 3; at++)
    watch.observe(by('b'), decided({ effect: 'DENY_EXCEPT_APPROVAL' }, 'REQUIRE_APPROVAL'), at)
  t.equal(engaged.length, 1, 'a denial that people may lift counts')
})

t.test('where it could not be engaged the next violation tries again', async (t) => {
  const { engaged, watch } = watching([true])
  for (const at of [0, 1, 2]) watch.observe(by('a'), decided(), at)
  await turn()
  t.equal(engaged.length, 1)
  watch.observe(by('a'), decided(), 3)
  t.equal(engaged.length, 2)
})
