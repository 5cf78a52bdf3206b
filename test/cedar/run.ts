import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { CompileError } from '../../src/compiler/compile-error.js'
import type { PolicySet } from '../../src/compiler/policy-set.js'
import { decide } from '../../src/engine/decide.js'
import { BundleCache, checkBundle } from '../../src/language/check.js'
import type { Call } from '../../src/model/call.js'
import type { JsonObject, JsonValue } from '../../src/model/json.js'
import { parseJson } from '../../src/model/parse-json.js'
import { type CedarEntity, ENTITY, EntityStore, type EntityUid, nameOf } from './entities.js'
import { Inexpressible } from './inexpressible.js'
import { type Translated, translatePolicy } from './translate.js'

/** A test of the public corpus: the format of cedar-policy/cedar-integration-tests. */
interface CedarTest {
  readonly policies: string
  readonly entities: string
  readonly schema: string
  readonly requests: readonly {
    readonly description: string
    readonly principal?: EntityUid | null
    readonly action?: EntityUid | null
    readonly resource?: EntityUid | null
    readonly context: JsonObject
    readonly decision: 'allow' | 'deny' | 'Allow' | 'Deny'
    readonly reason: readonly string[]
  }[]
}

export interface CedarMismatch {
  readonly test: string
  readonly request: number
  readonly expected: string
  readonly actual: string
}

export interface CedarResult {
  tests: number
  /** Tests whose policies and values this language has words for. */
  translated: number
  /** Those of them that have a condition other than `true` or `false`. */
  withConditions: number
  requests: number
  compared: number
  readonly mismatches: CedarMismatch[]
  /** Tests that were not translated, by the reason. */
  readonly inexpressible: Map<string, number>
}

const LIMITS = { maxBytes: 64 * 1024 * 1024, maxDepth: 64 }
const CACHE = new BundleCache()

/** Translates every test of a tree, decides its requests and compares decisions and the policies that made them. */
export function runCedar(files: ReadonlyMap<string, string>): CedarResult {
  const result: CedarResult = {
    ...{ tests: 0, translated: 0, withConditions: 0, requests: 0, compared: 0 },
    mismatches: [],
    inexpressible: new Map(),
  }
  for (const [name, text] of files) {
    if (!name.endsWith('.json') || name.endsWith('entities.json')) continue
    const test = json<Partial<CedarTest>>(text, name)
    if (test.policies === undefined || test.requests === undefined) continue
    result.tests++
    result.requests += test.requests.length
    try {
      runTest(name, test as CedarTest, files, result)
    } catch (error) {
      if (!(error instanceof Inexpressible)) throw new Error(`${name}: ${String(error)}`, { cause: error })
      result.inexpressible.set(error.reason, (result.inexpressible.get(error.reason) ?? 0) + 1)
    }
  }
  return result
}

function runTest(name: string, test: CedarTest, files: ReadonlyMap<string, string>, result: CedarResult): void {
  const text = fileOf(files, test.policies)
  const policies = translate(text)
  const { entities, types } = readEntities(fileOf(files, test.entities), fileOf(files, test.schema))
  const store = new EntityStore(entities, types)
  const rules = policies.map(({ rule }) => rule)
  const policySet = compile(`policy cedar\n${rules.join('\n')}\n`)
  const calls = test.requests.map((request) => toCall(request, store, policies))
  if (store.hasExtensions && policies.some(({ comparesValues }) => comparesValues)) {
    throw new Inexpressible('values of extension types that are compared')
  }
  result.translated++
  if (rules.some((rule) => /^ {2}when (?!true$|false$)/m.test(rule))) result.withConditions++
  for (const [i, { decision, reason }] of test.requests.entries()) {
    const answer = decide(calls[i]!, { nowMs: 0 }, policySet)
    const effect = answer.outcome === 'ALLOW' ? 'ALLOW' : 'DENY'
    const by = answer.matched.filter((rule) => rule.effect === effect).map(({ ruleId }) => ruleId)
    const expected = `${decision.toUpperCase()} by ${[...reason].sort().join()}`
    const actual = `${answer.outcome} by ${by.sort().join()}`
    result.compared++
    if (expected !== actual) result.mismatches.push({ test: name, request: i, expected, actual })
  }
}

