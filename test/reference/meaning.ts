import { isDeepStrictEqual } from 'node:util'
import type { ApprovalClause, Expr, NamePattern, ScopeTerm } from '../../src/language/ast.js'
import type { CheckedBundle, CheckedLayer, CheckedPolicy, CheckedRule } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import type { ApprovalRequirement, Obligation } from '../../src/model/decision.js'
import type { Effect, Outcome, ReasonCode } from '../../src/model/outcome.js'
import { allOf, evaluate, glob } from './meaning-expression.js'
import type { Views } from './views.js'
import { isTooLong, type Work, workOf } from './work.js'

/**
 * The meaning section of the language, written down as plainly as it reads: a scan over every rule, an interpreter over the
 * tree. It shares no code with the language, the compiler and the engine, only the types of what they hand on (held by a
 * test), and takes the reading of SQL, addresses and the like from its caller. Unknown is `undefined` all through; a truth
 * is a boolean or unknown.
 */
export interface NaiveDecision {
  readonly outcome: Outcome
  /** Not all that the rules about the tool read of the call was read. */
  readonly tooLong: boolean
  readonly reasonCode: ReasonCode
  /** The rule that the reason names, `default of POLICY`, or null where no policy speaks. */
  readonly deciding: string | null
  readonly matched: readonly NaiveMatch[]
  readonly monitored: readonly NaiveMatch[]
  readonly obligations: readonly Obligation[]
  readonly approvals: readonly ApprovalRequirement[]
}
export interface NaiveMatch {
  readonly policy: string
  readonly ruleId: string
  readonly effect: Effect
  readonly indeterminate: boolean
}

const ORDER: readonly Effect[] = ['DENY', 'DENY_EXCEPT_APPROVAL', 'REQUIRE_APPROVAL', 'ALLOW']
const STRICT: readonly Outcome[] = ['ALLOW', 'REQUIRE_APPROVAL', 'DENY']
const EFFECTS = {
  allow: 'ALLOW',
  deny: 'DENY',
  'deny-except': 'DENY_EXCEPT_APPROVAL',
  'require-approval': 'REQUIRE_APPROVAL',
} as const
const RULE_CODES = { ALLOW: 'RULE_ALLOW', DENY: 'RULE_DENY', REQUIRE_APPROVAL: 'RULE_APPROVAL' } as const
const DEFAULT_CODES = { ALLOW: 'DEFAULT_ALLOW', DENY: 'DEFAULT_DENY', REQUIRE_APPROVAL: 'DEFAULT_APPROVAL' } as const
const DEFAULTS = { 'default-allow': 'ALLOW', 'default-deny': 'DENY', 'default-approval': 'REQUIRE_APPROVAL' } as const

/** Rules that an answer lists. */
const MOST_LISTED = 100
/** Rules that allow or ask for approval: what they ask is met together, or the call is denied. */
const MOST_ASKING = 256

interface Found {
  readonly rule: CheckedRule
  readonly indeterminate: boolean
  readonly effect: Effect
  /** It fits only by a tag that the tenant gave, and so may tighten what else holds, not replace it. */
  readonly isExtra: boolean
}
interface LayerAnswer {
  readonly outcome: Outcome | null
  readonly by: 'rule' | 'default' | 'nothing'
  readonly rules: readonly Found[]
  readonly monitored: readonly Found[]
  readonly defaults: readonly CheckedPolicy[]
  /** What an expression of this layer comes to for the call. */
  readonly read: (expr: Expr) => unknown
}

