import { approvalOf, stageConditions } from '../language/approval-clause.js'
import type { ApprovalClause, Expr, RuleEffect } from '../language/ast.js'
import type { CheckedLayer, CheckedPolicy, CheckedRule } from '../language/checked.js'
import { assertNever } from '../model/assert-never.js'
import type { Diagnostic } from '../model/diagnostic.js'
import type { Effect, Outcome } from '../model/outcome.js'
import type { Location } from '../model/span.js'
import { packDraft, toDraft, toObligation } from './approval.js'
import { COMPILE_CODES } from './compile-error.js'
import { MAX_RULE_COST, staticCost } from './cost.js'
import { type Demand, Demands } from './demands.js'
import { headOfDefault, headOfRule, packDefault, packRule } from './entries.js'
import { compareTexts, type Layer, type RuleEntry } from './entry.js'
import { APPROVAL_BY_TENANT_TAG, DEFAULT_FINDING, RULE_FINDING } from './findings.js'
import {
  exact,
  isEverything,
  type Lifted,
  liftConjunct,
  liftScopeTerm,
  nothingLifted,
  trimmed,
  type Vocabulary,
} from './lift.js'
import { NamePatterns, type Pattern } from './names.js'
import { Numbered, type Series } from './numbered.js'
import { type Predicate, Predicates, type Slot } from './predicates.js'
import type { Indexed } from './program.js'
import { RegexError } from './regex.js'
import { type Text, Texts } from './string-pool.js'

/** What the drafts of a series of images are made of: what is equal in two of them is one object. */
export class Objects implements Vocabulary {
  readonly texts: Texts
  readonly predicates: Predicates
  readonly tools: NamePatterns
  readonly environments: NamePatterns
  readonly toolDemands: Demands
  readonly environmentDemands: Demands

  constructor(readonly series: Series) {
    this.texts = new Texts(series)
    this.predicates = new Predicates(series, this.texts)
    this.tools = new NamePatterns(series)
    this.environments = new NamePatterns(series)
    this.toolDemands = new Demands(series)
    this.environmentDemands = new Demands(series)
  }
}

/**
 * What a rule, or the default of a policy, comes to in an image, apart from where it stands in its file and from every number:
 * it is the same for as long as the text is, and needs only be numbered to be in another image.
 */
export class Draft extends Numbered {
  readonly layer: Layer
  readonly policy: string
  /** Null for a default. */
  readonly ruleId: string | null
  /** See `EntrySection`. */
  readonly head: number
  readonly text: Text
  /** Place in the order of answers: by effect, the strictest first, and defaults last. */
  readonly rank: number
  readonly lifted: Lifted
  /** Of the conjuncts of its conditions. */
  readonly clauses: readonly Predicate[]
  /** Of the stages of its approval. */
  readonly stages: readonly Predicate[]
  /** What attributes of its approvers are compared with. */
  readonly attributes: readonly Slot[]
  /** What `on` and `for` demand. */
  readonly toolScope: Demand
  readonly environmentScope: Demand
  /** Patterns of tools under which the index has it; none where it names no tool. */
  readonly anchors: readonly Pattern[]
  readonly indexed: Indexed
  /** Estimated steps of its conditions. */
  readonly cost: number
  /** A rule's second entry, for tools that only the tenant tagged. */
  readonly isSecond: boolean

  constructor(madeFor: number, parts: DraftParts) {
    super(madeFor)
    this.layer = parts.layer
    this.policy = parts.policy
    this.ruleId = parts.ruleId
    this.head = parts.head
    this.text = parts.text
    this.rank = parts.rank
    this.lifted = parts.lifted
    this.clauses = parts.clauses
    this.stages = parts.stages
    this.attributes = parts.attributes
    this.toolScope = parts.toolScope
    this.environmentScope = parts.environmentScope
    this.anchors = parts.anchors
    this.indexed = { entry: this, ...parts.indexed }
    this.cost = parts.cost
    this.isSecond = parts.isSecond
  }
}

interface DraftParts extends Omit<Draft, 'indexed' | 'madeFor' | 'number' | 'image'> {
  readonly indexed: Omit<Indexed, 'entry'>
}

/** In the order of answers: files and their order have no say. An id is unique in what judges a tenant's calls. */
export function compareDrafts(a: Draft, b: Draft): number {
  return (
    a.rank - b.rank ||
    compareTexts(a.policy, b.policy) ||
    compareTexts(a.ruleId ?? a.layer, b.ruleId ?? b.layer) ||
    Number(a.isSecond) - Number(b.isSecond)
  )
}

