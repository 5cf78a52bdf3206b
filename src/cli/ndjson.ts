/** Longest line of NDJSON input: arguments and context of 256 KiB each, with room for names. */
export const MAX_LINE_BYTES = 1024 * 1024

/** One line of the input: its number from 1, and its bytes, or null when it is longer than {@link MAX_LINE_BYTES}. */
export interface InputLine {
  readonly number: number
  readonly bytes: Uint8Array | null
}

const NEWLINE = 10
const BLANK = /^[ \t\r]*$/

/** Splits a stream of bytes into lines and holds at most one of them in memory, however long. Blank lines only count. */
export async function* lines(input: AsyncIterable<Uint8Array>): AsyncGenerator<InputLine> {
  let held: Uint8Array[] = []
  let size = 0
  let number = 0
  const take = (): InputLine | null => {
    number++
    const bytes = size > MAX_LINE_BYTES ? null : Buffer.concat(held)
    held = []
    size = 0
    if (bytes !== null && bytes.length < 64 && BLANK.test(bytes.toString('latin1'))) return null
    return { number, bytes }
  }
  for await (const chunk of input) {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      hold(chunk.subarray(from, end))
      const line = take()
      if (line !== null) yield line
      from = end + 1
    }
    hold(chunk.subarray(from))
  }
  if (size > 0) {
    const line = take()
    if (line !== null) yield line
  }

  function hold(part: Uint8Array): void {
    size += part.length
    if (size > MAX_LINE_BYTES) held = []
    else if (part.length > 0) held.push(part)
  }
}
