import type { Location } from './span.js'

/** Errors keep a bundle from going live; warnings and infos do not. */
export type Severity = 'error' | 'warning' | 'info'

/**
 * One finding about policy text. `message` is one lowercase sentence with the offending text in backticks; `hint` says
 * how to mend it, when we know. `excerpt` is the source line that `location` starts on, without its line break.
 */
export interface Diagnostic {
  /** Stable and searchable, `POL` and four digits; the table is in docs/errors.md. */
  readonly code: string
  readonly severity: Severity
  readonly message: string
  readonly hint?: string
  readonly location: Location
  readonly excerpt?: string
}
