import type { Span } from '../../model/span.js'
import type { Expr, Template } from '../ast.js'
import { checkCondition, type Surroundings } from '../infer.js'
import { toolsInScope } from '../patterns.js'
import { walk } from '../walk.js'
import { type Check, everyLayer, type LayerView } from './context.js'

/**
 * Names and types in conditions. A template is judged once, with its parameters taken for anything; the rules made of it
 * are judged with their arguments, unless the template itself is at fault.
 */
export const conditions: Check = (context) => {
  const faultyTemplates = new Set<string>()
  for (const layer of everyLayer(context)) {
    for (const { template, locate } of layer.templates) {
      const surroundings = {
        tools: null,
        lists: layer.layer.lists,
        parameters: new Set(template.parameters.map(({ name }) => name)),
        guarded: new Set<string>(),
      }
      const findings = judge(
        template.body.conditions.map(({ expr }) => expr),
        surroundings,
        () => 'this',
      )
      for (const { code, span, message, hint } of findings) context.reporter.report(code, locate(span), message, hint)
      const quoted = parametersAsTexts(template)
      for (const { span, name } of quoted) {
        const message = `\`${name}\` in brackets is a text here, not the parameter`
        context.reporter.report(
          'POL2013',
          locate(span),
          message,
          `write \`(${name})\` for one value, or \`list ${name}\` for a list`,
        )
      }
      if (findings.length + quoted.length > 0) faultyTemplates.add(template.name.name)
    }
  }
  for (const layer of everyLayer(context)) {
    for (const site of layer.rules) {
      if (site.fromTemplate !== null && faultyTemplates.has(site.fromTemplate)) continue
      const { rule } = site
      const surroundings = {
        tools: toolsInScope([...site.policy.speaksFor, ...rule.scope], toolsSeenBy(layer, context)),
        lists: layer.layer.lists,
        parameters: new Set<string>(),
        guarded: guardedArguments(rule.conditions),
      }
      const findings = judge(
        site.body.conditions.map(({ expr }) => expr),
        surroundings,
        rule.excerpt,
      )
      for (const { code, span, message, hint } of findings)
        context.reporter.report(code, rule.locate(span), message, hint)
    }
  }
}

/** `in [role]` in a template with a parameter `role`: surely meant, and silently a text. */
function parametersAsTexts({ parameters, body }: Template): readonly { readonly span: Span; readonly name: string }[] {
  const names = new Set(parameters.map(({ name }) => name))
  const found: { readonly span: Span; readonly name: string }[] = []
  for (const { expr } of body.conditions) {
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

/** Fleet rules are about the tools of every tenant; where two tenants disagree on one, nothing is known about it. */
export function toolsSeenBy(layer: LayerView, { tenants }: Parameters<Check>[0]): LayerView['layer']['tools'] {
  if (layer.id !== null) return layer.layer.tools
  return tenants.length === 1 && tenants[0] !== undefined ? tenants[0].layer.tools : layer.layer.tools
}

/** First steps of the arguments that stand behind `exists`. */
export function guardedArguments(conditions: readonly Expr[]): ReadonlySet<string> {
  const guarded = new Set<string>()
  for (const condition of conditions) {
    walk(condition, (expr) => {
      if (expr.kind !== 'exists' || expr.operand.kind !== 'reference' || expr.operand.root !== 'args') return
      guarded.add(expr.operand.path[0] ?? '')
    })
  }
  return guarded
}

type Finding = { code: Parameters<Surroundings['report']>[0]; span: Span; message: string; hint: string | undefined }

function judge(
  exprs: readonly Expr[],
  surroundings: Omit<Surroundings, 'report' | 'excerpt'>,
  excerpt: (span: Span) => string,
): readonly Finding[] {
  const findings: Finding[] = []
  const report: Surroundings['report'] = (code, span, message, hint) => findings.push({ code, span, message, hint })
  for (const expr of exprs) checkCondition(expr, { ...surroundings, excerpt, report })
  return findings
}