export function decideByMeaning(
  call: Call,
  nowMs: number,
  bundle: CheckedBundle,
  tenant: string,
  views: Views,
): NaiveDecision {
  const own = bundle.tenants.get(tenant)
  const fleetTags = new Set(bundle.fleet.tools.get(call.tool)?.tags)
  const argumentsOf = (...layers: (CheckedLayer | undefined)[]) => {
    const declarations = layers.flatMap((layer) => layer?.tools.get(call.tool) ?? [])
    return declarations.length === 0 ? null : declarations.flatMap(({ parameters }) => [...parameters.keys()])
  }
  const tags = new Set([...fleetTags, ...(own?.tools.get(call.tool)?.tags ?? [])])
  const works = [
    worksAbout(bundle.fleet, 'fleet', call, tenant, argumentsOf(bundle.fleet), tags, fleetTags),
    own === undefined ? [] : worksAbout(own, 'tenant', call, tenant, argumentsOf(bundle.fleet, own), tags, tags),
  ]
  const tooLong = works.every((some) => some !== null) && isTooLong(works.flat(), call)
  const clock = { nowMs, views, tooLong }
  // What a tenant says of a tool may restrict more, never bring it under a rule by which the fleet allows.
  const fleet = judge(bundle.fleet, 'fleet', call, clock, tenant, argumentsOf(bundle.fleet), tags, fleetTags)
  const spoken =
    own === undefined ? null : judge(own, 'tenant', call, clock, tenant, argumentsOf(bundle.fleet, own), tags, tags)
  const mine = spoken === null || spoken.outcome === null ? null : spoken
  const layers = [fleet, ...(spoken === null ? [] : [spoken])]
  const outcomes = [fleet.outcome ?? 'ALLOW', mine?.outcome ?? 'DENY'] as const
  const stricter = STRICT.indexOf(outcomes[0]) > STRICT.indexOf(outcomes[1]) ? outcomes[0] : outcomes[1]

  const matched = layers.flatMap((layer) => layer.rules).sort(inOrder)
  const isOver = stricter !== 'DENY' && matched.filter(({ effect }) => effect !== 'DENY').length > MOST_ASKING
  const outcome = isOver ? 'DENY' : stricter
  const opening = outcome === 'ALLOW' ? layers.filter((layer) => layer === mine) : layers
  const sayingIt = opening.filter((layer) => layer.outcome === outcome)
  const deciders = sayingIt
    .filter((layer) => layer.by === 'rule')
    .flatMap((layer) => layer.rules)
    .filter((found) => outcomeOf(found.effect) === outcome)
    .sort(inOrder)
  const certain = deciders.find((found) => !found.indeterminate)
  // The tenant's default leads an ALLOW, since the fleet cannot open a call.
  const defaulting = [...sayingIt]
    .reverse()
    .flatMap((layer) => (layer.by === 'default' ? [...layer.defaults].sort(byName) : []))
  const defaultOf = defaulting
    .filter((policy) => DEFAULTS[policy.defaultEffect.kind] === outcome)
    .map(({ name }) => name)
  const [reasonCode, deciding]: [ReasonCode, string | null] = isOver
    ? ['TOO_MANY_RULES', null]
    : certain !== undefined
      ? [RULE_CODES[outcome], certain.rule.id]
      : mine === null
        ? ['NO_POLICY', null]
        : defaultOf[0] !== undefined
          ? [DEFAULT_CODES[outcome], `default of ${defaultOf[0]}`]
          : ['INDETERMINATE', deciders[0]!.rule.id]
  return {
    outcome,
    tooLong,
    reasonCode,
    deciding,
    matched: matched.slice(0, MOST_LISTED).map(toMatch),
    monitored: layers
      .flatMap((layer) => layer.monitored)
      .sort(inOrder)
      .slice(0, MOST_LISTED)
      .map(toMatch),
    obligations: outcome === 'DENY' ? [] : matched.flatMap(obligations),
    approvals: outcome === 'REQUIRE_APPROVAL' ? approvals(layers, matched) : [],
  }
}

/**
 * What the rules about the tool, the environment and the tenant read, whoever calls; equal readings more than once. Null where
 * a rule that restricts would let pass what is not read.
 */
