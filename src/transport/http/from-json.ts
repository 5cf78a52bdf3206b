import { canonicalJson } from '../../model/canonical-json.js'
import type { JsonObject, JsonValue } from '../../model/json.js'
import { JsonError, quoteForMessage } from '../../model/json-error.js'
import { parseJson } from '../../model/parse-json.js'
import { RpcError } from '../grpc/errors.js'
import { LIMITS } from '../grpc/limits.js'
import type { Field, FieldKind, Schema } from './schema.js'
import { readTimestamp } from './timestamps.js'

/** What a message itself nests around arguments: calls of a batch, a call, its arguments; and room to spare. */
const LEVELS_AROUND = 16
const BODY_LIMITS = { maxBytes: LIMITS.messageBytes, maxDepth: LIMITS.jsonDepth + LEVELS_AROUND }

/**
 * A message out of its JSON, as the loader serialises it. Fields go by either spelling of their names; one that is unknown,
 * given twice or of another type is refused, and so is a second field of one choice. null stands for a field that is left out.
 *
 * @throws {RpcError}
 */
export function readMessage(schema: Schema, type: string, body: Uint8Array): object {
  let value: JsonValue
  try {
    value = parseJson(body, BODY_LIMITS)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw new RpcError('MESSAGE_UNDECODABLE', `the body: ${error.message}`, { path: error.path, problem: error.code })
  }
  return new MessageReader(schema).message(type, '', value)
}

class MessageReader {
  readonly #schema: Schema

  constructor(schema: Schema) {
    this.#schema = schema
  }

  message(type: string, path: string, value: JsonValue): object {
    const { byName } = this.#schema.shape(type)
    const given = objectAt(path, value)
    const message: Record<string, unknown> = {}
    const seen = new Set<Field>()
    const chosen = new Map<string, Field>()
    for (const [name, item] of Object.entries(given)) {
      const field = byName.get(name)
      if (field === undefined) throw unknownField(path, name, byName.keys())
      const at = join(path, field.name)
      if (seen.has(field)) throw invalid(at, 'is given twice, in both spellings of its name')
      seen.add(field)
      if (item === null) continue
      const other = field.oneof === null ? undefined : chosen.get(field.oneof)
      if (other !== undefined) throw invalid(at, `and ${other.name} are both given; only one of them may be`)
      if (field.oneof !== null) chosen.set(field.oneof, field)
      message[field.key] = this.#field(field, at, item)
    }
    return message
  }

  #field({ many, holds }: Field, path: string, value: JsonValue): unknown {
    if (many === 'one') return this.#value(holds, path, value)
    if (many === 'map') {
      const entries = Object.entries(objectAt(path, value))
      return Object.fromEntries(
        entries.map(([key, item]) => [key, this.#value(holds, `${path}[${quoteForMessage(key)}]`, item)]),
      )
    }
    if (!Array.isArray(value)) throw wrong(path, 'a list', value)
    return value.map((item: JsonValue, i) => this.#value(holds, `${path}[${i}]`, item))
  }

  #value(holds: FieldKind, path: string, value: JsonValue): unknown {
    switch (holds.kind) {
      case 'string':
        if (typeof value !== 'string') throw wrong(path, 'a string', value)
        return value
      case 'bool':
        if (typeof value !== 'boolean') throw wrong(path, 'true or false', value)
        return value
      case 'double':
        if (typeof value !== 'number') throw wrong(path, 'a number', value)
        return value
      case 'integer':
        return integer(path, value, holds.min, holds.max)
      case 'bytes':
        return base64(path, value)
      case 'timestamp':
        return timestamp(path, value)
      case 'enum':
        if (typeof value === 'string' && holds.names.includes(value)) return value
        throw invalid(path, `must be one of ${holds.names.join(', ')}`)
      case 'json': {
        const text = canonicalJson(value)
        return holds.isText ? text : Buffer.from(text)
      }
      case 'struct':
        return struct(path, objectAt(path, value))
      case 'message':
        return this.message(holds.type, path, value)
    }
  }
}

/** 64 bits may come as text, as protobuf prints them. */
function integer(path: string, value: JsonValue, min: number, max: number): number {
  const number = typeof value === 'string' && /^-?(?:0|[1-9][0-9]{0,15})$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number
  throw invalid(path, `must be a whole number from ${min} to ${max}`)
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function base64(path: string, value: JsonValue): Buffer {
  if (typeof value === 'string' && BASE64.test(value)) return Buffer.from(value, 'base64')
  throw wrong(path, 'bytes in base64', value)
}

function timestamp(path: string, value: JsonValue): object {
  const time = typeof value === 'string' ? readTimestamp(value) : null
  if (time !== null) return time
  throw wrong(path, 'a time such as 2026-01-31T09:30:00Z', value)
}

/** google.protobuf.Struct, as the loader takes it. Its numbers are doubles. */
function struct(path: string, value: JsonObject): object {
  const fields = Object.entries(value).map(([key, item]) => [key, structValue(path, item)])
  return { fields: Object.fromEntries(fields) }
}

function structValue(path: string, value: JsonValue): object {
  switch (typeof value) {
    case 'string':
      return { stringValue: value }
    case 'number':
      return { numberValue: value }
    case 'boolean':
      return { boolValue: value }
    case 'bigint': {
      const exact = path.replace(/_struct$/, '_json')
      throw invalid(path, `has an integer past 2^53, which a Struct cannot hold; give it in ${exact}`)
    }
    default:
      if (value === null) return { nullValue: 'NULL_VALUE' }
      if (Array.isArray(value))
        return { listValue: { values: value.map((item: JsonValue) => structValue(path, item)) } }
      return { structValue: struct(path, value as JsonObject) }
  }
}

function objectAt(path: string, value: JsonValue): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw wrong(path, 'an object', value)
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function unknownField(path: string, name: string, names: Iterable<string>): RpcError {
  const known = [...names].filter((each) => !/[A-Z]/.test(each))
  const which = known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`
  return invalid(join(path, quoteForMessage(name)), `is no field of this message; ${which}`)
}

function wrong(path: string, wanted: string, value: JsonValue): RpcError {
  return invalid(path, `must be ${wanted}, and is ${kindOf(value)}`)
}

function invalid(path: string, fault: string): RpcError {
  return new RpcError('FIELD_INVALID', `${path || 'the body'} ${fault}`, path === '' ? {} : { field: path })
}

function kindOf(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'bigint' || typeof value === 'number') return 'a number'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
