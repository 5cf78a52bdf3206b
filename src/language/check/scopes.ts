import type { Location, Span } from '../../model/span.js'
import type { NamePattern, ScopeTerm } from '../ast.js'
import type { CheckedTool } from '../checked.js'
import { mayOverlap } from '../patterns.js'
import type { Reporter } from '../report.js'
import { didYouMean, suggest } from '../suggest.js'
import { walk } from '../walk.js'
import { type Check, type CheckContext, everyLayer, type LayerView, type RuleSite } from './context.js'

type Tools = ReadonlyMap<string, CheckedTool>

/** Scopes of rules and headers: names that exist, patterns that mean something, and rules inside what their policy is about. */
export const scopes: Check = (context) => {
  const allTools: Tools = new Map(context.tenants.flatMap(({ layer }) => [...layer.tools]))
  for (const layer of everyLayer(context)) {
    const tools = layer.id === null ? allTools : layer.layer.tools
    for (const policy of layer.layer.policies) {
      checkTerms(policy.speaksFor, { layer, tools, reporter: context.reporter, locate: policy.locate })
    }
    for (const site of layer.rules) {
      checkTerms(site.rule.scope, { layer, tools, reporter: context.reporter, locate: site.rule.locate })
      if (layer.layer.tools.size === 0) checkUndeclaredArguments(context, site, layer)
      checkOverlap(context, site, tools, layer.layer.tools)
    }
  }
}

interface TermContext {
  readonly layer: LayerView
  readonly tools: Tools
  readonly reporter: Reporter
  readonly locate: (span: Span) => Location
}

function checkTerms(terms: readonly ScopeTerm[], context: TermContext): void {
  for (const term of terms) {
    if (term.kind === 'scope' && term.on === 'tenant' && context.layer.id !== null) {
      const message = 'a scope about tenants stands in a policy of one tenant'
      const hint = 'drop it, or make this a `fleet policy`'
      context.reporter.report('POL2203', context.locate(term.span), message, hint)
    }
    for (const pattern of term.patterns) {
      checkPattern(pattern, context)
      if (term.kind === 'scope' && term.on === 'tool') checkTool(pattern, context)
    }
  }
}

/** Names are at most 256 bytes on the wire, so a longer pattern matches none. */
const MAX_PATTERN = 256

function checkPattern(pattern: NamePattern, { reporter, locate }: TermContext): void {
  const place = locate(pattern.span)
  if (pattern.text === '' || pattern.text.length > MAX_PATTERN || /[\x00-\x1f\x7f]/.test(pattern.text)) {
    const message = 'no name can match this: names have 1 to 256 characters and no control characters'
    reporter.report('POL2205', place, message)
  } else if (pattern.kind === 'literal' && pattern.text.includes('*')) {
    const message = `\`"${pattern.text}"\` in quotes is compared letter by letter, its \`*\` too`
    reporter.report('POL2204', place, message, `write \`like "${pattern.text}"\` for a glob`)
  }
}

const DECLARE = 'declare the tools: `tool NAME { … }`, `import tools from "…"`'

/** A rule of the fleet sees what the fleet declares. */
const nobody = ({ id }: LayerView): string => (id === null ? 'no fleet policy' : 'nobody')

/** Only where tools are declared at all; a misspelt name in a deny rule would let the call through. */
function checkTool(pattern: NamePattern, { layer, tools, reporter, locate }: TermContext): void {
  if (pattern.kind === 'undeclared') {
    if (layer.layer.tools.size > 0) return
    const message = `${nobody(layer)} declares a tool, so \`undeclared\` fits every call`
    reporter.report('POL2206', locate(pattern.span), message, DECLARE)
    return
  }
  if (tools.size === 0 || pattern.kind === 'glob') return
  const place = locate(pattern.span)
  if (pattern.kind === 'tag') {
    const tags = new Set([...tools.values()].flatMap((tool) => tool.tags))
    if (tags.has(pattern.text)) return
    const hint = didYouMean(pattern.text, tags) ?? 'give it to tools: `tool NAME { … } tags [TAG]`'
    reporter.report('POL2202', place, `no declared tool has the tag \`${pattern.text}\`, so this matches nothing`, hint)
    return
  }
  if (tools.has(pattern.text)) return
  // A tool without declaration is legitimate; one that is spelt almost like a declared one hardly is.
  const meant = suggest(pattern.text, tools.keys())
  if (meant === null) return
  reporter.report(
    'POL2201',
    place,
    `tool \`${pattern.text}\` is not declared`,
    `did you mean \`${meant}\`? If not, declare it`,
  )
}

function checkUndeclaredArguments({ reporter }: CheckContext, { rule }: RuleSite, layer: LayerView): void {
  for (const condition of rule.conditions) {
    walk(condition, (expr) => {
      if (expr.kind !== 'call' || expr.fn !== 'undeclared') return
      const message = `${nobody(layer)} declares a tool, so \`undeclared(args)\` is unknown for every call`
      reporter.report('POL2206', rule.locate(expr.span), message, DECLARE)
    })
  }
}

function checkOverlap({ reporter }: CheckContext, { rule, policy }: RuleSite, tools: Tools, always: Tools): void {
  const terms = [...policy.speaksFor, ...rule.scope]
  for (const [at, a] of terms.entries()) {
    for (const b of terms.slice(Math.max(at + 1, policy.speaksFor.length))) {
      if (dimension(a) !== dimension(b)) continue
      if (a.patterns.some((x) => b.patterns.some((y) => mayOverlap(x, y, tools, always)))) continue
      const inHeader = at < policy.speaksFor.length
      const message = inHeader
        ? `rule \`${rule.id}\` can never match: policy \`${policy.name}\` does not speak for these calls`
        : `rule \`${rule.id}\` can never match: no call fits both scopes of \`${dimension(a)}\``
      const hint = inHeader
        ? 'widen the `for` of the policy, or move the rule to a policy of its own'
        : 'a comma means and; write `[a, b]` for or'
      reporter.report('POL3001', rule.locate(b.span), message, hint)
      return
    }
  }
}

export const dimension = (term: ScopeTerm): string =>
  term.kind === 'scope' ? term.on : `${term.on} ${term.label.name}`
