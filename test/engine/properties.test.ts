import fc from 'fast-check'
import t from 'tap'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { CompileError } from '../../src/compiler/compile-error.js'
import { decide } from '../../src/engine/decide.js'
import type { CheckedBundle, CheckedLayer } from '../../src/language/checked.js'
import type { Decision } from '../../src/model/decision.js'
import { STRICTNESS } from '../../src/model/outcome.js'
import { naiveDecide } from '../reference/naive.js'
import { compareOnce, summary } from './differential.js'
import { type Draw, Generator, seededDraw } from './generate.js'

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

t.test('the index never loses a match: 20,000 decisions as the naive evaluator makes them', (t) => {
  let decisions = 0
  const reasons = new Set<string>()
  for (let seed = 1; decisions < 20_000; seed++) {
    const compared = compareOnce(seededDraw(seed), 40)
    decisions += compared.decisions
    for (const reason of compared.outcomes.keys()) reasons.add(reason)
    if (compared.disagreements.length > 0) t.same(compared.disagreements[0], null, `seed ${seed}`)
  }
  t.equal(reasons.size, 8, 'every reason code of the engine came up')
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
          speaksFor: [],
          defaultEffect: { kind: 'default-allow', span: SPAN },
          rules: [],
          location: { file: 'open.policy', line: 1, column: 1, start: 0, end: 0 },
          locate: () => ({ file: 'open.policy', line: 1, column: 1, start: 0, end: 0 }),
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