function worksAbout(
  layer: CheckedLayer,
  name: string,
  call: Call,
  tenant: string,
  declared: readonly string[] | null,
  tags: ReadonlySet<string>,
  ownTags: ReadonlySet<string>,
): readonly Work[] | null {
  let mustBeRead = false
  const isAbout = (terms: readonly ScopeTerm[], seen: ReadonlySet<string>) =>
    terms
      .filter(({ kind, on }) => kind === 'scope' && ['tool', 'env', 'tenant'].includes(on))
      .every((term) => inScope(term, call, tenant, declared, seen))
  const stagesOf = (clause: ApprovalClause) => clause.stages.flatMap(({ condition }) => condition ?? [])
  const works = layer.policies.flatMap(({ speaksFor, rules, defaultEffect }) => {
    const exprs = rules.flatMap(({ scope, effect, conditions, unknownMeansNoMatch }) => {
      if (!isAbout([...speaksFor, ...scope], effect.kind === 'allow' ? ownTags : tags)) return []
      if (effect.kind !== 'allow' && unknownMeansNoMatch) {
        mustBeRead ||= conditions.some((expr) => workOf(expr, layer, name).length > 0)
      }
      const asks = effect.kind === 'require-approval' || effect.kind === 'deny-except'
      return [...conditions, ...(asks ? stagesOf(effect.approval) : [])]
    })
    if (defaultEffect.kind === 'default-approval' && isAbout(speaksFor, tags)) {
      exprs.push(...stagesOf(defaultEffect.approval))
    }
    return exprs.flatMap((expr) => workOf(expr, layer, name))
  })
  return mustBeRead ? null : works
}

function judge(
  layer: CheckedLayer,
  layerName: string,
  call: Call,
  { nowMs, views, tooLong }: { readonly nowMs: number; readonly views: Views; readonly tooLong: boolean },
  tenant: string,
  /** The arguments that the tool is declared with, as far as the layer sees; null for a tool without declaration. */
  declared: readonly string[] | null,
  tags: ReadonlySet<string>,
  ownTags: ReadonlySet<string>,
): LayerAnswer {
  const value = (expr: Expr) => evaluate(expr, { call, nowMs, declared, lists: layer.lists, variables: [], views })
  const read = (expr: Expr) => (tooLong && workOf(expr, layer, layerName).length > 0 ? undefined : value(expr))
  // Of the parts that must all hold, each is unknown by itself.
  const readAll = (expr: Expr): unknown => (expr.kind === 'and' ? allOf(expr.operands.map(readAll)) : read(expr))
  const speaking = layer.policies.filter((policy) =>
    policy.speaksFor.every((term) => inScope(term, call, tenant, declared, tags)),
  )
  const found = speaking.flatMap((policy) =>
    policy.rules.flatMap((rule) => {
      const scope = [...policy.speaksFor, ...rule.scope]
      const fits = (seen: ReadonlySet<string>) => scope.every((term) => inScope(term, call, tenant, declared, seen))
      if (!fits(rule.effect.kind === 'allow' ? ownTags : tags) || !isActive(rule, nowMs)) return []
      const truth = allOf(rule.conditions.map(readAll))
      const effect = EFFECTS[rule.effect.kind]
      if (truth === false || (truth !== true && (effect === 'ALLOW' || rule.unknownMeansNoMatch))) return []
      return [{ rule, effect, indeterminate: truth !== true, isExtra: effect !== 'DENY' && !fits(ownTags) }]
    }),
  )
  const rules = found.filter(({ rule }) => !rule.monitor)
  const monitored = found.filter(({ rule }) => rule.monitor)
  const { outcome, by } = verdict(rules, speaking)
  const tightens = rules.some(({ isExtra }) => isExtra) && (outcome === null || outcome === 'ALLOW')
  const answer = { rules, monitored, defaults: speaking, read }
  return tightens ? { ...answer, outcome: 'REQUIRE_APPROVAL', by: 'rule' } : { ...answer, outcome, by }
}

