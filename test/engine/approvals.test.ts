import t, { type Test } from 'tap'
import { compile, compilePolicySet } from '../../src/compiler/compile.js'
import { transfersOf } from '../../src/compiler/image.js'
import { openPolicySet, type PolicySet } from '../../src/compiler/policy-set.js'
import { decide } from '../../src/engine/decide.js'
import { mergeRequirements } from '../../src/engine/requirements.js'
import { checkBundle } from '../../src/language/check.js'
import type { CheckedBundle } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import type { ApprovalRequirement, Decision } from '../../src/model/decision.js'
import { naiveDecide } from '../reference/naive.js'

const NOON = Date.UTC(2026, 0, 5, 12)

function check(files: Readonly<Record<string, string>>): CheckedBundle {
  const policies = new Map(Object.entries(files).map(([path, text]) => [path, new TextEncoder().encode(text)]))
  const bundle = checkBundle({ policies, attachments: new Map() })
  const errors = bundle.diagnostics.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'))
  return bundle
}

function call(over: Partial<Call> = {}): Call {
  return {
    requestId: '',
    tenant: 'default',
    agent: { id: 'agent-1', labels: { team: 'billing' } },
    principal: { id: 'ann', labels: { region: 'eu' } },
    sessionId: '',
    delegationChain: [],
    tool: 'pay',
    environment: 'prod',
    arguments: {},
    context: {},
    ...over,
  }
}

/** What a call is asked for under a clause; the plain evaluator must say the same. */
function asked(t: Test, clause: string, over: Partial<Call> = {}): readonly ApprovalRequirement[] {
  const header = 'policy p authors [zoe, "bob@example.com", adam]\n'
  const bundle = check({ 'p.policy': `${header}list large = [7, 8]\nrule R { require approval ${clause} }` })
  const { approvals } = decide(call(over), { nowMs: NOON }, compilePolicySet(bundle, 'default'))
  t.same(naiveDecide(call(over), NOON, bundle, 'default').approvals, approvals, `${clause}: naive evaluator`)
  return approvals
}

const PLAIN: ApprovalRequirement = {
  ruleIds: ['R'],
  stages: [{ from: [{ count: 1, role: 'a', where: [] }] }],
  withinMs: null,
  onTimeout: { kind: 'deny' },
  escalations: [],
  validForMs: null,
  notByRequester: false,
  barred: [],
  reasonOnApproval: false,
  reasonOnRejection: false,
  mayEdit: [],
  mayRemember: [],
  breakGlass: null,
  isException: false,
}
const HOUR_MS = 3_600_000

t.test('what a clause says is what is asked', (t) => {
  const cases: Readonly<Record<string, Partial<ApprovalRequirement>>> = {
    'from a': {},
    'from a not by requester': { notByRequester: true },
    'from a not by author': { barred: ['adam', 'bob@example.com', 'zoe'] },
    'from a reason required': { reasonOnApproval: true, reasonOnRejection: true },
    'from a reason required on approval': { reasonOnApproval: true },
    'from a reason required on rejection': { reasonOnRejection: true },
    'from a may edit args.amount, args["odd key"].in': { mayEdit: [['amount'], ['odd key', 'in']] },
    'from a may remember exact for 8h': {
      mayRemember: [{ scope: 'exact', paths: [], forMs: 8 * HOUR_MS, mostUses: null }],
    },
    'from a may remember args.to, args.cc for 1h at most 10 times may remember tool for 5m': {
      mayRemember: [
        { scope: 'fields', paths: [['to'], ['cc']], forMs: HOUR_MS, mostUses: 10 },
        { scope: 'tool', paths: [], forMs: 300_000, mostUses: null },
      ],
    },
    'from a break glass by "incident lead"': { breakGlass: 'incident lead' },
    'from a within 1h escalate to c after 10m escalate to b after 5m': {
      withinMs: HOUR_MS,
      escalations: [
        { role: 'b', afterMs: 300_000 },
        { role: 'c', afterMs: 600_000 },
      ],
    },
  }
  for (const [clause, expected] of Object.entries(cases)) {
    t.same(asked(t, clause), [{ ...PLAIN, ...expected }], clause)
  }
  t.end()
})

