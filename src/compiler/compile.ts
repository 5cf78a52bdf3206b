import type { Expr, RuleEffect } from '../language/ast.js'
import type { CheckedBundle, CheckedLayer, CheckedPolicy, CheckedRule } from '../language/checked.js'
import { assertNever } from '../model/assert-never.js'
import type { MatchedRule } from '../model/decision.js'
import type { Diagnostic } from '../model/diagnostic.js'
import type { Effect } from '../model/outcome.js'
import { toObligation, toRequirement } from './approval.js'
import { COMPILE_CODES, CompileError } from './compile-error.js'
import { MAX_RULE_COST, staticCost } from './cost.js'
import {
  type Clause,
  compareDefaults,
  compareTexts,
  type DefaultEntry,
  type Entry,
  type Layer,
  type RuleEntry,
} from './entry.js'
import { APPROVAL_BY_TENANT_TAG, DEFAULT_FINDING, type Findings, RULE_FINDING } from './findings.js'
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
import { type DeclaredTool, PolicySet } from './policy-set.js'
import { TRUE, toTruth } from './predicate/truth.js'
import { Predicates } from './predicates.js'
import { RegexError } from './regex.js'
import { type IndexedEntry, RuleIndex } from './rule-index.js'

const EMPTY_LAYER: CheckedLayer = { policies: [], tools: new Map(), lists: new Map(), tests: [] }

/**
 * Compiles the policies that judge one tenant's calls: the fleet's and the tenant's own. A tenant that the bundle does not
 * know has no policies of its own, so every call of it is denied.
 *
 * @throws {CompileError} naming every rule over a limit; a bundle with errors among its diagnostics must not get here
 */
export function compilePolicySet(bundle: CheckedBundle, tenant: string): PolicySet {
  const own = bundle.tenants.get(tenant) ?? EMPTY_LAYER
  const compilation = new Compilation(tenant, declaredTools(bundle.fleet, own), bundle.fleet.tools)
  compilation.addLayer('fleet', bundle.fleet)
  compilation.addLayer('tenant', own)
  return compilation.finish(bundle.revision)
}

/**
 * What only compiling finds, for every tenant of a bundle that has no errors, and for one that has no policies of its own: a
 * rule of the fleet is named once.
 */
export function compileDiagnostics(bundle: CheckedBundle): readonly Diagnostic[] {
  const found = new Map<string, Diagnostic>()
  for (const tenant of [...bundle.tenants.keys(), '']) {
    try {
      compilePolicySet(bundle, tenant)
    } catch (error) {
      if (!(error instanceof CompileError)) throw error
      for (const diagnostic of error.diagnostics) {
        const { file, start } = diagnostic.location
        found.set(JSON.stringify([file, start, diagnostic.code]), diagnostic)
      }
    }
  }
  return [...found.values()]
}

interface Draft {
  readonly entry: Entry
  readonly lifted: Lifted
}

class Compilation {
  readonly #predicates: Predicates
  readonly #vocabulary: Vocabulary
  readonly #drafts: Draft[] = []
  readonly #always: DefaultEntry[] = []
  readonly #diagnostics: Diagnostic[] = []

