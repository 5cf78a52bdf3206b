import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { encodeErrorDetails } from './proto.js'

/**
 * Why a call failed: the closed list of `google.rpc.ErrorInfo.reason` with its status. Documented in docs/errors.md, which a
 * test holds equal to this table.
 */
export const ERROR_REASONS = {
  FIELD_REQUIRED: status.INVALID_ARGUMENT,
  FIELD_INVALID: status.INVALID_ARGUMENT,
  LIMIT_EXCEEDED: status.INVALID_ARGUMENT,
  ARGUMENTS_INVALID: status.INVALID_ARGUMENT,
  CONTEXT_INVALID: status.INVALID_ARGUMENT,
  MESSAGE_UNDECODABLE: status.INVALID_ARGUMENT,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  REQUEST_ID_REUSED: status.ALREADY_EXISTS,
  APPROVAL_NOT_FOUND: status.NOT_FOUND,
  ALREADY_DECIDED: status.FAILED_PRECONDITION,
  APPROVAL_OVER: status.FAILED_PRECONDITION,
  APPROVAL_NOT_READY: status.FAILED_PRECONDITION,
  VOTE_BARRED: status.PERMISSION_DENIED,
  VOTE_NOT_ELIGIBLE: status.PERMISSION_DENIED,
  ALREADY_VOTED: status.ALREADY_EXISTS,
  SHOWN_DIGEST_MISMATCH: status.ABORTED,
  REASON_REQUIRED: status.INVALID_ARGUMENT,
  NOT_EDITABLE: status.FAILED_PRECONDITION,
  EDIT_DENIED: status.FAILED_PRECONDITION,
  NOT_REMEMBERABLE: status.FAILED_PRECONDITION,
  TOO_MANY_EXTENSIONS: status.FAILED_PRECONDITION,
  DELEGATION_REFUSED: status.FAILED_PRECONDITION,
  APPROVAL_LIMIT: status.RESOURCE_EXHAUSTED,
  KEY_NOT_FOUND: status.NOT_FOUND,
  KEY_LIMIT: status.FAILED_PRECONDITION,
  KEY_REVOKED: status.FAILED_PRECONDITION,
  KILL_SWITCH_NOT_FOUND: status.NOT_FOUND,
  KILL_SWITCH_RELEASED: status.FAILED_PRECONDITION,
  SECOND_PERSON_NEEDED: status.FAILED_PRECONDITION,
  DEAD_LETTER_NOT_FOUND: status.NOT_FOUND,
  CONTROL_STORE_UNAVAILABLE: status.UNAVAILABLE,
  EVENT_NOT_FOUND: status.NOT_FOUND,
  AUDIT_STORE_UNAVAILABLE: status.UNAVAILABLE,
  SERVER_DRAINING: status.UNAVAILABLE,
  INTERNAL: status.INTERNAL,
} as const
export type ErrorReason = keyof typeof ERROR_REASONS

const ERROR_DOMAIN = 'portcullis'

/** A call that cannot be answered. The message is for the caller; the cause is logged and never sent. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly reason: ErrorReason
  /** Goes into ErrorInfo, for programs: `field`, `limit`. */
  readonly details: Readonly<Record<string, string>>

  constructor(reason: ErrorReason, message: string, details: Readonly<Record<string, string>> = {}, cause?: unknown) {
    super(message, { cause })
    this.reason = reason
    this.details = details
  }

  get code(): status {
    return ERROR_REASONS[this.reason]
  }
}

/** The status of a failed call, with ErrorInfo in `grpc-status-details-bin`. */
export function toStatus(error: RpcError): StatusObject {
  const metadata = new Metadata()
  const info = { reason: error.reason, domain: ERROR_DOMAIN, metadata: error.details }
  metadata.set('grpc-status-details-bin', encodeErrorDetails(error.code, error.message, info))
  return { code: error.code, details: error.message, metadata }
}

/** The same inside a batch or stream, where one item fails and the others do not. */
export function toErrorMessage(error: RpcError): { code: number; reason: string; message: string } {
  return { code: error.code, reason: error.reason, message: error.message }
}
