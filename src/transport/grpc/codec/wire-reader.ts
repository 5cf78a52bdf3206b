import { freshText, internedText } from '../../../model/string-table.js'

/** The bytes are no message of the type, as protobuf's encoding has it. The message says where. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage'
}

/** Wire types of protobuf's encoding. */
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const GROUP = 3
const END_GROUP = 4
const FIXED32 = 5
/** Groups are of the protobuf before last and in no message of ours: few of them nest in an unknown field. */
const MAX_GROUPS = 32

/** Reads protobuf's encoding in place: fields come by {@link tag}, each followed by one of the others or {@link skip}. */
export class WireReader {
  readonly bytes: Buffer
  at: number
  /** Where the message being read ends; inner messages move it. */
  end: number

  constructor(bytes: Buffer, from = 0, to = bytes.length) {
    this.bytes = bytes
    this.at = from
    this.end = to
  }

  /** Number and wire type of the next field, `number << 3 | type`; 0 at the end of the message. */
  tag(): number {
    if (this.at === this.end) return 0
    const first = this.bytes[this.at]!
    if (first > 7 && first < 0x80) {
      this.at++
      return first
    }
    const tag = this.#varint32()
    if (tag >>> 3 === 0) throw this.malformed('a field has the number 0')
    return tag
  }

  /** Length of what follows, which is wholly in the message. */
  length(): number {
    const first = this.at < this.end ? this.bytes[this.at]! : 0x80
    let length = first
    if (first < 0x80) this.at++
    else length = this.#varint32()
    if (length > this.end - this.at) throw this.malformed(`a field of ${length} bytes goes past the end`)
    return length
  }

  bool(): boolean {
    let isTrue = false
    for (let i = 0; i < 10; i++) {
      const byte = this.#byte()
      if ((byte & 0x7f) !== 0) isTrue = true
      if (byte < 0x80) return isTrue
    }
    throw this.malformed('a number has more than ten bytes')
  }

  double(): number {
    if (this.end - this.at < 8) throw this.malformed('a number goes past the end')
    const value = this.bytes.readDoubleLE(this.at)
    this.at += 8
    return value
  }

  /** A text that is likely to come again in other messages. */
  name(): string {
    const to = this.length() + this.at
    return this.#text(internedText(this.bytes, this.at, to), to)
  }

  /** Any other text. */
  text(): string {
    const to = this.length() + this.at
    return this.#text(freshText(this.bytes, this.at, to), to)
  }

  /** Passes over a field that nobody knows, or that has another type than the message says. */
  skip(tag: number, groups = 0): void {
    switch (tag & 7) {
      case VARINT:
        this.bool()
        break
      case FIXED64:
        this.#pass(8)
        break
      case BYTES:
        this.#pass(this.length())
        break
      case FIXED32:
        this.#pass(4)
        break
      case GROUP:
        this.#skipGroup(tag >>> 3, groups + 1)
        break
      default:
        throw this.malformed((tag & 7) === END_GROUP ? 'a group ends that did not begin' : `no wire type ${tag & 7}`)
    }
  }

  malformed(what: string): MalformedMessage {
    return new MalformedMessage(`${what} (at byte ${this.at})`)
  }

  #skipGroup(number: number, groups: number): void {
    if (groups > MAX_GROUPS) throw this.malformed(`more than ${MAX_GROUPS} groups are within one another`)
    for (;;) {
      const tag = this.tag()
      if (tag === 0) throw this.malformed('a group does not end')
      if ((tag & 7) !== END_GROUP) this.skip(tag, groups)
      else if (tag >>> 3 === number) return
      else throw this.malformed('a group ends that did not begin')
    }
  }

  #pass(count: number): void {
    if (count > this.end - this.at) throw this.malformed('a field goes past the end')
    this.at += count
  }

  #text(text: string | null, to: number): string {
    if (text === null) throw this.malformed('a text is not UTF-8')
    this.at = to
    return text
  }

  #byte(): number {
    if (this.at >= this.end) throw this.malformed('a number goes past the end')
    return this.bytes[this.at++]!
  }

  /** Tags and lengths: more than 32 bits are none of either. */
  #varint32(): number {
    let value = 0
    for (let i = 0; i < 5; i++) {
      const byte = this.#byte()
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break
        return value >>> 0
      }
    }
    throw this.malformed('a tag or length has more than 32 bits')
  }
}

/** Where an inner message lies. */
export interface Range {
  readonly from: number
  readonly to: number
}

/**
 * A reader of an inner message that came in several pieces: protobuf merges them, which is to read them one after the other.
 * With one piece it reads in place.
 */
export function readerOf(bytes: Buffer, ranges: readonly Range[]): WireReader {
  const [only] = ranges
  if (ranges.length === 1) return new WireReader(bytes, only!.from, only!.to)
  return new WireReader(Buffer.concat(ranges.map(({ from, to }) => bytes.subarray(from, to))))
}