const EFFECT_RANK: Readonly<Record<Effect, number>> = {
  DENY: 0,
  DENY_EXCEPT_APPROVAL: 1,
  REQUIRE_APPROVAL: 2,
  ALLOW: 3,
}
/** Rules of a smaller rank restrict. */
export const ALLOW_RANK = EFFECT_RANK.ALLOW
const DEFAULT_RANK = 4

/** Where a rule stands: who is judged by it, and what its names mean. */
export interface Standing {
  readonly layer: Layer
  /** Null for an image that serves every tenant without policies of its own. */
  readonly tenant: string | null
  readonly lists: CheckedLayer['lists']
}

/** What a rule comes to: nothing where it can never be about the tenant, two drafts where tags of two layers matter. */
export type Drafted = { readonly drafts: readonly Draft[] } | { readonly problem: Diagnostic }

export function draftRule(policy: CheckedPolicy, rule: CheckedRule, standing: Standing, objects: Objects): Drafted {
  const conjuncts = rule.conditions.flatMap(conjunctsOf)
  const clause = approvalOf(rule.effect)
  const owner = { what: `rule \`${rule.id}\``, location: rule.location }
  return guarded(owner, clause === null ? conjuncts : [...conjuncts, ...stageConditions(clause)], () => {
    const scope = [...policy.speaksFor, ...rule.scope]
    const draft = (tagged: Tagged | null): Draft | null =>
      draftEntry(policy, rule, { scope, conjuncts, tagged }, standing, objects)
    const tagsMatter = standing.layer === 'fleet' && rule.effect.kind !== 'deny' && scope.some(namesTag)
    if (!tagsMatter) return [draft(null)]
    // A tenant may tag a tool, and so bring it under restrictive rules of the fleet; under an allow it must not, and a rule
    // that asks for approval must not stand in for a default that denies. So there is one entry for the tools that the fleet
    // tagged and, where the rule restricts, another for those that fit by the tenant's tags only.
    const byFleet = draft({ tags: 'fleet-tag', except: null })
    if (rule.effect.kind === 'allow' || byFleet === null) return [byFleet]
    return [byFleet, draft({ tags: 'tag', except: byFleet.lifted.toolTerms })]
  })
}

/** The default of a policy. */
export function draftDefault(policy: CheckedPolicy, standing: Standing, objects: Objects): Drafted {
  const { defaultEffect: effect, name } = policy
  const owner = { what: `the default of ${name}`, location: policy.location }
  const clause = effect.kind === 'default-approval' ? effect.approval : null
  return guarded(owner, clause === null ? NONE : stageConditions(clause), () => {
    const lifted = nothingLifted()
    if (!liftScope(policy.speaksFor, 'tag', standing, lifted, objects)) return [null]
    const { layer } = standing
    const outcome: Outcome =
      effect.kind === 'default-allow' ? 'ALLOW' : effect.kind === 'default-deny' ? 'DENY' : 'REQUIRE_APPROVAL'
    const approval = draftApproval(
      clause,
      { policy, ruleId: `default of ${name}`, isException: false },
      standing,
      objects,
    )
    const draft = new Draft(objects.series.last + 1, {
      layer,
      policy: name,
      ruleId: null,
      head: headOfDefault({ layer, finding: DEFAULT_FINDING[outcome], outcome }),
      text: objects.texts.own(packDefault(lifted.scope.length, approval.packed)),
      rank: DEFAULT_RANK,
      clauses: NONE,
      stages: approval.stages,
      attributes: approval.attributes,
      cost: 0,
      isSecond: false,
      ...placed(lifted, NONE, false, objects),
    })
    return [draft]
  })
}

/** Whether a default speaks for every call that the layer is asked about. */
export function speaksForAll({ speaksFor }: CheckedPolicy, { lifted }: Draft): boolean {
  return speaksFor.every((term) => term.kind === 'scope' && term.on === 'tenant') && lifted.scope.length === 0
}

/** Whom a diagnostic is about. */
interface Owner {
  readonly what: string
  readonly location: Location
}

/** Refuses conditions that cost too much, and those that cannot be compiled: the checker finds these, so this is a second wall. */
function guarded(owner: Owner, conditions: readonly Expr[], draft: () => readonly (Draft | null)[]): Drafted {
  const cost = costOf(conditions)
  if (cost > MAX_RULE_COST) return { problem: tooCostly(owner, cost) }
  try {
    return { drafts: draft().filter((one) => one !== null) }
  } catch (error) {
    if (!(error instanceof RegexError) && !(error instanceof RangeError)) throw error
    return { problem: cannotCompile(owner, error) }
  }
}

