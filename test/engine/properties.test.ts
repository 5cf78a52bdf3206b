import fc from 'fast-check'
import t from 'tap'
import { compile, compilePolicySet } from '../../src/compiler/compile.js'
import { CompileError } from '../../src/compiler/compile-error.js'
import { explainIndex } from '../../src/compiler/explain-index.js'
import { findIntervals, TreeBuilder } from '../../src/compiler/interval-tree.js'
import { openPolicySet } from '../../src/compiler/policy-set.js'
import { decide } from '../../src/engine/decide.js'
import type { CompareOp, Expr, RuleEffect } from '../../src/language/ast.js'
import type { CheckedBundle, CheckedLayer, CheckedPolicy, CheckedRule } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import type { Decision } from '../../src/model/decision.js'
import type { JsonObject, JsonValue } from '../../src/model/json.js'
import { STRICTNESS } from '../../src/model/outcome.js'
import { naiveDecide } from '../reference/naive.js'
import { compareOnce, summary } from './differential.js'
import { type Draw, Generator, seededDraw } from './generate.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores. The first counterexample is reported as it is.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105), endOnFailure: true })

const SPAN = { start: 0, end: 0 }
const CALLS = 12
const EMPTY: CheckedLayer = { policies: [], tools: new Map(), lists: new Map(), tests: [] }

/** A generator whose choices fast-check makes and shrinks: smaller numbers choose simpler things, and the rest is zeros. */
const generators = fc
  .array(fc.nat({ max: 0xffff }), { minLength: 200, maxLength: 6_000, size: 'max' })
  .map((numbers) => {
    let at = 0
    const draw: Draw = { int: (below) => (numbers[at++] ?? 0) % below }
    return new Generator(draw)
  })

function property(runs: number, holds: (generator: Generator) => void): void {
  fc.assert(
    fc.property(generators, (generator) => {
      try {
        holds(generator)
      } catch (error) {
        // The rare set with a rule over the cost limit says nothing about decisions.
        fc.pre(!(error instanceof CompileError))
        throw error
      }
    }),
    { numRuns: runs },
  )
}

function same(actual: string, expected: string, what: string): void {
  if (actual !== expected) throw new Error(`${what}\n  ${actual}\n  ${expected}`)
}

function notLooser(actual: Decision, bound: Decision, what: string): void {
  if (STRICTNESS[actual.outcome] < STRICTNESS[bound.outcome]) {
    throw new Error(`${what}: ${bound.outcome} became ${actual.outcome}`)
  }
}

/** The bundle with another layer in the place of one of its own. */
function withLayer(bundle: CheckedBundle, tenant: string, layer: CheckedLayer): CheckedBundle {
  return { ...bundle, tenants: new Map([[tenant, layer]]) }
}

t.test('the index never loses a match: 100,000 decisions, five of a call, as the naive evaluator makes them', (t) => {
  let decisions = 0
  const reasons = new Set<string>()
  for (let seed = 1; decisions < 100_000; seed++) {
    const compared = compareOnce(seededDraw(seed), 40)
    decisions += compared.decisions
    for (const reason of compared.outcomes.keys()) reasons.add(reason)
    if (compared.disagreements.length > 0) t.same(compared.disagreements[0], null, `seed ${seed}`)
  }
  t.equal(reasons.size, 9, 'every reason code of the engine came up, and calls that are too long')
  t.end()
})

t.test('the same, with choices that fast-check shrinks', (t) => {
  property(100, (generator) => {
    const { bundle, tenant } = generator.policies()
    const policySet = compilePolicySet(bundle, tenant)
    for (let i = 0; i < CALLS; i++) {
      const call = generator.call()
      const nowMs = generator.nowMs()
      same(summary(decide(call, { nowMs }, policySet)), summary(naiveDecide(call, nowMs, bundle, tenant)), 'differ')
    }
  })
  t.pass('100 policy sets')
  t.end()
})

/** Ends of intervals: few, so that many are equal, and both zeros and both infinities among them. */
const ends = fc.constantFrom(
  Number.NEGATIVE_INFINITY,
  -(2 ** 60),
  -1,
  -0,
  0,
  0.5,
  1,
  2,
  3,
  2 ** 53,
  Number.MAX_VALUE,
  Infinity,
)

t.test('an interval tree finds the intervals that hold a value, and no other', (t) => {
  const intervals = fc.array(fc.record({ low: ends, high: ends }), { maxLength: 60 })
  fc.assert(
    fc.property(intervals, fc.array(fc.oneof(ends, fc.double({ noNaN: true }))), (intervals, values) => {
      const builder = new TreeBuilder()
      // A neighbour in the same arrays is not to be found.
      builder.add([{ low: -Infinity, high: Infinity }], [-1])
      const root = builder.add(intervals, [...intervals.keys()])
      builder.add([{ low: 0, high: 1 }], [-2])
      const tree = builder.finish()
      const found = new Int32Array(intervals.length)
      for (const value of values) {
        const count = findIntervals(tree, root, value, found)
        const expected = intervals.flatMap(({ low, high }, at) => (low <= value && value <= high ? [at] : []))
        same([...found.subarray(0, count)].sort((a, b) => a - b).join(), expected.join(), `${value}`)
      }
    }),
    { numRuns: 500 },
  )
  t.pass('500 sets of intervals')
  t.end()
})

