import type { NamePattern, ScopeTerm } from '../ast.js'
import type { CheckedTool } from '../checked.js'
import { covers } from '../patterns.js'
import { printDeclaration, printScope } from '../print.js'
import type { Check, LayerView, RuleSite } from './context.js'
import { dimension } from './scopes.js'

type Tools = ReadonlyMap<string, CheckedTool>
type Names = Pick<Tools, 'has'>

/**
 * Rules that can never decide: a denial without conditions over the same or wider calls always wins over an allowance or
 * an approval, an unconditional approval over an allowance; and a rule that says again what another one says.
 */
export const shadowed: Check = ({ reporter, fleet, tenants }) => {
  const check = (own: LayerView, above: readonly RuleSite[]): void => {
    const { tools } = own.layer
    const blockers = new Blockers([...above, ...own.rules], tools, fleet.layer.tools)
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
    const seen = new Map<string, RuleSite>()
    for (const site of own.rules) {
      const key = meaningOf(site)
      const earlier = seen.get(key)
      if (earlier === undefined) seen.set(key, site)
      else {
        const { id, location } = earlier.rule
        const message = `rule \`${site.rule.id}\` says the same as \`${id}\``
        reporter.report(
          'POL3006',
          site.rule.location,
          message,
          `drop one of the two; the other is at ${location.file}:${location.line}`,
        )
      }
    }
  }
  check(fleet, [])
  for (const tenant of tenants) check(tenant, fleet.rules)
}

/** Everything but the id, the description and the tags. */
function meaningOf({ rule, policy, body }: RuleSite): string {
  const text = printDeclaration({
    kind: 'rule',
    id: { kind: 'identifier', name: 'same', span: { start: 0, end: 0 } },
    description: '',
    body: { ...body, tags: [], severity: null },
    span: { start: 0, end: 0 },
  })
  return `${printScope(policy.speaksFor)} ${rule.policy === policy.name ? text : ''}`
}

function declareFor(site: RuleSite): string {
  if (!scopeOf(site).some(({ patterns }) => patterns.some(({ kind }) => kind === 'undeclared'))) return ''
  return `declare the tools${site.policy.fleet ? ' in a fleet policy' : ''}, `
}

const isAlways = ({ rule }: RuleSite): boolean => rule.conditions.length === 0 && !rule.monitor && rule.active === null

const RANK = { allow: 0, 'require-approval': 1, 'deny-except': 1, deny: 2 } as const

/** More general rules than this are not compared with every other one. */
const MAX_GENERAL = 200

/** The rules without conditions, found by the tools they name. */
class Blockers {
  readonly #byTool = new Map<string, RuleSite[]>()
  readonly #general: RuleSite[] = []
  readonly #tools: Tools
  readonly #fleetTools: Names

  /** @param fleetTools the names that `undeclared` does not fit in a rule of the fleet, `tools` those in one of the tenant */
  constructor(sites: readonly RuleSite[], tools: Tools, fleetTools: Names) {
    this.#tools = tools
    this.#fleetTools = fleetTools
    for (const site of sites) {
      if (!isAlways(site) || site.rule.effect.kind === 'allow') continue
      const literals = literalTools(scopeOf(site), tools)
      if (literals === null) {
        if (this.#general.length < MAX_GENERAL) this.#general.push(site)
      } else {
        for (const tool of literals) this.#byTool.set(tool, [...(this.#byTool.get(tool) ?? []), site])
      }
    }
  }

  over(site: RuleSite): RuleSite | null {
    const rank = RANK[site.rule.effect.kind]
    // Two approvals add up, and the obligations of an allowance may still be wanted.
    const obliges = site.rule.effect.kind === 'allow' && site.rule.effect.obligations.length > 0
    const [tool] = literalTools(scopeOf(site), this.#tools) ?? []
    const candidates = [...(tool === undefined ? [] : (this.#byTool.get(tool) ?? [])), ...this.#general]
    return (
      candidates.find((blocker) => {
        const blockerRank = RANK[blocker.rule.effect.kind]
        if (blocker === site || site.rule.monitor || blockerRank <= rank || (obliges && blockerRank < 2)) return false
        const declared = blocker.policy.fleet ? this.#fleetTools : this.#tools
        return scopeCovers(scopeOf(blocker), scopeOf(site), this.#tools, declared)
      }) ?? null
    )
  }
}

const scopeOf = ({ policy, rule }: RuleSite): readonly ScopeTerm[] => [...policy.speaksFor, ...rule.scope]

/** The tools that a scope names one by one or by a tag, or null. */
function literalTools(terms: readonly ScopeTerm[], tools: Tools): readonly string[] | null {
  for (const term of terms) {
    if (term.kind !== 'scope' || term.on !== 'tool') continue
    const named = term.patterns.flatMap((pattern) => alternatives(pattern, tools))
    if (named.every(({ kind }) => kind === 'literal')) return named.map(({ text }) => text)
  }
  return null
}

/** Every term of the wide scope is implied by one of the narrow scope. */
function scopeCovers(wide: readonly ScopeTerm[], narrow: readonly ScopeTerm[], tools: Tools, declared: Names): boolean {
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
function alternatives(pattern: NamePattern, tools: Tools): readonly NamePattern[] {
  if (pattern.kind !== 'tag') return [pattern]
  const tagged = [...tools.values()].filter(({ tags }) => tags.includes(pattern.text))
  return tagged.length === 0
    ? [pattern]
    : tagged.map(({ name }) => ({ kind: 'literal', text: name, span: pattern.span }))
}

function isCovered(wide: readonly NamePattern[], narrow: NamePattern, tools: Tools, declared: Names): boolean {
  const isUndeclared = narrow.kind === 'literal' && !declared.has(narrow.text)
  const tags = narrow.kind === 'literal' ? (tools.get(narrow.text)?.tags ?? []) : []
  return wide.some(
    (w) => covers(w, narrow) || (w.kind === 'tag' ? tags.includes(w.text) : w.kind === 'undeclared' && isUndeclared),
  )
}
