import t from 'tap'
import { compile as compileImage, compilePolicySet } from '../../src/compiler/compile.js'
import { CompileError } from '../../src/compiler/compile-error.js'
import { NESTED_LIMITS } from '../../src/compiler/encode.js'
import { explainIndex } from '../../src/compiler/explain-index.js'
import * as finding from '../../src/compiler/findings.js'
import { NameIndex } from '../../src/compiler/name-index.js'
import { NamePatterns, type Pattern, writeNames } from '../../src/compiler/names.js'
import { Numbering } from '../../src/compiler/numbered.js'
import { openPolicySet, type PolicySet } from '../../src/compiler/policy-set.js'
import { MAX_ODD_HOSTS } from '../../src/compiler/predicate/quantifier.js'
import { recordsOf } from '../../src/compiler/program.js'
import { StringPool, Texts } from '../../src/compiler/string-pool.js'
import { combine, combineLayer } from '../../src/engine/combine.js'
import { decide } from '../../src/engine/decide.js'
import { visibleTools } from '../../src/engine/visible-tools.js'
import { checkBundle } from '../../src/language/check.js'
import type { CheckedBundle } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import type { Decision } from '../../src/model/decision.js'
import { STRICTNESS } from '../../src/model/outcome.js'
import { naiveDecide } from '../reference/naive.js'
import { summary } from './differential.js'
import { seededDraw } from './generate.js'

const NOON = Date.UTC(2026, 0, 5, 12)

function check(text: string): CheckedBundle {
  const policies = new Map([['p.policy', new TextEncoder().encode(text)]])
  const bundle = checkBundle({ policies, attachments: new Map() })
  const errors = bundle.diagnostics.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'))
  return bundle
}

function compile(text: string, tenant = 'default'): PolicySet {
  return compilePolicySet(check(text), tenant)
}

/** Records that a call of the tool runs through, before any of its values tells them apart. */
function recordsMet({ frame, programs, tools, environments }: PolicySet, tool: string, environment: string): number {
  tools.fit(tool, frame.tool)
  const row = environments.fit(environment, frame.environment)
  const fitted = [...frame.tool.ids.subarray(frame.tool.start, frame.tool.end)]
  const starts = [...fitted.map((pattern) => programs.byPattern[pattern]!), programs.everyTool]
  return starts.filter((start) => start >= 0).flatMap((start) => [...recordsOf(programs, start, row)]).length
}

function call(over: Partial<Call> = {}): Call {
  return {
    requestId: '',
    tenant: 'default',
    agent: { id: 'agent-1', labels: {} },
    principal: null,
    sessionId: '',
    delegationChain: [],
    tool: 'noop',
    environment: 'prod',
    arguments: {},
    context: {},
    ...over,
  }
}

function ask(policySet: PolicySet, over: Partial<Call>, explain = false): Decision {
  return decide(call(over), { nowMs: NOON }, policySet, { explain })
}

t.test('combining: the truth table of a layer', (t) => {
  const names = [
    [finding.DENY_RULE, 'DENY', 'rule'],
    [finding.APPROVAL_RULE, 'REQUIRE_APPROVAL', 'rule'],
    [finding.ALLOW_RULE, 'ALLOW', 'rule'],
    [finding.DENY_DEFAULT, 'DENY', 'default'],
    [finding.APPROVAL_DEFAULT, 'REQUIRE_APPROVAL', 'default'],
    [finding.ALLOW_DEFAULT, 'ALLOW', 'default'],
  ] as const
  // Each row wins over all rows below it, whatever else was found.
  for (let findings = 0; findings < 64; findings++) {
    const winner = names.find(([bit]) => findings & bit)
    t.same(combineLayer(findings), winner === undefined ? null : { outcome: winner[1], by: winner[2] }, `${findings}`)
  }
  t.same(combineLayer(finding.APPROVAL_BY_TENANT_TAG), { outcome: 'REQUIRE_APPROVAL', by: 'rule' })
  t.equal(combineLayer(finding.APPROVAL_BY_TENANT_TAG | finding.ALLOW_RULE)?.outcome, 'REQUIRE_APPROVAL')
  t.equal(combineLayer(finding.APPROVAL_BY_TENANT_TAG | finding.DENY_DEFAULT)?.outcome, 'DENY')
  t.end()
})

