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
  /** A kill switch is engaged; the policies were not asked. */
  'KILL_SWITCH',
  /** Somebody approved this very call, or left a grant that covers it. */
  'APPROVED',
  /** A person said no to this very call. */
  'APPROVAL_REJECTED',
  /** Nobody answered in time, or the approval was not used in time. */
  'APPROVAL_EXPIRED',
  /** The approval was cancelled or revoked, or has been used up. */
  'APPROVAL_REVOKED',
  /** The named approval is not of this call: other arguments, another agent, tool or tenant, or no approval at all. */
  'APPROVAL_MISMATCH',
  /** Nobody who may vote could meet the requirement. */
  'NO_ELIGIBLE_APPROVER',
  /** The agent has too many requests waiting, or asks too often. */
  'APPROVAL_LIMIT',
  /** The store of approvals cannot be asked; trying again later makes sense. */
  'APPROVAL_STORE_UNAVAILABLE',
  /** What is known of kill switches and keys is too old to trust. */
  'CONTROL_STATE_STALE',
  /** The receipt that the call needs could not be signed. */
  'RECEIPT_UNAVAILABLE',
  /** More rules that allow the call or ask for approval match than an answer can carry what they ask; it is denied. */
  'TOO_MANY_RULES',
] as const
export type ReasonCode = (typeof REASON_CODES)[number]

export type RuleSeverity = 'low' | 'medium' | 'high' | 'critical'
