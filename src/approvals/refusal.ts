import type { ApprovalRequest, ApprovalState } from '../model/approval.js'

/** Why an act was refused; a closed list that callers may switch on. */
export const REFUSAL_CODES = [
  /** Nothing of that id in the caller's tenant. */
  'NOT_FOUND',
  /** It is over, or approved; the refusal tells by whom. */
  'ALREADY_DECIDED',
  /** Its time ran out, for voting or for using it. */
  'EXPIRED',
  /** It waits for votes still. */
  'NOT_APPROVED',
  /** The votes do not meet what the policies ask now. */
  'NOT_ENOUGH',
  /** The person may not vote here through any seat. */
  'BARRED',
  /** The person holds no role that is asked now, or its places are taken. */
  'NOT_ELIGIBLE',
  'ALREADY_VOTED',
  /** The vote is about something else than what is to be decided now. */
  'DIGEST_MISMATCH',
  'REASON_REQUIRED',
  /** No rule lets reviewers change these arguments. */
  'NOT_EDITABLE',
  /** The policies deny the call with the changed arguments. */
  'EDIT_DENIED',
  /** No rule lets reviewers leave such a grant. */
  'NOT_REMEMBERABLE',
  'TOO_MANY_EXTENSIONS',
  /** A value is out of its range; the message names it. */
  'INVALID',
  /** The caller's role does not let it do this. */
  'NOT_ALLOWED',
  /** A delegation that would lead back, on, or to oneself. */
  'DELEGATION_REFUSED',
  /** The agent has too many requests waiting, or opens them too fast. */
  'LIMIT',
  /** Nobody who may vote could meet the requirement. */
  'NO_ELIGIBLE_APPROVER',
  /** The approval is of another call. */
  'MISMATCH',
] as const
export type RefusalCode = (typeof REFUSAL_CODES)[number]

/** Nothing was done, and why. The message is for the one who asked and says how to mend it; it quotes text of others. */
export interface Refusal {
  readonly code: RefusalCode
  readonly message: string
  /** With ALREADY_DECIDED and EXPIRED: what stands. */
  readonly decided: Decided | null
}
export interface Decided {
  readonly state: ApprovalState
  readonly by: string
  readonly why: string
  readonly atMs: number
}

export function refuse(code: RefusalCode, message: string): Refusal {
  return { code, message, decided: null }
}

const ENDED: Readonly<Record<ApprovalState, string>> = {
  PENDING: 'waits',
  APPROVED: 'was approved',
  CONSUMED: 'was approved and has been used',
  REJECTED: 'was rejected',
  EXPIRED: 'ran out of time',
  CANCELLED: 'was cancelled',
  GRANT_EXPIRED: 'was approved and not used in time',
  REVOKED: 'was approved and then revoked',
}

/** The answer to whoever comes late: what became of the request. */
export function alreadyDecided(request: ApprovalRequest): Refusal {
  const { state, endedBy: by, endedWhy: why, approvedMs, endedMs } = request
  const isLate = state === 'EXPIRED' || state === 'GRANT_EXPIRED'
  const who = by === '' || isLate ? '' : ` by \`${by}\``
  return {
    code: isLate ? 'EXPIRED' : 'ALREADY_DECIDED',
    message: `the request ${ENDED[state]}${who}: nothing more can be decided about it; the agent can ask again`,
    decided: { state, by, why, atMs: endedMs ?? approvedMs ?? request.createdMs },
  }
}
