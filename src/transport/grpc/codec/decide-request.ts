import type { Subject } from '../../../model/call.js'
import { canonicalJson } from '../../../model/canonical-json.js'
import { emptyObject, type JsonObject } from '../../../model/json.js'
import { JsonError, quoteForMessage } from '../../../model/json-error.js'
import { parseJsonBytes } from '../../../model/parse-json.js'
import type { Question } from '../../../pdp.js'
import { RpcError } from '../errors.js'
import { LIMITS } from '../limits.js'
import { name, optional, overLimit, plainName, uuid } from '../names.js'
import { readStruct } from './struct.js'
import { SubjectTable } from './subject-table.js'
import { MalformedMessage, type Range, readerOf, WireReader } from './wire-reader.js'

// Tags of DecideRequest, Subject and DecideBatchRequest: number << 3 | wire type. Fields of another wire type are unknown ones.
const REQUEST_ID = 10
const AGENT = 18
const PRINCIPAL = 26
const SESSION_ID = 34
const DELEGATION_CHAIN = 42
const TOOL = 50
const ENVIRONMENT = 58
const ARGUMENTS_STRUCT = 66
const ARGUMENTS_JSON = 74
const CONTEXT_STRUCT = 82
const CONTEXT_JSON = 90
const EXPECTED_POLICY_REVISION = 98
const EXPLAIN = 104
const DRY_RUN = 112
const APPROVAL_ID = 122
const WANT_RECEIPT = 128
const SUBJECT_ID = 10
const SUBJECT_LABELS = 18
const LABEL_KEY = 10
const LABEL_VALUE = 18
const BATCH_REQUESTS = 10

const NO_FIELDS: JsonObject = Object.freeze(emptyObject<never>())
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze(emptyObject<string>())
const NO_CHAIN: readonly string[] = Object.freeze([])
const JSON_LIMITS = { maxBytes: LIMITS.jsonBytes, maxDepth: LIMITS.jsonDepth }

/** A call that cannot be decided: a value and no exception, for the library would word an exception its own way. */
export class Refusal {
  constructor(
    /** Of the call, as far as it could be read. */
    readonly requestId: string,
    readonly error: RpcError,
    /** True when a whole message is refused, and with it whatever calls it may hold. */
    readonly isWhole = false,
  ) {}
}

/**
 * A serialised DecideRequest. Equal to what proto-loader makes of the bytes, which a test holds, but that pieces of one inner
 * message are merged as protobuf demands, that a key given twice is refused, and that a text must be UTF-8.
 */
export function readDecideRequest(bytes: Buffer): Question | Refusal {
  return orRefusal(() => readItem(bytes, 0, bytes.length))
}

/** A serialised DecideBatchRequest: each call or why it alone is refused; or why all are. */
export function readDecideBatchRequest(bytes: Buffer): readonly (Question | Refusal)[] | Refusal {
  return orRefusal(() => {
    const calls = countCalls(bytes)
    if (calls > LIMITS.batchCalls) {
      return new Refusal('', overLimit('requests', `has ${calls} calls`, `${LIMITS.batchCalls}`), true)
    }
    const questions: (Question | Refusal)[] = []
    const reader = new WireReader(bytes)
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag !== BATCH_REQUESTS) {
        reader.skip(tag)
        continue
      }
      const to = reader.length() + reader.at
      questions.push(readItem(bytes, reader.at, to))
      reader.at = to
    }
    return questions
  })
}

/**
 * A question out of bytes that were one before.
 *
 * @throws {RpcError} for any other bytes
 */
export function rereadQuestion(bytes: Buffer): Question {
  const question = readDecideRequest(bytes)
  if (question instanceof Refusal) throw question.error
  return question
}

/** @throws {MalformedMessage} bytes that are no message spoil the whole batch; anything else only the call */
function readItem(bytes: Buffer, from: number, to: number): Question | Refusal {
  try {
    return readQuestion(bytes, from, to)
  } catch (error) {
    if (error instanceof RpcError) return new Refusal(requestIdOf(bytes, from, to), error)
    throw error
  }
}

function requestIdOf(bytes: Buffer, from: number, to: number): string {
  const reader = new WireReader(bytes, from, to)
  let requestId = ''
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === REQUEST_ID) requestId = reader.text()
    else reader.skip(tag)
  }
  return requestId
}

function countCalls(bytes: Buffer): number {
  const reader = new WireReader(bytes)
  let calls = 0
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === BATCH_REQUESTS) calls++
    reader.skip(tag)
  }
  return calls
}

