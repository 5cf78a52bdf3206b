/** What the PDP answers after combining. Compare {@link Effect}, which is what one rule says. */
export type Outcome = 'ALLOW' | 'DENY' | 'REQUIRE_APPROVAL'

/** What one rule says. `DENY_EXCEPT_APPROVAL` is a denial that a named role may lift: it answers REQUIRE_APPROVAL and counts as a violation. */
export type Effect = 'ALLOW' | 'DENY' | 'DENY_EXCEPT_APPROVAL' | 'REQUIRE_APPROVAL'

/** Strictness of an outcome: the highest wins. */
export const STRICTNESS: Readonly<Record<Outcome, number>> = { ALLOW: 0, REQUIRE_APPROVAL: 1, DENY: 2 }

/** Why the outcome is what it is; a closed list, equal to `ReasonCode` in the proto. */
export const REASON_CODES = [
  'RULE_DENY',
  'RULE_APPROVAL',
  'RULE_ALLOW',
  'DEFAULT_DENY',
  'DEFAULT_APPROVAL',
  'DEFAULT_ALLOW',
  /** The rule that decided could not be evaluated, and an unknown restrictive rule counts as matched. */
  'INDETERMINATE',
  /** No policy of the tenant speaks for this call. */
  'NO_POLICY',
  /** The request pinned a policy revision that is not the live one. */
  'POLICY_REVISION_MISMATCH',
  /** The audit could not take the record, and an unaudited answer is never an ALLOW. */
  'AUDIT_UNAVAILABLE',
] as const
export type ReasonCode = (typeof REASON_CODES)[number]

export type RuleSeverity = 'low' | 'medium' | 'high' | 'critical'
