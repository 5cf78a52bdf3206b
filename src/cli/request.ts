import type { Call, Subject } from '../model/call.js'
import { canonicalJson } from '../model/canonical-json.js'
import type { JsonObject, JsonValue } from '../model/json.js'
import { JSON_LIMITS } from '../model/parse-json.js'

/** One line of `portcullis decide`, read: the call and what the caller wants besides. */
export interface DecideRequest {
  readonly call: Call
  readonly explain: boolean
  /** Means something to a server only: the folder's answers have no record and no effect anyway. */
  readonly dryRun: boolean
  /** Only a server knows approvals and signs receipts. */
  readonly approvalId: string
  readonly wantReceipt: boolean
  /** Empty when the request pins none. */
  readonly expectedPolicyRevision: string
}

/** The request is none; the message names the field and how to mend it. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
}

const FIELDS = [
  'request_id',
  'agent',
  'principal',
  'session_id',
  'delegation_chain',
  'tool',
  'environment',
  'arguments',
  'arguments_struct',
  'context',
  'context_struct',
  'expected_policy_revision',
  'explain',
  'dry_run',
  'approval_id',
  'want_receipt',
]
const MAX_NAME_BYTES = 256
const MAX_REQUEST_ID_BYTES = 128
const MAX_CHAIN = 16
const MAX_LABELS = 32

/**
 * Reads the JSON form of a `DecideRequest` (snake_case; `arguments` and `context` as objects, under the proto's
 * names `arguments_struct` and `context_struct`, too; a subject as `{id, labels}`
 * or its id alone), under the limits of the proto.
 *
 * @throws {RequestError}
 */
export function readRequest(json: JsonObject, tenant: string): DecideRequest {
  for (const key of Object.keys(json)) {
    if (!FIELDS.includes(key))
      throw new RequestError(`\`${key}\` is no field of a request; fields are ${FIELDS.join(', ')}`)
  }
  const agent = subject(json['agent'], 'agent')
  if (agent === null) throw new RequestError('`agent` is missing')
  const call: Call = {
    requestId: optionalName(json['request_id'], 'request_id', MAX_REQUEST_ID_BYTES),
    tenant,
    agent,
    principal: subject(json['principal'], 'principal'),
    sessionId: optionalName(json['session_id'], 'session_id'),
    delegationChain: chain(json['delegation_chain']),
    tool: name(json['tool'], 'tool'),
    environment: name(json['environment'], 'environment'),
    arguments: payload(json, 'arguments'),
    context: payload(json, 'context'),
  }
  return {
    call,
    dryRun: boolean(json['dry_run'], 'dry_run'),
    approvalId: optionalName(json['approval_id'], 'approval_id'),
    wantReceipt: boolean(json['want_receipt'], 'want_receipt'),
    explain: boolean(json['explain'], 'explain'),
    expectedPolicyRevision: optionalName(json['expected_policy_revision'], 'expected_policy_revision'),
  }
}

function subject(json: JsonValue | undefined, field: string): Subject | null {
  if (json === undefined || json === null) return null
  if (typeof json === 'string') return { id: name(json, field), labels: {} }
  const of = object(json, field)
  for (const key of Object.keys(of)) {
    if (key !== 'id' && key !== 'labels')
      throw new RequestError(`\`${field}.${key}\` is no field; fields are id, labels`)
  }
  const labels: Record<string, string> = Object.create(null) as Record<string, string>
  const entries = Object.entries(object(of['labels'], `${field}.labels`))
  if (entries.length > MAX_LABELS) throw new RequestError(`\`${field}.labels\` has more than ${MAX_LABELS} labels`)
  for (const [key, value] of entries) labels[name(key, `${field}.labels`)] = name(value, `${field}.labels.${key}`)
  return { id: name(of['id'], `${field}.id`), labels }
}

function chain(json: JsonValue | undefined): readonly string[] {
  if (json === undefined || json === null) return []
  if (!Array.isArray(json)) throw new RequestError('`delegation_chain` must be a list of agent ids')
  if (json.length > MAX_CHAIN) throw new RequestError(`\`delegation_chain\` has more than ${MAX_CHAIN} agents`)
  return json.map((item: JsonValue, i) => name(item, `delegation_chain[${i}]`))
}

function name(json: JsonValue | undefined, field: string): string {
  const text = optionalName(json, field)
  if (text === '') throw new RequestError(`\`${field}\` is ${json === undefined ? 'missing' : 'empty'}`)
  return text
}

function optionalName(json: JsonValue | undefined, field: string, maxBytes = MAX_NAME_BYTES): string {
  if (json === undefined || json === null) return ''
  if (typeof json !== 'string') throw new RequestError(`\`${field}\` must be a text`)
  if (Buffer.byteLength(json) > maxBytes) throw new RequestError(`\`${field}\` is longer than ${maxBytes} bytes`)
  return json
}

function object(json: JsonValue | undefined, field: string): JsonObject {
  if (json === undefined || json === null) return {}
  if (typeof json !== 'object' || Array.isArray(json)) throw new RequestError(`\`${field}\` must be an object`)
  return json as JsonObject
}

/** Under the limit of the server, so that the folder answers what the server would. */
function payload(json: JsonObject, field: 'arguments' | 'context'): JsonObject {
  const alias = `${field}_struct`
  if (json[field] !== undefined && json[alias] !== undefined) {
    throw new RequestError(`\`${field}\` and \`${alias}\` are both given; they are the same field`)
  }
  const value = object(json[field] ?? json[alias], field)
  if (Buffer.byteLength(canonicalJson(value)) > JSON_LIMITS.maxBytes) {
    throw new RequestError(`\`${field}\` is longer than ${JSON_LIMITS.maxBytes} bytes`)
  }
  return value
}

function boolean(json: JsonValue | undefined, field: string): boolean {
  if (json === undefined || json === null) return false
  if (typeof json !== 'boolean') throw new RequestError(`\`${field}\` must be true or false`)
  return json
}
