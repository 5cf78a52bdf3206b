import type { Effect, Outcome } from '../model/outcome.js'

/** What was found in one layer for a call, as a set of bits: which effects matched, and which defaults speak. */
export type Findings = number
export const DENY_RULE = 1
export const APPROVAL_RULE = 2
export const ALLOW_RULE = 4
export const DENY_DEFAULT = 8
export const APPROVAL_DEFAULT = 16
export const ALLOW_DEFAULT = 32
/** A rule of the fleet asks for approval only because the tenant tagged the tool: it may tighten what else holds, not replace it. */
export const APPROVAL_BY_TENANT_TAG = 64

export const RULE_FINDING: Readonly<Record<Effect, Findings>> = {
  DENY: DENY_RULE,
  DENY_EXCEPT_APPROVAL: APPROVAL_RULE,
  REQUIRE_APPROVAL: APPROVAL_RULE,
  ALLOW: ALLOW_RULE,
}
export const DEFAULT_FINDING: Readonly<Record<Outcome, Findings>> = {
  DENY: DENY_DEFAULT,
  REQUIRE_APPROVAL: APPROVAL_DEFAULT,
  ALLOW: ALLOW_DEFAULT,
}
