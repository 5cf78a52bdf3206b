import { type Frame, frameAt, HEADER_BYTES, MAX_PAYLOAD_BYTES, nextFrameAfter } from './format.js'
import { listSegments, quarantine, readRange, type SegmentFile } from './segments.js'

export interface SpooledRow {
  readonly seq: number
  /** One JSON line without its line break. */
  readonly payload: Buffer
}

/** What the reader finds next: one contiguous run of rows, a hole in the numbers, or nothing yet. */
export type Reading =
  | { readonly kind: 'rows'; readonly rows: readonly SpooledRow[]; readonly segment: string; readonly full: boolean }
  | { readonly kind: 'gap'; readonly from: number; readonly to: number; readonly reason: string }
  | { readonly kind: 'none' }

export interface ReadLimits {
  readonly maxRows: number
  readonly maxBytes: number
}

/**
 * Follows a spool while another process writes it. Yields every number once and in order: a number that was seen is
 * skipped, since a segment may repeat the end of the one before it.
 */
export class SpoolReader {
  readonly #folder: string
  readonly #onProblem: (problem: string) => void
  #expected = 0
  #segment: SegmentFile | null = null
  #offset = HEADER_BYTES
  #reported = new Set<string>()

  constructor(folder: string, onProblem: (problem: string) => void) {
    this.#folder = folder
    this.#onProblem = onProblem
  }

  /** The next number to come; 0 before the first segment was seen. */
  get expected(): number {
    return this.#expected
  }

  /** Continues with `seq`, or with the oldest number that the spool still has when that is later. */
  seek(seq: number): void {
    const segments = listSegments(this.#folder)
    const oldest = segments[0]
    this.#expected = oldest ? Math.max(seq, oldest.firstSeq) : seq
    const covering = segments.findLast((segment) => segment.firstSeq <= this.#expected)
    // One before it: it may hold numbers that a later segment began to repeat and did not finish.
    const before = segments.findLast((segment) => covering !== undefined && segment.firstSeq < covering.firstSeq)
    this.#segment = before ?? oldest ?? null
    this.#offset = HEADER_BYTES
  }

  /** Reads what is there now; does not advance past rows that it does not return. */
  read(limits: ReadLimits): Reading {
    for (;;) {
      // Listed before reading: a segment that has a successor is complete by then.
      const segments = listSegments(this.#folder)
      const current = this.#current(segments)
      if (!current) return { kind: 'none' }
      const next = segments.find((segment) => isAfter(segment, current))
      const reading = this.#readSegment(current, next, limits)
      if (reading.kind !== 'none' || !next) return reading
      this.#segment = next
      this.#offset = HEADER_BYTES
      if (next.firstSeq > this.#expected) {
        return this.#gap(next.firstSeq - 1, `${current.path} ends before ${next.path} begins`)
      }
    }
  }

  #current(segments: readonly SegmentFile[]): SegmentFile | null {
    const segment = this.#segment
    // Gone when it was read to its end and removed since.
    if (!segment || !segments.some((other) => other.path === segment.path)) {
      this.#segment = (segment ? segments.find((other) => isAfter(other, segment)) : segments[0]) ?? null
      this.#offset = HEADER_BYTES
      if (this.#segment && this.#expected === 0) this.#expected = this.#segment.firstSeq
    }
    return this.#segment
  }

  #readSegment(current: SegmentFile, next: SegmentFile | undefined, limits: ReadLimits): Reading {
    const wanted = limits.maxBytes + MAX_PAYLOAD_BYTES + 1024
    const bytes = readRange(current.path, this.#offset, wanted)
    const atEnd = bytes.length < wanted
    const rows: SpooledRow[] = []
    let at = 0
    let taken = 0
    while (at < bytes.length) {
      let frame = frameAt(bytes, at)
      if (!frame) {
        // In the middle of a file a frame may only be cut off by the chunk; then the next read begins with it.
        if (!atEnd && at > 0) break
        frame = this.#afterDamage(current, bytes, at)
        if (!frame) break
      }
      const nextSeq = this.#expected + rows.length
      if (frame.seq > nextSeq) {
        if (rows.length > 0) break
        if (next && next.firstSeq <= this.#expected) return { kind: 'none' }
        return this.#gap(frame.seq - 1, `${current.path} lacks them`)
      }
      for (let i = nextSeq - frame.seq; i < frame.lines.length; i++) {
        const payload = frame.lines[i]!
        if (rows.length >= limits.maxRows || (rows.length > 0 && taken + payload.length > limits.maxBytes)) {
          // The next read begins with this frame again and skips what it has.
          return this.#rows(current, at, rows, true)
        }
        rows.push({ seq: frame.seq + i, payload })
        taken += payload.length + 1
      }
      at = frame.end
    }
    if (rows.length > 0) return this.#rows(current, at, rows, !atEnd || next !== undefined)
    this.#offset += at
    return { kind: 'none' }
  }

  #rows(current: SegmentFile, at: number, rows: readonly SpooledRow[], full: boolean): Reading {
    this.#offset += at
    this.#expected += rows.length
    return { kind: 'rows', rows, segment: current.path, full }
  }

  #gap(to: number, reason: string): Reading {
    const from = this.#expected
    this.#expected = to + 1
    return { kind: 'gap', from, to, reason }
  }

  /** The next valid frame behind bytes that are none; null when nothing follows, which is a write that goes on or was torn. */
  #afterDamage(current: SegmentFile, bytes: Buffer, at: number): Frame | null {
    const found = nextFrameAfter(bytes, at + 1)
    if (found < 0) return null
    if (!this.#reported.has(current.path)) {
      this.#reported.add(current.path)
      this.#onProblem(
        `audit spool: ${current.path} is damaged near byte ${this.#offset + at}; a copy is kept in ${quarantine(current.path)}`,
      )
    }
    return frameAt(bytes, found)
  }
}

function isAfter(segment: SegmentFile, other: SegmentFile): boolean {
  return segment.firstSeq > other.firstSeq || (segment.firstSeq === other.firstSeq && segment.epoch > other.epoch)
}

/** Every valid row of one segment, in the order of the file. */
export function rowsOfSegment(path: string): SpooledRow[] {
  const bytes = readRange(path, HEADER_BYTES, Number.MAX_SAFE_INTEGER)
  const rows: SpooledRow[] = []
  for (let at = 0; at >= 0 && at < bytes.length; ) {
    const frame = frameAt(bytes, at)
    if (frame) for (const [i, payload] of frame.lines.entries()) rows.push({ seq: frame.seq + i, payload })
    at = frame ? frame.end : nextFrameAfter(bytes, at + 1)
  }
  return rows
}
