import type { handleUnaryCall, Metadata, ServerUnaryCall } from '@grpc/grpc-js'
import { failureOf, RequestFailed } from './errors.js'
import type { Route } from './routes.js'

/** What our handlers ask of a call's metadata. */
export function metadataOf(authorization: string): Metadata {
  const metadata: Pick<Metadata, 'get'> = { get: (key) => (key === 'authorization' ? [authorization] : []) }
  return metadata as Metadata
}

/**
 * Calls the handler that gRPC calls.
 *
 * @returns the answer as JSON
 * @throws {RequestFailed}
 */
export function callUnary(
  route: Route,
  handler: handleUnaryCall<object, object>,
  authorization: string,
  request: object,
): Promise<string> {
  const call = { request, metadata: metadataOf(authorization), getPath: () => route.method }
  return new Promise((resolve, reject) => {
    handler(call as ServerUnaryCall<object, object>, (error, response) => {
      try {
        if (error) reject(new RequestFailed(failureOf(error as Parameters<typeof failureOf>[0])))
        else resolve(route.print(response ?? {}))
      } catch (fault) {
        reject(fault)
      }
    })
  })
}
