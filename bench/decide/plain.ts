import type { Expr, NamePattern, RuleEffect, ScopeTerm } from '../../src/language/ast.js'
import type { CheckedBundle, CheckedRule } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import { type Outcome, STRICTNESS } from '../../src/model/outcome.js'

// The part of the policy language that every engine of the comparison can say, read from a checked bundle. Translators turn
// it into each engine's own policies. What does not fit is an error: nothing is left out in silence.

export interface PlainPolicies {
  /** The strictest first: engines that stop at the first match need that order, and the others do not mind it. */
  readonly rules: readonly PlainRule[]
  /** What holds where no rule matches. */
  readonly otherwise: Outcome
  /** Every tool that a call may name. */
  readonly tools: readonly string[]
}

export interface PlainRule {
  readonly id: string
  readonly outcome: Outcome
  /** Tool names and globs, any of which fits; null for every tool. */
  readonly tools: readonly ToolPattern[] | null
  /** Null for every environment. */
  readonly environments: readonly string[] | null
  /** Of the agent's label `team`; null for every agent. */
  readonly teams: readonly string[] | null
  /** All must hold. */
  readonly conditions: readonly PlainCondition[]
}

export interface ToolPattern {
  readonly text: string
  readonly isGlob: boolean
}

export type Plain = string | number | boolean
export type CompareOp = '==' | '!=' | '<' | '<=' | '>' | '>='

/** Each about one argument at the top level. */
export type PlainCondition =
  | { readonly kind: 'compare'; readonly key: string; readonly op: CompareOp; readonly value: Plain }
  | { readonly kind: 'one-of'; readonly key: string; readonly values: readonly string[]; readonly negated: boolean }
  /** A text that has one of the words in it, in the same letter case. */
  | { readonly kind: 'contains-any'; readonly key: string; readonly values: readonly string[] }
  /** A list that shares an item with the values. */
  | { readonly kind: 'intersects'; readonly key: string; readonly values: readonly string[] }

/** @throws {Error} naming the rule that cannot be said plainly */
export function toPlain(bundle: CheckedBundle, tools: readonly string[]): PlainPolicies {
  const { policies } = bundle.tenants.get('default')!
  if (bundle.fleet.policies.length > 0) throw new Error('the comparison knows no fleet layer')
  const rules = policies.flatMap((policy) => {
    if (policy.speaksFor.length > 0) throw new Error(`policy ${policy.name}: the comparison knows no \`for\``)
    return policy.rules.map(toPlainRule)
  })
  const otherwise = policies
    .map(({ defaultEffect }) => DEFAULTS[defaultEffect.kind])
    .reduce((a, b) => (STRICTNESS[a] >= STRICTNESS[b] ? a : b))
  return { rules: rules.toSorted((a, b) => STRICTNESS[b.outcome] - STRICTNESS[a.outcome]), otherwise, tools }
}

const DEFAULTS = { 'default-allow': 'ALLOW', 'default-deny': 'DENY', 'default-approval': 'REQUIRE_APPROVAL' } as const
const OUTCOMES: Readonly<Record<RuleEffect['kind'], Outcome>> = {
  allow: 'ALLOW',
  deny: 'DENY',
  'deny-except': 'REQUIRE_APPROVAL',
  'require-approval': 'REQUIRE_APPROVAL',
}

/** The tools that some patterns fit, out of those that calls name: for engines without globs. */
export function expand(patterns: readonly ToolPattern[], tools: readonly string[]): readonly string[] {
  const names = patterns.flatMap((pattern) => (pattern.isGlob ? tools.filter(toTest(pattern)) : [pattern.text]))
  return [...new Set(names)]
}

export function toTest({ text, isGlob }: ToolPattern): (tool: string) => boolean {
  if (!isGlob) return (tool) => tool === text
  const pattern = new RegExp(`^${text.split('*').map(escapeRegExp).join('.*')}$`, 's')
  return (tool) => pattern.test(tool)
}

export function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

/** The label by which rules tell agents apart. */
export function teamOf(call: Call): string {
  return call.agent.labels['team'] ?? ''
}

function toPlainRule(rule: CheckedRule): PlainRule {
  const refuse = (what: string): never => {
    throw new Error(`rule ${rule.id}: the comparison cannot say ${what}`)
  }
  if (rule.monitor || rule.active !== null || rule.unknownMeansNoMatch) return refuse('its modifiers')
  const term = (on: string) => {
    const found = rule.scope.filter((one) => nameOf(one) === on)
    return found.length > 1 ? refuse(`two terms on ${on}`) : (found[0]?.patterns ?? null)
  }
  const literals = (patterns: readonly NamePattern[] | null) =>
    patterns?.map((pattern) => (pattern.kind === 'literal' ? pattern.text : refuse(pattern.text))) ?? null
  const strange = rule.scope.find((one) => !['tool', 'env', 'agent team'].includes(nameOf(one)))
  if (strange !== undefined) return refuse(`on ${nameOf(strange)}`)
  const tools = term('tool')?.map(({ kind, text }) =>
    kind === 'literal' || kind === 'glob' ? { text, isGlob: kind === 'glob' } : refuse(`${kind} ${text}`),
  )
  return {
    id: rule.id,
    outcome: OUTCOMES[rule.effect.kind],
    tools: tools ?? null,
    environments: literals(term('env')),
    teams: literals(term('agent team')),
    conditions: rule.conditions.flatMap(conjuncts).map((expr) => toCondition(expr) ?? refuse(`a ${expr.kind}`)),
  }
}

function nameOf(term: ScopeTerm): string {
  return term.kind === 'scope' ? term.on : `${term.on} ${term.label.name}`
}

function conjuncts(expr: Expr): readonly Expr[] {
  return expr.kind === 'and' ? expr.operands.flatMap(conjuncts) : [expr]
}

function toCondition(expr: Expr): PlainCondition | null {
  if (expr.kind !== 'compare' && expr.kind !== 'relation') return null
  const key = keyOf(expr.left)
  if (key === null) return null
  if (expr.kind === 'compare') {
    const value = plainOf(expr.right)
    return value === null ? null : { kind: 'compare', key, op: expr.op, value }
  }
  const values = textsOf(expr.right)
  if (values === null) return null
  switch (expr.op) {
    case 'in':
    case 'not-in':
      return { kind: 'one-of', key, values, negated: expr.op === 'not-in' }
    case 'contains-any':
    case 'intersects':
      return { kind: expr.op, key, values }
    default:
      return null
  }
}

function keyOf(expr: Expr): string | null {
  return expr.kind === 'reference' && expr.root === 'args' && expr.path.length === 1 ? expr.path[0]! : null
}

function plainOf(expr: Expr): Plain | null {
  return expr.kind === 'literal' && expr.value !== null ? expr.value : null
}

function textsOf(expr: Expr): readonly string[] | null {
  if (expr.kind !== 'list-literal') return null
  const values = expr.items.map(plainOf)
  return values.every((value) => typeof value === 'string') ? values : null
}
