import { isUtf8 } from 'node:buffer'

/**
 * Texts that come again and again (tools, environments, labels, keys), found by their bytes: one string each instead of a
 * new one a request. Bounded by construction: every text has one slot by its hash, and the newest text there stays. Texts are
 * compared byte for byte, so that a collision costs time and nothing else.
 */
export class StringTable {
  readonly #texts: string[]
  readonly #bytes: Uint8Array
  readonly #lengths: Uint8Array
  readonly #mask: number

  /** @param slots a power of two; a slot takes {@link MOST_BYTES} bytes beside its string */
  constructor(slots: number) {
    this.#texts = new Array<string>(slots).fill('')
    this.#bytes = new Uint8Array(slots * MOST_BYTES)
    this.#lengths = new Uint8Array(slots)
    this.#mask = slots - 1
  }

  /** The text of bytes `from` to `to`, at most {@link MOST_BYTES} of them; null when one is beyond ASCII. */
  get(bytes: Buffer, from: number, to: number): string | null {
    const length = to - from
    let hash = length
    let seen = 0
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!
      seen |= byte
      hash = Math.imul(hash ^ byte, 0x01000193)
    }
    if (seen > 0x7f) return null
    const slot = (hash ^ (hash >>> 15)) & this.#mask
    const start = slot * MOST_BYTES
    const kept = this.#bytes
    if (this.#lengths[slot] === length) {
      let i = 0
      while (i < length && kept[start + i] === bytes[from + i]) i++
      if (i === length) return this.#texts[slot]!
    }
    const text = latin1(bytes, from, to)
    this.#texts[slot] = text
    this.#lengths[slot] = length
    for (let i = 0; i < length; i++) kept[start + i] = bytes[from + i]!
    return text
  }
}

/** Longer texts are not kept. A UUID is. */
export const MOST_BYTES = 40

/** Names, keys and short values of all requests of the process. */
const shared = new StringTable(8_192)

/** A text that is likely to come again; null when the bytes are not UTF-8. */
export function internedText(bytes: Buffer, from: number, to: number): string | null {
  if (to - from <= MOST_BYTES) {
    const text = shared.get(bytes, from, to)
    if (text !== null) return text
  }
  return freshText(bytes, from, to)
}

/** A text that hardly comes again; null when the bytes are not UTF-8. */
export function freshText(bytes: Buffer, from: number, to: number): string | null {
  // Short texts are looked at here: a call into the runtime costs more.
  if (to - from <= LOOKED_AT) {
    let i = from
    while (i < to && bytes[i]! <= 0x7f) i++
    if (i === to) return latin1(bytes, from, to)
  }
  return isUtf8(bytes.subarray(from, to)) ? bytes.toString('utf8', from, to) : null
}

const LOOKED_AT = 128

/** What `toString('latin1')` comes down to, without the search for the encoding's name. */
export function latin1(bytes: Buffer, from: number, to: number): string {
  return (bytes as Sliceable).latin1Slice(from, to)
}

type Sliceable = Buffer & { latin1Slice(from: number, to: number): string }
