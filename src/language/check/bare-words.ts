import type { Expr } from '../ast.js'
import { isRoot } from '../build/expression.js'
import { children } from '../walk.js'
import { type Check, type CheckContext, everyLayer } from './context.js'

/**
 * In brackets a bare word is a text, so `x in [pii_tables]` compares with the word itself. Where the word is also the name
 * of a list or a variable, hardly anybody means that.
 */
export const bareWords: Check = (context) => {
  for (const { layer, rules, templates, lists: own } of everyLayer(context)) {
    const lists = new Map([...layer.lists.keys()].map((name) => [name, `write \`list ${name}\` for its entries`]))
    for (const { node, locate } of own) {
      const { source } = node
      if (source.kind === 'inline') for (const item of source.items) reportBareWord(item, lists, locate, context)
    }
    for (const { template, locate } of templates) {
      // Parameters in brackets are told where the template is judged.
      const names = new Map(lists)
      for (const { name } of template.parameters) names.delete(name)
      for (const { expr } of template.body.conditions) search(expr, names, locate, context)
    }
    for (const { rule, body, fromTemplate } of rules) {
      if (fromTemplate !== null) continue
      for (const { expr } of body.conditions) search(expr, lists, rule.locate, context)
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

type Locate = (span: Expr['span']) => Parameters<CheckContext['reporter']['report']>[1]

function search(expr: Expr, names: ReadonlyMap<string, string>, locate: Locate, context: CheckContext): void {
  if (expr.kind === 'list-literal') {
    for (const item of expr.items) reportBareWord(item, names, locate, context)
  }
  if (expr.kind === 'quantifier') {
    search(expr.over, names, locate, context)
    const { name } = expr.variable
    search(expr.body, new Map([...names, [name, `write \`(${name})\` for the variable`]]), locate, context)
    return
  }
  for (const child of children(expr)) search(child, names, locate, context)
}

function reportBareWord(item: Expr, names: ReadonlyMap<string, string>, locate: Locate, context: CheckContext): void {
  if (!isBareWord(item)) return
  const hint = names.get(item.value)
  if (hint === undefined) return
  const message = `\`${item.value}\` in brackets is a text, not what goes by that name`
  context.reporter.report('POL2115', locate(item.span), message, `${hint}, or \`"${item.value}"\` for the text`)
}

/** Quotes leave no trace in the tree but the length of the span. */
function isBareWord(expr: Expr): expr is Extract<Expr, { kind: 'literal' }> & { readonly value: string } {
  return (
    expr.kind === 'literal' && typeof expr.value === 'string' && expr.span.end - expr.span.start === expr.value.length
  )
}