function verdict(rules: readonly Found[], speaking: readonly CheckedPolicy[]): Pick<LayerAnswer, 'outcome' | 'by'> {
  for (const outcome of ['DENY', 'REQUIRE_APPROVAL', 'ALLOW'] as const) {
    if (rules.some(({ effect, isExtra }) => !isExtra && outcomeOf(effect) === outcome)) return { outcome, by: 'rule' }
  }
  for (const outcome of ['DENY', 'REQUIRE_APPROVAL', 'ALLOW'] as const) {
    if (speaking.some((policy) => DEFAULTS[policy.defaultEffect.kind] === outcome)) return { outcome, by: 'default' }
  }
  return { outcome: null, by: 'nothing' }
}

function outcomeOf(effect: Effect): Outcome {
  return effect === 'DENY_EXCEPT_APPROVAL' ? 'REQUIRE_APPROVAL' : effect
}

function inOrder(a: Found, b: Found): number {
  const key = ({ rule, effect }: Found) => [String(ORDER.indexOf(effect)), rule.policy, rule.id]
  const [left, right] = [key(a), key(b)]
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return left[i]! < right[i]! ? -1 : 1
  return 0
}

function byName(a: CheckedPolicy, b: CheckedPolicy): number {
  return a.name === b.name ? 0 : a.name < b.name ? -1 : 1
}

function toMatch({ rule, effect, indeterminate }: Found): NaiveMatch {
  return { policy: rule.policy, ruleId: rule.id, effect, indeterminate }
}

function isActive({ active }: CheckedRule, nowMs: number): boolean {
  if (active === null) return true
  return (active.fromMs === null || nowMs >= active.fromMs) && (active.untilMs === null || nowMs < active.untilMs)
}

function obligations({ rule }: Found): Obligation[] {
  if (rule.effect.kind !== 'allow') return []
  return rule.effect.obligations.map((node) =>
    node.kind === 'max_rows'
      ? { kind: node.kind, target: '', value: node.rows, ruleId: rule.id }
      : { kind: node.kind, target: node.target, value: 0, ruleId: rule.id },
  )
}

function approvals(layers: readonly LayerAnswer[], matched: readonly Found[]): ApprovalRequirement[] {
  const asking = layers.filter((layer) => layer.outcome === 'REQUIRE_APPROVAL')
  const wanted: {
    id: string
    clause: ApprovalClause
    isException: boolean
    policy: CheckedPolicy
    layer: LayerAnswer
  }[] = []
  for (const found of matched) {
    const effect = found.rule.effect
    const layer = asking.find((one) => one.rules.includes(found))
    if (layer === undefined || (effect.kind !== 'require-approval' && effect.kind !== 'deny-except')) continue
    const policy = layer.defaults.find(({ rules }) => rules.includes(found.rule))!
    const isException = effect.kind === 'deny-except'
    wanted.push({ id: found.rule.id, clause: effect.approval, isException, policy, layer })
  }
  const defaults = asking.flatMap((layer, i) =>
    layer.by === 'default' ? layer.defaults.map((policy) => ({ policy, layer, i })) : [],
  )
  defaults.sort((a, b) => (a.policy.name === b.policy.name ? a.i - b.i : a.policy.name < b.policy.name ? -1 : 1))
  for (const { policy, layer } of defaults) {
    const effect = policy.defaultEffect
    if (effect.kind !== 'default-approval') continue
    wanted.push({ id: `default of ${policy.name}`, clause: effect.approval, isException: false, policy, layer })
  }
  const merged: ApprovalRequirement[] = []
  for (const { id, clause, isException, policy, layer } of wanted) {
    const one: ApprovalRequirement = {
      ruleIds: [id],
      stages: clause.stages
        .filter(({ condition }) => condition === null || layer.read(condition) !== false)
        .map((stage) => ({
          from: stage.from.map(({ count, role, where }) => ({
            count,
            role: role.name,
            where: where.map(({ attribute, value }) => ({
              attribute: attribute.name,
              value: attributeValue(layer.read(value)),
            })),
          })),
        })),
      withinMs: clause.withinMs,
      onTimeout:
        clause.onTimeout?.kind === 'escalate'
          ? { kind: 'escalate', role: clause.onTimeout.role.name }
          : { kind: 'deny' },
      escalations: [...clause.escalations]
        .sort((a, b) => a.afterMs - b.afterMs)
        .map(({ role, afterMs }) => ({ role: role.name, afterMs })),
      validForMs: clause.validForMs,
      notByRequester: clause.notByRequester,
      barred: clause.notByAuthor ? [...new Set(policy.authors.map(({ name }) => name))].sort() : [],
      reasonOnApproval: ['approval', 'both'].includes(clause.reasonRequired ?? ''),
      reasonOnRejection: ['rejection', 'both'].includes(clause.reasonRequired ?? ''),
      mayEdit: clause.mayEdit.map(pathOf),
      mayRemember: clause.mayRemember.map(({ scope, paths, forMs, atMost }) => ({
        scope,
        paths: paths.map(pathOf),
        forMs,
        mostUses: atMost,
      })),
      breakGlass: clause.breakGlass === null ? null : clause.breakGlass.name,
      isException,
    }
    const same = merged.findIndex((other) => isDeepStrictEqual(asked(other), asked(one)))
    if (same < 0) merged.push(one)
    else merged[same] = { ...merged[same]!, ruleIds: [...new Set([...merged[same]!.ruleIds, id])] }
  }
  return merged
}

