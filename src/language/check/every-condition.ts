import type { Location, Span } from '../../model/span.js'
import type { Expr } from '../ast.js'
import type { LayerView, RuleSite } from './context.js'

/** Visits every condition that was written in a layer once: those of its rules, and those of its templates rather than of their uses. */
export function everyCondition(
  { rules, templates }: LayerView,
  visit: (condition: Expr, locate: (span: Span) => Location) => void,
): void {
  for (const { template, locate } of templates) {
    for (const { expr } of template.body.conditions) visit(expr, locate)
  }
  for (const { rule, body, fromTemplate } of rules) {
    if (fromTemplate !== null) continue
    for (const { expr } of body.conditions) visit(expr, rule.locate)
  }
}

/** Visits the conditions of rules, those that templates made included, with the arguments in their places. */
export function everyRuleCondition(
  rules: readonly RuleSite[],
  visit: (condition: Expr, locate: (span: Span) => Location) => void,
): void {
  for (const { rule, body } of rules) for (const { expr } of body.conditions) visit(expr, rule.locate)
}
