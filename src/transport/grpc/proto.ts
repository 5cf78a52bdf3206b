import { fileURLToPath } from 'node:url'
import type { ServiceDefinition } from '@grpc/grpc-js'
import {
  type ServiceDefinition as LoadedService,
  loadSync,
  type MessageTypeDefinition,
  type PackageDefinition,
} from '@grpc/proto-loader'
import type { Answer } from '../../pdp.js'
import { readDecideBatchRequest, readDecideRequest } from './codec/decide-request.js'
import { ReplyEncoder, type Result, type StreamResult } from './codec/decide-response.js'

/** Beside the code both in the source tree and in what is built from it. */
const PROTO_FOLDER = fileURLToPath(new URL('../../../proto', import.meta.url))

export const packageDefinition: PackageDefinition = loadSync(
  [
    'portcullis/v1/decision.proto',
    'portcullis/v1/audit.proto',
    'portcullis/v1/approval.proto',
    'portcullis/v1/kill_switch.proto',
    'portcullis/v1/admin.proto',
    'google/rpc/status.proto',
    'google/rpc/error_details.proto',
  ],
  { includeDirs: [PROTO_FOLDER], keepCase: false, longs: Number, enums: String, defaults: true, oneofs: true },
)

/** What a handler gets for bytes that are no such message, so that it and not the library words the error. */
export class Undecodable {
  constructor(readonly message: string) {}
}

const replies = new ReplyEncoder({
  response: message('portcullis.v1.DecideResponse'),
  error: message('portcullis.v1.Error'),
})
/** The methods of the hot path read and write their messages themselves; the loader does it for all others. */
const hot = {
  decide: { requestDeserialize: readDecideRequest, responseSerialize: (answer: Answer) => replies.response(answer) },
  decideBatch: {
    requestDeserialize: readDecideBatchRequest,
    responseSerialize: (results: readonly Result[]) => replies.batch(results),
  },
  decideStream: {
    requestDeserialize: readDecideRequest,
    responseSerialize: (result: StreamResult) => replies.streamed(result),
  },
  decideBatchStream: {
    requestDeserialize: readDecideBatchRequest,
    responseSerialize: (results: readonly StreamResult[]) => replies.streamedBatch(results),
  },
  explain: { requestDeserialize: readDecideRequest, responseSerialize: (answer: Answer) => replies.explained(answer) },
}

export const decisionService = withCodecs(tolerant(service('portcullis.v1.DecisionService')), hot)
export const auditService = tolerant(service('portcullis.v1.AuditService'))
export const approvalService = tolerant(service('portcullis.v1.ApprovalService'))
export const killSwitchService = tolerant(service('portcullis.v1.KillSwitchService'))
export const adminService = tolerant(service('portcullis.v1.AdminService'))
export const DECISION_SERVICE = 'portcullis.v1.DecisionService'
export const AUDIT_SERVICE = 'portcullis.v1.AuditService'

const statusType = message('google.rpc.Status')
const errorInfoType = message('google.rpc.ErrorInfo')

/** A serialised google.rpc.Status that holds one ErrorInfo. */
export function encodeErrorDetails(
  code: number,
  text: string,
  info: { readonly reason: string; readonly domain: string; readonly metadata: Readonly<Record<string, string>> },
): Buffer {
  const value = errorInfoType.serialize(info)
  const detail = { type_url: 'type.googleapis.com/google.rpc.ErrorInfo', value }
  return statusType.serialize({ code, message: text, details: [detail] })
}

/** What {@link encodeErrorDetails} put in. */
export function decodeErrorInfo(bytes: Buffer): {
  readonly reason: string
  readonly metadata: Readonly<Record<string, string>>
} {
  const { details } = statusType.deserialize(bytes) as { readonly details: readonly { readonly value: Buffer }[] }
  return errorInfoType.deserialize(details[0]?.value ?? Buffer.alloc(0)) as {
    readonly reason: string
    readonly metadata: Readonly<Record<string, string>>
  }
}

function tolerant(definition: LoadedService): ServiceDefinition {
  const methods = Object.entries(definition).map(([name, method]) => {
    const { requestDeserialize } = method
    const decode = (bytes: Buffer): object => {
      try {
        return requestDeserialize(bytes)
      } catch (error) {
        return new Undecodable(error instanceof Error ? error.message : String(error))
      }
    }
    return [name, { ...method, requestDeserialize: decode }]
  })
  return Object.fromEntries(methods)
}

/** @param codecs by the method's name with a small first letter */
function withCodecs(definition: ServiceDefinition, codecs: Readonly<Record<string, object>>): ServiceDefinition {
  const methods = Object.entries(definition).map(([name, method]) => {
    const codec = codecs[name.charAt(0).toLowerCase() + name.slice(1)]
    return [name, { ...method, ...codec }]
  })
  return Object.fromEntries(methods)
}

function service(name: string): LoadedService {
  return packageDefinition[name] as LoadedService
}

function message(name: string): MessageTypeDefinition<object, object> {
  return packageDefinition[name] as MessageTypeDefinition<object, object>
}