/** Nobody has an attribute that is unknown, no single value, or longer than a name. */
function attributeValue(value: unknown): string | number | boolean | null {
  if (typeof value === 'string') return value.length > 256 ? null : value
  return typeof value === 'boolean' || Number.isFinite(value) ? (value as number | boolean) : null
}

const pathOf = (expr: Expr): readonly string[] => (expr.kind === 'reference' ? expr.path : [])

/** What a requirement asks, whoever asks. Of groups, attributes, arguments and grants all are meant, so their order says nothing. */
function asked({ stages, mayEdit, mayRemember, ruleIds, ...rest }: ApprovalRequirement): unknown {
  void ruleIds
  const inAnyOrder = (items: readonly unknown[]) => items.map((item) => JSON.stringify(item)).sort()
  return {
    ...rest,
    stages: stages.map(({ from }) => inAnyOrder(from.map((group) => ({ ...group, where: inAnyOrder(group.where) })))),
    mayEdit: inAnyOrder(mayEdit),
    mayRemember: inAnyOrder(mayRemember.map((offer) => ({ ...offer, paths: inAnyOrder(offer.paths) }))),
  }
}

function inScope(
  term: ScopeTerm,
  call: Call,
  tenant: string,
  declared: readonly string[] | null,
  tags: ReadonlySet<string>,
): boolean {
  const subject = term.on === 'agent' ? call.agent : term.on === 'principal' ? call.principal : null
  if (term.kind === 'scope-label') {
    const label = new Map(Object.entries(subject?.labels ?? {})).get(term.label.name)
    return label !== undefined && term.patterns.some((pattern) => fits(pattern, label))
  }
  const names = { tool: call.tool, env: call.environment, agent: call.agent.id, principal: call.principal?.id, tenant }
  const name = names[term.on]
  return (
    name !== undefined &&
    term.patterns.some((pattern) => {
      if (pattern.kind === 'undeclared') return declared === null
      return pattern.kind === 'tag' ? tags.has(pattern.text) : fits(pattern, name)
    })
  )
}

function fits(pattern: NamePattern, name: string): boolean {
  return pattern.kind === 'glob' ? glob(pattern.text, name) : pattern.kind === 'literal' && pattern.text === name
}
