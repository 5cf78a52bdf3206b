import type { handleUnaryCall, Metadata } from '@grpc/grpc-js'
import { type Caller, type Credential, type Identity, PermissionDenied, Unauthenticated } from '../../model/identity.js'
import { quoteForMessage } from '../../model/json-error.js'
import type { Log } from '../../model/log.js'
import { RequestIdReused } from '../../state/answered-requests.js'
import { RpcError, toStatus } from './errors.js'
import type { InFlight } from './in-flight.js'
import { Undecodable } from './proto.js'
import { refusedByStore } from './refusals.js'

export interface EdgeDeps {
  readonly inFlight: InFlight
  readonly identity: Pick<Identity, 'admit'>
  readonly log: Log
}

/** A handler that answers in the same turn when `work` does. */
export function unary<Request, Response>(
  deps: EdgeDeps,
  work: (request: Request, caller: Caller) => Response | Promise<Response>,
): handleUnaryCall<Request | Undecodable, Response> {
  return (call, respond) => {
    deps.inFlight.enter('call')
    const answer = (response: Response): void => {
      deps.inFlight.leave('call')
      respond(null, response)
    }
    const fail = (error: unknown): void => {
      deps.inFlight.leave('call')
      respond(toStatus(toRpcError(error, deps.log)))
    }
    let made: Response | Promise<Response>
    try {
      made = work(decoded(call.request), admitted(deps, call))
    } catch (error) {
      return fail(error)
    }
    if (made instanceof Promise) made.then(answer, fail)
    else answer(made)
  }
}

/** @throws {RpcError} for bytes that are no such message */
export function decoded<Request>(request: Request | Undecodable): Request {
  if (!(request instanceof Undecodable)) return request
  const why = quoteForMessage(request.message)
  throw new RpcError('MESSAGE_UNDECODABLE', `the request is no message of the method's type: ${why}`)
}

/** Who calls. @throws {Unauthenticated | PermissionDenied} */
export function admitted(
  { identity }: Pick<EdgeDeps, 'identity'>,
  call: { readonly metadata: Metadata; getPath(): string },
): Caller {
  return identity.admit(call.getPath(), new MetadataCredential(call.metadata))
}

/** Looked up when it is asked for: whoever believes every claim never does. */
class MetadataCredential implements Credential {
  readonly #metadata: Metadata

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  get authorization(): string {
    const [authorization] = this.#metadata.get('authorization')
    return typeof authorization === 'string' ? authorization : ''
  }
}

/** What the caller may know of a failure; the rest goes to the log. */
export function toRpcError(error: unknown, log: Log): RpcError {
  const known = toKnown(error)
  if (known.cause !== undefined) {
    const cause = known.cause instanceof Error ? known.cause : new Error(String(known.cause))
    log.error('call failed', { reason: known.reason, cause })
  }
  return known
}

function toKnown(error: unknown): RpcError {
  if (error instanceof RpcError) return error
  if (error instanceof RequestIdReused) {
    const text = 'request_id was used for another call within the last ten minutes; choose a fresh one for every call'
    return new RpcError('REQUEST_ID_REUSED', text, { field: 'request_id' })
  }
  if (error instanceof Unauthenticated) return new RpcError('UNAUTHENTICATED', error.message)
  if (error instanceof PermissionDenied) return new RpcError('PERMISSION_DENIED', error.message)
  return refusedByStore(error) ?? new RpcError('INTERNAL', 'the server failed; its log has the cause', {}, error)
}
