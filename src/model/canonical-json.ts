import { createHash, hash } from 'node:crypto'
import type { JsonObject, JsonValue } from './json.js'

/**
 * Canonical text by RFC 8785 (JCS): no white space, keys sorted by UTF-16 units, numbers as ECMAScript prints them. Beyond
 * the RFC, a `bigint` is printed as its digits, so that integers a double cannot hold keep distinct texts.
 *
 * @param value well-formed strings and finite numbers only, as `parseJson` and `decodeStruct` yield them
 * @throws {RangeError} for a number that is not finite or a string with a lone surrogate, which have no canonical form
 */
export function canonicalJson(value: JsonValue): string {
  switch (typeof value) {
    case 'string':
      return canonicalString(value)
    case 'number':
      if (!Number.isFinite(value)) throw new RangeError('a number that is not finite has no canonical form')
      return String(value)
    case 'bigint':
      return value.toString()
    case 'boolean':
      return value ? 'true' : 'false'
    default:
      if (value === null) return 'null'
      return Array.isArray(value) ? canonicalArray(value) : canonicalObject(value as JsonObject)
  }
}

/** SHA-256 over the UTF-8 bytes of the canonical text, 64 lower-case hexadecimal digits. */
export function digest(value: JsonValue): string {
  return sha256Hex(canonicalJson(value))
}

/** SHA-256 over the UTF-8 bytes of the text, 64 lower-case hexadecimal digits. */
export function sha256Hex(text: string): string {
  // In one step where Node has it (20.12): it costs half.
  return typeof hash === 'function'
    ? hash('sha256', text, 'hex')
    : createHash('sha256').update(text, 'utf8').digest('hex')
}

function canonicalArray(items: readonly JsonValue[]): string {
  let text = '['
  for (let i = 0; i < items.length; i++) text += i === 0 ? canonicalJson(items[i]!) : `,${canonicalJson(items[i]!)}`
  return `${text}]`
}

function canonicalObject(object: JsonObject): string {
  let text = '{'
  for (const key of sortedKeys(object)) {
    if (text.length > 1) text += ','
    text += `${canonicalString(key)}:${canonicalJson(object[key]!)}`
  }
  return `${text}}`
}

/** By UTF-16 units, as the RFC asks and as the default order of `sort` is; most objects come in order. */
function sortedKeys(object: JsonObject): readonly string[] {
  const keys = Object.keys(object)
  for (let i = 1; i < keys.length; i++) if (keys[i - 1]! > keys[i]!) return keys.sort()
  return keys
}

/** Printable ASCII but for the quote and the backslash: nothing to escape. */
const PLAIN = /^[ !#-[\]-~]*$/

function canonicalString(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`
  if (!text.isWellFormed()) throw new RangeError('a string with a lone surrogate has no canonical form')
  return JSON.stringify(text)
}
