import { compilePolicySet } from '../../src/compiler/compile.js'
import type { PolicySet } from '../../src/compiler/policy-set.js'
import { decide } from '../../src/engine/decide.js'
import { BundleCache, checkBundle } from '../../src/language/check.js'
import type { CheckedBundle } from '../../src/language/checked.js'
import type { Decision } from '../../src/model/decision.js'
import { answered, differences } from './answer.js'
import { type ConflictSet, type RuleFacts, toCall } from './format.js'
import type { Files } from './print.js'

export interface Mismatch {
  readonly set: string
  readonly class: string
  /** -1 where the texts did not check. */
  readonly request: number
  readonly fields: readonly string[]
  readonly expected: unknown
  readonly actual: unknown
}

/** A cache serves many sets, since to make one takes longer than to check a set, and not all: what it keeps adds up. */
const SETS_A_CACHE = 500
let cache = new BundleCache()
let uses = 0

function nextCache(): BundleCache {
  if (++uses % SETS_A_CACHE === 0) cache = new BundleCache()
  return cache
}

/** The engine over the texts of one set. */
export class EngineUnderTest {
  readonly #bundle: CheckedBundle
  readonly #sets = new Map<string, PolicySet>()

  /** @throws {Error} with the errors of a text that does not check: the corpus holds none such */
  constructor({ policies, attachments }: Files) {
    this.#bundle = checkBundle({ policies: bytes(policies), attachments: bytes(attachments) }, nextCache())
    const errors = this.#bundle.diagnostics.filter(({ severity }) => severity === 'error')
    if (errors.length > 0) {
      const lines = errors.map(({ code, location, message }) => `${location.file}:${location.line}: ${code} ${message}`)
      throw new Error(lines.join('\n'))
    }
  }

  decide(request: ConflictSet['requests'][number]): Decision {
    const policySet = this.#sets.get(request.tenant) ?? compilePolicySet(this.#bundle, request.tenant)
    this.#sets.set(request.tenant, policySet)
    return decide(toCall(request), { nowMs: Date.parse(request.now) }, policySet)
  }
}

/** Runs a set through text, parser, checks, compiler and engine; empty where every answer is as expected. */
export function runSet(set: ConflictSet): Mismatch[] {
  const at = { set: set.id, class: set.class }
  let engine: EngineUnderTest
  try {
    engine = new EngineUnderTest(set)
  } catch (error) {
    const actual = error instanceof Error ? error.message : String(error)
    return [{ ...at, request: -1, fields: ['check'], expected: 'a set without errors', actual }]
  }
  return set.requests.flatMap((request, i): Mismatch[] => {
    const decision = engine.decide(request)
    const actual = answered(decision)
    const fields = [...differences(request.expect, actual), ...misreported(decision, set.rules)]
    return fields.length === 0 ? [] : [{ ...at, request: i, fields, expected: request.expect, actual }]
  })
}

/** What the answer says of the matched rules besides their ids. */
function misreported(
  { matched, monitored }: Decision,
  rules: Readonly<Record<string, RuleFacts>> | undefined,
): string[] {
  if (rules === undefined) return []
  const wrong = [...matched, ...monitored].filter(({ ruleId, policy, effect, severity, tags }) => {
    const facts = rules[ruleId]
    const isSame = facts?.policy === policy && facts.effect === effect && facts.severity === severity
    return !isSame || facts.tags.join() !== tags.join()
  })
  return wrong.map(({ ruleId }) => `facts of ${ruleId}`)
}

function bytes(texts: Readonly<Record<string, string>>): ReadonlyMap<string, Uint8Array> {
  const encoder = new TextEncoder()
  return new Map(Object.entries(texts).map(([path, text]) => [path, encoder.encode(text)]))
}
