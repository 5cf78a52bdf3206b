import { approvalOf, stageConditions } from '../language/approval-clause.js'
import type { ApprovalClause, Expr, RuleEffect } from '../language/ast.js'
import type { CheckedBundle, CheckedLayer, CheckedPolicy, CheckedRule } from '../language/checked.js'
import { assertNever } from '../model/assert-never.js'
import type { MatchedRule } from '../model/decision.js'
import type { Diagnostic } from '../model/diagnostic.js'
import type { Effect } from '../model/outcome.js'
import type { Location } from '../model/span.js'
import { type RequirementDraft, toDraft, toObligation } from './approval.js'
import { COMPILE_CODES, CompileError } from './compile-error.js'
import { MAX_RULE_COST, staticCost } from './cost.js'
import { type DeclaredTool, packTool } from './declared-tool.js'
import { Demands } from './demands.js'
import { EntryWriter } from './entries.js'
import {
  type Clause,
  compareDefaults,
  compareTexts,
  type DefaultEntry,
  type Entry,
  type Layer,
  type RuleEntry,
} from './entry.js'
import { APPROVAL_BY_TENANT_TAG, DEFAULT_FINDING, RULE_FINDING } from './findings.js'
import type { PolicyImage } from './image.js'
import {
  isEverything,
  type Lifted,
  liftConjunct,
  liftScopeTerm,
  nothingLifted,
  trimmed,
  type Vocabulary,
} from './lift.js'
import { NamePatterns, type Tags } from './names.js'
import { openPolicySet, type PolicySet } from './policy-set.js'
import { Predicates } from './predicates.js'
import { RegexError } from './regex.js'
import { RuleIndex } from './rule-index.js'
import { StringPoolBuilder } from './string-pool.js'

const EMPTY_LAYER: CheckedLayer = { policies: [], tools: new Map(), lists: new Map(), tests: [] }

/**
 * Compiles the policies that judge one tenant's calls, the fleet's and the tenant's own, to an image. A tenant that the bundle
 * does not know has no policies of its own, so every call of it is denied.
 *
 * @param tenant null for one image that serves every tenant without policies of its own
 * @throws {CompileError} naming every rule over a limit; a bundle with errors among its diagnostics must not get here
 */
export function compile(bundle: CheckedBundle, tenant: string | null): PolicyImage {
  return compileToIndex(bundle, tenant).image
}

/** Compiles and opens in one go, for whoever need not keep an event loop running. */
export function compilePolicySet(bundle: CheckedBundle, tenant: string | null): PolicySet {
  return openPolicySet(compile(bundle, tenant))
}

/** The image, and what the compiler knows of it that deciding does not need. */
export function compileToIndex(bundle: CheckedBundle, tenant: string | null): Compiled {
  return addLayers(bundle, tenant).finish(bundle.revision)
}

function addLayers(bundle: CheckedBundle, tenant: string | null): Compilation {
  const own = (tenant === null ? undefined : bundle.tenants.get(tenant)) ?? EMPTY_LAYER
  const compilation = new Compilation(tenant, bundle.fleet, own)
  compilation.addLayer('fleet', bundle.fleet)
  compilation.addLayer('tenant', own)
  return compilation
}

/**
 * What only compiling finds, for every tenant of a bundle that has no errors, and for those that have no policies of their
 * own: a rule of the fleet is named once.
 */
export function compileDiagnostics(bundle: CheckedBundle): readonly Diagnostic[] {
  const found = new Map<string, Diagnostic>()
  for (const tenant of [...bundle.tenants.keys(), null]) {
    for (const diagnostic of addLayers(bundle, tenant).diagnostics) {
      const { file, start } = diagnostic.location
      found.set(JSON.stringify([file, start, diagnostic.code]), diagnostic)
    }
  }
  return [...found.values()]
}

export interface Compiled {
  readonly image: PolicyImage
  readonly drafts: readonly Draft[]
  readonly index: RuleIndex
}

/** An entry on its way into the image. */
export interface Draft {
  readonly entry: Entry
  readonly lifted: Lifted
  readonly clauses: readonly DraftClause[]
  /** Null for a default. */
  readonly rule: CheckedRule | null
  /** A rule's second entry, for tools that only the tenant tagged. */
  readonly isSecond: boolean
}

interface DraftClause extends Clause {
  readonly expr: Expr
}