t.test('combining: the stricter layer wins, and the fleet opens nothing', (t) => {
  for (let fleet = 0; fleet < 128; fleet++) {
    t.equal(combine(fleet, 0).outcome, 'DENY', `fleet ${fleet} alone`)
    for (let tenant = 1; tenant < 64; tenant++) {
      const outcome = combine(fleet, tenant).outcome
      const layers = [combineLayer(fleet)?.outcome ?? 'ALLOW', combineLayer(tenant)!.outcome]
      const strictest = Math.max(...layers.map((layer) => STRICTNESS[layer]))
      if (STRICTNESS[outcome] !== strictest) t.fail(`fleet ${fleet}, tenant ${tenant}: ${outcome}`)
    }
  }
  t.same(combine(finding.ALLOW_RULE, 0).tenant, { outcome: 'DENY', by: 'no-policy' })
  t.end()
})

t.test('explain: the conjuncts that kept rules in scope from matching', (t) => {
  const policySet = compile(`
policy p
default allow
rule FAR "another environment" { on tool pay, env dev  deny }
rule BIG "two conditions" { on tool pay  when env == "prod" and args.amount > 100  when args.kind == "card"  deny }
rule GIFT "an allow" { on tool pay  when args.amount < 5  allow }
rule HIT "matches" { on tool pay  deny }
`)
  const clauses = ({ nearMisses }: Decision) =>
    nearMisses.map(({ ruleId, failed }) => [ruleId, ...failed.map(({ text, value }) => `${text} is ${value}`)])
  const small = ask(policySet, { tool: 'pay', arguments: { amount: 7, kind: 'cash' } }, true)
  t.same(clauses(small), [
    ['BIG', 'args.amount > 100 is false', 'args.kind == "card" is false'],
    ['GIFT', 'args.amount < 5 is false'],
  ])
  t.equal(small.nearMisses[0]?.failed[0]?.location.line, 5)
  const missing = ask(policySet, { tool: 'pay', arguments: { kind: 'cash' } }, true)
  t.same(clauses(missing), [
    ['BIG', 'args.amount > 100 is unknown', 'args.kind == "card" is false'],
    ['GIFT', 'args.amount < 5 is unknown'],
  ])
  t.same(ask(policySet, { tool: 'pay', arguments: {} }).nearMisses, [], 'only on request')
  t.equal(
    ask(policySet, { tool: 'pay', arguments: { kind: 'card' } }, true).nearMisses.length,
    1,
    'BIG is unknown and so matched',
  )
  t.end()
})

t.test('visible tools: hidden only when every call of this agent is denied', (t) => {
  const policySet = compile(`
policy p
tool free {}
tool banned {}
tool banned_for_bots {}
tool banned_in_part { n: number }
tool asked { n: number }
tool allowed_in_part { n: number }
tool allowed_elsewhere {}
tool refused {}
tool in_prod {}
tool watched {}
rule R1 "" { on tool [free, banned, banned_for_bots, banned_in_part, watched]  allow }
rule R2 "" { on tool banned  deny }
rule R3 "" { on tool banned_for_bots, agent like "bot-*"  deny }
rule R4 "" { on tool banned_in_part  when args.n > 1  deny }
rule R5 "" { on tool asked  require approval from lead }
rule R6 "" { on tool allowed_in_part  when args.n < 1  allow }
rule R7 "" { on tool allowed_elsewhere  when env == "dev"  allow }
rule R8 "" { on tool in_prod  when principal.team == "ops"  allow }
rule R9 "" { on tool watched  deny  mode monitor }
`)
  const seen = (id: string, environment = 'prod', team = '') => {
    const principal = team === '' ? null : { id: 'ann', labels: { team } }
    const query = { tenant: 'default', agent: { id, labels: {} }, principal, environment, nowMs: NOON }
    return visibleTools(query, policySet).map(({ name }) => name)
  }
  const always = ['allowed_in_part', 'asked', 'banned_in_part', 'free', 'watched']
  t.same(seen('bot-1'), always)
  t.same(seen('ann'), [...always, 'banned_for_bots'].sort())
  t.same(seen('bot-1', 'dev'), [...always, 'allowed_elsewhere'].sort())
  t.same(seen('bot-1', 'prod', 'ops'), [...always, 'in_prod'].sort())
  t.end()
})

