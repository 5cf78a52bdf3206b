import type { Subject } from '../../model/call.js'
import { canonicalJson } from '../../model/canonical-json.js'
import type { ClaimedCall } from '../../model/identity.js'
import type { JsonObject } from '../../model/json.js'
import { JsonError, quoteForMessage } from '../../model/json-error.js'
import { parseJsonObject } from '../../model/parse-json.js'
import { nameFault } from '../../model/plain-name.js'
import { decodeStruct, type StructMessage } from '../../model/struct.js'
import type { Question } from '../../pdp.js'
import { type ErrorReason, RpcError } from './errors.js'
import { LIMITS } from './limits.js'
import type { DecideRequestMessage, SubjectMessage, VisibleToolsRequestMessage } from './wire.js'

const NO_FIELDS: JsonObject = Object.freeze(Object.create(null) as JsonObject)
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>)
const JSON_LIMITS = { maxBytes: LIMITS.jsonBytes, maxDepth: LIMITS.jsonDepth }

/** @throws {RpcError} that names the field and what is wrong with it */
export function toQuestion(message: DecideRequestMessage): Question {
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
  }
}

/** A call of no tool in particular. @throws {RpcError} */
export function toVisibleToolsCall(message: VisibleToolsRequestMessage): ClaimedCall {
  return {
    requestId: '',
    agent: toSubject('agent', message.agent),
    principal: message.principal === null ? null : toSubject('principal', message.principal),
    sessionId: optional('session_id', message.sessionId),
    delegationChain: [],
    tool: '',
    environment: plainName('environment', message.environment),
    arguments: NO_FIELDS,
    context: NO_FIELDS,
  }
}

/** @throws {RpcError} when the text is empty or too long */
export function name(field: string, text: string): string {
  if (text === '') throw new RpcError('FIELD_REQUIRED', `${field} is empty; it must name something`, { field })
  return optional(field, text)
}

/** @throws {RpcError} when the text is empty, too long, or could be taken for another name */
function plainName(field: string, text: string): string {
  const fault = nameFault(name(field, text))
  if (fault !== null) throw new RpcError('FIELD_INVALID', `${field} ${fault}`, { field })
  return text
}

/** @throws {RpcError} when the text is too long */
export function optional(field: string, text: string, maxBytes: number = LIMITS.nameBytes): string {
  // A UTF-16 unit takes three bytes at most, so that short names need no count.
  if (text.length * 3 <= maxBytes) return text
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes) throw overLimit(field, `has ${bytes} bytes`, `${maxBytes} bytes`)
  return text
}

export function overLimit(field: string, found: string, limit: string): RpcError {
  return new RpcError('LIMIT_EXCEEDED', `${field} ${found}; the limit is ${limit}`, { field, limit })
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