class Compilation {
  readonly tenant: string | null
  readonly diagnostics: Diagnostic[] = []
  readonly #tools: ReadonlyMap<string, DeclaredTool>
  readonly #fleetTools: CheckedLayer['tools']
  readonly #strings = new StringPoolBuilder()
  readonly #predicates = new Predicates(this.#strings)
  readonly #vocabulary: Vocabulary = {
    tools: new NamePatterns(),
    environments: new NamePatterns(),
    features: new Map(),
    predicates: this.#predicates,
  }
  readonly #demands = new Demands()
  readonly #drafts: Draft[] = []
  readonly #always: DefaultEntry[] = []

  constructor(tenant: string | null, fleet: CheckedLayer, own: CheckedLayer) {
    this.tenant = tenant
    this.#tools = declaredTools(fleet, own)
    this.#fleetTools = fleet.tools
  }

  addLayer(layer: Layer, checked: CheckedLayer): void {
    for (const policy of checked.policies) {
      this.#addDefault(layer, checked, policy)
      for (const rule of policy.rules) this.#addRule(layer, checked, policy, rule)
    }
  }

  finish(revision: string): Compiled {
    if (this.diagnostics.length > 0) throw new CompileError(this.diagnostics)
    const drafts = inOrder(this.#drafts)
    const tags = new Map<string, Tags>()
    for (const { name, tags: all } of this.#tools.values())
      tags.set(name, { all, fleet: this.#fleetTools.get(name)?.tags ?? null })
    const demands = this.#demands
    const entries = new EntryWriter(this.#strings)
    for (const { entry, lifted } of drafts) {
      const { toolTerms, scopeToolTerms, envTerms, scopeEnvTerms } = lifted
      const toolScope = demands.intern(toolTerms.slice(0, scopeToolTerms))
      entries.add(entry, toolScope, demands.intern(envTerms.slice(0, scopeEnvTerms)))
    }
    const everything = demands.intern([])
    for (const entry of this.#always.sort(compareDefaults)) entries.add(entry, everything, everything)
    const index = new RuleIndex(drafts, this.#vocabulary, demands, this.#strings)
    const rows = this.#vocabulary.tools.rows(tags)
    const declarations = rows.map((name) => {
      const tool = this.#tools.get(name)
      return tool === undefined ? -1 : this.#strings.add(packTool(tool))
    })
    const receipts = rows.map((name) => (this.#tools.get(name)?.receipt === true ? 1 : 0))
    const tools = this.#vocabulary.tools.finish(tags, this.#strings)
    const image: PolicyImage = {
      revision,
      tenant: this.tenant,
      programs: index.finish(tools),
      predicates: this.#predicates.finish(),
      entries: entries.finish(),
      tools,
      environments: this.#vocabulary.environments.finish(new Map(), this.#strings),
      demands: demands.finish(),
      declarations: Int32Array.from(declarations),
      receipts: Uint8Array.from(receipts.includes(1) ? receipts : []),
      always: Int32Array.from(this.#always, (_, at) => drafts.length + at),
      // Last, for the other sections add their texts.
      strings: this.#strings.finish(),
    }
    return { image, drafts, index }
  }

  #addDefault(layer: Layer, checked: CheckedLayer, policy: CheckedPolicy): void {
    const lifted = nothingLifted()
    if (!this.#liftScope(layer, policy.speaksFor, 'tag', lifted)) return
    const effect = policy.defaultEffect
    let approval: RequirementDraft | null = null
    if (effect.kind === 'default-approval') {
      const name = `default of ${policy.name}`
      const owner = { what: `the ${name}`, location: policy.location }
      if (!this.#isAffordable(owner, stageConditions(effect.approval))) return
      approval = this.#guarded(owner, () => this.#draft(layer, checked, policy, name, effect.approval, false))
      if (approval === null) return
    }
    const outcome =
      effect.kind === 'default-allow' ? 'ALLOW' : effect.kind === 'default-deny' ? 'DENY' : 'REQUIRE_APPROVAL'
    const entry: DefaultEntry = {
      kind: 'default',
      layer,
      policy: policy.name,
      finding: DEFAULT_FINDING[outcome],
      outcome,
      approval,
    }
    const speaksForAll = policy.speaksFor.every((term) => term.kind === 'scope' && term.on === 'tenant')
    if (speaksForAll && lifted.scope.length === 0) this.#always.push(entry)
    else this.#drafts.push({ entry, lifted, clauses: [], rule: null, isSecond: false })
  }

  #addRule(layer: Layer, checked: CheckedLayer, policy: CheckedPolicy, rule: CheckedRule): void {
    const conjuncts = rule.conditions.flatMap(conjunctsOf)
    const clause = approvalOf(rule.effect)
    const conditions = clause === null ? conjuncts : [...conjuncts, ...stageConditions(clause)]
    if (!this.#isAffordable(ownerOf(rule), conditions)) return
    const scope = [...policy.speaksFor, ...rule.scope]
    const tagsMatter = layer === 'fleet' && rule.effect.kind !== 'deny' && scope.some(namesTag)
    if (!tagsMatter) {
      this.#addEntry(layer, checked, policy, rule, scope, conjuncts, null)
      return
    }
    // A tenant may tag a tool, and so bring it under restrictive rules of the fleet; under an allow it must not, and a rule
    // that asks for approval must not stand in for a default that denies. So there is one entry for the tools that the fleet
    // tagged and, where the rule restricts, another for those that fit by the tenant's tags only.
    const byFleet = this.#addEntry(layer, checked, policy, rule, scope, conjuncts, { tags: 'fleet-tag', except: null })
    if (rule.effect.kind === 'allow' || byFleet === null) return
    this.#addEntry(layer, checked, policy, rule, scope, conjuncts, { tags: 'tag', except: byFleet.toolTerms })
  }

  #addEntry(
    layer: Layer,
    checked: CheckedLayer,
    policy: CheckedPolicy,
    rule: CheckedRule,
    scope: CheckedRule['scope'],
    conjuncts: readonly Expr[],
    tagged: { readonly tags: 'tag' | 'fleet-tag'; readonly except: Lifted['toolTerms'] | null } | null,
  ): Lifted | null {
    const drafted = nothingLifted()
    if (!this.#liftScope(layer, scope, tagged?.tags ?? 'tag', drafted)) return null
    if (tagged !== null && tagged.except !== null) {
      const demand = this.#demands.intern(tagged.except.slice(0, drafted.scopeToolTerms))
      drafted.scope.push(this.#predicates.ofDemand('notTool', demand))
    }
    const clauses = this.#guarded(ownerOf(rule), () => this.#toClauses(layer, conjuncts, rule, checked))
    if (clauses === null) return null
    const { effect } = rule
    const approval = this.#guarded(ownerOf(rule), () => {
      const clause = approvalOf(effect)
      if (clause === null) return { draft: null }
      return { draft: this.#draft(layer, checked, policy, rule.id, clause, effect.kind === 'deny-except') }
    })
    if (approval === null) return null
    for (const { expr } of clauses) liftConjunct(expr, checked.lists, drafted, this.#vocabulary)
    if (rule.active !== null) {
      const { fromMs, untilMs } = rule.active
      drafted.scope.push(this.#predicates.ofScope({ kind: 'active', fromMs, untilMs }, 1))
    }
    const lifted = trimmed(drafted)
    const entry = toRuleEntry(layer, rule, lifted.scope, clauses, approval.draft)
    const isSecond = tagged !== null && tagged.except !== null
    const found = isSecond && !rule.monitor ? { ...entry, finding: APPROVAL_BY_TENANT_TAG } : entry
    this.#drafts.push({ entry: found, lifted, clauses, rule, isSecond })
    return lifted
  }

  #liftScope(layer: Layer, terms: CheckedRule['scope'], tag: 'tag' | 'fleet-tag', lifted: Lifted): boolean {
    const kinds = { tag, undeclared: layer === 'fleet' ? 'fleet-undeclared' : 'undeclared' } as const
    return terms.every((term) => liftScopeTerm(term, this.tenant, kinds, lifted, this.#vocabulary))
  }

  #isAffordable({ what, location }: Owner, conditions: readonly Expr[]): boolean {
    const cost = conditions.reduce((sum, expr) => sum + staticCost(expr), 0)
    if (cost <= MAX_RULE_COST) return true
    this.diagnostics.push({
      code: COMPILE_CODES.tooCostly,
      severity: 'error',
      message: `${what} may cost ${cost} steps a call, over the limit of ${MAX_RULE_COST}`,
      hint: 'loops inside loops multiply: split the rule, or compare whole lists (`intersects`, `subset of`, `contains any of`)',
      location,
    })
    return false
  }

  /** Null for what holds a pattern or zone that cannot be compiled; the checker finds those, so this is a second wall. */
  #guarded<T>({ what, location }: Owner, compile: () => T): T | null {
    try {
      return compile()
    } catch (error) {
      if (!(error instanceof RegexError) && !(error instanceof RangeError)) throw error
      this.diagnostics.push({
        code: COMPILE_CODES.cannotCompile,
        severity: 'error',
        message: `${what} cannot be compiled: ${error.message}`,
        location,
      })
      return null
    }
  }

  #toClauses(
    layer: Layer,
    conjuncts: readonly Expr[],
    rule: CheckedRule,
    checked: CheckedLayer,
  ): readonly DraftClause[] {
    return conjuncts.map((expr) => ({
      expr,
      predicate: this.#predicates.ofCondition(expr, checked.lists, layer),
      text: rule.excerpt(expr.span),
      location: rule.locate(expr.span),
    }))
  }

  #draft(
    layer: Layer,
    checked: CheckedLayer,
    policy: CheckedPolicy,
    ruleId: string,
    clause: ApprovalClause,
    isException: boolean,
  ): RequirementDraft {
    return toDraft(clause, {
      ruleId,
      isException,
      authors: policy.authors.map(({ name }) => name),
      predicate: (condition) => this.#predicates.ofCondition(condition, checked.lists, layer),
      slot: ({ root, path }) => this.#predicates.slot({ kind: 'reference', root, path }),
    })
  }
}

/** Whom a diagnostic is about. */
interface Owner {
  readonly what: string
  readonly location: Location
}

const ownerOf = (rule: CheckedRule): Owner => ({ what: `rule \`${rule.id}\``, location: rule.location })

/** Whether it is up to tags which tools a term fits. */
function namesTag(term: CheckedRule['scope'][number]): boolean {
  if (term.kind !== 'scope' || term.on !== 'tool' || term.patterns.some(isEverything)) return false
  return term.patterns.some(({ kind }) => kind === 'tag')
}

function conjunctsOf(expr: Expr): readonly Expr[] {
  return expr.kind === 'and' ? expr.operands.flatMap(conjunctsOf) : [expr]
}

const NONE: readonly never[] = []

function toRuleEntry(
  layer: Layer,
  rule: CheckedRule,
  scope: readonly number[],
  clauses: readonly Clause[],
  approval: RequirementDraft | null,
): RuleEntry {
  const effect = effectOf(rule.effect)
  const matched: MatchedRule = {
    ruleId: rule.id,
    policy: rule.policy,
    effect,
    description: rule.description,
    why: rule.effect.kind === 'deny' || rule.effect.kind === 'deny-except' ? rule.effect.why : '',
    severity: rule.severity,
    tags: rule.tags,
    indeterminate: false,
    location: rule.location,
  }
  return {
    kind: 'rule',
    layer,
    policy: rule.policy,
    finding: rule.monitor ? 0 : RULE_FINDING[effect],
    scope,
    clauses,
    unknownMatches: effect !== 'ALLOW' && !rule.unknownMeansNoMatch,
    effect,
    monitor: rule.monitor,
    matched,
    approval,
    obligations:
      rule.effect.kind === 'allow' ? rule.effect.obligations.map((node) => toObligation(node, rule.id)) : NONE,
  }
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

const EFFECT_ORDER: Readonly<Record<Effect, number>> = {
  DENY: 0,
  DENY_EXCEPT_APPROVAL: 1,
  REQUIRE_APPROVAL: 2,
  ALLOW: 3,
}
const DEFAULT_ORDER = 4

/** Rules before defaults; rules by effect, the strictest first, then by policy and id. Files and their order have no say. */
function inOrder(drafts: readonly Draft[]): readonly Draft[] {
  const policies = [...new Set(drafts.map(({ entry }) => entry.policy))].sort(compareTexts)
  const ranks = new Map(policies.map((policy, rank) => [policy, rank]))
  const groups: Draft[][] = []
  for (const draft of drafts) {
    const { entry } = draft
    const order = entry.kind === 'rule' ? EFFECT_ORDER[entry.effect] : DEFAULT_ORDER
    const place = order * policies.length + ranks.get(entry.policy)!
    const group = groups[place]
    if (group === undefined) groups[place] = [draft]
    else group.push(draft)
  }
  return Object.values(groups).flatMap((group) => group.sort((a, b) => compareWithinPolicy(a.entry, b.entry)))
}

function compareWithinPolicy(a: Entry, b: Entry): number {
  if (a.kind === 'default' || b.kind === 'default') return compareTexts(a.layer, b.layer)
  return (
    compareTexts(a.matched.ruleId, b.matched.ruleId) ||
    compareTexts(a.layer, b.layer) ||
    compareTexts(a.matched.location.file, b.matched.location.file) ||
    a.matched.location.start - b.matched.location.start
  )
}

function declaredTools(fleet: CheckedLayer, own: CheckedLayer): ReadonlyMap<string, DeclaredTool> {
  const tools = new Map<string, DeclaredTool>()
  for (const layer of [fleet, own]) {
    for (const { name, tags, parameters, receipt } of layer.tools.values()) {
      const known = tools.get(name)
      tools.set(name, {
        name,
        tags: [...new Set([...(known?.tags ?? []), ...tags])].sort(),
        parameters: new Set([...(known?.parameters ?? []), ...parameters.keys()]),
        fleetParameters: layer === fleet ? new Set(parameters.keys()) : (known?.fleetParameters ?? null),
        receipt: receipt || known?.receipt === true,
      })
    }
  }
  return tools
}
