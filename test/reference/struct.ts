import type { JsonObject, JsonValue } from '../../src/model/json.js'
import { JsonError, type JsonErrorCode, jsonPath, quoteForMessage } from '../../src/model/json-error.js'
import { JSON_LIMITS, type JsonLimits } from '../../src/model/parse-json.js'

/** A decoded `google.protobuf.Struct` as `@grpc/proto-loader` yields it with `oneofs: true`. */
export interface StructMessage {
  readonly fields?: Readonly<Record<string, ValueMessage>> | null
}
export interface ValueMessage {
  /** The field that is set; absent when the sender set none, which is refused. */
  readonly kind?: string
  readonly nullValue?: unknown
  readonly numberValue?: number
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly structValue?: StructMessage | null
  readonly listValue?: { readonly values?: readonly ValueMessage[] | null } | null
}

/**
 * The same values and refusals as `parseJsonObject`: depth, `__proto__`, lone surrogates, numbers that are not finite; and
 * values with no kind set. Size is bounded by the transport.
 *
 * @throws {JsonError} with `byteOffset` -1
 */
export function decodeStruct(struct: StructMessage, limits: Pick<JsonLimits, 'maxDepth'> = JSON_LIMITS): JsonObject {
  return new Decoder(limits.maxDepth).object(struct, 1)
}

class Decoder {
  readonly #maxDepth: number
  readonly #steps: (string | number)[] = []

  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth
  }

  /** `depth` counts this object. */
  object(struct: StructMessage, depth: number): JsonObject {
    this.#checkDepth(depth)
    const object: Record<string, JsonValue> = Object.create(null)
    const fields = struct.fields
    if (fields === undefined || fields === null) return object
    this.#refuseProto(fields, depth)
    for (const key of Object.keys(fields)) {
      this.#steps[depth - 1] = key
      if (!key.isWellFormed()) throw this.#error('encoding', 'the key holds a lone surrogate', depth)
      object[key] = this.#value(fields[key], depth)
    }
    return object
  }

  /** Decoders that build maps by assignment turn the key `__proto__` into the map's prototype; it is seen there. */
  #refuseProto(fields: object, depth: number): void {
    const prototype = Object.getPrototypeOf(fields)
    if (Object.hasOwn(fields, '__proto__') || (prototype !== Object.prototype && prototype !== null)) {
      throw this.#error('forbidden-key', 'the key `__proto__` is not accepted', depth - 1)
    }
  }

  #value(value: ValueMessage | undefined, depth: number): JsonValue {
    if (value === undefined || value === null) throw this.#error('bad-value', 'the value is missing', depth)
    switch (value.kind) {
      case 'nullValue':
        return null
      case 'numberValue':
        return this.#number(value.numberValue, depth)
      case 'stringValue':
        return this.#string(value.stringValue, depth)
      case 'boolValue':
        return value.boolValue === true
      case 'structValue':
        return this.object(value.structValue ?? {}, depth + 1)
      case 'listValue':
        return this.#list(value.listValue?.values ?? [], depth + 1)
      case undefined:
        throw this.#error('bad-value', 'the value has no kind set; send null_value for null', depth)
      default:
        throw this.#error('bad-value', `unknown kind of value ${quoteForMessage(value.kind)}`, depth)
    }
  }

  #number(value: unknown, depth: number): number {
    if (typeof value !== 'number') throw this.#error('bad-value', 'number_value holds no number', depth)
    if (!Number.isFinite(value)) throw this.#error('number-range', 'the number is not finite', depth)
    return value === 0 ? 0 : value
  }

  #string(value: unknown, depth: number): string {
    if (typeof value !== 'string') throw this.#error('bad-value', 'string_value holds no string', depth)
    if (!value.isWellFormed()) throw this.#error('encoding', 'the string holds a lone surrogate', depth)
    return value
  }

  #list(values: readonly ValueMessage[], depth: number): JsonValue[] {
    this.#checkDepth(depth)
    const items: JsonValue[] = []
    for (let i = 0; i < values.length; i++) {
      this.#steps[depth - 1] = i
      items.push(this.#value(values[i], depth))
    }
    return items
  }

  #checkDepth(depth: number): void {
    if (depth <= this.#maxDepth) return
    throw this.#error('too-deep', `nested deeper than the limit of ${this.#maxDepth}`, depth - 1)
  }

  #error(code: JsonErrorCode, what: string, depth: number): JsonError {
    return new JsonError(code, what, -1, jsonPath(this.#steps.slice(0, depth)))
  }
}
