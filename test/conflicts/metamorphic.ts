import type { Decision } from '../../src/model/decision.js'
import { STRICTNESS } from '../../src/model/outcome.js'
import { type Draw, seededDraw } from '../reference/draw.js'
import { answered, differences } from './answer.js'
import type { Answer, ConflictSet } from './format.js'
import type { Generated } from './generate.js'
import { type Model, type ModelLayer, type ModelPolicy, type ModelRule, SPAN } from './model.js'
import { printModel } from './print.js'
import { EngineUnderTest, type Mismatch } from './run.js'
import { once, pick } from './vocabulary.js'

/** A change to a policy set of which the answers before tell something about the answers after. */
interface Relation {
  readonly name: string
  /** Null where the set has nothing that could be changed so. */
  readonly change: (model: Model, draw: Draw) => Model | null
  /** Fields that are not as they have to be. */
  readonly broken: (before: Decision, after: Decision) => string[]
}

const RELATIONS: readonly Relation[] = [
  {
    name: 'the order of rules, policies and files does not matter',
    change: (model) => mapPolicies(reversed(model), (policy) => ({ ...policy, rules: [...policy.rules].reverse() })),
    broken: (before, after) => differences(answered(before), answered(after)),
  },
  {
    name: 'renaming rules only renames',
    change: (model) => mapRules(model, (rule) => [{ ...rule, id: `${PREFIX}${rule.id}` }]),
    broken: (before, after) => differences(renamed(answered(before)), answered(after)),
  },
  {
    name: 'a deny more never allows more',
    change: (model, draw) => withRule(model, draw, { kind: 'deny', why: '', span: SPAN }),
    broken: (before, after) => (STRICTNESS[after.outcome] < STRICTNESS[before.outcome] ? ['outcome'] : []),
  },
  {
    name: 'an allow more never denies more',
    change: (model, draw) => withRule(model, draw, { kind: 'allow', obligations: [], span: SPAN }),
    broken: (before, after) => (STRICTNESS[after.outcome] > STRICTNESS[before.outcome] ? ['outcome'] : []),
  },
  {
    name: 'a rule split by its scope says the same',
    change: (model) => {
      const canSplit = someRule(model, (rule) => splitOf(rule) !== null)
      return canSplit ? mapRules(model, (rule) => splitOf(rule) ?? [rule]) : null
    },
    broken: sameVerdict,
  },
  {
    name: 'a rule written twice says the same',
    change: (model) => mapRules(model, (rule) => [rule, { ...rule, id: `${PREFIX}${rule.id}` }]),
    broken: sameVerdict,
  },
]
export const RELATION_NAMES = RELATIONS.map(({ name }) => name)

const PREFIX = 'n_'

/** Applies every relation to a set; the class of a mismatch is the relation's name. */
export function runRelations({ set, model, draw }: Generated): Mismatch[] {
  const engine = new EngineUnderTest(set)
  const before = set.requests.map((request) => engine.decide(request))
  const seed = draw.int(2 ** 31)
  return RELATIONS.flatMap((relation, number) => {
    const own = seededDraw(seed + number)
    const changed = relation.change(model, own)
    return changed === null ? [] : compare(relation, set, before, changed, own)
  })
}

function compare(
  { name, broken }: Relation,
  set: ConflictSet,
  before: readonly Decision[],
  changed: Model,
  draw: Draw,
): Mismatch[] {
  const turned = name.startsWith('the order')
  const engine = new EngineUnderTest(printModel(changed, draw, turned ? turnedNames(changed) : undefined))
  return set.requests.flatMap((request, i): Mismatch[] => {
    const after = engine.decide(request)
    const fields = broken(before[i]!, after)
    if (fields.length === 0) return []
    return [{ set: set.id, class: name, request: i, fields, expected: answered(before[i]!), actual: answered(after) }]
  })
}

function sameVerdict(before: Decision, after: Decision): string[] {
  const [was, is] = [answered(before), answered(after)]
  return differences({ outcome: was.outcome, code: was.code }, is)
}

