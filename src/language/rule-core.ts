import type { Expr, PolicyHeader, Rule, RuleEffect, ScopeTerm } from './ast.js'
import type { ListItem } from './checked.js'
import { resolveClause, resolveLists } from './resolve-lists.js'
import { type Survey, surveyOf } from './survey.js'

/** A rule apart from its place: what stays as it is for as long as its text does, and the lists and templates that it names. */
export interface RuleCore {
  /** As written, or as its template makes it. */
  readonly node: Rule
  readonly header: PolicyHeader
  /** The policy's terms and the rule's own. */
  readonly scope: readonly ScopeTerm[]
  /** Conditions as later phases see them (see `CheckedRule`). */
  readonly conditions: readonly Expr[]
  /** The effect as later phases see it. */
  readonly effect: RuleEffect
  /** What its spans count in. */
  readonly text: string
  /** The template that made it, or null. */
  readonly template: string | null
  /** Equal for rules that mean the same, and hardly ever for others. */
  readonly likeness: string
  readonly readsUndeclared: boolean
}

export function ruleCore(
  node: Rule,
  header: PolicyHeader,
  text: string,
  template: string | null,
  lists: ReadonlyMap<string, readonly ListItem[]>,
): RuleCore {
  const surveys = surveysOf(node)
  const scope = header.speaksFor.length === 0 ? node.body.scope : [...header.speaksFor, ...node.body.scope]
  return {
    node,
    header,
    scope,
    conditions: node.body.conditions.map(({ kind, expr }, at) => {
      const resolved = resolveLists(expr, surveys[at] as Survey, lists)
      return kind === 'when' ? resolved : { kind: 'not', operand: resolved, span: expr.span }
    }),
    effect: resolveEffect(node.body.effect, lists),
    text,
    template,
    likeness: likenessOf(node, scope, surveys),
    readsUndeclared: surveys.some(
      (survey) => survey.has('call') && survey.nodes.some((expr) => expr.kind === 'call' && expr.fn === 'undeclared'),
    ),
  }
}

function resolveEffect(effect: RuleEffect, lists: ReadonlyMap<string, readonly ListItem[]>): RuleEffect {
  if (effect.kind !== 'require-approval' && effect.kind !== 'deny-except') return effect
  return { ...effect, approval: resolveClause(effect.approval, lists) }
}

/** Of its conditions as written. */
export const surveysOf = ({ body }: Rule): readonly Survey[] => body.conditions.map(({ expr }) => surveyOf(expr))

function likenessOf({ body }: Rule, scope: readonly ScopeTerm[], surveys: readonly Survey[]): string {
  const parts: (string | number)[] = [body.effect.kind]
  for (const { patterns } of scope) for (const { text } of patterns) parts.push(text)
  for (const { nodes } of surveys) {
    parts.push(nodes.length)
    for (const expr of nodes) if (expr.kind === 'literal') parts.push(String(expr.value))
  }
  return parts.join(' ')
}