t.test('explain-index: how each rule is reached, and why one is walked', (t) => {
  const bounded = Array.from(
    { length: 20 },
    (_, i) => `rule B${i} "" { on tool pay  when args.amount > ${i} and args.amount <= ${i + 5}  deny }
rule A${i} "" { when ${i} < context.total  deny }`,
  ).join('\n')
  const keyed = Array.from({ length: 9 }, (_, i) => `rule K${i} "" { when args.kind == "k${i}"  deny }`).join('\n')
  const bundle = check(`
policy p
default allow
tool a {} tags [money]
rule LITERAL "" { on tool a  deny }
rule SET "" { on tool [a, b]  deny }
rule PREFIX "" { on tool db.*  deny }
rule SUFFIX "" { on tool like "*.drop"  deny }
rule GLOB "" { on tool like "a*b*c"  deny }
rule TAG "" { on tool tag money  deny }
rule UNDECLARED "" { on tool undeclared  deny }
rule UNDECLARED_SET "" { on tool [undeclared, "undeclared", tag money, db.*]  deny }
rule UNDECLARED_GLOB "" { on tool db.*, tool undeclared  deny }
rule UNDECLARED_NAME "" { on tool undeclared, tool b  deny }
rule ENV "" { when env == "prod"  deny }
rule SCAN "" { when args.x != 1  deny }
rule LONE "" { on agent "agent-7"  deny }
rule STAR "" { on tool *  when args.y > 1  deny }
rule NARROW "" { on tool like "db.*"  when tool.name in ["db.read"]  deny }
${keyed}
${bounded}
`)
  const rows = new Map(explainIndex(bundle, 'default').map((row) => [row.ruleId, row]))
  const paths = [...rows.values()].map(({ ruleId, access, by }) => `${ruleId} ${access} ${by}`.trim())
  t.same(paths.filter((path) => !/^[ABK]\d/.test(path)).sort(), [
    'ENV literal env prod',
    'GLOB glob tool a*b*c',
    'LITERAL literal tool a',
    'LONE scan',
    'NARROW literal tool db.read',
    'PREFIX prefix tool db.*',
    'SCAN scan',
    'SET set tool [a, b]',
    'STAR scan',
    'SUFFIX suffix tool *.drop',
    'TAG tag tool tag money',
    'UNDECLARED undeclared tool undeclared',
    'UNDECLARED_GLOB undeclared tool undeclared',
    'UNDECLARED_NAME literal tool b',
    'UNDECLARED_SET undeclared tool [undeclared, "undeclared", tag money, db.*]',
  ])
  t.equal(rows.get('K3')?.access, 'literal')
  t.equal(rows.get('K3')?.by, 'args.kind == "k3"')
  t.match(rows.get('B3'), { access: 'literal', by: 'tool pay' })
  t.same(rows.get('B3')?.within, { access: 'range', by: 'args.amount > 3 and args.amount <= 8' })
  t.match(rows.get('A3'), { access: 'range', by: '3 < context.total', within: null, whyScan: null })
  t.equal(rows.get('SET')?.within, null)
  t.match(rows.get('SCAN')?.whyScan, /names no tool and no environment/)
  t.match(rows.get('LONE')?.whyScan, /fewer rules than a table pays for/)
  t.ok((rows.get('LITERAL')?.buckets ?? 0) > 0)
  t.same(rows.get('NARROW')?.lifted, ['tool db.*', 'tool.name in ["db.read"]'])
  t.end()
})

t.test('a call of a declared tool meets no rule about undeclared ones, and sees the tools that it may call', (t) => {
  const rules = Array.from({ length: 50 }, (_, i) => `rule U${i} "" { on tool undeclared  when args.x == ${i}  deny }`)
  const policySet = compile(`policy p\ndefault allow\ntool a { x: number }\n${rules.join('\n')}`)
  t.equal(recordsMet(policySet, 'a', 'prod'), 0)
  t.equal(recordsMet(policySet, 'A', 'prod'), 50)
  t.equal(ask(policySet, { tool: 'a', arguments: { x: 7 } }).outcome, 'ALLOW')
  t.equal(ask(policySet, { tool: 'A', arguments: { x: 7 } }).outcome, 'DENY')
  const query = { tenant: 'default', agent: { id: 'a', labels: {} }, principal: null, environment: 'prod', nowMs: 0 }
  t.same(
    visibleTools(query, policySet).map(({ name }) => name),
    ['a'],
  )
  t.end()
})