t.test('the index never loses a match of rules with bounds', (t) => {
  const limits = fc.constantFrom(-(2 ** 60), -1, -0, 0, 0.5, 1, 2, 3, 2 ** 53, 2 ** 60, 1e300)
  const bound = fc.record({
    op: fc.constantFrom<CompareOp>('<', '<=', '>', '>='),
    limit: limits,
    isMirrored: fc.boolean(),
  })
  const rules = fc.array(
    fc.record({
      bounds: fc.array(bound, { minLength: 1, maxLength: 2 }),
      key: fc.constantFrom('n', 'm'),
      allows: fc.boolean(),
    }),
    { minLength: 40, maxLength: 60 },
  )
  const bigs = [
    2n ** 53n - 1n,
    2n ** 53n + 1n,
    2n ** 60n - 1n,
    2n ** 60n,
    2n ** 60n + 1n,
    -(2n ** 60n) - 1n,
    10n ** 400n,
  ]
  const values = fc.oneof(
    limits,
    fc.double({ noNaN: true }),
    fc.constantFrom<JsonValue | undefined>(...bigs, undefined, null, '5', true, []),
  )
  const amount = (key: string): Expr => ({ kind: 'reference', root: 'args', path: [key], span: SPAN })
  let trees = 0
  fc.assert(
    fc.property(rules, fc.array(fc.tuple(values, values), { minLength: 1, maxLength: 20 }), (rules, asked) => {
      const bundle = bundleOf(
        rules.map(({ bounds, key, allows }, at) => ({
          id: `R${at}`,
          allows,
          conditions: bounds.map(({ op, limit, isMirrored }): Expr => {
            const constant: Expr = { kind: 'literal', value: limit, span: SPAN }
            const [left, right] = isMirrored ? [constant, amount(key)] : [amount(key), constant]
            return { kind: 'compare', op, left, right, span: SPAN }
          }),
        })),
      )
      const policySet = compilePolicySet(bundle, 'acme')
      if (explainIndex(bundle, 'acme').some(({ access }) => access === 'range')) trees++
      for (const [n, m] of asked) {
        const call = callWith({ ...(n === undefined ? {} : { n }), ...(m === undefined ? {} : { m }) })
        same(summary(decide(call, { nowMs: 0 }, policySet)), summary(naiveDecide(call, 0, bundle, 'acme')), 'differ')
      }
    }),
    { numRuns: 200 },
  )
  t.ok(trees > 100, `${trees} sets with a tree`)
  t.end()
})

function bundleOf(
  rules: readonly { readonly id: string; readonly allows: boolean; readonly conditions: readonly Expr[] }[],
): CheckedBundle {
  const location = { file: 'a.policy', line: 1, column: 1, start: 0, end: 0 }
  const checked = rules.map(({ id, allows, conditions }): CheckedRule => {
    const effect: RuleEffect = allows
      ? { kind: 'allow', obligations: [], span: SPAN }
      : { kind: 'deny', why: '', span: SPAN }
    return {
      ...{
        core: {},
        id,
        policy: 'p',
        description: '',
        scope: [],
        conditions,
        effect,
        severity: null,
        tags: [],
        monitor: false,
      },
      ...{ active: null, unknownMeansNoMatch: false, location, locate: () => location, excerpt: () => 'text' },
    }
  })
  const policy: CheckedPolicy = {
    ...{ name: 'p', description: '', fleet: false, authors: [], speaksFor: [], location, locate: () => location },
    excerpt: () => 'text',
    ...{ defaultEffect: { kind: 'default-deny', span: SPAN }, rules: checked },
  }
  const layer = { ...EMPTY, policies: [policy] }
  return { revision: 'sha256:bounds', ground: {}, fleet: EMPTY, tenants: new Map([['acme', layer]]), diagnostics: [] }
}

function callWith(args: JsonObject): Call {
  return {
    ...{ requestId: '', tenant: 'acme', agent: { id: 'a', labels: {} }, principal: null, sessionId: '' },
    ...{ delegationChain: [], tool: 'pay', environment: 'prod', arguments: args, context: {} },
  }
}

t.test('one set serves every tenant without policies of its own', (t) => {
  property(150, (generator) => {
    const bundle = { ...generator.policies().bundle, tenants: new Map() }
    // As handed over by a worker.
    const image = structuredClone(compile(bundle, null))
    const policySet = openPolicySet(image)
    for (const tenant of ['acme', 'other', 'b', 'acme']) {
      const call = { ...generator.call(), tenant }
      const nowMs = generator.nowMs()
      const naive = naiveDecide(call, nowMs, bundle, tenant)
      same(summary(decide(call, { nowMs }, policySet)), summary(naive), tenant)
    }
  })
  t.pass('150 policy sets')
  t.end()
})