function renamed({ deciding, matched, monitored, obligations, approvals, ...rest }: Required<Answer>): Answer {
  const rule = (id: string) => (id.startsWith('default of ') ? id : `${PREFIX}${id}`)
  return {
    ...rest,
    deciding: deciding === null ? null : rule(deciding),
    matched: matched.map(rule),
    monitored: monitored.map(rule),
    obligations: obligations.map((one) => ({ ...one, rule: rule(one.rule) })),
    approvals: approvals.map((one) => ({ ...one, rules: one.rules.map(rule) })),
  }
}

// ---------------------------------------------------------------- changes

function layersOf({ fleet, tenants }: Model): ModelLayer[] {
  return [fleet, ...tenants.values()]
}

function mapPolicies({ fleet, tenants }: Model, change: (policy: ModelPolicy) => ModelPolicy): Model {
  const changed = (layer: ModelLayer): ModelLayer => ({ ...layer, policies: layer.policies.map(change) })
  return { fleet: changed(fleet), tenants: new Map([...tenants].map(([id, layer]) => [id, changed(layer)])) }
}

function mapRules(model: Model, change: (rule: ModelRule) => readonly ModelRule[]): Model {
  return mapPolicies(model, (policy) => ({ ...policy, rules: policy.rules.flatMap(change) }))
}

function someRule(model: Model, holds: (rule: ModelRule) => boolean): boolean {
  return layersOf(model).some(({ policies }) => policies.some(({ rules }) => rules.some(holds)))
}

function reversed({ fleet, tenants }: Model): Model {
  const turn = (layer: ModelLayer): ModelLayer => ({
    policies: [...layer.policies].reverse(),
    tools: [...layer.tools].reverse(),
    lists: new Map([...layer.lists].reverse()),
  })
  return { fleet: turn(fleet), tenants: new Map([...tenants].reverse().map(([id, layer]) => [id, turn(layer)])) }
}

/** File names such that files are read in another order. */
function turnedNames(model: Model): (policy: string) => string {
  const names = layersOf(model).flatMap(({ policies }) => policies.map(({ name }) => name))
  const sorted = [...names].sort().reverse()
  return (policy) => `${String(sorted.indexOf(policy)).padStart(2, '0')}-${policy}`
}

/** With a rule more, of the scope and conditions of another one or of none. */
function withRule(model: Model, draw: Draw, effect: ModelRule['effect']): Model | null {
  const policies = layersOf(model).flatMap((layer) => layer.policies)
  const rules = policies.flatMap((policy) => policy.rules)
  if (policies.length === 0 || rules.length === 0) return null
  const [into, like] = [pick(draw, policies), pick(draw, rules)]
  const plain = { severity: null, tags: [], monitor: false, active: null, fromTemplate: false }
  const added: ModelRule = {
    ...plain,
    id: 'ADDED',
    // What one layer may say of tenants another may not.
    scope: once(draw, 3) ? [] : like.scope.filter((term) => term.kind !== 'scope' || term.on !== 'tenant'),
    conditions: once(draw, 3) ? [] : like.conditions,
    effect,
    unknownMeansNoMatch: false,
  }
  return mapPolicies(model, (policy) => (policy === into ? { ...policy, rules: [...policy.rules, added] } : policy))
}

/** Two rules for one whose scope has a set in it. */
function splitOf(rule: ModelRule): readonly ModelRule[] | null {
  const at = rule.scope.findIndex(({ patterns }) => patterns.length > 1)
  const term = rule.scope[at]
  if (term === undefined) return null
  const half = Math.ceil(term.patterns.length / 2)
  return [term.patterns.slice(0, half), term.patterns.slice(half)].map((patterns, i) => ({
    ...rule,
    id: i === 0 ? rule.id : `${PREFIX}${rule.id}`,
    scope: rule.scope.with(at, { ...term, patterns }),
  }))
}
