import { isUtf8 } from 'node:buffer'
import type { JsonObject, JsonValue } from './json.js'
import { JsonError, type JsonErrorCode, jsonPath, quoteForMessage } from './json-error.js'
import { readPlainJson } from './plain-json.js'

export interface JsonLimits {
  /** Largest text in UTF-8 bytes. */
  readonly maxBytes: number
  /** Largest nesting; `[[1]]` has depth 2. At most 1,000, for the reader recurses. */
  readonly maxDepth: number
}

export const JSON_LIMITS: JsonLimits = { maxBytes: 256 * 1024, maxDepth: 64 }

/**
 * Reads arguments or a context: RFC 8259, strictly, with a top-level object.
 *
 * Stricter than `JSON.parse`, for two readers of one text must never see two values: a key given twice, the key
 * `__proto__`, lone surrogates, invalid UTF-8, a byte order mark and numbers beyond a double's range are refused. Integers
 * that a double cannot hold exactly become `bigint`; other numbers the nearest double; `-0` becomes `0`.
 *
 * @throws {JsonError}
 */
export function parseJsonObject(text: Uint8Array | string, limits: JsonLimits = JSON_LIMITS): JsonObject {
  const value = parseJson(text, limits)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new JsonError('not-an-object', `expected a JSON object, found ${kindOf(value)}`, 0, '$')
  }
  return value as JsonObject
}

/**
 * {@link parseJsonObject} of bytes `from` to `to`, which the plain reader reads first.
 *
 * @throws {JsonError}
 */
export function parseJsonBytes(bytes: Buffer, from: number, to: number, limits: JsonLimits): JsonObject {
  const plain = to - from <= limits.maxBytes ? readPlainJson(bytes, from, to, limits.maxDepth) : null
  return plain ?? parseJsonObject(bytes.subarray(from, to), limits)
}

/**
 * Like {@link parseJsonObject}, for any top-level value.
 *
 * @throws {JsonError}
 */
export function parseJson(text: Uint8Array | string, limits: JsonLimits = JSON_LIMITS): JsonValue {
  return new Reader(typeof text === 'string' ? checkText(text, limits) : decodeUtf8(text, limits), limits).document()
}

function checkText(text: string, limits: JsonLimits): string {
  if (text.length > limits.maxBytes || Buffer.byteLength(text) > limits.maxBytes) throw tooLarge(limits)
  if (!text.isWellFormed()) {
    throw new JsonError('encoding', 'the text holds a lone surrogate', Buffer.byteLength(wellFormedPrefix(text)), '$')
  }
  return text
}

function wellFormedPrefix(text: string): string {
  let end = 0
  for (const character of text) {
    if (!character.isWellFormed()) break
    end += character.length
  }
  return text.slice(0, end)
}

