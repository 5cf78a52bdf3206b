import type { Location, Span } from '../../model/span.js'
import type { ListDeclaration, RuleBody, Template } from '../ast.js'
import type { CheckedLayer, CheckedPolicy, CheckedRule } from '../checked.js'
import type { Reporter } from '../report.js'

/** A rule with what checks need beyond {@link CheckedRule}: its policy and the tree it was written as. */
export interface RuleSite {
  readonly rule: CheckedRule
  readonly policy: CheckedPolicy
  readonly body: RuleBody
  /** The template that the rule was made of, or null. */
  readonly fromTemplate: string | null
}

export interface TemplateSite {
  readonly template: Template
  readonly locate: (span: Span) => Location
}

export interface ListSite {
  readonly node: ListDeclaration
  readonly locate: (span: Span) => Location
}

/** The fleet or one tenant: what it declares itself (`rules`, `templates`, `lists`) and what it sees (`layer`). */
export interface LayerView {
  /** Null for the fleet. */
  readonly id: string | null
  readonly layer: CheckedLayer
  readonly rules: readonly RuleSite[]
  readonly templates: readonly TemplateSite[]
  readonly lists: readonly ListSite[]
}

export interface CheckContext {
  readonly reporter: Reporter
  readonly fleet: LayerView
  readonly tenants: readonly LayerView[]
}

/** Looks at a whole bundle for one kind of mistake. */
export type Check = (context: CheckContext) => void

export const everyLayer = ({ fleet, tenants }: CheckContext): readonly LayerView[] => [fleet, ...tenants]
