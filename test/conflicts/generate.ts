import type { Effect } from '../../src/model/outcome.js'
import { type Draw, seededDraw } from '../reference/draw.js'
import { decideByMeaning } from '../reference/meaning.js'
import { expected } from './answer.js'
import { Builder } from './builder.js'
import { CLASSES, type ConflictClass } from './classes.js'
import { type ConflictRequest, type ConflictSet, type RuleFacts, stringify } from './format.js'
import { type Model, toBundle } from './model.js'
import { printModel } from './print.js'
import { SPECIMEN_VIEWS } from './specimens.js'
import type { Asked } from './vocabulary.js'

export const SEED = 20260105
/** Sets of each class; times the classes that is the size of the corpus. */
export const SETS_A_CLASS = 180
export const REQUESTS_A_SET = 6

export interface Generated {
  readonly set: ConflictSet
  readonly model: Model
  readonly asked: readonly Asked[]
  /** For what a caller goes on to draw: the same whenever the set is. */
  readonly draw: Draw
}

/** The corpus, class by class in turn, so that any part of it from the start covers them evenly. */
export function* generateCorpus(seed = SEED, setsAClass = SETS_A_CLASS): Generator<Generated> {
  for (let number = 0; number < setsAClass; number++) {
    for (const one of CLASSES) yield generateSet(one, number, seed)
  }
}

/** The same class, number and seed give the same set, byte for byte. */
export function generateSet({ name, build }: ConflictClass, number: number, seed: number): Generated {
  const draw = seededDraw(hash(`${seed}/${name}/${number}`))
  const builder = new Builder(draw, draw.int(2) === 0 ? 'acme' : 'default')
  build(builder)
  const model = builder.finish()
  const asked = requests(builder)
  const { policies, attachments } = printModel(model, draw)
  const bundle = toBundle(model)
  const set: ConflictSet = {
    id: `${name}/${String(number).padStart(4, '0')}`,
    class: name,
    policies,
    attachments,
    rules: factsOf(model),
    requests: asked.map(({ call, nowMs }): ConflictRequest => {
      const { tenant, agent, principal, sessionId, tool, environment, arguments: args, context } = call
      const names = { tenant, agent, principal, session: sessionId, tool, env: environment, args, context }
      const decision = decideByMeaning(call, nowMs, bundle, tenant, SPECIMEN_VIEWS)
      return { ...names, now: new Date(nowMs).toISOString(), expect: expected(decision) }
    }),
  }
  return { set, model, asked, draw }
}

/** The focus first, then calls that differ from it and from each other. */
function requests(builder: Builder): Asked[] {
  const focus = builder.trimmedFocus()
  const asked = new Map([[stringify(focus), focus]])
  for (let i = 0; i < 5 * REQUESTS_A_SET && asked.size < REQUESTS_A_SET; i++) {
    const changed = builder.changed(focus)
    asked.set(stringify(changed), changed)
  }
  return [...asked.values()]
}

const EFFECTS = {
  allow: 'ALLOW',
  deny: 'DENY',
  'deny-except': 'DENY_EXCEPT_APPROVAL',
  'require-approval': 'REQUIRE_APPROVAL',
} as const satisfies Record<string, Effect>

function factsOf({ fleet, tenants }: Model): Record<string, RuleFacts> {
  const policies = [fleet, ...tenants.values()].flatMap((layer) => layer.policies)
  const facts = policies.flatMap(({ name, rules }) =>
    rules.map(({ id, effect, severity, tags }) => [id, { policy: name, effect: EFFECTS[effect.kind], severity, tags }]),
  )
  return Object.fromEntries(facts) as Record<string, RuleFacts>
}

/** FNV-1a. */
function hash(text: string): number {
  let hashed = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hashed = Math.imul(hashed ^ text.charCodeAt(i), 0x01000193)
  return hashed >>> 0
}
