import { BadPageToken } from '../../approvals/history.js'
import type { Refusal, RefusalCode } from '../../approvals/refusal.js'
import { ApprovalRefused } from '../../approvals/reviews.js'
import { KeyRefused } from '../../model/api-key.js'
import { StoreUnavailable } from '../../state/control-state.js'
import { KillSwitchRefused } from '../../state/kill-switch-store.js'
import { type ErrorReason, RpcError } from './errors.js'

const KEY_REFUSALS = {
  NOT_FOUND: 'KEY_NOT_FOUND',
  TOO_MANY: 'KEY_LIMIT',
  INVALID: 'FIELD_INVALID',
  REVOKED: 'KEY_REVOKED',
} as const

const KILL_REFUSALS = {
  NOT_FOUND: 'KILL_SWITCH_NOT_FOUND',
  ALREADY_RELEASED: 'KILL_SWITCH_RELEASED',
  SAME_PERSON: 'SECOND_PERSON_NEEDED',
  NOT_FLEET_OPERATOR: 'PERMISSION_DENIED',
} as const

const APPROVAL_REFUSALS: Readonly<Record<RefusalCode, ErrorReason>> = {
  NOT_FOUND: 'APPROVAL_NOT_FOUND',
  ALREADY_DECIDED: 'ALREADY_DECIDED',
  EXPIRED: 'APPROVAL_OVER',
  NOT_APPROVED: 'APPROVAL_NOT_READY',
  NOT_ENOUGH: 'APPROVAL_NOT_READY',
  BARRED: 'VOTE_BARRED',
  NOT_ELIGIBLE: 'VOTE_NOT_ELIGIBLE',
  ALREADY_VOTED: 'ALREADY_VOTED',
  DIGEST_MISMATCH: 'SHOWN_DIGEST_MISMATCH',
  REASON_REQUIRED: 'REASON_REQUIRED',
  NOT_EDITABLE: 'NOT_EDITABLE',
  EDIT_DENIED: 'EDIT_DENIED',
  NOT_REMEMBERABLE: 'NOT_REMEMBERABLE',
  TOO_MANY_EXTENSIONS: 'TOO_MANY_EXTENSIONS',
  INVALID: 'FIELD_INVALID',
  NOT_ALLOWED: 'PERMISSION_DENIED',
  DELEGATION_REFUSED: 'DELEGATION_REFUSED',
  LIMIT: 'APPROVAL_LIMIT',
  NO_ELIGIBLE_APPROVER: 'VOTE_NOT_ELIGIBLE',
  MISMATCH: 'APPROVAL_NOT_FOUND',
}

/** What stands, for programs, where it is too late. */
export function refusalError({ code, message, decided }: Refusal): RpcError {
  const details = decided === null ? {} : { state: decided.state, by: decided.by, at_ms: String(decided.atMs) }
  return new RpcError(APPROVAL_REFUSALS[code], message, details)
}

/** What the control store refused, or that it is down, in the words of the contract; null for anything else. */
export function refusedByStore(error: unknown): RpcError | null {
  if (error instanceof ApprovalRefused) return refusalError(error.refusal)
  if (error instanceof BadPageToken) return new RpcError('FIELD_INVALID', error.message, { field: 'page_token' })
  if (error instanceof KeyRefused) return new RpcError(KEY_REFUSALS[error.code], error.message)
  if (error instanceof KillSwitchRefused) return new RpcError(KILL_REFUSALS[error.code], error.message)
  if (error instanceof StoreUnavailable) {
    const text = 'the control store does not answer; decisions go on from what is known, try again later'
    return new RpcError('CONTROL_STORE_UNAVAILABLE', text, {}, error)
  }
  return null
}
