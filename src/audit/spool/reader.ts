import { type Frame, frameAt, HEADER_BYTES, MAX_PAYLOAD_BYTES, nextFrameAfter } from './format.js'
import { type ReadLimits, type Rows, RunBuilder, type SpooledRow, splitRun } from './rows.js'
import { listSegments, quarantine, readRange, type SegmentFile } from './segments.js'

/** What the reader finds next: one contiguous run of rows, a hole in the numbers, or nothing yet. */
export type Reading =
  | {
      readonly kind: 'rows'
      readonly rows: Rows
      /** The segments that they were read from. */
      readonly segments: readonly string[]
      /** False when they are all that was there. */
      readonly full: boolean
    }
  | { readonly kind: 'gap'; readonly from: number; readonly to: number; readonly reason: string }
  | { readonly kind: 'none' }

/** Where the reader is: behind what it has returned. */
interface Position {
  readonly segment: SegmentFile | null
  readonly offset: number
  /** The next number to come; 0 before the first segment was seen. */
  readonly expected: number
}

/** Why the reading of a segment ended. */
type Stop = { readonly why: 'end' | 'limit' } | { readonly why: 'gap'; readonly to: number; readonly reason: string }

/**
 * Follows a spool while another process writes it. Yields every number once and in order: a number that was seen is
 * skipped, since a segment may repeat the end of the one before it.
 */
export class SpoolReader {
  readonly #folder: string
  readonly #onProblem: (problem: string) => void
  /** INVARIANT: moves only when a reading is returned, so that one that fails loses nothing. */
  #position: Position = { segment: null, offset: HEADER_BYTES, expected: 0 }
  #reported = new Set<string>()

  constructor(folder: string, onProblem: (problem: string) => void) {
    this.#folder = folder
    this.#onProblem = onProblem
  }

  /** The next number to come; 0 before the first segment was seen. */
  get expected(): number {
    return this.#position.expected
  }

  /** Continues with `seq`, or with the oldest number that the spool still has when that is later. */
  seek(seq: number): void {
    const segments = listSegments(this.#folder)
    const oldest = segments[0]
    const expected = oldest ? Math.max(seq, oldest.firstSeq) : seq
    const covering = segments.findLast((segment) => segment.firstSeq <= expected)
    // One before it: it may hold numbers that a later segment began to repeat and did not finish.
    const before = segments.findLast((segment) => covering !== undefined && segment.firstSeq < covering.firstSeq)
    this.#position = { segment: before ?? oldest ?? null, offset: HEADER_BYTES, expected }
  }

  /** Reads what is there now, over the ends of segments; does not advance past rows that it does not return. */
  read(limits: ReadLimits): Reading {
    let position = this.#position
    let run: RunBuilder | null = null
    const sources: string[] = []
    for (;;) {
      // Listed before reading: a segment that has a successor is complete by then.
      const segments = listSegments(this.#folder)
      position = currentOf(position, segments)
      const { segment } = position
      if (!segment) return this.#none(position)
      run ??= new RunBuilder(position.expected, limits)
      const before = run.count
      const next = segments.find((other) => isAfter(other, segment))
      const { stop, at } = this.#readSegment(segment, position.offset, next, run)
      if (run.count > before) sources.push(segment.path)
      position = { segment, offset: position.offset + at, expected: run.next }
      if (stop.why === 'limit') {
        if (run.count > 0) return this.#rows(position, run, sources, true)
        // All of it had been seen.
        continue
      }
      if (stop.why === 'gap') {
        // The next reading comes to the gap again.
        return run.count > 0 ? this.#rows(position, run, sources, true) : this.#gap(position, stop.to, stop.reason)
      }
      if (!next) return run.count > 0 ? this.#rows(position, run, sources, false) : this.#none(position)
      if (next.firstSeq > run.next) {
        if (run.count > 0) return this.#rows(position, run, sources, true)
        const behind = { segment: next, offset: HEADER_BYTES, expected: run.next }
        return this.#gap(behind, next.firstSeq - 1, `${segment.path} ends before ${next.path} begins`)
      }
      position = { segment: next, offset: HEADER_BYTES, expected: run.next }
    }
  }

  /** Adds to the run what the segment has from `offset` on. @returns how far it came, in bytes, and why no further */
  #readSegment(
    current: SegmentFile,
    offset: number,
    next: SegmentFile | undefined,
    run: RunBuilder,
  ): { readonly stop: Stop; readonly at: number } {
    const wanted = run.roomBytes + MAX_PAYLOAD_BYTES + 1024
    const bytes = readRange(current.path, offset, wanted)
    const atEnd = bytes.length < wanted
    let at = 0
    while (at < bytes.length) {
      let frame = frameAt(bytes, at)
      if (!frame) {
        // In the middle of a file a frame may only be cut off by the chunk; then the next read begins with it.
        if (!atEnd && at > 0) break
        frame = this.#afterDamage(current, bytes, offset + at, at)
        if (!frame) break
      }
      if (frame.seq > run.next) {
        if (next && next.firstSeq <= run.next) return { stop: { why: 'end' }, at }
        return { stop: { why: 'gap', to: frame.seq - 1, reason: `${current.path} lacks them` }, at }
      }
      // The next read begins with this frame again and skips what it has.
      if (!run.add(frame.seq, frame.count, frame.payload)) return { stop: { why: 'limit' }, at }
      at = frame.end
    }
    // Where nothing is found at all there is nothing to go on with in this segment.
    return { stop: { why: atEnd || at === 0 ? 'end' : 'limit' }, at }
  }

  #rows(position: Position, run: RunBuilder, segments: readonly string[], full: boolean): Reading {
    this.#position = position
    return { kind: 'rows', rows: run.build(), segments, full }
  }

  #gap(position: Position, to: number, reason: string): Reading {
    this.#position = { ...position, expected: to + 1 }
    return { kind: 'gap', from: position.expected, to, reason }
  }

  #none(position: Position): Reading {
    this.#position = position
    return { kind: 'none' }
  }

  /** The next valid frame behind bytes that are none; null when nothing follows, which is a write that goes on or was torn. */
  #afterDamage(current: SegmentFile, bytes: Buffer, place: number, at: number): Frame | null {
    const found = nextFrameAfter(bytes, at + 1)
    if (found < 0) return null
    if (!this.#reported.has(current.path)) {
      this.#reported.add(current.path)
      this.#onProblem(
        `audit spool: ${current.path} is damaged near byte ${place}; a copy is kept in ${quarantine(current.path)}`,
      )
    }
    return frameAt(bytes, found)
  }
}

/** The segment to read, when the one of the position is none, or gone: read to its end and removed since. */
function currentOf(position: Position, segments: readonly SegmentFile[]): Position {
  const { segment, expected } = position
  if (segment && segments.some((other) => other.path === segment.path)) return position
  const found = (segment ? segments.find((other) => isAfter(other, segment)) : segments[0]) ?? null
  return { segment: found, offset: HEADER_BYTES, expected: found && expected === 0 ? found.firstSeq : expected }
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
    if (frame) for (const row of splitRun(frame.seq, [frame.payload])) rows.push(row)
    at = frame ? frame.end : nextFrameAfter(bytes, at + 1)
  }
  return rows
}
