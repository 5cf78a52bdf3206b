import type { Location, Span } from '../../model/span.js'
import type { ListDeclaration, Template } from '../ast.js'
import type { CheckedLayer, CheckedPolicy, CheckedRule } from '../checked.js'
import type { Code } from '../codes.js'
import type { Reporter } from '../report.js'
import type { RuleCore } from '../rule-core.js'
import type { Survey } from '../survey.js'
import type { ToolIndex, ToolsInScope } from '../tool-index.js'

/** A rule with what checks need beyond {@link CheckedRule}: its policy and the tree it was written as. */
export interface RuleSite {
  readonly rule: CheckedRule
  readonly policy: CheckedPolicy
  readonly core: RuleCore
}

export interface TemplateSite {
  readonly template: Template
  readonly surveys: readonly Survey[]
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

/** Looks at a whole bundle for one kind of mistake: at what is told only by looking at several declarations, or is cheap. */
export type Check = (context: CheckContext) => void

export const everyLayer = ({ fleet, tenants }: CheckContext): readonly LayerView[] => [fleet, ...tenants]

/** What the rules of one layer are judged against. Holds no places, so that it outlives a reload that only moved things. */
export interface Surroundings {
  /** Null for the fleet. */
  readonly layer: string | null
  readonly lists: CheckedLayer['lists']
  /** Tools that a call may find declared: for rules of the fleet, those of every tenant. */
  readonly tools: ToolIndex
  /** What the layer itself sees declared. */
  readonly own: ToolIndex
  /** Whose arguments are known: a fleet rule is about the tools of its one tenant, or of what the fleet declares where there are several. */
  readonly known: ToolIndex
  /** Templates that were reported on; the rules made of them are not judged again. */
  readonly faultyTemplates: ReadonlySet<string>
}

/** A rule while it is judged, with what several checks ask of it. */
export interface JudgedRule extends RuleCore {
  /** Of its conditions as written. */
  readonly surveys: readonly Survey[]
  /** First steps of the arguments that stand behind `exists`. */
  readonly guarded: ReadonlySet<string>
  /** The tools whose arguments are known. */
  readonly tools: ToolsInScope
  readonly excerpt: (span: Span) => string
}

/** Reports at a span of the rule's text; null is the rule's name. */
export type ReportAt = (code: Code, span: Span | null, message: string, hint?: string) => void

/**
 * Looks at one rule for one kind of mistake. Its findings are remembered for as long as the rule's text and the surroundings
 * stay the same, so they may depend on nothing else: not on other rules, and not on where the rule stands.
 */
export type RuleCheck = (rule: JudgedRule, surroundings: Surroundings, report: ReportAt) => void

/** Looks at one condition as it was written: of a rule, or of a template rather than of the rules made of it. */
export type ConditionCheck = (condition: Survey, report: ReportAt) => void