const costOf = (conditions: readonly Expr[]): number => conditions.reduce((sum, expr) => sum + staticCost(expr), 0)

/** Whose tags a draft goes by, and tools that have an entry already. */
interface Tagged {
  readonly tags: 'tag' | 'fleet-tag'
  readonly except: Lifted['toolTerms'] | null
}

interface RuleParts {
  readonly scope: CheckedRule['scope']
  readonly conjuncts: readonly Expr[]
  readonly tagged: Tagged | null
}

function draftEntry(
  policy: CheckedPolicy,
  rule: CheckedRule,
  { scope, conjuncts, tagged }: RuleParts,
  standing: Standing,
  objects: Objects,
): Draft | null {
  const { layer, lists } = standing
  const { predicates } = objects
  const lifted = nothingLifted()
  if (!liftScope(scope, tagged?.tags ?? 'tag', standing, lifted, objects)) return null
  const except = tagged?.except ?? null
  if (except !== null) {
    const demand = objects.toolDemands.of(except.slice(0, lifted.scopeToolTerms))
    lifted.scope.push(predicates.ofDemand('notTool', demand))
  }
  const clauses = conjuncts.map((expr) => ({ expr, predicate: predicates.ofCondition(expr, lists, layer) }))
  const isException = rule.effect.kind === 'deny-except'
  const approval = draftApproval(approvalOf(rule.effect), { policy, ruleId: rule.id, isException }, standing, objects)
  for (const { expr } of clauses) liftConjunct(expr, lists, lifted, objects)
  if (rule.active !== null) {
    const { fromMs, untilMs } = rule.active
    lifted.scope.push(predicates.ofScope({ kind: 'active', fromMs, untilMs }, NONE, 1))
  }
  const effect = effectOf(rule.effect)
  const isSecond = except !== null
  const finding = rule.monitor ? 0 : isSecond ? APPROVAL_BY_TENANT_TAG : RULE_FINDING[effect]
  const unknownMatches = effect !== 'ALLOW' && !rule.unknownMeansNoMatch
  const walked = clauses.filter(({ expr }) => !lifted.settled.includes(expr)).map(({ predicate }) => predicate)
  const packed = { why: whyOf(rule.effect), approval: approval.packed, obligations: obligationsOf(rule) }
  return new Draft(objects.series.last + 1, {
    layer,
    policy: rule.policy,
    ruleId: rule.id,
    head: headOfRule({ layer, finding, effect, monitor: rule.monitor, unknownMatches }),
    text: objects.texts.own(packRule(rule, packed, conjuncts, lifted.scope.length)),
    rank: EFFECT_RANK[effect],
    clauses: clauses.map(({ predicate }) => predicate),
    stages: approval.stages,
    attributes: approval.attributes,
    cost: costOf(conjuncts),
    isSecond,
    ...placed(trimmed(lifted), walked, unknownMatches, objects),
  })
}

/** On whose behalf an approval is asked for. */
interface Asking {
  readonly policy: CheckedPolicy
  readonly ruleId: string
  readonly isException: boolean
}

/** What an approval asks of people, as it goes into an entry's text, and what it refers to. */
function draftApproval(
  clause: ApprovalClause | null,
  { policy, ruleId, isException }: Asking,
  { layer, lists }: Standing,
  { predicates }: Objects,
): {
  readonly packed: Parameters<typeof packDefault>[1]
  readonly stages: readonly Predicate[]
  readonly attributes: readonly Slot[]
} {
  if (clause === null) return NO_APPROVAL
  const stages: Predicate[] = []
  const attributes: Slot[] = []
  const draft = toDraft(clause, {
    ruleId,
    isException,
    authors: policy.authors.map(({ name }) => name),
    predicate: (condition) => stages.push(predicates.ofCondition(condition, lists, layer)) - 1,
    slot: ({ root, path }) => attributes.push(predicates.slot({ kind: 'reference', root, path }, NONE)) - 1,
  })
  return { packed: [stages.length, packDraft(draft)], stages: exact(stages), attributes: exact(attributes) }
}

type Placed = Pick<DraftParts, 'lifted' | 'toolScope' | 'environmentScope' | 'anchors' | 'indexed'>