t.test('a rule about any tool or a tagged one is listed once', (t) => {
  const policySet = compile(
    'fleet policy f\ndefault deny\nrule ANY "" { on tool [tag money, *]  require approval from ops }',
  )
  const { matched, outcome } = ask(policySet, { tool: 'a' })
  t.same([outcome, matched.map(({ ruleId }) => ruleId)], ['DENY', ['ANY']])
  t.end()
})

t.test('cost: a rule over the limit is refused by name, one under it is bounded', (t) => {
  const loops = (depth: number, body: string): string =>
    depth === 0 ? body : `any x${depth} in args.xs: ${loops(depth - 1, body)}`
  let refused: unknown
  try {
    compile(`policy p\nrule DEEP "" { on tool a  when ${loops(3, 'x1 == x2')}  deny }`)
  } catch (error) {
    refused = error
  }
  if (!(refused instanceof CompileError)) throw new Error('the rule was not refused')
  t.match(refused.message, /p\.policy:2: POL4001: rule `DEEP` may cost \d+ steps a call, over the limit of 1000000/)
  t.equal(refused.diagnostics.length, 1)
  const policySet = compile('policy p\ndefault allow\nrule ANY "" { on tool a  when any x in args.xs: x == 1  deny }')
  const limit = NESTED_LIMITS[0]!
  const xs = (length: number, last: number) => [...new Array<number>(length - 1).fill(0), last]
  t.equal(ask(policySet, { tool: 'a', arguments: { xs: xs(limit, 0) } }).outcome, 'ALLOW', 'as many as are looked at')
  t.equal(
    ask(policySet, { tool: 'a', arguments: { xs: xs(limit, 1) } }).reasonCode,
    'RULE_DENY',
    'the last that is looked at',
  )
  t.equal(ask(policySet, { tool: 'a', arguments: { xs: xs(limit + 1, 1) } }).reasonCode, 'INDETERMINATE', 'one more')
  const dearer = [
    ['any x in args.xs: any y in args.ys: x == y', NESTED_LIMITS[1]!],
    ['any x in args.xs: url(x).host == "h"', NESTED_LIMITS[1]!],
    ['any x in args.xs: x matches /^h$/', NESTED_LIMITS[0]!],
    ['any x in args.xs: x matches /^h$/ and any y in args.ys: x == y', NESTED_LIMITS[1]!],
    ['any x in args.xs: domain(x) == "h"', MAX_ODD_HOSTS],
    ['any x in args.xs: domain(x) == "h" or domain(x) == "g"', MAX_ODD_HOSTS / 2],
    ['any x in args.xs: x matches /^h$/ and url(x).host == "h"', NESTED_LIMITS[1]!],
  ] as const
  for (const [condition, most] of dearer) {
    const dear = compile(`policy p\ndefault allow\nrule ANY "" { on tool a  when ${condition}  deny }`)
    const arguments_ = (length: number) => ({ xs: new Array<string>(length).fill('https://i'), ys: ['b'] })
    t.equal(ask(dear, { tool: 'a', arguments: arguments_(most) }).outcome, 'ALLOW', condition)
    t.equal(ask(dear, { tool: 'a', arguments: arguments_(most + 1) }).reasonCode, 'INDETERMINATE', condition)
  }
  t.end()
})

t.test('invented tool and environment names are judged alike and never grow the index without bound', (t) => {
  const policySet = compile(`
policy p
default allow
rule DROP "" { on tool like "*.drop", env like "prod*"  deny }
`)
  for (let i = 0; i < 20_000; i++) {
    const outcome = ask(policySet, { tool: `x${i}.drop`, environment: `prod${i % 7}` }).outcome
    if (outcome !== 'DENY') t.fail(`x${i}.drop: ${outcome}`)
  }
  t.equal(policySet.tools.invented, 4_096, 'names kept')
  // The same pair of names, split elsewhere, is another pair.
  t.equal(ask(policySet, { tool: 'y.drop', environment: 'prod' }).outcome, 'DENY')
  t.equal(ask(policySet, { tool: 'y.drop ', environment: 'prod' }).outcome, 'ALLOW')
  t.equal(ask(policySet, { tool: 'y.dropprod', environment: 'x' }).outcome, 'ALLOW')
  t.end()
})