function orRefusal<T>(read: () => T): T | Refusal {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    const text = `the request is no message of the method's type: ${error.message}`
    return new Refusal('', new RpcError('MESSAGE_UNDECODABLE', text), true)
  }
}

/** An inner message, or one of two fields of which only one can be set, as far as it was seen. */
interface Seen {
  readonly tag: number
  from: number
  to: number
  /** All pieces where there are several, the last of which is `from` to `to`. */
  pieces: Range[] | null
}

/** Takes the next piece of the same field to those before; another field of the same oneof takes their place. */
function see(reader: WireReader, tag: number, before: Seen | null, merges: boolean): Seen {
  const length = reader.length()
  const from = reader.at
  const to = from + length
  reader.at = to
  if (before === null || !merges || before.tag !== tag) return { tag, from, to, pieces: null }
  const pieces = before.pieces ?? [{ from: before.from, to: before.to }]
  return { tag, from, to, pieces: [...pieces, { from, to }] }
}

function rangesOf({ from, to, pieces }: Seen): readonly Range[] {
  return pieces ?? [{ from, to }]
}

/** The order of the checks is that of the fields, so that what a refusal names does not depend on the sender's order. */
function readQuestion(bytes: Buffer, from: number, to: number): Question {
  const reader = new WireReader(bytes, from, to)
  let requestId = ''
  let agent: Seen | null = null
  let principal: Seen | null = null
  let sessionId = ''
  let chain: string[] | null = null
  let tool = ''
  let environment = ''
  let args: Seen | null = null
  let context: Seen | null = null
  let expectedPolicyRevision = ''
  let explain = false
  let dryRun = false
  let approvalId = ''
  let wantReceipt = false
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case REQUEST_ID:
        requestId = reader.text()
        break
      case AGENT:
        agent = see(reader, tag, agent, true)
        break
      case PRINCIPAL:
        principal = see(reader, tag, principal, true)
        break
      case SESSION_ID:
        sessionId = reader.name()
        break
      case DELEGATION_CHAIN:
        chain ??= []
        chain.push(reader.name())
        break
      case TOOL:
        tool = reader.name()
        break
      case ENVIRONMENT:
        environment = reader.name()
        break
      case ARGUMENTS_STRUCT:
      case ARGUMENTS_JSON:
        args = see(reader, tag, args, tag === ARGUMENTS_STRUCT)
        break
      case CONTEXT_STRUCT:
      case CONTEXT_JSON:
        context = see(reader, tag, context, tag === CONTEXT_STRUCT)
        break
      case EXPECTED_POLICY_REVISION:
        expectedPolicyRevision = reader.text()
        break
      case EXPLAIN:
        explain = reader.bool()
        break
      case DRY_RUN:
        dryRun = reader.bool()
        break
      case APPROVAL_ID:
        approvalId = reader.text()
        break
      case WANT_RECEIPT:
        wantReceipt = reader.bool()
        break
      default:
        reader.skip(tag)
    }
  }
  return {
    call: {
      requestId: optional('request_id', requestId, LIMITS.requestIdBytes),
      agent: subjectOf(bytes, 'agent', agent),
      principal: principal === null ? null : subjectOf(bytes, 'principal', principal),
      sessionId: optional('session_id', sessionId),
      delegationChain: chain === null ? NO_CHAIN : checkedChain(chain),
      tool: plainName('tool', tool),
      environment: plainName('environment', environment),
      arguments: args === null ? NO_FIELDS : readObject(bytes, 'arguments', args, ARGUMENTS_JSON),
      context: context === null ? NO_FIELDS : readObject(bytes, 'context', context, CONTEXT_JSON),
    },
    expectedPolicyRevision: optional('expected_policy_revision', expectedPolicyRevision),
    explain,
    dryRun,
    approvalId: approvalId === '' ? '' : uuid('approval_id', approvalId),
    wantReceipt,
    bytes,
    from,
    to,
  }
}

/** Subjects that were read before, by their bytes: an agent with the same labels makes call after call. */
const subjects = new SubjectTable(1_024)

function subjectOf(bytes: Buffer, field: string, message: Seen | null): Subject {
  if (message === null) throw new RpcError('FIELD_REQUIRED', `${field} is missing`, { field })
  if (message.pieces !== null) return readSubject(readerOf(bytes, message.pieces), field)
  const { from, to } = message
  const known = subjects.get(bytes, from, to)
  if (known !== null) return known
  const subject = readSubject(new WireReader(bytes, from, to), field)
  subjects.set(bytes, from, to, subject)
  return subject
}

