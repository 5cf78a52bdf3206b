import { Buffer } from 'node:buffer'
import { Ints } from './ints.js'
import { Interned, Numbered, type Series } from './numbered.js'

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

/** A text of images. */
export class Text extends Numbered {
  /** Null once an image has its bytes. */
  source: string | null
  /** Where these stand in the last image that has it. */
  start = 0
  end = 0

  constructor(madeFor: number, source: string) {
    super(madeFor)
    this.source = source
  }
}

/** The texts of a series of images: each is encoded once, and copied from one image to the next. */
export class Texts {
  readonly #series: Series
  readonly #shared: Interned<string, Text>
  #last = Buffer.alloc(0)

  constructor(series: Series) {
    this.#series = series
    this.#shared = new Interned(series)
  }

  /** A text that others may ask for, too. */
  shared(text: string): Text {
    return this.#shared.get(text) ?? this.#shared.add(text, this.own(text))
  }

  /** A text that stands once: it is not looked for among the others. */
  own(text: string): Text {
    return new Text(this.#series.last + 1, text)
  }

  writer(): TextWriter {
    return new TextWriter(this.#series.last + 1, this.#last)
  }

  /** To be called with what the image that is now the last one holds. */
  keep({ bytes, offsets }: StringSection): void {
    this.#last = Buffer.from(bytes)
    this.#shared.sweep(offsets.length)
  }
}

/** Collects the texts of an image, in the order in which it comes to them. */
export class TextWriter {
  readonly #image: number
  readonly #last: Buffer
  readonly #offsets = new Ints()
  #bytes: Buffer
  #used = 0
  /** Bytes of the last image that are still to be copied: texts that follow each other in both images are copied as one. */
  #runStart = 0
  #runEnd = 0

  constructor(image: number, last: Buffer) {
    this.#image = image
    this.#last = last
    this.#bytes = Buffer.allocUnsafe(FIRST_BYTES + last.length)
  }

  /** @returns the number of the text */
  add(text: Text): number {
    if (text.image === this.#image) return text.number
    text.image = this.#image
    const start = this.#used + this.#runEnd - this.#runStart
    text.number = this.#offsets.push(start)
    if (text.source === null) this.#continueRun(text)
    else this.#encode(text, text.source)
    text.end = start + text.end - text.start
    text.start = start
    return text.number
  }

  finish(): StringSection {
    this.#copyRun()
    this.#offsets.push(this.#used)
    return { bytes: new Uint8Array(this.#bytes.subarray(0, this.#used)), offsets: this.#offsets.toArray() }
  }

  #continueRun({ start, end }: Text): void {
    if (start !== this.#runEnd) {
      this.#copyRun()
      this.#runStart = start
    }
    this.#runEnd = end
  }

  #copyRun(): void {
    const length = this.#runEnd - this.#runStart
    if (this.#used + length > this.#bytes.length) this.#grow(this.#used + length)
    this.#last.copy(this.#bytes, this.#used, this.#runStart, this.#runEnd)
    this.#used += length
    this.#runStart = this.#runEnd
  }

  #encode(text: Text, source: string): void {
    this.#copyRun()
    const most = BYTES_A_UNIT * source.length + 1
    if (this.#used + most > this.#bytes.length) this.#grow(this.#used + most)
    text.start = this.#used
    if (source.isWellFormed()) this.#used += this.#bytes.write(source, this.#used, 'utf8')
    else {
      this.#bytes[this.#used++] = UTF16_MARK
      this.#used += this.#bytes.write(source, this.#used, 'utf16le')
    }
    text.end = this.#used
    text.source = null
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