t.test('plans of tools that are called often find what programs find, within their bound', (t) => {
  const draw = seededDraw(11)
  const values = [
    undefined,
    null,
    true,
    false,
    '',
    'a',
    'b',
    'ab',
    0,
    -0,
    1,
    1.5,
    2,
    -3,
    1e300,
    2n ** 70n,
    NaN,
    ['a'],
    {},
  ]
  const literals = ['"a"', '"b"', '""', '1', '2', '0', '1.5', 'true', 'false', 'null']
  const one = () => literals[draw.int(literals.length)]!
  const clause = (): string => {
    const key = `args.k${draw.int(3)}`
    const several = Array.from({ length: 1 + draw.int(4) }, one).join(', ')
    const kinds = [
      `${key} ${['<', '<=', '>', '>=', '==', '!='][draw.int(6)]} ${draw.int(4)}`,
      `${key} == ${one()}`,
      `${key} != ${one()}`,
      `${key} ${draw.int(2) === 0 ? 'in' : 'not in'} [${several}]`,
      `exists ${key}`,
      `${key} contains "b"`,
      `${key} matches /^a/`,
    ]
    return kinds[draw.int(kinds.length)]!
  }
  const rule = (tool: string, number: number) => {
    const clauses = Array.from({ length: draw.int(4) }, () => `  when ${clause()}\n`).join('')
    const team = draw.int(3) === 0 ? `, agent team = ${['x', 'y'][draw.int(2)]}` : ''
    return `rule R${tool}${number} { on tool ${tool}${team}\n${clauses}  ${['deny', 'allow', 'require approval from r'][draw.int(3)]} }`
  }
  // Tools of some blocks, of exactly one, and of too many entries.
  const sizes = { a: 1, b: 31, c: 32, d: 33, e: 127, f: 128, g: 300 }
  const rules = Object.entries(sizes).flatMap(([tool, size]) => Array.from({ length: size }, (_, i) => rule(tool, i)))
  const bundle = check(`policy p\ndefault allow\n${rules.join('\n')}`)
  const policySet = compilePolicySet(bundle, 'default')
  const image = compileImage(bundle, 'default')
  const small = openPolicySet(image, { mostPlanCode: 2_000 })
  const calls = Array.from({ length: 600 }, (_, i) => {
    const value = () => values[draw.int(values.length)]
    const args = Object.fromEntries(
      [0, 1, 2].map((key) => [`k${key}`, value()]).filter(([, value]) => value !== undefined),
    )
    const agent = { id: 'i', labels: draw.int(2) === 0 ? { team: 'x' } : {} }
    return call({ tool: Object.keys(sizes)[i % 7]!, agent, arguments: args as Call['arguments'] })
  })
  const judge = (by: PolicySet) => calls.map((one) => JSON.stringify(decide(one, { nowMs: NOON }, by)))
  // Every call by programs alone: no set is asked twice.
  const expected = calls.map((one) => JSON.stringify(decide(one, { nowMs: NOON }, openPolicySet(image))))
  for (let time = 0; time < 2; time++) {
    for (const by of [policySet, small]) {
      const differing = judge(by).findIndex((answer, i) => answer !== expected[i])
      t.equal(differing, -1, `the calls by ${by === small ? 'little room' : 'enough room'}`)
    }
  }
  const hasPlan = (tool: string) => policySet.plans.find(policySet.tools.rowOf(tool), -1) >= 0
  t.same(Object.keys(sizes).filter(hasPlan), ['a', 'b', 'c', 'd', 'e', 'f'], 'all but the tool of too many entries')
  t.ok(small.plans.size < policySet.plans.size, 'let go')
  t.end()
})

