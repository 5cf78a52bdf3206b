import type { handleServerStreamingCall, handleUnaryCall, MethodDefinition } from '@grpc/grpc-js'
import type { MethodDefinition as LoadedMethod, PackageDefinition } from '@grpc/proto-loader'
import { packageDefinition } from '../grpc/proto.js'
import type { ServedService } from '../grpc/services.js'
import { readMessage } from './from-json.js'
import { Schema } from './schema.js'
import { printMessage } from './to-json.js'

/** What a handler is called with, as far as ours look at it. */
export type Handler = handleUnaryCall<object, object> | handleServerStreamingCall<object, object>

/** One method as HTTP has it. */
export interface Route {
  /** `/v1/ApprovalService/Review` */
  readonly url: string
  /** As gRPC writes it. */
  readonly method: string
  readonly isStream: boolean
  /** Null where this server does not serve the method. */
  readonly handler: Handler | null
  /** The request that the handler takes. @throws {RpcError} */
  read(body: Uint8Array): object
  /** What the handler answered, as JSON. */
  print(answer: object): string
}

const PACKAGE = 'portcullis.v1'

/** One route a method of the contract, but those to which the client streams: HTTP/1.1 has no form for them. */
export function routesOf(served: readonly ServedService[]): readonly Route[] {
  const schema = new Schema(packageDefinition)
  const handlers = new Map<
    string,
    { readonly definition: MethodDefinition<object, object>; readonly handler: Handler }
  >()
  for (const { definition, handlers: byName } of served) {
    for (const method of Object.values(definition) as MethodDefinition<object, object>[]) {
      const handler = byName[method.originalName ?? ''] as Handler | undefined
      if (handler !== undefined) handlers.set(method.path, { definition: method, handler })
    }
  }
  return methodsOf(packageDefinition)
    .filter(({ requestStream }) => !requestStream)
    .map((method) => {
      const found = handlers.get(method.path)
      const requestType = schema.nameOf(PACKAGE, method.requestType)
      const responseType = schema.nameOf(PACKAGE, method.responseType)
      schema.shape(requestType)
      schema.shape(responseType)
      return {
        url: method.path.replace(`/${PACKAGE}.`, '/v1/'),
        method: method.path,
        isStream: method.responseStream,
        handler: found?.handler ?? null,
        // By way of the bytes that a gRPC client would send and get: what a method reads and answers has one meaning.
        read: (body) => {
          const bytes = method.requestSerialize(readMessage(schema, requestType, body))
          return (found?.definition ?? method).requestDeserialize(bytes)
        },
        print: (answer) => {
          const bytes = (found?.definition ?? method).responseSerialize(answer)
          return printMessage(schema, responseType, method.responseDeserialize(bytes))
        },
      }
    })
}

function methodsOf(contract: PackageDefinition): readonly LoadedMethod<object, object>[] {
  return Object.entries(contract).flatMap(([name, definition]) =>
    name.startsWith(`${PACKAGE}.`) && !('format' in definition)
      ? (Object.values(definition) as LoadedMethod<object, object>[])
      : [],
  )
}
