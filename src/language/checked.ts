import type { Diagnostic } from '../model/diagnostic.js'
import type { RuleSeverity } from '../model/outcome.js'
import type { Location } from '../model/span.js'
import type { ActiveDates, DefaultEffect, Expr, Identifier, RuleEffect, ScopeTerm, TestCase } from './ast.js'
import type { Type } from './vocabulary.js'

/** What goes into the checker: the texts of a bundle, already read. Paths are relative to the bundle root, with `/`. */
export interface SourceBundle {
  /** `*.policy` files, as bytes, since "is not UTF-8" is a finding like any other. */
  readonly policies: ReadonlyMap<string, Uint8Array>
  /** Every other file that policies may name: lists, MCP tool lists. */
  readonly attachments: ReadonlyMap<string, Uint8Array>
}

/**
 * What comes out: names resolved, templates expanded, lists read. A bundle with an error among its diagnostics must not
 * go live. `tenants` has an entry for `default` and for each folder under `tenants/`; the fleet layer applies to all.
 */
export interface CheckedBundle {
  /** `sha256:` and 64 hex digits over paths and bytes of every file that was read, in the order of their paths. */
  readonly revision: string
  /** One object for as long as nothing but rules and tests changes from one check to the next (see `BundleCache`). */
  readonly ground: object
  readonly fleet: CheckedLayer
  readonly tenants: ReadonlyMap<string, CheckedLayer>
  readonly diagnostics: readonly Diagnostic[]
}

export interface CheckedLayer {
  readonly policies: readonly CheckedPolicy[]
  /** Declared tools by name, imported ones too; a tenant's map includes the fleet's. */
  readonly tools: ReadonlyMap<string, CheckedTool>
  /** List contents by name; a tenant's map includes the fleet's. */
  readonly lists: ReadonlyMap<string, readonly ListItem[]>
  readonly tests: readonly CheckedTest[]
}

export type ListItem = string | number | boolean | null

export interface CheckedTool {
  readonly name: string
  readonly parameters: ReadonlyMap<string, { readonly type: Type; readonly optional: boolean }>
  readonly tags: readonly string[]
  /** Every ALLOW of the tool carries a signed receipt. */
  readonly receipt: boolean
  readonly location: Location
}

export interface CheckedPolicy {
  readonly name: string
  readonly description: string
  readonly fleet: boolean
  /** Whom `not by author` keeps from approving. */
  readonly authors: readonly Identifier[]
  readonly speaksFor: readonly ScopeTerm[]
  /** `default-deny` where the author left it out. */
  readonly defaultEffect: DefaultEffect
  readonly rules: readonly CheckedRule[]
  readonly location: Location
  /** Turns a span of `speaksFor` or of a written `defaultEffect` into a place in a file. */
  readonly locate: (span: { readonly start: number; readonly end: number }) => Location
  /** The text of such a span. */
  readonly excerpt: (span: { readonly start: number; readonly end: number }) => string
}

/** A rule after templates and names: its expressions hold no {@link Expr} of kind `name` but lists and quantifier variables. */
export interface CheckedRule {
  /** One object for as long as the rule's text stays the same, and the `ground` of the bundle: it may have moved in its file. */
  readonly core: object
  readonly id: string
  readonly policy: string
  readonly description: string
  readonly scope: readonly ScopeTerm[]
  /** `when` as written, `unless` wrapped in `not`; all must hold. */
  readonly conditions: readonly Expr[]
  readonly effect: RuleEffect
  readonly severity: RuleSeverity | null
  readonly tags: readonly string[]
  readonly monitor: boolean
  readonly active: ActiveDates | null
  readonly unknownMeansNoMatch: boolean
  readonly location: Location
  /** Turns a span of the rule's expressions into a place in a file. */
  readonly locate: (span: { readonly start: number; readonly end: number }) => Location
  /** The text of a span of the rule's expressions, for explanations. */
  readonly excerpt: (span: { readonly start: number; readonly end: number }) => string
}

export interface CheckedTest {
  readonly test: TestCase
  readonly location: Location
  /** Turns a span of the test into a place in a file. */
  readonly locate: (span: { readonly start: number; readonly end: number }) => Location
}