t.test('however many rules match: an answer lists the first of them, and all decide', (t) => {
  const cases: readonly (readonly [string, number, string, number, RegExp])[] = [
    ['deny', 300, 'INDETERMINATE', 100, /^Rule R0, which could not be evaluated .* \(and 299 more rules\)\.$/],
    ['deny unknown means no match', 300, 'DEFAULT_ALLOW', 0, /^No rule matches/],
    ['require approval from boss', 256, 'INDETERMINATE', 100, /and 255 more rules/],
    ['require approval from boss', 257, 'TOO_MANY_RULES', 100, /^More than 256 rules .* so it is denied\.$/],
    ['deny except approval from boss', 257, 'TOO_MANY_RULES', 100, /^More than 256 rules/],
    ['allow with redact args.a', 300, 'DEFAULT_ALLOW', 0, /^No rule matches/],
    ['mode monitor deny', 300, 'DEFAULT_ALLOW', 0, /^No rule matches/],
  ]
  for (const [effect, count, code, listed, reason] of cases) {
    const rules = Array.from({ length: count }, (_, i) => {
      const [mode, says] = effect.startsWith('mode') ? ['mode monitor', 'deny'] : ['', effect]
      const [what, unknown] = says!.split(' unknown ')
      const setting = unknown === undefined ? mode : `unknown ${unknown}`
      return `rule R${i} { on tool a\n when args.x == ${i}\n ${setting}\n ${what} }`
    })
    const bundle = check(`policy p\ndefault allow\n${rules.join('\n')}`)
    const policySet = compilePolicySet(bundle, 'default')
    for (const arguments_ of [{}, { x: 'one' }, { x: 7 }]) {
      for (let time = 0; time < 5; time++) {
        const one = call({ tool: 'a', arguments: arguments_ })
        const decision = decide(one, { nowMs: NOON }, policySet)
        const label = `${count} of ${effect}, ${JSON.stringify(arguments_)}`
        t.equal(summary(decision), summary(naiveDecide(one, NOON, bundle, 'default')), label)
        if ('x' in arguments_ && arguments_.x === 7) continue
        t.equal(decision.reasonCode, code, label)
        t.equal(decision.matched.length, listed, label)
        t.match(decision.reason, reason, label)
        t.equal(decision.monitored.length, effect.startsWith('mode') ? 100 : 0, label)
      }
    }
  }
  const allowing = (count: number) =>
    compile(
      `policy p\n${Array.from({ length: count }, (_, i) => `rule R${i} { on tool a  allow with redact args.k${i} }`).join('\n')}`,
    )
  t.equal(ask(allowing(256), { tool: 'a' }).obligations.length, 256, 'what rules ask is never left out')
  const denied = ask(allowing(257), { tool: 'a' })
  t.same([denied.outcome, denied.reasonCode, denied.obligations], ['DENY', 'TOO_MANY_RULES', []])
  t.end()
})