t.test('adding a deny never allows more', (t) => {
  property(150, (generator) => {
    const { bundle, tenant } = generator.policies()
    const layer = bundle.tenants.get(tenant)
    const policy = layer?.policies[0]
    if (layer === undefined || policy === undefined) return
    const deny = { ...generator.rule(policy.name, 'ADDED', { kind: 'deny', why: '', span: SPAN }), monitor: false }
    const [, ...others] = layer.policies
    const stricter = { ...layer, policies: [{ ...policy, rules: [...policy.rules, deny] }, ...others] }
    const before = compilePolicySet(bundle, tenant)
    const after = compilePolicySet(withLayer(bundle, tenant, stricter), tenant)
    for (let i = 0; i < CALLS; i++) {
      const call = generator.call()
      const facts = { nowMs: generator.nowMs() }
      notLooser(decide(call, facts, after), decide(call, facts, before), 'a deny more')
    }
  })
  t.pass('150 policy sets')
  t.end()
})

t.test('the order of rules, policies and files never matters', (t) => {
  property(150, (generator) => {
    const { bundle, tenant } = generator.policies()
    const reversed = (layer: CheckedLayer): CheckedLayer => ({
      ...layer,
      tools: new Map([...layer.tools].reverse()),
      policies: [...layer.policies].reverse().map((policy) => ({
        ...policy,
        speaksFor: [...policy.speaksFor].reverse(),
        rules: [...policy.rules].reverse().map((rule) => ({ ...rule, scope: [...rule.scope].reverse() })),
      })),
    })
    const there = compilePolicySet(bundle, tenant)
    const tenants = new Map([...bundle.tenants].map(([id, layer]) => [id, reversed(layer)]))
    const back = compilePolicySet({ ...bundle, fleet: reversed(bundle.fleet), tenants }, tenant)
    for (let i = 0; i < CALLS; i++) {
      const call = generator.call()
      const facts = { nowMs: generator.nowMs() }
      same(JSON.stringify(decide(call, facts, back)), JSON.stringify(decide(call, facts, there)), 'order matters')
    }
  })
  t.pass('150 policy sets')
  t.end()
})

t.test('a tenant never loosens the fleet, the fleet never loosens a tenant', (t) => {
  property(150, (generator) => {
    const { bundle } = generator.policies()
    const open: CheckedLayer = {
      ...EMPTY,
      tools: bundle.fleet.tools,
      policies: [
        {
          name: 'open',
          description: '',
          fleet: false,
          authors: [],
          speaksFor: [],
          defaultEffect: { kind: 'default-allow', span: SPAN },
          rules: [],
          location: { file: 'open.policy', line: 1, column: 1, start: 0, end: 0 },
          locate: () => ({ file: 'open.policy', line: 1, column: 1, start: 0, end: 0 }),
          excerpt: () => '',
        },
      ],
    }
    const both = compilePolicySet(bundle, 'acme')
    const fleetAlone = compilePolicySet(withLayer(bundle, 'acme', open), 'acme')
    const tenantAlone = compilePolicySet({ ...bundle, fleet: { ...EMPTY, tools: bundle.fleet.tools } }, 'acme')
    for (let i = 0; i < CALLS; i++) {
      const call = generator.call()
      const facts = { nowMs: generator.nowMs() }
      const decision = decide(call, facts, both)
      notLooser(decision, decide(call, facts, fleetAlone), 'the tenant loosened the fleet')
      notLooser(decision, decide(call, facts, tenantAlone), 'the fleet loosened the tenant')
    }
  })
  t.pass('150 policy sets')
  t.end()
})

t.test('the same input gives the same bytes, whatever was decided in between', (t) => {
  property(60, (generator) => {
    const { bundle, tenant } = generator.policies()
    const policySet = compilePolicySet(bundle, tenant)
    const asked = Array.from({ length: CALLS }, () => ({ call: generator.call(), facts: { nowMs: generator.nowMs() } }))
    const explain = { explain: true }
    const first = asked.map(({ call, facts }) => JSON.stringify(decide(call, facts, policySet, explain)))
    const again = [...asked].reverse().map(({ call, facts }) => JSON.stringify(decide(call, facts, policySet, explain)))
    const fresh = compilePolicySet(bundle, tenant)
    const anew = asked.map(({ call, facts }) => JSON.stringify(decide(call, facts, fresh, explain)))
    same(again.reverse().join('\n'), first.join('\n'), 'the second time')
    same(anew.join('\n'), first.join('\n'), 'compiled anew')
  })
  t.pass('60 policy sets')
  t.end()
})
