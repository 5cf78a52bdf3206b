import type { Location, Span } from '../../model/span.js'
import { approvalOf, conditionsOf, stageConditions } from '../approval-clause.js'
import type { Expr } from '../ast.js'
import { isRoot } from '../build/expression.js'
import { children } from '../walk.js'
import { type Check, type CheckContext, everyLayer, type RuleCheck } from './context.js'

/**
 * In brackets a bare word is a text, so `x in [pii_tables]` compares with the word itself. Where the word is also the name
 * of a list or a variable, hardly anybody means that.
 */
export const bareWords: RuleCheck = ({ node, surveys, template }, { lists }, report) => {
  if (template !== null) return
  for (const [at, { expr }] of node.body.conditions.entries()) {
    if (surveys[at]?.has('list-literal')) search(expr, { lists, hints: NONE }, report)
  }
  const clause = approvalOf(node.body.effect)
  if (clause === null) return
  for (const expr of stageConditions(clause)) search(expr, { lists, hints: NONE }, report)
}

/** The same in lists and templates. */
export const bareWordsElsewhere: Check = (context) => {
  for (const { layer, templates, lists: own } of everyLayer(context)) {
    for (const { node, locate } of own) {
      const { source } = node
      if (source.kind !== 'inline') continue
      const names = { lists: layer.lists, hints: NONE }
      for (const item of source.items) reportBareWord(item, names, reportAt(context, locate))
    }
    for (const { defaultEffect, locate } of layer.policies) {
      if (defaultEffect.kind !== 'default-approval') continue
      const names = { lists: layer.lists, hints: NONE }
      for (const expr of stageConditions(defaultEffect.approval)) search(expr, names, reportAt(context, locate))
    }
    for (const { template, locate } of templates) {
      // Parameters in brackets are told where the template is judged.
      const hints = new Map(template.parameters.map(({ name }) => [name, null]))
      const names = { lists: layer.lists, hints }
      for (const expr of conditionsOf(template.body)) search(expr, names, reportAt(context, locate))
    }
  }
}

/** A parameter called `args` or `env` is never replaced, for such a word always means what it means everywhere. */
export const templateParameters: Check = (context) => {
  for (const { templates } of everyLayer(context)) {
    for (const { template, locate } of templates) {
      const seen = new Set<string>()
      for (const { name, span } of template.parameters) {
        const problem = isRoot(name) ? 'means a part of the call everywhere' : seen.has(name) ? 'is given twice' : null
        seen.add(name)
        if (problem === null) continue
        context.reporter.report('POL2110', locate(span), `the parameter \`${name}\` ${problem}`, 'give it another name')
      }
    }
  }
}

type Report = (code: 'POL2115', span: Span, message: string, hint: string) => void

const reportAt =
  ({ reporter }: CheckContext, locate: (span: Span) => Location): Report =>
  (code, span, message, hint) =>
    reporter.report(code, locate(span), message, hint)

/** What a word may be the name of. A hint says how it would be written; null stands for a name that is told elsewhere. */
interface Names {
  readonly lists: ReadonlyMap<string, unknown>
  readonly hints: ReadonlyMap<string, string | null>
}
const NONE: Names['hints'] = new Map()

function search(expr: Expr, names: Names, report: Report): void {
  if (expr.kind === 'list-literal') {
    for (const item of expr.items) reportBareWord(item, names, report)
  }
  if (expr.kind === 'quantifier') {
    search(expr.over, names, report)
    const { name } = expr.variable
    const hints = new Map([...names.hints, [name, `write \`(${name})\` for the variable`]])
    search(expr.body, { lists: names.lists, hints }, report)
    return
  }
  for (const child of children(expr)) search(child, names, report)
}

function reportBareWord(item: Expr, { lists, hints }: Names, report: Report): void {
  if (!isBareWord(item)) return
  const { value } = item
  const hint = hints.has(value) ? hints.get(value) : lists.has(value) ? `write \`list ${value}\` for its entries` : null
  if (hint === null || hint === undefined) return
  const message = `\`${value}\` in brackets is a text, not what goes by that name`
  report('POL2115', item.span, message, `${hint}, or \`"${value}"\` for the text`)
}

/** Quotes leave no trace in the tree but the length of the span. */
function isBareWord(expr: Expr): expr is Extract<Expr, { kind: 'literal' }> & { readonly value: string } {
  return (
    expr.kind === 'literal' && typeof expr.value === 'string' && expr.span.end - expr.span.start === expr.value.length
  )
}
