import { approvalOf } from '../approval-clause.js'
import type { NamePattern, ScopeTerm } from '../ast.js'
import { covers } from '../patterns.js'
import { printDeclaration, printScope } from '../print.js'
import type { Reporter } from '../report.js'
import type { RuleCore } from '../rule-core.js'
import { ToolIndex } from '../tool-index.js'
import type { Check, LayerView, RuleSite } from './context.js'
import { dimension } from './scopes.js'

type Names = Pick<ReadonlySet<string>, 'has'>

/**
 * Rules that can never decide: a denial without conditions over the same or wider calls always wins over an allowance or
 * an approval, an unconditional approval over an allowance; and a rule that says again what another one says.
 */
export const shadowed: Check = ({ reporter, fleet, tenants }) => {
  const check = (own: LayerView, above: readonly RuleSite[]): void => {
    const blockers = new Blockers([...above, ...own.rules], new ToolIndex(own.layer.tools), fleet.layer.tools)
    for (const site of own.rules) {
      const blocker = blockers.over(site)
      if (blocker === null) continue
      const { id, location } = blocker.rule
      const what = blocker.rule.effect.kind === 'deny' ? 'denies' : 'asks approval for'
      const message = `rule \`${site.rule.id}\` can never decide: \`${id}\` ${what} all of its calls`
      reporter.report(
        'POL3005',
        site.rule.location,
        message,
        `${declareFor(blocker)}give \`${id}\` (${location.file}:${location.line}) a condition, or drop one of the two`,
      )
    }
    const alike = new Map<string, RuleSite | RuleSite[]>()
    for (const site of own.rules) {
      const key = site.core.likeness
      const others = alike.get(key)
      if (others === undefined) alike.set(key, site)
      else if (Array.isArray(others)) others.push(site)
      else alike.set(key, [others, site])
    }
    for (const sites of alike.values()) if (Array.isArray(sites)) reportRepetitions(sites, reporter)
  }
  check(fleet, [])
  for (const tenant of tenants) check(tenant, fleet.rules)
}

function reportRepetitions(sites: readonly RuleSite[], reporter: Reporter): void {
  const seen = new Map<string, RuleSite>()
  for (const site of sites) {
    const key = meaningOf(site.core)
    const earlier = seen.get(key)
    if (earlier === undefined) {
      seen.set(key, site)
      continue
    }
    const { id, location } = earlier.rule
    reporter.report(
      'POL3006',
      site.rule.location,
      `rule \`${site.rule.id}\` says the same as \`${id}\``,
      `drop one of the two; the other is at ${location.file}:${location.line}`,
    )
  }
}

const MEANING = new WeakMap<RuleCore, string>()

/** Everything but the id, the description, the severity and the tags; with the authors, where they are barred. */
function meaningOf(core: RuleCore): string {
  let meaning = MEANING.get(core)
  if (meaning !== undefined) return meaning
  const text = printDeclaration({
    kind: 'rule',
    id: { kind: 'identifier', name: 'same', span: { start: 0, end: 0 } },
    description: '',
    body: { ...core.node.body, tags: [], severity: null },
    span: { start: 0, end: 0 },
  })
  const barred = approvalOf(core.node.body.effect)?.notByAuthor
    ? core.header.authors.map(({ name }) => name).sort()
    : []
  meaning = `${printScope(core.header.speaksFor)} ${text} ${JSON.stringify(barred)}`
  MEANING.set(core, meaning)
  return meaning
}

function declareFor(site: RuleSite): string {
  if (!site.core.scope.some(({ patterns }) => patterns.some(({ kind }) => kind === 'undeclared'))) return ''
  return `declare the tools${site.policy.fleet ? ' in a fleet policy' : ''}, `
}

const isAlways = ({ rule }: RuleSite): boolean => rule.conditions.length === 0 && !rule.monitor && rule.active === null

const RANK = { allow: 0, 'require-approval': 1, 'deny-except': 1, deny: 2 } as const

/** More rules than this, of all tools or of one, are not compared with every other one. */
const MAX_GENERAL = 200

