import { Buffer } from 'node:buffer'
import { Ints } from './ints.js'

/** Texts one after the other, by number: text `n` is `bytes[offsets[n]]` up to `bytes[offsets[n + 1]]`. */
export interface StringSection {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly offsets: Int32Array<ArrayBuffer>
}

/** Begins a text that UTF-8 cannot hold (a lone surrogate): UTF-16 follows. No UTF-8 text begins with this byte. */
const UTF16_MARK = 0xff
const FIRST_BYTES = 4_096
/** The most bytes a UTF-16 unit takes in UTF-8. */
const BYTES_A_UNIT = 3

/** Collects texts; equal texts have one number. */
export class StringPoolBuilder {
  readonly #numbers = new Map<string, number>()
  readonly #offsets = new Ints()
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #used = 0

  /** The number of a text that others may ask for, too. */
  intern(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    const number = this.add(text)
    this.#numbers.set(text, number)
    return number
  }

  /** The number of a text that stands once: it is not looked for among the others. */
  add(text: string): number {
    const most = BYTES_A_UNIT * text.length + 1
    if (this.#used + most > this.#bytes.length) this.#grow(this.#used + most)
    const number = this.#offsets.push(this.#used)
    if (text.isWellFormed()) this.#used += this.#bytes.write(text, this.#used, 'utf8')
    else {
      this.#bytes[this.#used++] = UTF16_MARK
      this.#used += this.#bytes.write(text, this.#used, 'utf16le')
    }
    return number
  }

  finish(): StringSection {
    this.#offsets.push(this.#used)
    return { bytes: new Uint8Array(this.#bytes.subarray(0, this.#used)), offsets: this.#offsets.toArray() }
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length))
    this.#bytes.copy(larger, 0, 0, this.#used)
    this.#bytes = larger
  }
}

/** Reads the texts of a section, each when it is asked for. */
export class StringPool {
  readonly #bytes: Buffer
  readonly #offsets: Int32Array

  constructor({ bytes, offsets }: StringSection) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#offsets = offsets
  }

  get(number: number): string {
    const start = this.#offsets[number]!
    const end = this.#offsets[number + 1]!
    if (start < end && this.#bytes[start] === UTF16_MARK) return this.#bytes.toString('utf16le', start + 1, end)
    return this.#bytes.toString('utf8', start, end)
  }

  /** Whether text `number` is this one; quick where it is ASCII. */
  equals(number: number, text: string): boolean {
    const start = this.#offsets[number]!
    const length = this.#offsets[number + 1]! - start
    for (let i = 0; i < length; i++) {
      const byte = this.#bytes[start + i]!
      if (byte > 0x7f) return this.get(number) === text
      if (byte !== text.charCodeAt(i)) return false
    }
    return length === text.length
  }
}