function checkedChain(chain: readonly string[]): readonly string[] {
  const field = 'delegation_chain'
  if (chain.length > LIMITS.delegationChain) {
    throw overLimit(field, `has ${chain.length} entries`, `${LIMITS.delegationChain}`)
  }
  chain.forEach((agent, i) => {
    name(`${field}[${i}]`, agent)
  })
  return chain
}

/** To the reader's end. */
function readSubject(reader: WireReader, field: string): Subject {
  let id = ''
  let labels: Record<string, string> | null = null
  let count = 0
  let fault: RpcError | null = null
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === SUBJECT_ID) id = reader.name()
    else if (tag === SUBJECT_LABELS) {
      labels ??= emptyObject<string>()
      fault = readLabel(reader, `${field}.labels`, labels) ?? fault
      count++
    } else reader.skip(tag)
  }
  name(idField[field] ?? field, id)
  if (count > LIMITS.labels) throw overLimit(`${field}.labels`, `has ${count} entries`, `${LIMITS.labels}`)
  if (fault !== null) throw fault
  return Object.freeze({ id, labels: labels === null ? NO_LABELS : Object.freeze(labels) })
}

/** Made once: most ids are well. */
const idField: Readonly<Record<string, string>> = { agent: 'agent.id', principal: 'principal.id' }

/** Adds a label, or says why not. */
function readLabel(reader: WireReader, field: string, labels: Record<string, string>): RpcError | null {
  const to = reader.length() + reader.at
  const { end } = reader
  reader.end = to
  let key = ''
  let value = ''
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === LABEL_KEY) key = reader.name()
    else if (tag === LABEL_VALUE) value = reader.name()
    else reader.skip(tag)
  }
  reader.end = end
  // Nearly every label: short enough whatever its characters, neither empty nor known.
  const isShort = key.length * 3 <= LIMITS.nameBytes && value.length * 3 <= LIMITS.nameBytes
  if (!isShort || key === '' || value === '' || key === '__proto__' || key in labels) {
    try {
      checkLabel(field, key, value, labels)
    } catch (error) {
      if (error instanceof RpcError) return error
      throw error
    }
  }
  labels[key] = value
  return null
}

function checkLabel(field: string, key: string, value: string, labels: Readonly<Record<string, string>>): void {
  if (key === '__proto__') {
    throw new RpcError('FIELD_INVALID', `${field} has the key \`__proto__\`, which is not accepted`, { field })
  }
  name(`${field} key`, key)
  name(`${field}[${quoteForMessage(key)}]`, value)
  if (key in labels) {
    throw new RpcError('FIELD_INVALID', `${field} has the key ${quoteForMessage(key)} twice`, { field })
  }
}

/** Both forms give the same values, so that decision and digest do not depend on the caller's choice. */
function readObject(bytes: Buffer, field: 'arguments' | 'context', message: Seen, jsonTag: number): JsonObject {
  const isJson = message.tag === jsonTag
  try {
    if (isJson) return parseJsonBytes(bytes, message.from, message.to, JSON_LIMITS)
    return boundedStruct(field, bytes, rangesOf(message))
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    const form = isJson ? `${field}_json` : `${field}_struct`
    if (error.code === 'too-large') throw overLimit(form, 'is too large', `${LIMITS.jsonBytes} bytes`)
    const reason = field === 'arguments' ? 'ARGUMENTS_INVALID' : 'CONTEXT_INVALID'
    throw new RpcError(reason, `${form}: ${error.message}`, { field: form, path: error.path, problem: error.code })
  }
}

/** A control character of a text takes six bytes in JSON; nothing else grows by as much. */
const JSON_BYTES_PER_STRUCT_BYTE = 6

function boundedStruct(field: string, bytes: Buffer, ranges: readonly Range[]): JsonObject {
  const value = readStruct(bytes, ranges, LIMITS.jsonDepth)
  const size = ranges.reduce((sum, { from, to }) => sum + to - from, 0)
  if (size * JSON_BYTES_PER_STRUCT_BYTE <= LIMITS.jsonBytes) return value
  const jsonBytes = Buffer.byteLength(canonicalJson(value))
  if (jsonBytes > LIMITS.jsonBytes) {
    throw overLimit(`${field}_struct`, `has ${jsonBytes} bytes as JSON`, `${LIMITS.jsonBytes} bytes`)
  }
  return value
}
