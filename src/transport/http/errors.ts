import { type StatusObject, status } from '@grpc/grpc-js'
import { decodeErrorInfo } from '../grpc/proto.js'

/** A failed request as its caller hears of it; never holds a cause. */
export interface Failure {
  /** Of HTTP. */
  readonly httpStatus: number
  /** Name of a google.rpc.Code. */
  readonly code: string
  readonly reason: string
  readonly message: string
  readonly details: Readonly<Record<string, string>>
}

/** By google.rpc.Code, as google/rpc/code.proto maps them. */
const HTTP_STATUS: Readonly<Partial<Record<status, number>>> = {
  [status.INVALID_ARGUMENT]: 400,
  [status.FAILED_PRECONDITION]: 400,
  [status.UNAUTHENTICATED]: 401,
  [status.PERMISSION_DENIED]: 403,
  [status.NOT_FOUND]: 404,
  [status.ALREADY_EXISTS]: 409,
  [status.ABORTED]: 409,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.UNAVAILABLE]: 503,
}

/** Reasons beside those of the gRPC services: what goes wrong before a method is called. docs/api.md lists them, held by a test. */
export const HTTP_REASONS = {
  REQUEST_MALFORMED: { httpStatus: 400, code: 'INVALID_ARGUMENT' },
  ROUTE_NOT_FOUND: { httpStatus: 404, code: 'NOT_FOUND' },
  METHOD_NOT_ALLOWED: { httpStatus: 405, code: 'UNIMPLEMENTED' },
  BODY_TOO_LARGE: { httpStatus: 413, code: 'RESOURCE_EXHAUSTED' },
  CONTENT_TYPE_UNSUPPORTED: { httpStatus: 415, code: 'INVALID_ARGUMENT' },
  HOST_NOT_ALLOWED: { httpStatus: 421, code: 'PERMISSION_DENIED' },
  NOT_SERVED: { httpStatus: 501, code: 'UNIMPLEMENTED' },
} as const
export type HttpReason = keyof typeof HTTP_REASONS

/** Thrown where a request goes no further. */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed'
  constructor(readonly failure: Failure) {
    super(failure.message)
  }
}

export function refused(reason: HttpReason, message: string): RequestFailed {
  return new RequestFailed({ ...HTTP_REASONS[reason], reason, message, details: {} })
}

/** Of the status that a handler answers with. */
export function failureOf({ code, details, metadata }: Pick<StatusObject, 'code' | 'details' | 'metadata'>): Failure {
  const [info] = metadata.get('grpc-status-details-bin')
  const { reason, metadata: named } = Buffer.isBuffer(info)
    ? decodeErrorInfo(info)
    : { reason: 'INTERNAL', metadata: {} }
  return {
    httpStatus: HTTP_STATUS[code] ?? 500,
    code: status[code] ?? 'UNKNOWN',
    reason,
    message: details,
    details: named,
  }
}

/** The body of an answer, and the last line of a stream. */
export function failureJson({ code, reason, message, details }: Failure): string {
  return JSON.stringify({ error: { code, reason, message, details } })
}
