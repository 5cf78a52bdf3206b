import type { NamePattern, ScopeTerm } from '../ast.js'
import { mayOverlap } from '../patterns.js'
import type { Reporter } from '../report.js'
import type { RuleCore } from '../rule-core.js'
import { didYouMean } from '../suggest.js'
import type { JudgedRule, LayerView, ReportAt, RuleCheck, Surroundings } from './context.js'

/** Scopes of rules: names that exist, patterns that mean something, and rules inside what their policy is about. */
export const scopes: RuleCheck = (rule, surroundings, report) => {
  checkTerms(rule.node.body.scope, surroundings, report)
  if (surroundings.own.size === 0) checkUndeclaredArguments(rule, surroundings, report)
  checkOverlap(rule, surroundings, report)
}

/** The same for what policies speak for. */
export function checkHeaders(layer: LayerView, surroundings: Surroundings, reporter: Reporter): void {
  for (const { speaksFor, location, locate } of layer.layer.policies) {
    checkTerms(speaksFor, surroundings, (code, span, message, hint) =>
      reporter.report(code, span === null ? location : locate(span), message, hint),
    )
  }
}

function checkTerms(terms: readonly ScopeTerm[], surroundings: Surroundings, report: ReportAt): void {
  for (const term of terms) {
    if (term.kind === 'scope' && term.on === 'tenant' && surroundings.layer !== null) {
      const message = 'a scope about tenants stands in a policy of one tenant'
      report('POL2203', term.span, message, 'drop it, or make this a `fleet policy`')
    }
    for (const pattern of term.patterns) {
      checkPattern(pattern, report)
      if (term.kind === 'scope' && term.on === 'tool') checkTool(pattern, surroundings, report)
    }
  }
}

/** Names are at most 256 bytes on the wire, so a longer pattern matches none. */
const MAX_PATTERN = 256

function checkPattern(pattern: NamePattern, report: ReportAt): void {
  if (pattern.text === '' || pattern.text.length > MAX_PATTERN || /[\x00-\x1f\x7f]/.test(pattern.text)) {
    const message = 'no name can match this: names have 1 to 256 characters and no control characters'
    report('POL2205', pattern.span, message)
  } else if (pattern.kind === 'literal' && pattern.text.includes('*')) {
    const message = `\`"${pattern.text}"\` in quotes is compared letter by letter, its \`*\` too`
    report('POL2204', pattern.span, message, `write \`like "${pattern.text}"\` for a glob`)
  }
}

const DECLARE = 'declare the tools: `tool NAME { … }`, `import tools from "…"`'

/** A rule of the fleet sees what the fleet declares. */
const nobody = ({ layer }: Surroundings): string => (layer === null ? 'no fleet policy' : 'nobody')

/** Only where tools are declared at all; a misspelt name in a deny rule would let the call through. */
function checkTool(pattern: NamePattern, surroundings: Surroundings, report: ReportAt): void {
  const { tools, own } = surroundings
  if (pattern.kind === 'undeclared') {
    if (own.size > 0) return
    const message = `${nobody(surroundings)} declares a tool, so \`undeclared\` fits every call`
    report('POL2206', pattern.span, message, DECLARE)
    return
  }
  if (tools.size === 0 || pattern.kind === 'glob') return
  if (pattern.kind === 'tag') {
    if (tools.hasTag(pattern.text)) return
    const hint = didYouMean(pattern.text, tools.tags()) ?? 'give it to tools: `tool NAME { … } tags [TAG]`'
    report('POL2202', pattern.span, `no declared tool has the tag \`${pattern.text}\`, so this matches nothing`, hint)
    return
  }
  if (tools.has(pattern.text)) return
  // A tool without declaration is legitimate; one that is spelt almost like a declared one hardly is.
  const meant = tools.suggestion(pattern.text)
  if (meant === null) return
  const message = `tool \`${pattern.text}\` is not declared`
  report('POL2201', pattern.span, message, `did you mean \`${meant}\`? If not, declare it`)
}

function checkUndeclaredArguments({ surveys }: JudgedRule, surroundings: Surroundings, report: ReportAt): void {
  for (const { nodes } of surveys) {
    for (const expr of nodes) {
      if (expr.kind !== 'call' || expr.fn !== 'undeclared') continue
      const message = `${nobody(surroundings)} declares a tool, so \`undeclared(args)\` is unknown for every call`
      report('POL2206', expr.span, message, DECLARE)
    }
  }
}

function checkOverlap({ node, header, scope }: RuleCore, { tools, own }: Surroundings, report: ReportAt): void {
  const inHeader = header.speaksFor.length
  for (let at = 0; at < scope.length; at++) {
    const a = scope[at] as ScopeTerm
    for (let next = Math.max(at + 1, inHeader); next < scope.length; next++) {
      const b = scope[next] as ScopeTerm
      if (dimension(a) !== dimension(b)) continue
      if (a.patterns.some((x) => b.patterns.some((y) => mayOverlap(x, y, tools, own)))) continue
      const why =
        at < inHeader
          ? `policy \`${header.name.name}\` does not speak for these calls`
          : `no call fits both scopes of \`${dimension(a)}\``
      const hint =
        at < inHeader
          ? 'widen the `for` of the policy, or move the rule to a policy of its own'
          : 'a comma means and; write `[a, b]` for or'
      report('POL3001', b.span, `rule \`${node.id.name}\` can never match: ${why}`, hint)
      return
    }
  }
}

export const dimension = (term: ScopeTerm): string =>
  term.kind === 'scope' ? term.on : `${term.on} ${term.label.name}`
