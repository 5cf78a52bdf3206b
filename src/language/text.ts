import type { Location, Span } from '../model/span.js'

/** The most bytes a policy file may have. Larger tables belong into list files. */
export const MAX_FILE_BYTES = 1_048_576

/** Text of a file, or the byte offset of the first byte that is no UTF-8. A byte order mark is dropped. */
export function decodeUtf8(bytes: Uint8Array): { readonly text: string } | { readonly badByte: number } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    return { badByte: firstBadByte(bytes) }
  }
}

/** A tolerant decoder writes U+FFFD for what it cannot read; the first one that the bytes do not spell is the place. */
function firstBadByte(bytes: Uint8Array): number {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  let offset = 0
  for (const character of text) {
    const code = character.codePointAt(0) as number
    const spelt = bytes[offset] === 0xef && bytes[offset + 1] === 0xbf && bytes[offset + 2] === 0xbd
    if (code === 0xfffd && !spelt) return offset
    offset += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return offset
}

/** Where the lines of a text begin: offsets to places and back. */
export class LineMap {
  readonly #starts: readonly number[]
  /** The line that was asked for last: places are mostly asked for from front to back. */
  #last = 0

  constructor(readonly text: string) {
    this.#starts = startsOfLines(text)
  }

  /** Index of the line that holds `offset`, counted from 0. */
  lineOf(offset: number): number {
    const starts = this.#starts
    for (let line = this.#last; line < starts.length && line <= this.#last + NEAR && starts[line]! <= offset; line++) {
      if (line + 1 === starts.length || offset < starts[line + 1]!) {
        this.#last = line
        return line
      }
    }
    this.#last = this.#search(offset)
    return this.#last
  }

  #search(offset: number): number {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#starts[middle] as number) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  locate(file: string, span: Span): Location {
    const line = this.lineOf(span.start)
    const column = span.start - (this.#starts[line] as number) + 1
    return { file, line: line + 1, column, start: span.start, end: span.end }
  }

  /** The line that holds `offset`, without its line break. */
  excerpt(offset: number): string {
    const line = this.lineOf(offset)
    return this.text.slice(this.#starts[line], this.#starts[line + 1] ?? this.text.length).replace(/[\r\n]+$/, '')
  }
}

/** Lines further on that are looked at before the line is searched for. */
const NEAR = 16

function startsOfLines(text: string): readonly number[] {
  const starts = [0]
  if (text.includes('\r')) {
    for (const lineBreak of text.matchAll(/\r?\n|\r/g)) starts.push(lineBreak.index + lineBreak[0].length)
  } else {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  }
  return starts
}
