import type { DefaultEffect, Expr, NamePattern, RelationOp, RuleEffect, ScopeTerm } from '../../src/language/ast.js'
import type { CheckedBundle, CheckedLayer, CheckedPolicy, CheckedRule, ListItem } from '../../src/language/checked.js'
import type { RuleSeverity } from '../../src/model/outcome.js'

/**
 * A generated policy set as its author thinks of it. `print.ts` writes it down as text, and `toBundle` hands it to the plain
 * evaluator as it is: expected values never pass through the parser.
 */
export interface Model {
  readonly fleet: ModelLayer
  readonly tenants: ReadonlyMap<string, ModelLayer>
}
export interface ModelLayer {
  readonly policies: readonly ModelPolicy[]
  readonly tools: readonly ModelTool[]
  readonly lists: ReadonlyMap<string, readonly ListItem[]>
}
export interface ModelTool {
  readonly name: string
  readonly parameters: readonly string[]
  readonly tags: readonly string[]
}
export interface ModelPolicy {
  readonly name: string
  readonly fleet: boolean
  readonly speaksFor: readonly ScopeTerm[]
  readonly defaultEffect: DefaultEffect
  readonly rules: readonly ModelRule[]
}
export interface ModelRule {
  readonly id: string
  readonly scope: readonly ScopeTerm[]
  /** All must hold. */
  readonly conditions: readonly Expr[]
  readonly effect: RuleEffect
  readonly severity: RuleSeverity | null
  readonly tags: readonly string[]
  readonly monitor: boolean
  readonly active: { readonly fromMs: number | null; readonly untilMs: number | null } | null
  readonly unknownMeansNoMatch: boolean
  /** Whether the text makes it from a template. */
  readonly fromTemplate: boolean
}

/** Nodes that no text was parsed to have no place. */
export const SPAN = { start: 0, end: 0 }
const LOCATION = { file: 'model', line: 1, column: 1, start: 0, end: 0 }
const ANY_PARAMETER = { type: { kind: 'any' }, optional: true } as const

export function toBundle({ fleet, tenants }: Model): CheckedBundle {
  const common = toLayer(fleet, null)
  const own = [...tenants].map(([id, layer]) => [id, toLayer(layer, common)] as const)
  return { revision: 'sha256:model', ground: {}, fleet: common, tenants: new Map(own), diagnostics: [] }
}

/** A tenant sees the tools and lists of the fleet, too. */
function toLayer({ policies, tools, lists }: ModelLayer, fleet: CheckedLayer | null): CheckedLayer {
  const declared = tools.map(({ name, parameters, tags }) => {
    const typed = new Map(parameters.map((parameter) => [parameter, ANY_PARAMETER]))
    return [name, { name, parameters: typed, tags, receipt: false, location: LOCATION }] as const
  })
  return {
    policies: policies.map(toPolicy),
    tools: new Map([...(fleet?.tools ?? []), ...declared]),
    lists: new Map([...(fleet?.lists ?? []), ...lists]),
    tests: [],
  }
}

function toPolicy({ name, fleet, speaksFor, defaultEffect, rules }: ModelPolicy): CheckedPolicy {
  const places = { location: LOCATION, locate: () => LOCATION }
  const own = rules.map((rule): CheckedRule => {
    const { active } = rule
    const dates = active === null ? null : { ...active, span: SPAN }
    return { ...rule, ...places, core: {}, policy: name, description: '', active: dates, excerpt: () => '' }
  })
  return {
    ...{ name, fleet, authors: [], speaksFor, defaultEffect, description: '', rules: own },
    ...{ ...places, excerpt: () => '' },
  }
}

// ---------------------------------------------------------------- nodes

export const literal = (value: string | number | boolean | null): Expr => ({ kind: 'literal', value, span: SPAN })
export const list = (items: readonly (string | number)[]): Expr => ({
  kind: 'list-literal',
  items: items.map(literal),
  span: SPAN,
})
export const cidr = (text: string): Expr => ({ kind: 'cidr', text, span: SPAN })
export const named = (name: string): Expr => ({ kind: 'name', name, span: SPAN })
export const not = (operand: Expr): Expr => ({ kind: 'not', operand, span: SPAN })
export const exists = (operand: Expr): Expr => ({ kind: 'exists', operand, span: SPAN })
export const field = (of: Expr, name: string): Expr => ({ kind: 'field', of, field: name, span: SPAN })
export const call = (fn: string, argument: Expr): Expr => ({ kind: 'call', fn, args: [argument], span: SPAN })

type Root = Extract<Expr, { kind: 'reference' }>['root']
export const reference = (root: Root, ...path: readonly string[]): Expr => ({
  kind: 'reference',
  root,
  path,
  span: SPAN,
})

type Compare = Extract<Expr, { kind: 'compare' }>['op']
export const compare = (left: Expr, op: Compare, right: Expr): Expr => ({
  kind: 'compare',
  op,
  left,
  right,
  span: SPAN,
})
export const relation = (left: Expr, op: RelationOp, right: Expr): Expr => ({
  kind: 'relation',
  op,
  left,
  right,
  span: SPAN,
})
export const arithmetic = (left: Expr, op: '+' | '-' | '*' | '/', right: Expr): Expr => ({
  kind: 'arithmetic',
  op,
  left,
  right,
  span: SPAN,
})

/** Nested ands and ors of one kind are one, as the parser has it. */
export function logical(kind: 'and' | 'or', operands: readonly Expr[]): Expr {
  const flat = operands.flatMap((operand) => (operand.kind === kind ? operand.operands : [operand]))
  return { kind, operands: flat, span: SPAN }
}

export const literalName = (text: string): NamePattern => ({ kind: 'literal', text, span: SPAN })
export const glob = (text: string): NamePattern => ({ kind: 'glob', text, span: SPAN })
export const tagged = (text: string): NamePattern => ({ kind: 'tag', text, span: SPAN })
export const UNDECLARED: NamePattern = { kind: 'undeclared', text: 'undeclared', span: SPAN }

type Names = Extract<ScopeTerm, { kind: 'scope' }>['on']
export const scope = (on: Names, ...patterns: readonly NamePattern[]): ScopeTerm => ({
  kind: 'scope',
  on,
  patterns,
  span: SPAN,
})
export const labelled = (on: 'agent' | 'principal', label: string, ...patterns: readonly NamePattern[]): ScopeTerm => ({
  kind: 'scope-label',
  on,
  label: { kind: 'identifier', name: label, span: SPAN },
  patterns,
  span: SPAN,
})
