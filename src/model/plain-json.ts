import { isUtf8 } from 'node:buffer'
import { emptyObject, type JsonObject, type JsonValue } from './json.js'
import { internedText, latin1, MOST_BYTES } from './string-table.js'

/**
 * Reads the JSON that nearly everybody sends, straight from its bytes, several times as fast as the strict reader: null for
 * everything it does not know for certain, faulty text above all, which that one then reads or refuses with its reasons. So
 * this reader is never wrong about a text, only unable.
 *
 * What it leaves to the other: exponents, numbers of more than 15 digits, escapes in keys, `__proto__`, a key given twice,
 * more levels than `maxDepth`, and a top-level value that is no object.
 */
export function readPlainJson(bytes: Buffer, from: number, to: number, maxDepth: number): JsonObject | null {
  reader.bytes = bytes
  reader.at = from
  reader.end = to
  reader.levels = maxDepth
  reader.isUtf8 = false
  if (skipSpace() !== OPEN_BRACE) return null
  const value = readObject()
  const isWhole = value !== UNABLE && skipSpace() === END
  reader.bytes = NO_BYTES
  return isWhole ? (value as JsonObject) : null
}

const NO_BYTES: Buffer = Buffer.alloc(0)
const END = -1
const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const BACKSLASH = 0x5c
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
/** Any integer of so many digits is exact in a double, and so is its quotient by a power of ten that is. */
const EXACT_DIGITS = 15
const TENS = Array.from({ length: EXACT_DIGITS + 1 }, (_, i) => 10 ** i)

const UNABLE = Symbol('unable')
type Read = JsonValue | typeof UNABLE

/** The one reading under way: it never waits and never calls back, so one is enough, and costs nothing a text. */
const reader = { bytes: NO_BYTES, at: 0, end: 0, levels: 0, isUtf8: false }

/** The byte after white space; {@link END} at the end. */
function skipSpace(): number {
  const { bytes, end } = reader
  let { at } = reader
  while (at < end) {
    const c = bytes[at]!
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) {
      reader.at = at
      return c
    }
    at++
  }
  reader.at = at
  return END
}

/** @param c the byte at hand */
function readValue(c: number): Read {
  switch (c) {
    case QUOTE:
      return readString()
    case OPEN_BRACE:
      return readObject()
    case OPEN_BRACKET:
      return readArray()
    case 0x74:
      return readWord(TRUE, true)
    case 0x66:
      return readWord(FALSE, false)
    case 0x6e:
      return readWord(NULL, null)
    default:
      return readNumber(c)
  }
}

function readObject(): Read {
  if (reader.levels-- <= 0) return UNABLE
  const object: Record<string, JsonValue> = emptyObject()
  reader.at++
  let c = skipSpace()
  if (c !== CLOSE_BRACE) {
    for (;;) {
      if (c !== QUOTE) return UNABLE
      const key = readKey()
      if (key === null || key === '__proto__' || key in object) return UNABLE
      if (skipSpace() !== COLON) return UNABLE
      reader.at++
      const value = readValue(skipSpace())
      if (value === UNABLE) return UNABLE
      object[key] = value as JsonValue
      c = skipSpace()
      if (c === CLOSE_BRACE) break
      if (c !== COMMA) return UNABLE
      reader.at++
      c = skipSpace()
    }
  }
  reader.at++
  reader.levels++
  return object
}

function readArray(): Read {
  if (reader.levels-- <= 0) return UNABLE
  const items: JsonValue[] = []
  reader.at++
  let c = skipSpace()
  if (c !== CLOSE_BRACKET) {
    for (;;) {
      const value = readValue(c)
      if (value === UNABLE) return UNABLE
      items.push(value as JsonValue)
      c = skipSpace()
      if (c === CLOSE_BRACKET) break
      if (c !== COMMA) return UNABLE
      reader.at++
      c = skipSpace()
    }
  }
  reader.at++
  reader.levels++
  return items
}

function readKey(): string | null {
  const from = reader.at + 1
  const to = endOfString(from)
  if (to < 0 || hasEscape) return null
  reader.at = to + 1
  return internedText(reader.bytes, from, to)
}

function readString(): Read {
  const { bytes } = reader
  const from = reader.at + 1
  const to = endOfString(from)
  if (to < 0) return UNABLE
  reader.at = to + 1
  if (hasEscape) return readEscaped(from - 1, to + 1)
  if (hasWide) return bytes.toString('utf8', from, to)
  return to - from <= MOST_BYTES ? (internedText(bytes, from, to) as string) : latin1(bytes, from, to)
}

/** Of the string last looked at: whether it holds a backslash, or a byte beyond ASCII. */
let hasEscape = false
let hasWide = false

/** Where the string's closing quote is; -1 when it is no string that we take. */
function endOfString(from: number): number {
  const { bytes, end } = reader
  hasEscape = false
  hasWide = false
  for (let i = from; i < end; i++) {
    const c = bytes[i]!
    if (c === QUOTE) return i
    if (c < 0x20) return -1
    if (c === BACKSLASH) {
      hasEscape = true
      i++
    } else if (c > 0x7f) {
      if (!reader.isUtf8 && !isUtf8(bytes.subarray(reader.at, end))) return -1
      reader.isUtf8 = true
      hasWide = true
    }
  }
  return -1
}

/** A string with its quotes: the runtime knows escapes as the standard has them, and refuses the rest. */
function readEscaped(from: number, to: number): Read {
  try {
    const text = JSON.parse(reader.bytes.toString('utf8', from, to)) as string
    return text.isWellFormed() ? text : UNABLE
  } catch {
    return UNABLE
  }
}

function readNumber(first: number): Read {
  const { bytes, end } = reader
  const isNegative = first === MINUS
  const from = isNegative ? reader.at + 1 : reader.at
  let at = from
  let value = 0
  let c = 0
  for (; at < end; at++) {
    c = bytes[at]!
    if (c < ZERO || c > NINE) break
    value = value * 10 + (c - ZERO)
  }
  const digits = at - from
  if (digits === 0 || digits > EXACT_DIGITS || (digits > 1 && bytes[from] === ZERO)) return UNABLE
  if (at < end && c === DOT) {
    const point = ++at
    for (; at < end; at++) {
      c = bytes[at]!
      if (c < ZERO || c > NINE) break
      value = value * 10 + (c - ZERO)
    }
    const places = at - point
    if (places === 0 || digits + places > EXACT_DIGITS) return UNABLE
    value /= TENS[places]!
  }
  if (at < end && (c === 0x65 || c === 0x45)) return UNABLE
  reader.at = at
  // Minus zero is zero.
  return isNegative && value !== 0 ? -value : value
}

const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const NULL = Buffer.from('null')

function readWord(word: Buffer, value: boolean | null): Read {
  const { bytes, at, end } = reader
  if (end - at < word.length) return UNABLE
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return UNABLE
  reader.at = at + word.length
  return value
}
