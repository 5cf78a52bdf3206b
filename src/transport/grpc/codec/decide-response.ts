import type { MessageTypeDefinition } from '@grpc/proto-loader'
import type { Decision, MatchedRule } from '../../../model/decision.js'
import { type Outcome, REASON_CODES } from '../../../model/outcome.js'
import type { Answer } from '../../../pdp.js'
import { RpcError } from '../errors.js'
import { toApproval, toMatchedRule, toNearMiss } from '../to-response.js'

// DecideResponse, DecideResult and so on, byte for byte as proto-loader encodes them, fields of the value 0 included; a test holds
// that. What follows from the Decision alone is encoded once, its inner messages by the loader itself, for equal answers are one
// frozen Decision.

type Encode = (message: object) => Buffer

/** The loader's encoding of the messages that are not written here. */
export interface LoaderTypes {
  readonly response: MessageTypeDefinition<object, object>
  readonly error: MessageTypeDefinition<object, object>
}

/** An answer, or why there is none, of one call among several. */
export type Result = Answer | RpcError

/** A result of a stream, with the id that the caller matches it by. */
export interface StreamResult {
  readonly requestId: string
  readonly result: Result
}

// Tags of DecideResponse: number << 3 | wire type.
const DECISION_ID = 0x0a
const OUTCOME = 0x10
const REASON = 0x1a
const REASON_CODE = 0x20
const POLICY_REVISION = 0x42
const EVALUATION_NS = 0x48
const REQUEST_ID = 0x5a
const RECEIPT = 0x6a

/** A DecideResponse but for its decision_id, evaluation_ns, request_id and receipt, which stand around its three parts. */
interface Encoded {
  /** Fields 2 to 8. */
  readonly head: Buffer
  /** Field 10. */
  readonly middle: Buffer
  /** Field 12. */
  readonly tail: Buffer
  readonly length: number
}

export class ReplyEncoder {
  readonly #encoded = new WeakMap<Decision, Encoded>()
  readonly #rules = new WeakMap<MatchedRule, Buffer>()
  readonly #response: Encode
  readonly #error: Encode
  /** The decision asked for last: many calls in a row get the same answer. */
  #last: Decision | null = null
  #lastEncoded: Encoded | null = null

  constructor(types: LoaderTypes) {
    this.#response = types.response.serialize
    this.#error = types.error.serialize
  }

  /** A DecideResponse. */
  response(answer: Answer): Buffer {
    const encoded = this.#of(answer.decision)
    const bytes = Buffer.allocUnsafe(responseLength(answer, encoded))
    writeResponse(bytes, 0, answer, encoded)
    return bytes
  }

  /** A DecideBatchResponse: results of field 1, each a DecideResult with its response in field 1 or its error in field 2. */
  batch(results: readonly Result[]): Buffer {
    return this.#results(results, null)
  }

  /** An ExplainResponse: the response in field 1. */
  explained(answer: Answer): Buffer {
    const response = this.response(answer)
    const head = Buffer.alloc(10)
    head[0] = 0x0a
    return Buffer.concat([head.subarray(0, writeVarint(head, 1, response.length)), response])
  }

  /** A DecideStreamResponse: request_id in field 1, then as in a batch, one field further. */
  streamed({ requestId, result }: StreamResult): Buffer {
    const bytes = this.#results([result], [requestId])
    let at = 1
    while (bytes[at]! >= 0x80) at++
    return bytes.subarray(at + 1)
  }

