import type { Span } from '../../model/span.js'
import { conditionsOf } from '../approval-clause.js'
import type { Template } from '../ast.js'
import type { Code } from '../codes.js'
import { checkCondition, type Surroundings } from '../infer.js'
import { walk } from '../walk.js'
import { type CheckContext, everyLayer, type RuleCheck } from './context.js'

/** Names and types in the conditions of a rule; one that a template made is judged with the arguments in their places. */
export const conditions: RuleCheck = (rule, { lists, faultyTemplates }, report) => {
  if (rule.surveys.length === 0 || (rule.template !== null && faultyTemplates.has(rule.template))) return
  const surroundings = {
    tools: rule.tools,
    lists,
    parameters: NONE,
    guarded: rule.guarded,
    excerpt: rule.excerpt,
    report,
  }
  for (const { expr } of rule.node.body.conditions) checkCondition(expr, surroundings)
}

const NONE: ReadonlySet<string> = new Set()

/** Judges templates once, with their parameters taken for anything. @returns the names of those at fault */
export function checkTemplates(context: CheckContext): ReadonlySet<string> {
  const faulty = new Set<string>()
  for (const { layer, templates } of everyLayer(context)) {
    for (const { template, locate } of templates) {
      const report = (code: Code, span: Span, message: string, hint?: string): void => {
        faulty.add(template.name.name)
        context.reporter.report(code, locate(span), message, hint)
      }
      const surroundings: Surroundings = {
        tools: null,
        lists: layer.lists,
        parameters: new Set(template.parameters.map(({ name }) => name)),
        guarded: NONE,
        excerpt: () => 'this',
        report,
      }
      for (const expr of conditionsOf(template.body)) checkCondition(expr, surroundings)
      for (const { span, name } of parametersAsTexts(template)) {
        const message = `\`${name}\` in brackets is a text here, not the parameter`
        report('POL2013', span, message, `write \`(${name})\` for one value, or \`list ${name}\` for a list`)
      }
    }
  }
  return faulty
}

/** `in [role]` in a template with a parameter `role`: surely meant, and silently a text. */
function parametersAsTexts({ parameters, body }: Template): readonly { readonly span: Span; readonly name: string }[] {
  const names = new Set(parameters.map(({ name }) => name))
  const found: { readonly span: Span; readonly name: string }[] = []
  for (const expr of conditionsOf(body)) {
    walk(expr, (list) => {
      if (list.kind !== 'list-literal') return
      for (const item of list.items) {
        if (item.kind !== 'literal' || typeof item.value !== 'string' || !names.has(item.value)) continue
        // As long as the word itself: without quotes.
        if (item.span.end - item.span.start === item.value.length) found.push({ span: item.span, name: item.value })
      }
    })
  }
  return found
}