t.test('a call that is too long for all that its rules read: what reads is unknown, whatever the order', (t) => {
  const patterns = (count: number) =>
    Array.from({ length: count }, (_, i) => `rule P${i} "" { on tool t  when args.x matches /b${i}$/  deny }`)
  const sql = (id: string, more = '') =>
    `rule ${id} "" { on tool t${more}  when sql(args.q).tables intersects ["${id}"]  deny }`
  const long = 'a'.repeat(64 * 1024)
  const query = Array.from({ length: 158 }, () => 'select a from b').join(';')
  // 12 ns a unit: 1.8 ms are 156,250 units in all.
  const cases: readonly [what: string, rules: readonly string[], args: Call['arguments'], isTooLong: boolean][] = [
    ['three patterns, however long', patterns(3), { x: long.repeat(2) }, false],
    ['four patterns on a long text', patterns(4), { x: long }, true],
    ['four patterns on 56,250 units', patterns(4), { x: 'a'.repeat(56_250) }, false],
    ['four patterns on 56,251 units', patterns(4), { x: 'a'.repeat(56_251) }, true],
    ['the argument is missing', patterns(40), {}, false],
    ['one pattern in forty rules', patterns(40).map((rule) => rule.replace(/b\d+/, 'b')), { x: long }, false],
    ['one text read as SQL by forty rules', Array.from({ length: 40 }, (_, i) => sql(`t${i}`)), { q: query }, false],
    ['SQL beside patterns on a short text', [sql('u'), ...patterns(4)], { q: query, x: 'b' }, false],
    ['SQL beside patterns on a long text', [sql('u'), ...patterns(4)], { q: query, x: 'a'.repeat(22_000) }, true],
    ['rules about another tool', patterns(40).map((rule) => rule.replace('tool t', 'tool u')), { x: long }, false],
    [
      'rules about another environment',
      patterns(40).map((rule) => rule.replace('tool t', 'tool t, env e')),
      { x: long },
      false,
    ],
    [
      'rules for other agents count',
      patterns(40).map((rule) => rule.replace('tool t', 'tool t, agent z')),
      { x: long },
      true,
    ],
    [
      'a rule that does not restrict where it is unknown',
      [...patterns(4), 'rule U "" { on tool t  when args.x matches /c$/  deny  unknown means no match }'],
      { x: long },
      false,
    ],
    [
      'a condition that reads nothing long is known',
      [...patterns(4), 'rule N "" { on tool t  when args.n > 5  deny }'].map((rule) =>
        rule.replace('deny', 'require approval from r'),
      ),
      { x: long, n: 9 },
      true,
    ],
    [
      'an allow rule does not match',
      [...patterns(3), ...patterns(4).map((one) => one.replace(/P/, 'A').replace('deny', 'allow').replace('/b', '/c'))],
      { x: long },
      true,
    ],
    [
      'parts of a list',
      ['rule L "" { on tool t  when any i in args.x: any j in i: j contains args.y  deny }'],
      { x: ['a'.repeat(9_000)] },
      true,
    ],
    [
      'the same for each item',
      ['rule L "" { on tool t  when any i in args.x: args.y matches /a/ and i == 1  deny }'],
      { x: [2, 1], y: long },
      false,
    ],
  ]
  for (const [what, rules, args, isTooLong] of cases) {
    const bundle = check(`policy p\ndefault allow\n${rules.join('\n')}`)
    const policySet = compilePolicySet(bundle, 'default')
    const one = call({ tool: 't', arguments: args })
    const expected = summary(naiveDecide(one, NOON, bundle, 'default'))
    // The sixth time by plan.
    for (let time = 0; time < 6; time++) {
      const decision = decide(one, { nowMs: NOON }, policySet, { explain: time === 5 })
      t.equal(decision.reason.includes('This call is too long'), isTooLong, what)
      t.equal(summary(decision), expected, `${what}: naive evaluator`)
      if (isTooLong)
        t.equal(
          decision.matched.some(({ effect }) => effect === 'ALLOW'),
          false,
          what,
        )
    }
  }
  t.end()
})

t.test('name patterns: one pass finds what a glob at a time finds', (t) => {
  const draw = seededDraw(3)
  const alphabet = ['a', 'b', '.', '*', 'ab', '\u{1f4a3}']
  const word = (most: number) =>
    Array.from({ length: 1 + draw.int(most) }, () => alphabet[draw.int(alphabet.length)]).join('')
  const series = { last: 0 }
  const known = new NamePatterns(series)
  const numbering = new Numbering<Pattern>(1)
  const globs = new Map(
    Array.from({ length: 300 }, () => word(7)).map((glob) => [numbering.of(known.of('glob', glob)), glob]),
  )
  const matches = (glob: string, name: string): boolean => {
    if (glob === '') return name === ''
    if (glob[0] === '*') return matches(glob.slice(1), name) || (name !== '' && matches(glob, name.slice(1)))
    return name !== '' && glob[0] === name[0] && matches(glob.slice(1), name.slice(1))
  }
  const texts = new Texts(series)
  const writer = texts.writer()
  const section = writeNames(numbering.items, [], new Map(), texts, writer)
  const index = new NameIndex(section, new StringPool(writer.finish()))
  const fitted = { ids: new Int32Array(0), start: 0, end: 0 }
  let hits = 0
  for (let i = 0; i < 2_000; i++) {
    const name = word(9).replaceAll('*', 'c')
    const expected = [...globs].filter(([, glob]) => matches(glob, name)).map(([id]) => id)
    index.fit(name, fitted)
    const { ids, start, end } = fitted
    const found = ids.subarray(start, end)
    if (found.join() !== expected.sort((a, b) => a - b).join()) t.same(found, expected, name)
    hits += found.length
  }
  t.ok(hits > 1_000, `${hits} hits`)
  t.end()
})

t.test('an answer cannot be changed by who gets it', (t) => {
  const policySet = compile('policy p\nrule NO "" { on tool a  deny "no" }')
  const decision = ask(policySet, { tool: 'a' })
  t.throws(() => Object.assign(decision, { outcome: 'ALLOW' }), TypeError)
  t.throws(() => (decision.matched as unknown[]).pop(), TypeError)
  t.equal(ask(policySet, { tool: 'a' }).outcome, 'DENY')
  t.end()
})
