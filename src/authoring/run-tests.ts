import { compilePolicySet } from '../compiler/compile.js'
import type { PolicySet } from '../compiler/policy-set.js'
import { decide } from '../engine/decide.js'
import type { Expectation, GivenCall } from '../language/ast.js'
import type { CheckedBundle, CheckedTest } from '../language/checked.js'
import type { Call } from '../model/call.js'
import type { Decision } from '../model/decision.js'
import type { Location } from '../model/span.js'
import { constantMap } from './constant.js'

/** The clock of a test that sets none: 2026-01-05T12:00Z, a Monday. */
const TEST_CLOCK_MS = Date.UTC(2026, 0, 5, 12)

export interface TestResult {
  readonly name: string
  readonly tenant: string
  readonly location: Location
  readonly passed: boolean
  /** What was expected and did not come, one sentence each; empty when passed. */
  readonly failures: readonly string[]
  /** What came for the last `given`, with near misses. */
  readonly decision: Decision
}

/**
 * Runs the tests of a bundle that checks. What a `given` leaves out: env `prod`, agent `agent`, the tenant whose folder the
 * test stands in, the clock {@link TEST_CLOCK_MS}. The last `given` is judged; those before it are what happened earlier,
 * which no condition reads yet.
 */
export function* runTests(bundle: CheckedBundle): Generator<TestResult> {
  const sets = new Map<string, PolicySet>()
  const setOf = (tenant: string): PolicySet => {
    const set = sets.get(tenant) ?? compilePolicySet(bundle, tenant)
    sets.set(tenant, set)
    return set
  }
  for (const { tenant, test } of testsOf(bundle)) yield runTest(test, tenant, bundle, setOf)
}

/** In the order of files and lines. Tests of the fleet layer ask the default tenant unless they name one. */
export function testsOf(bundle: CheckedBundle): readonly { readonly tenant: string; readonly test: CheckedTest }[] {
  const layers = [['default', bundle.fleet] as const, ...bundle.tenants]
  return layers
    .flatMap(([tenant, layer]) => layer.tests.map((test) => ({ tenant, test })))
    .sort((a, b) => compare(a.test.location, b.test.location))
}

function compare(a: Location, b: Location): number {
  return a.file === b.file ? a.start - b.start : a.file < b.file ? -1 : 1
}

function runTest(
  checked: CheckedTest,
  tenant: string,
  bundle: CheckedBundle,
  setOf: (tenant: string) => PolicySet,
): TestResult {
  const { test, location } = checked
  const judged = test.given.at(-1)!
  const asked = judged.tenant !== null && bundle.tenants.has(judged.tenant) ? judged.tenant : tenant
  const facts = { nowMs: judged.atMs ?? TEST_CLOCK_MS }
  const decision = decide(callOf(judged, asked), facts, setOf(asked), { explain: true })
  const failures = compareWith(test.expect, decision)
  return { name: test.name, tenant: asked, location, passed: failures.length === 0, failures, decision }
}

function callOf(given: GivenCall, tenant: string): Call {
  const labels = Object.entries(constantMap(given.agentLabels)).map(([key, value]) => [key, String(value)] as const)
  return {
    requestId: '',
    tenant,
    agent: { id: given.agent ?? 'agent', labels: Object.fromEntries(labels) },
    principal: given.principal === null ? null : { id: given.principal, labels: {} },
    sessionId: given.session ?? '',
    delegationChain: [],
    tool: given.tool,
    environment: given.env ?? 'prod',
    arguments: constantMap(given.args),
    context: constantMap(given.context),
  }
}

function compareWith(expect: Expectation, decision: Decision): readonly string[] {
  const failures: string[] = []
  if (decision.outcome !== expect.outcome) failures.push(`expected ${expect.outcome}, got ${decision.outcome}`)
  const roles = new Set(decision.approvals.flatMap((a) => a.stages.flatMap((s) => s.from.map((group) => group.role))))
  for (const role of expect.roles) {
    if (!roles.has(role)) failures.push(`expected approval from ${role}, asked for ${list([...roles])}`)
  }
  const deciding = decision.reasonCode.startsWith('DEFAULT_')
    ? ['default']
    : decision.matched.map((rule) => rule.ruleId)
  for (const id of expect.by) {
    if (!deciding.includes(id)) failures.push(`expected ${id} to decide, it was ${list(deciding)}`)
  }
  return failures
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}
