import type { Expr, PolicyHeader, Rule, ScopeTerm } from './ast.js'
import type { ListItem } from './checked.js'
import { resolveLists } from './resolve-lists.js'
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
  /** Conditions as written. */
  readonly surveys: readonly Survey[]
  /** First steps of the arguments that stand behind `exists`. */
  readonly guarded: ReadonlySet<string>
  /** Of a rule that a template made: the template's name, and the text that its spans count in. */
  readonly template: { readonly name: string; readonly text: string } | null
  /** The text of a span of the rule. */
  readonly excerpt: (span: { readonly start: number; readonly end: number }) => string
}

export function ruleCore(
  node: Rule,
  header: PolicyHeader,
  text: string,
  templateName: string | null,
  lists: ReadonlyMap<string, readonly ListItem[]>,
): RuleCore {
  const surveys = node.body.conditions.map(({ expr }) => surveyOf(expr))
  return {
    node,
    header,
    scope: header.speaksFor.length === 0 ? node.body.scope : [...header.speaksFor, ...node.body.scope],
    conditions: node.body.conditions.map(({ kind, expr }, at) => {
      const resolved = resolveLists(expr, surveys[at] as Survey, lists)
      return kind === 'when' ? resolved : { kind: 'not', operand: resolved, span: expr.span }
    }),
    surveys,
    guarded: guardedArguments(surveys),
    template: templateName === null ? null : { name: templateName, text },
    excerpt: ({ start, end }) => text.slice(start, end),
  }
}

const NONE: ReadonlySet<string> = new Set()

function guardedArguments(surveys: readonly Survey[]): ReadonlySet<string> {
  if (!surveys.some(({ kinds }) => kinds.has('exists'))) return NONE
  const guarded = new Set<string>()
  for (const { nodes } of surveys) {
    for (const expr of nodes) {
      if (expr.kind !== 'exists' || expr.operand.kind !== 'reference' || expr.operand.root !== 'args') continue
      guarded.add(expr.operand.path[0] ?? '')
    }
  }
  return guarded
}