/** How the index finds an entry, and what of its demands is left to evaluate then. */
function placed(
  lifted: Lifted,
  conditions: readonly Predicate[],
  unknownMatches: boolean,
  { predicates, toolDemands, environmentDemands }: Objects,
): Placed {
  const { toolTerms, envTerms, scopeToolTerms, scopeEnvTerms, equalities, ranges } = lifted
  const left = [...lifted.scope]
  if (toolTerms.length > 1) left.push(predicates.ofDemand('tool', toolDemands.of(toolTerms)))
  left.push(...conditions)
  let environments: Indexed['environments'] = null
  if (envTerms.length > 0) {
    const predicate = predicates.ofDemand('environment', environmentDemands.of(envTerms))
    const [names] = envTerms
    // More terms, and globs, are left to the predicate.
    if (envTerms.length === 1 && names!.every(({ kind }) => kind === 'literal')) {
      environments = { names: [...new Set(names)], predicate }
    }
    left.push(predicate)
  }
  return {
    lifted,
    toolScope: toolDemands.of(toolTerms.slice(0, scopeToolTerms)),
    environmentScope: environmentDemands.of(envTerms.slice(0, scopeEnvTerms)),
    anchors: toolTerms.length === 0 ? NONE : [...new Set(mostSelective(toolTerms))],
    indexed: { predicates: cheapFirst(left), unknownMatches, environments, equalities, ranges },
  }
}

function cheapFirst(predicates: readonly Predicate[]): readonly Predicate[] {
  return predicates.length < 2 ? predicates : [...new Set(predicates)].sort((a, b) => a.cost - b.cost)
}

/** The term that fits the fewest names, as far as its patterns tell: one literal before a set, both before globs. */
export function mostSelective(terms: readonly (readonly Pattern[])[]): readonly Pattern[] {
  const breadth = (term: readonly Pattern[]) => term.reduce((sum, { kind }) => sum + PATTERN_BREADTH[kind], 0)
  return terms.reduce((best, term) => (breadth(term) < breadth(best) ? term : best))
}

/** A rule that is reached through `undeclared` is never met by a call of a declared tool. */
const PATTERN_BREADTH: Readonly<Record<Pattern['kind'], number>> = {
  literal: 1,
  tag: 8,
  'fleet-tag': 8,
  undeclared: 8,
  'fleet-undeclared': 8,
  glob: 16,
}

function liftScope(
  terms: CheckedRule['scope'],
  tag: 'tag' | 'fleet-tag',
  { layer, tenant }: Standing,
  lifted: Lifted,
  objects: Objects,
): boolean {
  const kinds = { tag, undeclared: layer === 'fleet' ? 'fleet-undeclared' : 'undeclared' } as const
  return terms.every((term) => liftScopeTerm(term, tenant, kinds, lifted, objects))
}

/** Whether it is up to tags which tools a term fits. */
function namesTag(term: CheckedRule['scope'][number]): boolean {
  if (term.kind !== 'scope' || term.on !== 'tool' || term.patterns.some(isEverything)) return false
  return term.patterns.some(({ kind }) => kind === 'tag')
}

function conjunctsOf(expr: Expr): readonly Expr[] {
  return expr.kind === 'and' ? expr.operands.flatMap(conjunctsOf) : [expr]
}

const NONE: readonly never[] = []

const NO_APPROVAL = { packed: null, stages: NONE, attributes: NONE }

function whyOf(effect: RuleEffect): string {
  return effect.kind === 'deny' || effect.kind === 'deny-except' ? effect.why : ''
}

function obligationsOf({ effect, id }: CheckedRule): RuleEntry['obligations'] {
  return effect.kind === 'allow' ? effect.obligations.map((node) => toObligation(node, id)) : NONE
}

function effectOf(effect: RuleEffect): Effect {
  switch (effect.kind) {
    case 'allow':
      return 'ALLOW'
    case 'deny':
      return 'DENY'
    case 'deny-except':
      return 'DENY_EXCEPT_APPROVAL'
    case 'require-approval':
      return 'REQUIRE_APPROVAL'
    default:
      return assertNever(effect)
  }
}

function tooCostly({ what, location }: Owner, cost: number): Diagnostic {
  return {
    code: COMPILE_CODES.tooCostly,
    severity: 'error',
    message: `${what} may cost ${cost} steps a call, over the limit of ${MAX_RULE_COST}`,
    hint: 'loops inside loops multiply: split the rule, or compare whole lists (`intersects`, `subset of`, `contains any of`)',
    location,
  }
}

function cannotCompile({ what, location }: Owner, error: Error): Diagnostic {
  return {
    code: COMPILE_CODES.cannotCompile,
    severity: 'error',
    message: `${what} cannot be compiled: ${error.message}`,
    location,
  }
}
