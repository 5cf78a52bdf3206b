import { closeSync, copyFileSync, existsSync, fstatSync, mkdirSync, openSync, readdirSync, readSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { decodeHeader, type Frame, frameAt, HEADER_BYTES, nextFrameAfter, type SegmentHeader } from './format.js'

const NAME = /^(\d{20})-(\d{8})\.seg$/

/** A segment as its file name tells it. */
export interface SegmentFile {
  readonly path: string
  readonly firstSeq: number
  readonly epoch: number
}

export function segmentName(firstSeq: number, epoch: number): string {
  return `${String(firstSeq).padStart(20, '0')}-${String(epoch).padStart(8, '0')}.seg`
}

/** The segments of a spool folder, oldest first. */
export function listSegments(folder: string): SegmentFile[] {
  const found: SegmentFile[] = []
  for (const name of readdirSync(folder).sort()) {
    const match = NAME.exec(name)
    if (match) found.push({ path: join(folder, name), firstSeq: Number(match[1]), epoch: Number(match[2]) })
  }
  return found
}

/** Reads up to `length` bytes at `offset`; fewer at the end of the file. */
export function readRange(path: string, offset: number, length: number): Buffer {
  const fd = openSync(path, 'r')
  try {
    const size = fstatSync(fd).size
    const wanted = Math.max(0, Math.min(length, size - offset))
    const bytes = Buffer.allocUnsafe(wanted)
    let done = 0
    while (done < wanted) {
      const count = readSync(fd, bytes, done, wanted - done, offset + done)
      if (count === 0) break
      done += count
    }
    return bytes.subarray(0, done)
  } finally {
    closeSync(fd)
  }
}

export interface Scan {
  /** Null when the file does not begin with a header that this version reads. */
  readonly header: SegmentHeader | null
  /** In valid frames. */
  readonly records: number
  /** Highest number of a record; 0 when there is none. */
  readonly lastSeq: number
  /** Bytes up to the end of the last valid frame (or of the header). */
  readonly validBytes: number
  readonly size: number
  /** True when valid frames follow something that is none: not a torn end, but damage. */
  readonly damaged: boolean
}

/** Reads a whole segment and says what is in it. */
export function scanSegment(path: string): Scan {
  const bytes = readRange(path, 0, Number.MAX_SAFE_INTEGER)
  const header = decodeHeader(bytes.subarray(0, HEADER_BYTES))
  let records = 0
  let lastSeq = 0
  let validBytes = header ? HEADER_BYTES : 0
  let damaged = false
  let at = HEADER_BYTES
  while (at < bytes.length) {
    let frame: Frame | null = frameAt(bytes, at)
    if (!frame) {
      at = nextFrameAfter(bytes, at + 1)
      frame = at < 0 ? null : frameAt(bytes, at)
      if (!frame) break
      damaged = true
    }
    records += frame.count
    lastSeq = Math.max(lastSeq, frame.seq + frame.count - 1)
    at = frame.end
    validBytes = at
  }
  if (!header && records > 0) damaged = true
  return { header, records, lastSeq, validBytes, size: bytes.length, damaged }
}

/** Keeps a copy of a damaged segment under `quarantine/`; returns its path. A second call changes nothing. */
export function quarantine(path: string): string {
  const folder = join(dirname(path), 'quarantine')
  mkdirSync(folder, { recursive: true })
  const copy = join(folder, basename(path))
  if (!existsSync(copy)) copyFileSync(path, copy)
  return copy
}