t.test("an attribute is what the call holds, and nobody's where it holds no single value", (t) => {
  const cases: readonly (readonly [value: string, over: Partial<Call>, expected: unknown])[] = [
    ['"eu"', {}, 'eu'],
    ['-1.5', {}, -1.5],
    ['true', {}, true],
    ['env', {}, 'prod'],
    ['agent.id', {}, 'agent-1'],
    ['agent.team', {}, 'billing'],
    ['agent.labels.team', {}, 'billing'],
    ['principal.region', {}, 'eu'],
    ['principal.region', { principal: null }, null],
    ['principal.constructor', {}, null],
    ['context.region', { context: { region: 'us' } }, 'us'],
    ['args.region', { arguments: { region: 'us' } }, 'us'],
    ['args.region', { arguments: { region: '' } }, ''],
    ['args.region', { arguments: { region: 0 } }, 0],
    ['args.region', { arguments: { region: false } }, false],
    ['args.region', {}, null],
    ['args.region', { arguments: { region: null } }, null],
    ['args.region', { arguments: { region: ['us'] } }, null],
    ['args.region', { arguments: { region: { name: 'us' } } }, null],
    ['args.region', { arguments: { region: 2n ** 60n } }, null],
    ['args.region', { arguments: { region: 'x'.repeat(256) } }, 'x'.repeat(256)],
    ['args.region', { arguments: { region: 'x'.repeat(257) } }, null],
    ['args.order.region', { arguments: { order: { region: 'us' } } }, 'us'],
    ['args.order.region', { arguments: { order: 'us' } }, null],
    ['args.__proto__', {}, null],
  ]
  for (const [value, over, expected] of cases) {
    const from = [{ count: 2, role: 'a', where: [{ attribute: 'region', value: expected }] }]
    t.same(asked(t, `from 2 of a (region = ${value})`, over), [{ ...PLAIN, stages: [{ from }] }], value)
  }
  t.end()
})

t.test('a stage is left out only where its condition is false', (t) => {
  const cases: readonly (readonly [condition: string, over: Partial<Call>, isAsked: boolean])[] = [
    ['args.n > 10', { arguments: { n: 11 } }, true],
    ['args.n > 10', { arguments: { n: 10 } }, false],
    ['args.n > 10', { arguments: { n: '11' } }, true],
    ['args.n > 10', {}, true],
    ['not (args.n > 10)', {}, true],
    ['args.n > 10 and env == "dev"', {}, false],
    ['args.n > 10 or env == "prod"', {}, true],
    ['args.n in large', { arguments: { n: 8 } }, true],
    ['args.n in [list large, 9]', { arguments: { n: 10 } }, false],
    ['any x in args.to: domain(x) != "example.com"', { arguments: { to: ['a@example.com', 'b@x.org'] } }, true],
    ['any x in args.to: domain(x) != "example.com"', { arguments: { to: ['a@example.com'] } }, false],
    ['sql(args.sql).has_where', { arguments: { sql: 'not ( sql' } }, true],
    ['now in 11:00..13:00', {}, true],
    ['now in 13:00..14:00 "UTC" on mon..fri', {}, false],
  ]
  const [first] = PLAIN.stages
  const second = { from: [{ count: 1, role: 'b', where: [] }] }
  const third = { from: [{ count: 1, role: 'c', where: [] }] }
  for (const [condition, over, isAsked] of cases) {
    const stages = isAsked ? [first, second, third] : [first, third]
    t.same(asked(t, `from a then from b if ${condition} then from c`, over), [{ ...PLAIN, stages }], condition)
  }
  t.end()
})

t.test('answers that follow from what matched are one object; the others are made for each call', (t) => {
  const text = `policy p
default require approval from lead then from chief if args.n > 1
rule A { on tool plain  require approval from a }
rule B { on tool open  require approval from a (region = args.region) }
rule C { on tool open  require approval from a (region = "eu") }
rule D { on tool denied  require approval from a (region = args.region) }
rule E { on tool denied  deny }`
  const policySet = compilePolicySet(check({ 'p.policy': text }), 'default')
  const ask = (tool: string, args: Call['arguments'] = {}): Decision =>
    decide(call({ tool, arguments: args }), { nowMs: NOON }, policySet)
  t.equal(ask('plain', { region: 'a' }), ask('plain', { region: 'b' }))
  t.equal(ask('denied', { region: 'a' }), ask('denied', { region: 'b' }))
  t.same(ask('denied').approvals, [])
  const regions = (decision: Decision) => decision.approvals.map(({ stages }) => stages[0]!.from[0]!.where[0]!.value)
  t.same(regions(ask('open', { region: 'us' })), ['us', 'eu'])
  t.same(regions(ask('open', { region: 'eu' })), ['eu'], 'equal once they are settled, so one')
  t.same(ask('open', { region: 'eu' }).approvals[0]!.ruleIds, ['B', 'C'])
  t.same(regions(ask('open')), [null, 'eu'], 'nothing is left of the call before')
  t.ok(Object.isFrozen(ask('open')))
  const byDefault = 'No rule allows this call, and policy p requires approval from lead'
  t.equal(ask('other', { n: 1 }).reason, `${byDefault} by default.`)
  t.equal(ask('other', { n: 2 }).reason, `${byDefault}, then chief by default.`)
  t.equal(policySet.frame.call.tool, '', 'the call is let go')
  t.end()
})

