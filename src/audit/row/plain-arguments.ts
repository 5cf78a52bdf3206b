import type { JsonObject, JsonValue } from '../../model/json.js'
import { holdsSecret, isCard, isSecretKey, MAX_ARGUMENTS_BYTES, MAX_DEPTH } from '../mask.js'
import { type Cursor, FULL, PLAIN, SUSPECT } from './cursor.js'

/** Keys come again and again; the bounds keep hostile ones from filling the memory. */
const MAX_KNOWN_KEYS = 4_096
const MAX_KNOWN_LENGTH = 64
/** Numbers below have fewer digits than a card. */
const FEWER_DIGITS = 1e12

/**
 * Prints arguments that hold no secret, which most do: canonical JSON (RFC 8785), straight into the bytes of the row.
 * Everything else is for the masker.
 */
export class PlainArguments {
  /** `"key":` of the keys that are harmless, null for the others. */
  readonly #keys = new Map<string, Buffer | null>()
  #from = 0

  /** False when the arguments are none of these, or the cursor is full; what was written then is to be taken back. */
  write(value: JsonObject, cursor: Cursor): boolean {
    this.#from = cursor.at
    return this.#object(value, cursor, 0) && this.#isWithin(cursor, 0)
  }

  #isWithin(cursor: Cursor, more: number): boolean {
    return cursor.at - this.#from + more <= MAX_ARGUMENTS_BYTES
  }

  #value(value: JsonValue, cursor: Cursor, depth: number): boolean {
    switch (typeof value) {
      case 'string':
        return this.#string(value, cursor)
      case 'number':
        return this.#number(value, cursor)
      case 'boolean':
        cursor.ascii(value ? 'true' : 'false')
        return true
      case 'object':
        if (value === null) {
          cursor.ascii('null')
          return true
        }
        if (depth >= MAX_DEPTH) return false
        return Array.isArray(value)
          ? this.#array(value, cursor, depth + 1)
          : this.#object(value as JsonObject, cursor, depth + 1)
      default:
        return this.#digits(value.toString(), cursor)
    }
  }

  #string(value: string, cursor: Cursor): boolean {
    if (!this.#isWithin(cursor, value.length)) return false
    const found = cursor.plain(value)
    if (found === PLAIN) return true
    if (found === FULL || !value.isWellFormed()) return false
    if (found === SUSPECT && holdsSecret(value)) return false
    cursor.json(JSON.stringify(value))
    return true
  }

  #number(value: number, cursor: Cursor): boolean {
    // What is not finite has no JSON.
    if (!Number.isFinite(value)) return false
    if (value >= 0 && value < FEWER_DIGITS && Number.isInteger(value)) {
      cursor.integer(value)
      return true
    }
    return this.#digits(JSON.stringify(value), cursor)
  }

  #digits(digits: string, cursor: Cursor): boolean {
    if (isCard(digits)) return false
    cursor.ascii(digits)
    return true
  }

  #array(items: readonly JsonValue[], cursor: Cursor, depth: number): boolean {
    cursor.ascii('[')
    for (let i = 0; i < items.length; i++) {
      if (i > 0) cursor.ascii(',')
      if (!this.#value(items[i]!, cursor, depth)) return false
    }
    cursor.ascii(']')
    return true
  }

  #object(object: JsonObject, cursor: Cursor, depth: number): boolean {
    const keys = Object.keys(object)
    if (!isSorted(keys)) keys.sort()
    cursor.ascii('{')
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      const literal = this.#key(key)
      if (literal === null) return false
      if (i > 0) cursor.ascii(',')
      cursor.raw(literal)
      if (!this.#value(object[key]!, cursor, depth)) return false
    }
    cursor.ascii('}')
    return !cursor.isFull
  }

  #key(key: string): Buffer | null {
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    const isHarmless = !isSecretKey(key) && key.isWellFormed() && !holdsSecret(key)
    const literal = isHarmless ? Buffer.from(`${JSON.stringify(key)}:`) : null
    if (this.#keys.size >= MAX_KNOWN_KEYS) this.#keys.clear()
    if (key.length <= MAX_KNOWN_LENGTH) this.#keys.set(key, literal)
    return literal
  }
}

/** By UTF-16 units, as RFC 8785 asks and `sort` does by default. */
function isSorted(keys: readonly string[]): boolean {
  for (let i = 1; i < keys.length; i++) if (keys[i - 1]! > keys[i]!) return false
  return true
}
