import { canonicalJson } from '../../model/canonical-json.js'
import { JsonError } from '../../model/json-error.js'
import { parseJson } from '../../model/parse-json.js'
import { LIMITS } from '../grpc/limits.js'
import type { TimestampMessage } from '../grpc/wire.js'
import type { Field, FieldKind, Schema } from './schema.js'
import { printTimestamp } from './timestamps.js'

const OWN_LIMITS = { maxBytes: LIMITS.messageBytes, maxDepth: 1_000 }

/**
 * The JSON of a message as the loader decodes it, without white space. Texts, numbers, booleans and lists are always there;
 * left out are messages and times that are not set, fields of a choice that were not chosen, and empty `*_json`.
 */
export function printMessage(schema: Schema, type: string, message: object): string {
  const parts: string[] = []
  for (const field of schema.shape(type).fields) {
    const value: unknown = Reflect.get(message, field.key)
    if (value === null || value === undefined) continue
    const text = printField(schema, field, value)
    if (text !== '') parts.push(`"${field.name}":${text}`)
  }
  return `{${parts.join(',')}}`
}

function printField(schema: Schema, { many, holds }: Field, value: unknown): string {
  if (many === 'one') return print(schema, holds, value)
  if (many === 'list') return `[${(value as unknown[]).map((item) => print(schema, holds, item)).join(',')}]`
  const entries = Object.entries(value as object)
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${print(schema, holds, item)}`).join(',')}}`
}

function print(schema: Schema, holds: FieldKind, value: unknown): string {
  switch (holds.kind) {
    case 'message':
      return printMessage(schema, holds.type, value as object)
    case 'timestamp':
      return `"${printTimestamp(value as TimestampMessage)}"`
    case 'bytes':
      return `"${Buffer.from(value as Uint8Array).toString('base64')}"`
    case 'json':
      return printInner(holds.isText ? (value as string) : Buffer.from(value as Uint8Array).toString('utf8'))
    default:
      return JSON.stringify(value)
  }
}

/** JSON within a message stands there as itself; what is none, such as a text that was cut, as a string. */
function printInner(text: string): string {
  if (text === '') return ''
  try {
    return canonicalJson(parseJson(text, OWN_LIMITS))
  } catch (error) {
    if (error instanceof JsonError) return JSON.stringify(text)
    throw error
  }
}
