import type { Outcome } from '../../model/outcome.js'
import type { DailyWindow } from './daily-window.js'

/** A JSON bundle after reading: every key understood, nothing left over. */
export interface JsonBundle {
  readonly rules: readonly JsonRule[]
  /** DENY where the bundle says nothing. */
  readonly defaultOutcome: Outcome
  /** Set when the default is REQUIRE_APPROVAL. */
  readonly defaultRole: string
}

export interface JsonRule {
  readonly id: string
  readonly description: string
  /** A name, or a pattern with `*`; `*` alone where the bundle names no tool. */
  readonly toolName: string
  readonly environment: string
  /** All must hold. */
  readonly conditions: readonly JsonCondition[]
  readonly outcome: Outcome
  /** Who approves: `approver_role`, or `exceptions.approver_role` of a denial; empty where nobody does. */
  readonly role: string
}

export type JsonCondition =
  | { readonly kind: 'amount_greater_than' | 'recipient_count_greater_than'; readonly than: number }
  | { readonly kind: 'contains_any' | 'table_contains_any'; readonly texts: readonly string[] }
  /** An entry with a dot is a domain, one without names a list. */
  | { readonly kind: 'recipient_domain_not_in'; readonly domains: readonly string[]; readonly lists: readonly string[] }
  | { readonly kind: 'time_outside'; readonly window: DailyWindow; readonly text: string }

/** What keeps a bundle from being converted. `path` is a JSON path such as `$.rules[0].when.amount_over`. */
export interface ConversionProblem {
  readonly path: string
  readonly message: string
}