  /** A DecideBatchStreamResponse: results of field 1, each a DecideStreamResponse. */
  streamedBatch(results: readonly StreamResult[]): Buffer {
    return this.#results(
      results.map(({ result }) => result),
      results.map(({ requestId }) => requestId),
    )
  }

  #results(results: readonly Result[], requestIds: readonly string[] | null): Buffer {
    const lengths = new Array<number>(results.length)
    const inner = new Array<number>(results.length)
    const parts = new Array<Encoded | Buffer>(results.length)
    let total = 0
    for (let i = 0; i < results.length; i++) {
      const result = results[i]!
      const part = result instanceof RpcError ? this.#encodeError(result) : this.#of(result.decision)
      parts[i] = part
      inner[i] = result instanceof RpcError ? part.length : responseLength(result, part as Encoded)
      lengths[i] = inner[i]! + 1 + varintLength(inner[i]!) + (requestIds === null ? 0 : textLength(requestIds[i]!))
      total += lengths[i]! + 1 + varintLength(lengths[i]!)
    }
    const bytes = Buffer.allocUnsafe(total)
    const field = requestIds === null ? 1 : 2
    let at = 0
    for (let i = 0; i < results.length; i++) {
      const result = results[i]!
      bytes[at++] = 0x0a
      at = writeVarint(bytes, at, lengths[i]!)
      if (requestIds !== null) at = writeText(bytes, at, 0x0a, requestIds[i]!)
      const isError = result instanceof RpcError
      bytes[at++] = ((isError ? field + 1 : field) << 3) | 2
      at = writeVarint(bytes, at, inner[i]!)
      if (isError) {
        bytes.set(parts[i] as Buffer, at)
        at += inner[i]!
      } else at = writeResponse(bytes, at, result, parts[i] as Encoded)
    }
    return bytes
  }

  #encodeError(error: RpcError): Buffer {
    return this.#error({ code: error.code, reason: error.reason, message: error.message })
  }

  #of(decision: Decision): Encoded {
    if (decision === this.#last) return this.#lastEncoded!
    let encoded = this.#encoded.get(decision)
    if (encoded === undefined) {
      encoded = this.#encode(decision)
      this.#encoded.set(decision, encoded)
    }
    this.#last = decision
    this.#lastEncoded = encoded
    return encoded
  }

  #encode(decision: Decision): Encoded {
    const { obligations, monitored, nearMisses } = decision
    const approval = toApproval(decision)
    const others = obligations.length > 0 || approval !== undefined
    const head = Buffer.concat([
      numberField(OUTCOME, OUTCOMES[decision.outcome]),
      textField(REASON, decision.reason),
      numberField(REASON_CODE, REASON_CODES.indexOf(decision.reasonCode) + 1),
      ...decision.matched.map((rule) => this.#rule(rule)),
      others ? this.#response({ obligations, approval }) : NOTHING,
      textField(POLICY_REVISION, decision.policyRevision),
    ])
    const middle = monitored.length > 0 ? this.#response({ monitoredRules: monitored.map(toMatchedRule) }) : NOTHING
    const tail = nearMisses.length > 0 ? this.#response({ nearMisses: nearMisses.map(toNearMiss) }) : NOTHING
    return { head, middle, tail, length: head.length + middle.length + tail.length }
  }

  /** A rule with its tag and length; the same rules come in many answers. */
  #rule(rule: MatchedRule): Buffer {
    let bytes = this.#rules.get(rule)
    if (bytes === undefined) {
      bytes = this.#response({ matchedRules: [toMatchedRule(rule)] })
      this.#rules.set(rule, bytes)
    }
    return bytes
  }
}

const NOTHING = Buffer.alloc(0)
/** Numbers of the proto's enum, in which 0 is nobody's. */
const OUTCOMES: Readonly<Record<Outcome, number>> = { ALLOW: 1, DENY: 2, REQUIRE_APPROVAL: 3 }

function numberField(tag: number, value: number): Buffer {
  const bytes = Buffer.alloc(1 + varintLength(value), tag)
  writeVarint(bytes, 1, value)
  return bytes
}

function textField(tag: number, text: string): Buffer {
  const bytes = Buffer.alloc(textLength(text))
  writeText(bytes, 0, tag, text)
  return bytes
}

function responseLength({ decisionId, requestId, evaluationNs, receipt }: Answer, encoded: Encoded): number {
  const length = encoded.length + textLength(decisionId) + textLength(requestId) + 1 + varintLength(evaluationNs)
  return receipt === '' ? length : length + textLength(receipt)
}

function writeResponse(bytes: Buffer, from: number, answer: Answer, { head, middle, tail }: Encoded): number {
  let at = writeText(bytes, from, DECISION_ID, answer.decisionId)
  bytes.set(head, at)
  at += head.length
  bytes[at++] = EVALUATION_NS
  at = writeVarint(bytes, at, answer.evaluationNs)
  if (middle.length > 0) bytes.set(middle, at)
  at = writeText(bytes, at + middle.length, REQUEST_ID, answer.requestId)
  if (tail.length > 0) bytes.set(tail, at)
  at += tail.length
  return answer.receipt === '' ? at : writeText(bytes, at, RECEIPT, answer.receipt)
}

/** Ids are short and of ASCII: looked at and written here for as long as they are, for a call into the runtime costs more. */
const MOST_LOOKED_AT = 0x7f

function isShortAscii(text: string): boolean {
  const { length } = text
  if (length > MOST_LOOKED_AT) return false
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

/** Of a field with its tag and length. */
function textLength(text: string): number {
  if (isShortAscii(text)) return 2 + text.length
  const length = Buffer.byteLength(text)
  return 1 + varintLength(length) + length
}

function writeText(bytes: Buffer, from: number, tag: number, text: string): number {
  let at = from
  bytes[at++] = tag
  if (!isShortAscii(text)) {
    at = writeVarint(bytes, at, Buffer.byteLength(text))
    return at + bytes.write(text, at, 'utf8')
  }
  const { length } = text
  bytes[at++] = length
  for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i)
  return at + length
}

/** @param value a whole number from 0 to 2^53 */
function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++
  return length
}

function writeVarint(bytes: Buffer, from: number, value: number): number {
  let at = from
  let rest = value
  while (rest >= 0x80) {
    bytes[at++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  bytes[at++] = rest
  return at
}