/** The rules without conditions, found by the tools they name. */
class Blockers {
  readonly #byTool = new Map<string, RuleSite[]>()
  readonly #general: RuleSite[] = []
  readonly #tools: ToolIndex
  readonly #fleetTools: Names

  /** @param fleetTools the names that `undeclared` does not fit in a rule of the fleet, `tools` those in one of the tenant */
  constructor(sites: readonly RuleSite[], tools: ToolIndex, fleetTools: Names) {
    this.#tools = tools
    this.#fleetTools = fleetTools
    for (const site of sites) {
      if (!isAlways(site) || site.rule.effect.kind === 'allow') continue
      const literals = literalTools(site.core.scope, tools)
      if (literals === null) {
        if (this.#general.length < MAX_GENERAL) this.#general.push(site)
      } else {
        for (const tool of literals) {
          const sites = this.#byTool.get(tool)
          if (sites === undefined) this.#byTool.set(tool, [site])
          else if (sites.length < MAX_GENERAL) sites.push(site)
        }
      }
    }
  }

  over(site: RuleSite): RuleSite | null {
    const rank = RANK[site.rule.effect.kind]
    // Two approvals add up, and the obligations of an allowance may still be wanted.
    const obliges = site.rule.effect.kind === 'allow' && site.rule.effect.obligations.length > 0
    const blocks = (blocker: RuleSite): boolean => {
      const blockerRank = RANK[blocker.rule.effect.kind]
      if (blocker === site || site.rule.monitor || blockerRank <= rank || (obliges && blockerRank < 2)) return false
      const declared = blocker.policy.fleet ? this.#fleetTools : this.#tools
      return scopeCovers(blocker.core.scope, site.core.scope, this.#tools, declared)
    }
    const tool = firstTool(site.core.scope, this.#tools)
    const ofTool = tool === undefined ? undefined : this.#byTool.get(tool)
    return ofTool?.find(blocks) ?? this.#general.find(blocks) ?? null
  }
}

/** The tools that a scope names one by one or by a tag, or null. */
function literalTools(terms: readonly ScopeTerm[], tools: ToolIndex): readonly string[] | null {
  for (const term of terms) {
    if (term.kind !== 'scope' || term.on !== 'tool') continue
    const named = term.patterns.flatMap((pattern) => alternatives(pattern, tools))
    if (named.every(({ kind }) => kind === 'literal')) return named.map(({ text }) => text)
  }
  return null
}

/** The first of them. */
function firstTool(terms: readonly ScopeTerm[], tools: ToolIndex): string | undefined {
  for (const term of terms) {
    if (term.kind !== 'scope' || term.on !== 'tool') continue
    const [first] = term.patterns
    if (term.patterns.length === 1 && first?.kind === 'literal') return first.text
    return literalTools(terms, tools)?.[0]
  }
  return undefined
}

/** Every term of the wide scope is implied by one of the narrow scope. */
function scopeCovers(
  wide: readonly ScopeTerm[],
  narrow: readonly ScopeTerm[],
  tools: ToolIndex,
  declared: Names,
): boolean {
  return wide.every((w) =>
    narrow.some(
      (n) =>
        dimension(n) === dimension(w) &&
        n.patterns.every((pattern) =>
          alternatives(pattern, tools).every((p) => isCovered(w.patterns, p, tools, declared)),
        ),
    ),
  )
}

/** Tags come from declarations alone, so a tag stands for the tools that have it. */
function alternatives(pattern: NamePattern, tools: ToolIndex): readonly NamePattern[] {
  if (pattern.kind !== 'tag') return [pattern]
  const tagged = tools.tagged(pattern.text)
  return tagged.length === 0
    ? [pattern]
    : tagged.map(({ name }) => ({ kind: 'literal', text: name, span: pattern.span }))
}

function isCovered(wide: readonly NamePattern[], narrow: NamePattern, tools: ToolIndex, declared: Names): boolean {
  const isUndeclared = narrow.kind === 'literal' && !declared.has(narrow.text)
  const tags = narrow.kind === 'literal' ? (tools.tools.get(narrow.text)?.tags ?? []) : []
  return wide.some(
    (w) => covers(w, narrow) || (w.kind === 'tag' ? tags.includes(w.text) : w.kind === 'undeclared' && isUndeclared),
  )
}
