import type { NamePattern, ScopeTerm } from '../ast.js'
import type { CheckedPolicy, CheckedTool } from '../checked.js'
import { patternMatches } from '../patterns.js'
import { ToolIndex, type ToolsInScope } from '../tool-index.js'
import type { Check, LayerView, RuleSite } from './context.js'

/**
 * Declared tools that no rule is about, told once for a layer and not once for a tool: with `default deny` such a tool is
 * merely useless, with `default allow` it is open, and where no policy speaks for it every call is denied.
 */
export const coverage: Check = ({ reporter, fleet, tenants }) => {
  for (const tenant of tenants) {
    const policies = [...fleet.layer.policies, ...tenant.layer.policies]
    if (policies.length === 0) continue
    const covered = coveredTools([...fleet.rules, ...tenant.rules], tenant)
    const bare = [...tenant.layer.tools.values()].filter(({ name }) => !covered.has(name))
    const speechless = bare.filter((tool) => !policies.some((policy) => speaksFor(policy, tool)))
    const open = bare.filter((tool) => {
      const speaking = policies.filter((policy) => speaksFor(policy, tool))
      return speaking.length > 0 && speaking.every(({ defaultEffect }) => defaultEffect.kind === 'default-allow')
    })
    const report = (
      code: 'POL3007' | 'POL3011' | 'POL3013',
      tools: readonly CheckedTool[],
      what: string,
      hint: string,
    ): void => {
      const [first] = tools
      if (first === undefined) return
      const names = tools
        .slice(0, 5)
        .map(({ name }) => `\`${name}\``)
        .join(', ')
      const more = tools.length > 5 ? ` and ${tools.length - 5} more` : ''
      reporter.report(code, first.location, `${what}: ${names}${more}`, hint)
    }
    const allowed = 'no rule is about these tools, and the default allows every call of them'
    report('POL3007', open, allowed, 'write rules for them, or let the default deny')
    const denied = 'no policy speaks for these tools, so every call of them is denied'
    report('POL3011', speechless, denied, 'widen the `for` of a policy, or drop the declarations')
    const guard = fleet.rules.find(deniesUndeclared)?.rule
    const unknown = [...tenant.layer.tools.values()].filter(({ name }) => !fleet.layer.tools.has(name))
    const refused = `the fleet does not declare these tools, and its rule \`${guard?.id}\` denies such`
    if (guard !== undefined) report('POL3013', unknown, refused, 'move their declarations into a `fleet policy`')
  }
}

function coveredTools(rules: readonly RuleSite[], { layer }: LayerView): ReadonlySet<string> {
  const tools = new ToolIndex(layer.tools)
  const scopes = new Set<ToolsInScope>()
  const covered = new Set<string>()
  for (const { core } of rules) {
    // Most rules are about one tool, and most of those about one that other rules are about, too.
    if (core.scope.some((term) => namesOneOf(term, covered))) continue
    const scope = tools.inScope(core.scope)
    // Many rules have the same scope, and one may be of very many tools.
    if (scope.declared.length > 1 && scopes.has(scope)) continue
    scopes.add(scope)
    for (const { name } of scope.declared) covered.add(name)
  }
  return covered
}

function namesOneOf(term: ScopeTerm, names: ReadonlySet<string>): boolean {
  if (term.kind !== 'scope' || term.on !== 'tool' || term.patterns.length !== 1) return false
  const [{ kind, text }] = term.patterns as readonly [NamePattern]
  return kind === 'literal' && names.has(text)
}

const deniesUndeclared = ({ rule, policy }: RuleSite): boolean =>
  rule.effect.kind === 'deny' &&
  !rule.monitor &&
  rule.conditions.length === 0 &&
  rule.scope.length > 0 &&
  [...policy.speaksFor, ...rule.scope].every(({ patterns }) => patterns.some(({ kind }) => kind === 'undeclared'))

const speaksFor = (policy: CheckedPolicy, { name, tags }: CheckedTool): boolean =>
  policy.speaksFor.every(
    (term) => term.kind !== 'scope' || term.on !== 'tool' || term.patterns.some((p) => patternMatches(p, name, tags)),
  )