  constructor(
    readonly tenant: string,
    readonly tools: ReadonlyMap<string, DeclaredTool>,
    readonly fleetTools: CheckedLayer['tools'],
  ) {
    // What a tenant declares says nothing to the fleet's rules: none of them may be dodged by a declaration.
    this.#predicates = new Predicates({
      fleet: (tool) => fleetTools.get(tool)?.parameters,
      tenant: (tool) => tools.get(tool)?.parameters,
    })
    this.#vocabulary = {
      tools: new NamePatterns(),
      environments: new NamePatterns(),
      features: new Map(),
      predicates: this.#predicates,
    }
  }

  addLayer(layer: Layer, checked: CheckedLayer): void {
    for (const policy of checked.policies) {
      this.#addDefault(layer, policy)
      for (const rule of policy.rules) this.#addRule(layer, checked, policy, rule)
    }
  }

  finish(revision: string): PolicySet {
    if (this.#diagnostics.length > 0) throw new CompileError(this.#diagnostics)
    const drafts = this.#drafts.sort((a, b) => compareEntries(a.entry, b.entry))
    const indexed = drafts.map(({ entry, lifted }, number) => this.#toIndexed(entry, lifted, number))
    const tags = new Map<string, Tags>()
    for (const { name, tags: all } of this.tools.values())
      tags.set(name, { all, fleet: this.fleetTools.get(name)?.tags ?? null })
    return new PolicySet({
      revision,
      tenant: this.tenant,
      tools: this.tools,
      entries: drafts.map(({ entry }) => entry),
      lifted: drafts.map(({ lifted }) => lifted),
      always: { findings: alwaysFindings(this.#always), defaults: this.#always.sort(compareDefaults) },
      predicates: this.#predicates,
      index: new RuleIndex(indexed, this.#vocabulary, tags),
    })
  }

  #toIndexed(entry: Entry, lifted: Lifted, number: number): IndexedEntry {
    const { costs } = this.#predicates
    const clauses = entry.clauses.filter(({ expr }) => !lifted.settled.includes(expr))
    const all = [...entry.scope, ...clauses.map(({ predicate }) => predicate)]
    const predicates = all.filter((predicate, at) => all.indexOf(predicate) === at)
    predicates.sort((a, b) => costs[a]! - costs[b]!)
    const { equalities, ranges } = lifted
    return { entry: number, predicates, unknownMatches: entry.unknownMatches, equalities, ranges, lifted }
  }

  #addDefault(layer: Layer, policy: CheckedPolicy): void {
    const lifted = nothingLifted()
    if (!this.#liftScope(layer, policy.speaksFor, 'tag', lifted)) return
    const effect = policy.defaultEffect
    const outcome =
      effect.kind === 'default-allow' ? 'ALLOW' : effect.kind === 'default-deny' ? 'DENY' : 'REQUIRE_APPROVAL'
    const entry: DefaultEntry = {
      kind: 'default',
      layer,
      policy: policy.name,
      finding: DEFAULT_FINDING[outcome],
      scope: lifted.scope,
      clauses: [],
      unknownMatches: false,
      checked: policy,
      outcome,
      approval:
        effect.kind === 'default-approval' ? toRequirement(effect.approval, `default of ${policy.name}`, false) : null,
    }
    if (policy.speaksFor.every((term) => term.kind === 'scope' && term.on === 'tenant')) this.#always.push(entry)
    else this.#drafts.push({ entry, lifted })
  }

  #addRule(layer: Layer, checked: CheckedLayer, policy: CheckedPolicy, rule: CheckedRule): void {
    const conjuncts = rule.conditions.flatMap(conjunctsOf)
    if (!this.#isAffordable(rule, conjuncts)) return
    const scope = [...policy.speaksFor, ...rule.scope]
    const tagsMatter = layer === 'fleet' && rule.effect.kind !== 'deny' && scope.some(namesTag)
    if (!tagsMatter) {
      this.#addEntry(layer, checked, rule, scope, conjuncts, null)
      return
    }
    // A tenant may tag a tool, and so bring it under restrictive rules of the fleet; under an allow it must not, and a rule
    // that asks for approval must not stand in for a default that denies. So there is one entry for the tools that the fleet
    // tagged and, where the rule restricts, another for those that fit by the tenant's tags only.
    const byFleet = this.#addEntry(layer, checked, rule, scope, conjuncts, { tags: 'fleet-tag', except: null })
    if (rule.effect.kind === 'allow' || byFleet === null) return
    this.#addEntry(layer, checked, rule, scope, conjuncts, { tags: 'tag', except: byFleet.toolTerms })
  }

  #addEntry(
    layer: Layer,
    checked: CheckedLayer,
    rule: CheckedRule,
    scope: CheckedRule['scope'],
    conjuncts: readonly Expr[],
    tagged: { readonly tags: 'tag' | 'fleet-tag'; readonly except: Lifted['exceptToolTerms'] } | null,
  ): Lifted | null {
    const drafted = nothingLifted()
    if (!this.#liftScope(layer, scope, tagged?.tags ?? 'tag', drafted)) return null
    drafted.exceptToolTerms = tagged?.except?.slice(0, drafted.scopeToolTerms) ?? null
    const clauses = this.#toClauses(layer, conjuncts, rule, checked)
    if (clauses === null) return null
    for (const { expr } of clauses) liftConjunct(expr, checked.lists, drafted, this.#vocabulary)
    if (rule.active !== null) drafted.scope.push(this.#activePredicate(rule.active))
    const lifted = trimmed(drafted)
    const entry = toRuleEntry(layer, rule, lifted.scope, clauses)
    const tightens = lifted.exceptToolTerms !== null && !rule.monitor
    this.#drafts.push({ entry: tightens ? { ...entry, finding: APPROVAL_BY_TENANT_TAG } : entry, lifted })
    return lifted
  }

  #liftScope(layer: Layer, terms: CheckedRule['scope'], tag: 'tag' | 'fleet-tag', lifted: Lifted): boolean {
    const kinds = { tag, undeclared: layer === 'fleet' ? 'fleet-undeclared' : 'undeclared' } as const
    return terms.every((term) => liftScopeTerm(term, this.tenant, kinds, lifted, this.#vocabulary))
  }

  #isAffordable(rule: CheckedRule, conjuncts: readonly Expr[]): boolean {
    const cost = conjuncts.reduce((sum, expr) => sum + staticCost(expr), 0)
    if (cost <= MAX_RULE_COST) return true
    this.#diagnostics.push({
      code: COMPILE_CODES.tooCostly,
      severity: 'error',
      message: `rule \`${rule.id}\` may cost ${cost} steps a call, over the limit of ${MAX_RULE_COST}`,
      hint: 'loops inside loops multiply: split the rule, or compare whole lists (`intersects`, `subset of`, `contains any of`)',
      location: rule.location,
    })
    return false
  }

  /** Null for a rule with a pattern or zone that cannot be compiled; the checker finds those, so this is a second wall. */
  #toClauses(
    layer: Layer,
    conjuncts: readonly Expr[],
    rule: CheckedRule,
    checked: CheckedLayer,
  ): readonly Clause[] | null {
    try {
      return conjuncts.map((expr) => ({ expr, predicate: this.#predicates.ofCondition(expr, checked.lists, layer) }))
    } catch (error) {
      if (!(error instanceof RegexError) && !(error instanceof RangeError)) throw error
      this.#diagnostics.push({
        code: COMPILE_CODES.cannotCompile,
        severity: 'error',
        message: `rule \`${rule.id}\` cannot be compiled: ${error.message}`,
        location: rule.location,
      })
      return null
    }
  }

  #activePredicate({ fromMs, untilMs }: NonNullable<CheckedRule['active']>): number {
    return this.#predicates.ofScope(JSON.stringify(['active', fromMs, untilMs]), 1, () => {
      if (fromMs === null && untilMs === null) return () => TRUE
      const from = fromMs ?? Number.NEGATIVE_INFINITY
      const until = untilMs ?? Number.POSITIVE_INFINITY
      return (frame) => toTruth(frame.nowMs >= from && frame.nowMs < until)
    })
  }
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

function toRuleEntry(layer: Layer, rule: CheckedRule, scope: readonly number[], clauses: readonly Clause[]): RuleEntry {
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
    rule,
    effect,
    monitor: rule.monitor,
    matched,
    approval:
      rule.effect.kind === 'require-approval' || rule.effect.kind === 'deny-except'
        ? toRequirement(rule.effect.approval, rule.id, rule.effect.kind === 'deny-except')
        : null,
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

function alwaysFindings(defaults: readonly DefaultEntry[]): Record<Layer, Findings> {
  const findings = { fleet: 0, tenant: 0 }
  for (const { layer, finding } of defaults) findings[layer] |= finding
  return findings
}

const EFFECT_ORDER: Readonly<Record<Effect, number>> = {
  DENY: 0,
  DENY_EXCEPT_APPROVAL: 1,
  REQUIRE_APPROVAL: 2,
  ALLOW: 3,
}

/** Rules before defaults; rules by effect, the strictest first, then by policy and id. Files and their order have no say. */
function compareEntries(a: Entry, b: Entry): number {
  if (a.kind === 'default') return b.kind === 'default' ? compareDefaults(a, b) : 1
  if (b.kind === 'default') return -1
  return (
    EFFECT_ORDER[a.effect] - EFFECT_ORDER[b.effect] ||
    compareTexts(a.policy, b.policy) ||
    compareTexts(a.rule.id, b.rule.id) ||
    compareTexts(a.layer, b.layer) ||
    compareTexts(a.rule.location.file, b.rule.location.file) ||
    a.rule.location.start - b.rule.location.start
  )
}

function declaredTools(...layers: readonly CheckedLayer[]): ReadonlyMap<string, DeclaredTool> {
  const tools = new Map<string, DeclaredTool>()
  for (const layer of layers) {
    for (const { name, tags, parameters } of layer.tools.values()) {
      const known = tools.get(name)
      tools.set(name, {
        name,
        tags: [...new Set([...(known?.tags ?? []), ...tags])].sort(),
        parameters: new Set([...(known?.parameters ?? []), ...parameters.keys()]),
      })
    }
  }
  return new Map([...tools].sort(([a], [b]) => compareTexts(a, b)))
}