t.test('clauses meet only where they ask for the very same', (t) => {
  const group = (region: string) => ({ count: 1, role: 'a', where: [{ attribute: 'region', value: region }] })
  const offer = { scope: 'fields', paths: [['a'], ['b']], forMs: HOUR_MS, mostUses: null } as const
  const full: ApprovalRequirement = {
    ...PLAIN,
    stages: [{ from: [group('eu'), group('us')] }],
    mayEdit: [['a'], ['b']],
    mayRemember: [offer, { ...offer, scope: 'tool', paths: [] }],
  }
  const turned: ApprovalRequirement = {
    ...full,
    ruleIds: ['S'],
    stages: [{ from: [group('us'), group('eu')] }],
    mayEdit: [['b'], ['a']],
    mayRemember: [
      { ...offer, scope: 'tool', paths: [] },
      { ...offer, paths: [['b'], ['a']] },
    ],
  }
  t.same(mergeRequirements([full, turned]), [{ ...full, ruleIds: ['R', 'S'] }], 'in any order')
  const others: Readonly<Record<string, Partial<ApprovalRequirement>>> = {
    'another value': { stages: [{ from: [group('eu'), group('uk')] }] },
    'no attributes': { stages: PLAIN.stages },
    'somebody barred': { barred: ['zoe'] },
    'a reason for': { reasonOnApproval: true },
    'a reason against': { reasonOnRejection: true },
    'less to edit': { mayEdit: [['a']] },
    'steps in another order': { mayEdit: [['a', 'b']] },
    'no grants': { mayRemember: [] },
    'a longer grant': { mayRemember: [{ ...offer, forMs: 2 * HOUR_MS }, full.mayRemember[1]!] },
    'a grant for fewer uses': { mayRemember: [{ ...offer, mostUses: 1 }, full.mayRemember[1]!] },
    'another glass': { breakGlass: 'b' },
  }
  for (const [name, over] of Object.entries(others)) {
    t.equal(mergeRequirements([full, { ...full, ...over, ruleIds: ['S'] }]).length, 2, name)
  }
  t.end()
})

t.test('a template fills in roles, attributes and conditions', (t) => {
  const text = `policy p
template t(who, place, limit) { require approval from who (region = place) then from who if args.n > limit break glass by who }
use t(boss, principal.region, 5) as R
use t("chief", "us", args.m) as S`
  const policySet = compilePolicySet(check({ 'p.policy': text }), 'default')
  const { approvals } = decide(call({ arguments: { n: 6, m: 7 } }), { nowMs: NOON }, policySet)
  const plain = (role: string) => ({ from: [{ count: 1, role, where: [] }] })
  const routed = (role: string, value: string) => ({
    from: [{ count: 1, role, where: [{ attribute: 'region', value }] }],
  })
  t.same(approvals, [
    { ...PLAIN, stages: [routed('boss', 'eu'), plain('boss')], breakGlass: 'boss' },
    { ...PLAIN, ruleIds: ['S'], stages: [routed('chief', 'us')], breakGlass: 'chief' },
  ])
  t.end()
})

t.test('authors are those of the policy that the rule stands in', (t) => {
  const files = {
    'f.policy': 'fleet policy f authors [fay]\ndefault allow\nrule F { require approval from a not by author }',
    'p.policy': 'policy p authors [pat]\nrule P { require approval from a not by author }',
  }
  const { approvals } = decide(call(), { nowMs: NOON }, compilePolicySet(check(files), 'default'))
  t.same(
    approvals.map(({ ruleIds, barred }) => [ruleIds, barred]),
    [
      [['F'], ['fay']],
      [['P'], ['pat']],
    ],
  )
  t.end()
})

t.test('a tool wants receipts by the word of any of its declarations', (t) => {
  const files = {
    'f.policy':
      'fleet policy f\ntool a {} receipt\ntool b { x: string } tags [t]\ntool c {}\ntool c {} receipt\ntool d {}',
    'tenants/one/p.policy': 'policy p\ntool b { x: string } tags [t] receipt\nrule R { on tool "e" allow }',
    'tenants/two/p.policy': 'policy q\ntool f {}',
  }
  const bundle = check(files)
  const wanting = (policySet: PolicySet) => [...'abcdefz'].filter((tool) => policySet.wantsReceipt(tool)).join('')
  t.equal(wanting(compilePolicySet(bundle, 'one')), 'abc')
  t.equal(wanting(compilePolicySet(bundle, 'two')), 'ac')
  t.equal(wanting(compilePolicySet(check({ 'p.policy': 'policy p\ntool a {}' }), 'default')), '')
  const image = compile(bundle, 'one')
  const moved = structuredClone(image, { transfer: transfersOf(image) })
  t.equal(wanting(openPolicySet(moved)), 'abc', 'also in another thread')
  t.end()
})