function json<T>(text: string, name: string): T {
  try {
    return parseJson(text, LIMITS) as unknown as T
  } catch (error) {
    throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function fileOf(files: ReadonlyMap<string, string>, name: string): string {
  const text = files.get(name) ?? files.get(name.replace(/^\.\//, ''))
  if (text === undefined) throw new Error(`there is no ${name} beside the test`)
  return text
}

function translate(text: string): Translated[] {
  const parts = cedar.policySetTextToParts(text)
  if (parts.type === 'failure') throw new Error(`Cedar does not read the policies: ${parts.errors[0]?.message}`)
  if (parts.policy_templates.length > 0) throw new Inexpressible('a template')
  // Cedar numbers them as they stand in the text, and hands them out in any order.
  const inOrder = [...parts.policies].sort((a, b) => text.indexOf(a) - text.indexOf(b))
  return inOrder.map((policy, i) => {
    const read = cedar.policyToJson(policy)
    if (read.type === 'failure') throw new Error(`Cedar does not read policy${i}: ${read.errors[0]?.message}`)
    return translatePolicy(`policy${i}`, read.json)
  })
}

/** Actions and their groups stand in the schema. */
function readEntities(
  text: string,
  schema: string,
): { readonly entities: readonly CedarEntity[]; readonly types: ReadonlySet<string> } {
  const stored = json<readonly CedarEntity[]>(text, 'entities')
  const read = cedar.schemaToJson(schema)
  if (read.type === 'failure') throw new Error(`Cedar does not read the schema: ${read.errors[0]?.message}`)
  const types = new Set<string>()
  const known = new Map(stored.map((entity) => [nameOf(entity.uid), entity]))
  for (const [namespace, { entityTypes, actions }] of Object.entries(read.json)) {
    const inNamespace = (name: string) => (namespace === '' || name.includes('::') ? name : `${namespace}::${name}`)
    for (const type of Object.keys(entityTypes)) types.add(inNamespace(type))
    for (const [id, { memberOf = [] }] of Object.entries(actions)) {
      const uid = { type: inNamespace('Action'), id }
      const parents = memberOf.map((group) => ({ type: inNamespace(group.type ?? 'Action'), id: group.id }))
      const entity = known.get(nameOf(uid))
      known.set(nameOf(uid), { attrs: {}, ...entity, uid, parents: [...(entity?.parents ?? []), ...parents] })
    }
  }
  return { entities: [...known.values()], types }
}

function compile(text: string): PolicySet {
  const bundle = checkBundle(
    { policies: new Map([['cedar.policy', new TextEncoder().encode(text)]]), attachments: new Map() },
    CACHE,
  )
  const error = bundle.diagnostics.find(({ severity }) => severity === 'error')
  if (error !== undefined)
    throw new Inexpressible(`refused by the checker: ${error.code} ${aboutLimits(error.message)}`)
  try {
    return compilePolicySet(bundle, 'default')
  } catch (refused) {
    if (refused instanceof CompileError)
      throw new Inexpressible(`refused by the compiler: ${refused.diagnostics[0]?.code}`)
    throw refused
  }
}

/** Without what differs from text to text. */
function aboutLimits(message: string): string {
  return message.replace(/`[^`]*`/gs, '…').replace(/\d+/g, 'N')
}

function toCall(
  { principal, action, resource, context }: CedarTest['requests'][number],
  store: EntityStore,
  policies: readonly Translated[],
): Call {
  if (!principal || !action || !resource)
    throw new Inexpressible('a request that leaves out principal, action or resource')
  const names = [principal, action, resource].map(nameOf) as [string, string, string]
  const args: Record<string, JsonValue> = {
    principal: { [ENTITY]: names[0] },
    action: { [ENTITY]: names[1] },
    resource: { [ENTITY]: names[2] },
    context: store.value(context),
  }
  const named = [...names, ...policies.flatMap((policy) => [...policy.named]), ...namesIn(args['context']!)]
  return {
    ...{ requestId: '', tenant: 'default', principal: null, sessionId: '', delegationChain: [], environment: 'prod' },
    agent: { id: names[0], labels: {} },
    tool: names[1],
    arguments: args,
    context: { entities: store.toJson(named) },
  }
}

function namesIn(value: JsonValue): string[] {
  if (Array.isArray(value)) return value.flatMap((item: JsonValue) => namesIn(item))
  if (typeof value !== 'object' || value === null) return []
  const name = (value as JsonObject)[ENTITY]
  return typeof name === 'string' ? [name] : Object.values(value).flatMap((item: JsonValue) => namesIn(item))
}