function decodeUtf8(bytes: Uint8Array, limits: JsonLimits): string {
  if (bytes.length > limits.maxBytes) throw tooLarge(limits)
  if (!isUtf8(bytes)) throw new JsonError('encoding', 'the bytes are not UTF-8', firstInvalidUtf8(bytes), '$')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** Offset of the first byte that is no part of a valid character. */
function firstInvalidUtf8(bytes: Uint8Array): number {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  let offset = 0
  let from = 0
  for (;;) {
    const replaced = text.indexOf('\ufffd', from)
    if (replaced < 0) return bytes.length
    offset += Buffer.byteLength(text.slice(from, replaced))
    // A replacement character that the sender wrote is valid; the decoder's own stands for the first bad byte.
    if (bytes[offset] !== 0xef || bytes[offset + 1] !== 0xbf || bytes[offset + 2] !== 0xbd) return offset
    offset += 3
    from = replaced + 1
  }
}

function tooLarge(limits: JsonLimits): JsonError {
  return new JsonError(
    'too-large',
    `the text is larger than the limit of ${limits.maxBytes} bytes`,
    limits.maxBytes,
    '$',
  )
}

function kindOf(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'bigint') return 'a number'
  return `a ${typeof value}`
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
/** Integers of up to 15 digits are exact in a double. */
const EXACT_DIGITS = 15

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

/** Recursive descent over well-formed UTF-16; recursion is bounded by `maxDepth`. */
class Reader {
  readonly #text: string
  readonly #maxDepth: number
  #at = 0
  /** The key or index being read at each depth; entries past the current depth are stale. */
  readonly #steps: (string | number)[] = []
  #depth = 0

  constructor(text: string, limits: JsonLimits) {
    this.#text = text
    this.#maxDepth = limits.maxDepth
  }

  document(): JsonValue {
    this.#skipSpace()
    const value = this.#value()
    this.#skipSpace()
    if (this.#at < this.#text.length) throw this.#unexpected('the end of the text')
    return value
  }

  #value(): JsonValue {
    const c = this.#text.charCodeAt(this.#at)
    switch (c) {
      case 0x7b:
        return this.#object()
      case 0x5b:
        return this.#array()
      case QUOTE:
        return this.#string()
      case 0x74:
        return this.#word('true', true)
      case 0x66:
        return this.#word('false', false)
      case 0x6e:
        return this.#word('null', null)
      default:
        if (c === 0x2d || (c >= 0x30 && c <= 0x39)) return this.#number()
        throw this.#unexpected('a value')
    }
  }

  #object(): JsonObject {
    const object: Record<string, JsonValue> = Object.create(null)
    this.#enter()
    const depth = this.#depth
    this.#skipSpace()
    if (this.#text.charCodeAt(this.#at) === 0x7d) return this.#leave(object)
    for (;;) {
      const keyAt = this.#at
      if (this.#text.charCodeAt(this.#at) !== QUOTE) throw this.#unexpected('a key in double quotes', depth - 1)
      const key = this.#string()
      if (key === '__proto__') {
        throw this.#error('forbidden-key', 'the key `__proto__` is not accepted', keyAt, depth - 1)
      }
      // `in` sees no inherited names: the object has no prototype.
      if (key in object) {
        throw this.#error('duplicate-key', `the key ${quoteForMessage(key)} is given twice`, keyAt, depth - 1)
      }
      this.#steps[depth - 1] = key
      this.#skipSpace()
      if (this.#text.charCodeAt(this.#at) !== 0x3a) throw this.#unexpected('`:`')
      this.#at++
      this.#skipSpace()
      object[key] = this.#value()
      this.#skipSpace()
      const c = this.#text.charCodeAt(this.#at)
      if (c === 0x7d) return this.#leave(object)
      if (c !== 0x2c) throw this.#unexpected('`,` or `}`')
      this.#at++
      this.#skipSpace()
    }
  }

  #array(): JsonValue[] {
    const items: JsonValue[] = []
    this.#enter()
    const depth = this.#depth
    this.#skipSpace()
    if (this.#text.charCodeAt(this.#at) === 0x5d) return this.#leave(items)
    for (;;) {
      this.#steps[depth - 1] = items.length
      items.push(this.#value())
      this.#skipSpace()
      const c = this.#text.charCodeAt(this.#at)
      if (c === 0x5d) return this.#leave(items)
      if (c !== 0x2c) throw this.#unexpected('`,` or `]`')
      this.#at++
      this.#skipSpace()
    }
  }

  #enter(): void {
    if (this.#depth >= this.#maxDepth) {
      throw this.#error('too-deep', `nested deeper than the limit of ${this.#maxDepth}`, this.#at)
    }
    this.#depth++
    this.#at++
  }

  #leave<T>(container: T): T {
    this.#at++
    this.#depth--
    return container
  }

  #string(): string {
    const text = this.#text
    const start = ++this.#at
    for (let i = start; i < text.length; i++) {
      const c = text.charCodeAt(i)
      if (c === QUOTE) {
        this.#at = i + 1
        return text.slice(start, i)
      }
      if (c === BACKSLASH) return this.#stringWithEscapes(start, i)
      if (c < 0x20) throw this.#controlCharacter(i)
    }
    this.#at = text.length
    throw this.#unexpected('`"`')
  }

  #stringWithEscapes(start: number, firstEscape: number): string {
    const text = this.#text
    const parts = [text.slice(start, firstEscape)]
    let i = firstEscape
    while (i < text.length) {
      const c = text.charCodeAt(i)
      if (c === QUOTE) {
        this.#at = i + 1
        const value = parts.join('')
        if (!value.isWellFormed()) {
          throw this.#error('encoding', 'the string holds an escaped lone surrogate', start)
        }
        return value
      }
      if (c === BACKSLASH) {
        const [character, length] = this.#escape(i)
        parts.push(character)
        i += length
      } else {
        const runStart = i
        let r = c
        while (i < text.length && r !== QUOTE && r !== BACKSLASH) {
          if (r < 0x20) throw this.#controlCharacter(i)
          r = text.charCodeAt(++i)
        }
        parts.push(text.slice(runStart, i))
      }
    }
    this.#at = text.length
    throw this.#unexpected('`"`')
  }

  /** The character that the escape at `at` stands for, and the escape's length. */
  #escape(at: number): [string, number] {
    const letter = this.#text.charAt(at + 1)
    if (letter === 'u') {
      const hex = this.#text.slice(at + 2, at + 6)
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.#error('syntax', '`\\u` needs four hexadecimal digits', at)
      return [String.fromCharCode(Number.parseInt(hex, 16)), 6]
    }
    const character = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined
    if (character === undefined) throw this.#error('syntax', 'unknown escape in a string', at)
    return [character, 2]
  }

  #number(): number | bigint {
    NUMBER.lastIndex = this.#at
    const match = NUMBER.exec(this.#text)
    if (match === null) throw this.#unexpected('a digit')
    const digits = match[0]
    const value = Number(digits)
    if (!Number.isFinite(value)) {
      throw this.#error('number-range', 'the number is out of the range of a 64-bit float', this.#at)
    }
    this.#at += digits.length
    if (value === 0) return 0
    const isInteger = match[1] === undefined && match[2] === undefined
    if (!isInteger || digits.length <= EXACT_DIGITS || Number.isSafeInteger(value)) return value
    // `digits` has at most 309 digits here, or the double would have overflowed: BigInt is cheap.
    const exact = BigInt(digits)
    return BigInt(value) === exact ? value : exact
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#unexpected('a value')
    this.#at += word.length
    return value
  }

  #skipSpace(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at)
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return
      this.#at++
    }
  }

  #controlCharacter(at: number): JsonError {
    return this.#error('syntax', 'a control character in a string must be escaped', at)
  }

  #unexpected(expected: string, depth = this.#depth): JsonError {
    const found =
      this.#at >= this.#text.length
        ? 'the end of the text'
        : quoteForMessage(String.fromCodePoint(this.#text.codePointAt(this.#at)!))
    return this.#error('syntax', `expected ${expected}, found ${found}`, this.#at, depth)
  }

  #error(code: JsonErrorCode, what: string, at: number, depth = this.#depth): JsonError {
    return new JsonError(code, what, Buffer.byteLength(this.#text.slice(0, at)), jsonPath(this.#steps.slice(0, depth)))
  }
}
