import { emptyObject, type JsonObject, type JsonValue } from '../../../model/json.js'
import { JsonError, type JsonErrorCode, jsonPath, quoteForMessage } from '../../../model/json-error.js'
import { type Range, readerOf, type WireReader } from './wire-reader.js'

// Tags of google.protobuf.Struct and its kin: number << 3 | wire type.
const FIELDS = 10
const KEY = 10
const VALUE = 18
const LIST_VALUES = 10
const NULL = 8
const NUMBER = 17
const STRING = 26
const BOOL = 32
const STRUCT = 42
const LIST = 50

/**
 * Reads a google.protobuf.Struct straight into the values that the same JSON text would give, with the same refusals: a key
 * given twice, `__proto__`, numbers that are not finite, values of no kind, too many levels.
 *
 * @throws {JsonError} with `byteOffset` -1
 * @throws {MalformedMessage}
 */
export function readStruct(bytes: Buffer, ranges: readonly Range[], maxDepth: number): JsonObject {
  return new StructReader(maxDepth).object(readerOf(bytes, ranges), 1)
}

class StructReader {
  readonly #maxDepth: number
  /** The key or index being read at each depth; entries past the current depth are stale. */
  readonly #steps: (string | number)[] = []

  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth
  }

  /** From where the reader stands to its end. `depth` counts this object. */
  object(reader: WireReader, depth: number): JsonObject {
    this.#checkDepth(depth)
    const object = emptyObject<JsonValue>()
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === FIELDS) this.#entry(reader, object, depth)
      else reader.skip(tag)
    }
    return object
  }

  #entry(reader: WireReader, object: Record<string, JsonValue>, depth: number): void {
    const to = reader.length() + reader.at
    const { end } = reader
    reader.end = to
    let key = ''
    let from = -1
    let until = -1
    let pieces: Range[] | null = null
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === KEY) key = reader.name()
      else if (tag === VALUE) {
        const length = reader.length()
        if (from >= 0) pieces = [...(pieces ?? [{ from, to: until }]), { from: reader.at, to: reader.at + length }]
        from = reader.at
        until = reader.at += length
      } else reader.skip(tag)
    }
    if (key === '__proto__') {
      throw this.#error('forbidden-key', 'the key `__proto__` is not accepted', depth - 1)
    }
    if (key in object) {
      throw this.#error('duplicate-key', `the key ${quoteForMessage(key)} is given twice`, depth - 1)
    }
    this.#steps[depth - 1] = key
    if (pieces !== null) object[key] = this.#value(readerOf(reader.bytes, pieces), depth)
    else if (from < 0) throw this.#noKind(depth)
    else {
      reader.at = from
      reader.end = until
      object[key] = this.#value(reader, depth)
    }
    reader.at = to
    reader.end = end
  }

  /** To the reader's end. A later kind takes the place of an earlier one; pieces of one inner message are one message. */
  #value(reader: WireReader, depth: number): JsonValue {
    let kind = 0
    let value: JsonValue = null
    let from = 0
    let to = 0
    let pieces: Range[] | null = null
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      switch (tag) {
        case NULL:
          reader.bool()
          value = null
          break
        case NUMBER:
          value = reader.double()
          break
        case STRING:
          value = reader.name()
          break
        case BOOL:
          value = reader.bool()
          break
        case STRUCT:
        case LIST: {
          const length = reader.length()
          const range = { from: reader.at, to: reader.at + length }
          pieces = kind === tag ? [...(pieces ?? [{ from, to }]), range] : null
          from = range.from
          to = range.to
          reader.at = to
          break
        }
        default:
          reader.skip(tag)
          continue
      }
      kind = tag
    }
    if (kind === STRUCT || kind === LIST) {
      const inner = pieces === null ? reader : readerOf(reader.bytes, pieces)
      if (pieces === null) {
        reader.at = from
        reader.end = to
      }
      return kind === STRUCT ? this.object(inner, depth + 1) : this.#list(inner, depth + 1)
    }
    if (kind === 0) throw this.#noKind(depth)
    if (kind !== NUMBER) return value
    if (!Number.isFinite(value)) throw this.#error('number-range', 'the number is not finite', depth)
    // Minus zero is zero.
    return value === 0 ? 0 : value
  }

  #list(reader: WireReader, depth: number): JsonValue[] {
    this.#checkDepth(depth)
    const items: JsonValue[] = []
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag !== LIST_VALUES) {
        reader.skip(tag)
        continue
      }
      this.#steps[depth - 1] = items.length
      const to = reader.length() + reader.at
      const { end } = reader
      reader.end = to
      items.push(this.#value(reader, depth))
      reader.at = to
      reader.end = end
    }
    return items
  }

  #checkDepth(depth: number): void {
    if (depth <= this.#maxDepth) return
    throw this.#error('too-deep', `nested deeper than the limit of ${this.#maxDepth}`, depth - 1)
  }

  #noKind(depth: number): JsonError {
    return this.#error('bad-value', 'the value has no kind set; send null_value for null', depth)
  }

  #error(code: JsonErrorCode, what: string, depth: number): JsonError {
    return new JsonError(code, what, -1, jsonPath(this.#steps.slice(0, depth)))
  }
}
