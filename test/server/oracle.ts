import type { Subject } from '../../src/model/call.js'
import { canonicalJson } from '../../src/model/canonical-json.js'
import type { ClaimedCall } from '../../src/model/identity.js'
import type { JsonObject } from '../../src/model/json.js'
import { JsonError, quoteForMessage } from '../../src/model/json-error.js'
import { parseJsonObject } from '../../src/model/parse-json.js'
import { type ErrorReason, RpcError } from '../../src/transport/grpc/errors.js'
import { LIMITS } from '../../src/transport/grpc/limits.js'
import { name, optional, overLimit, plainName, uuid } from '../../src/transport/grpc/names.js'
import type { SubjectMessage } from '../../src/transport/grpc/wire.js'
import { decodeStruct, type StructMessage } from '../reference/struct.js'

// What the server made of a DecideRequest while proto-loader decoded it: plain and slow. The codec is held equal to it.

export interface DecideRequestMessage {
  readonly requestId: string
  readonly agent: SubjectMessage | null
  readonly principal: SubjectMessage | null
  readonly sessionId: string
  readonly delegationChain: readonly string[]
  readonly tool: string
  readonly environment: string
  readonly argumentsStruct?: StructMessage | null
  readonly argumentsJson?: Uint8Array
  readonly contextStruct?: StructMessage | null
  readonly contextJson?: Uint8Array
  readonly expectedPolicyRevision: string
  readonly explain: boolean
  readonly dryRun: boolean
  readonly approvalId: string
  readonly wantReceipt: boolean
}

const NO_FIELDS: JsonObject = Object.freeze(Object.create(null) as JsonObject)
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>)
const JSON_LIMITS = { maxBytes: LIMITS.jsonBytes, maxDepth: LIMITS.jsonDepth }

export interface PlainQuestion {
  readonly call: ClaimedCall
  readonly expectedPolicyRevision: string
  readonly explain: boolean
  readonly dryRun: boolean
  readonly approvalId: string
  readonly wantReceipt: boolean
}

/** @throws {RpcError} that names the field and what is wrong with it */
export function toQuestion(message: DecideRequestMessage): PlainQuestion {
  return {
    call: {
      requestId: optional('request_id', message.requestId, LIMITS.requestIdBytes),
      agent: toSubject('agent', message.agent),
      principal: message.principal === null ? null : toSubject('principal', message.principal),
      sessionId: optional('session_id', message.sessionId),
      delegationChain: toDelegationChain(message.delegationChain),
      tool: plainName('tool', message.tool),
      environment: plainName('environment', message.environment),
      arguments: toObject('arguments', 'ARGUMENTS_INVALID', message.argumentsJson, message.argumentsStruct),
      context: toObject('context', 'CONTEXT_INVALID', message.contextJson, message.contextStruct),
    },
    expectedPolicyRevision: optional('expected_policy_revision', message.expectedPolicyRevision),
    explain: message.explain,
    dryRun: message.dryRun,
    approvalId: message.approvalId === '' ? '' : uuid('approval_id', message.approvalId),
    wantReceipt: message.wantReceipt,
  }
}

function toSubject(field: string, message: SubjectMessage | null): Subject {
  if (message === null) throw new RpcError('FIELD_REQUIRED', `${field} is missing`, { field })
  return { id: name(`${field}.id`, message.id), labels: toLabels(`${field}.labels`, message.labels) }
}

function toLabels(field: string, message: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const keys = Object.keys(message)
  if (keys.length === 0) return NO_LABELS
  if (keys.length > LIMITS.labels) throw overLimit(field, `has ${keys.length} entries`, `${LIMITS.labels}`)
  const labels: Record<string, string> = Object.create(null)
  for (const key of keys) {
    if (key === '__proto__') {
      throw new RpcError('FIELD_INVALID', `${field} has the key \`__proto__\`, which is not accepted`, { field })
    }
    name(`${field} key`, key)
    labels[key] = name(`${field}[${quoteForMessage(key)}]`, message[key] as string)
  }
  return labels
}

function toDelegationChain(chain: readonly string[]): readonly string[] {
  const field = 'delegation_chain'
  if (chain.length > LIMITS.delegationChain) {
    throw overLimit(field, `has ${chain.length} entries`, `${LIMITS.delegationChain}`)
  }
  chain.forEach((agent, i) => {
    name(`${field}[${i}]`, agent)
  })
  return chain
}

/** Both forms give the same values, so that decision and digest do not depend on the caller's choice. */
function toObject(
  field: string,
  reason: ErrorReason,
  json: Uint8Array | undefined,
  struct: StructMessage | null | undefined,
): JsonObject {
  try {
    if (json !== undefined) return parseJsonObject(json, JSON_LIMITS)
    if (struct !== undefined && struct !== null) return fromStruct(field, struct)
    return NO_FIELDS
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    const form = json !== undefined ? `${field}_json` : `${field}_struct`
    if (error.code === 'too-large') throw overLimit(form, 'is too large', `${LIMITS.jsonBytes} bytes`)
    throw new RpcError(reason, `${form}: ${error.message}`, { field: form, path: error.path, problem: error.code })
  }
}

function fromStruct(field: string, struct: StructMessage): JsonObject {
  const value = decodeStruct(struct, JSON_LIMITS)
  const bytes = Buffer.byteLength(canonicalJson(value))
  if (bytes > LIMITS.jsonBytes) {
    throw overLimit(`${field}_struct`, `has ${bytes} bytes as JSON`, `${LIMITS.jsonBytes} bytes`)
  }
  return value
}
