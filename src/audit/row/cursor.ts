import { holdsCard, isOdd, isSuspicious, LETTER_BITS, marksEnding, signsOf, TRIPLES } from '../screen.js'

/** No room; told by a negative offset too where one is asked for. */
export const FULL = -1
/** What {@link Cursor.plain} found out about a text. */
export const PLAIN = 0
/** Needs escapes, or is not ASCII: nothing was written. */
export const ODD = 1
/** May hold a secret: nothing was written. */
export const SUSPECT = 2

const QUOTE = 0x22
const ZERO = 0x30
/**
 * Writes JSON as bytes into a buffer of fixed length, text by text. What does not fit is not written, and `isFull` says so
 * from then on; what was written before stays, and is for the owner of the buffer to take back.
 */
export class Cursor {
  bytes: Buffer = Buffer.alloc(0)
  at = 0
  isFull = false

  /** Begins to write at `at`. */
  reset(bytes: Buffer, at: number): void {
    this.bytes = bytes
    this.at = at
    this.isFull = false
  }

  #lacks(count: number): boolean {
    if (this.at + count <= this.bytes.length) return false
    this.isFull = true
    return true
  }

  /** @param text of ASCII only, as it is to stand there */
  ascii(text: string): void {
    if (this.#lacks(text.length)) return
    const { bytes, at } = this
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i)
    this.at = at + text.length
  }

  /** @param utf8 as it is to stand there */
  raw(utf8: Buffer): void {
    if (this.#lacks(utf8.length)) return
    this.bytes.set(utf8, this.at)
    this.at += utf8.length
  }

  /** @param json any text, as it is to stand there */
  json(json: string): void {
    if (this.#lacks(Buffer.byteLength(json))) return
    this.at += this.bytes.write(json, this.at, 'utf8')
  }

  /** @param value an integer of at least 0 */
  integer(value: number): void {
    if (value > 0x7fff_ffff) {
      this.ascii(String(value))
      return
    }
    let digits = 1
    for (let power = 10; power <= value; power *= 10) digits++
    if (this.#lacks(digits)) return
    const { bytes, at } = this
    let rest = value | 0
    for (let i = at + digits - 1; i >= at; i--) {
      const tenth = (rest / 10) | 0
      bytes[i] = ZERO + rest - tenth * 10
      rest = tenth
    }
    this.at = at + digits
  }

  /**
   * Writes a string in its quotes if it is ASCII without escapes and surely holds no secret, and says why if not. One pass
   * that writes, looks for characters to escape and for marks of secrets.
   */
  plain(text: string): number {
    if (this.#lacks(text.length + 2)) return FULL
    const { bytes } = this
    let at = this.at
    let signs = 0
    let triple = 0
    let before = 0
    let found = 0
    bytes[at++] = QUOTE
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i)
      bytes[at++] = c
      signs |= signsOf(c)
      triple = ((triple << LETTER_BITS) | (c & 31)) & (TRIPLES.length - 1)
      const marks = TRIPLES[triple]!
      found |= marksEnding(marks, before)
      before = marks
    }
    if (isSuspicious(found, signs) || holdsCard(text)) return SUSPECT
    if (isOdd(signs)) return ODD
    bytes[at++] = QUOTE
    this.at = at
    return PLAIN
  }
}
