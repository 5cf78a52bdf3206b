import { crc32 } from 'node:zlib'

/**
 * The bytes of a spool segment; docs/spool-format.md has the same as tables. Everything is little-endian.
 *
 * header (64 bytes): magic `PCSPOOL\0`, u32 version, u32 epoch, u64 first seq, 36 bytes writer id, u32 crc32 of the 60 before
 * frame: u32 payload length, u32 crc32 over seq and payload, u64 seq of its first record, payload (JSON lines, one a record,
 * numbered on from there; what was appended in one turn of the event loop lies in one frame)
 *
 * Version 1 had one record a frame, without the line break; it is read as it was.
 */
const VERSION = 2
const READ_VERSIONS: readonly number[] = [1, 2]
export const HEADER_BYTES = 64
export const FRAME_HEADER_BYTES = 16
/** A longer frame is damage. Well above what masking lets through (16 KiB of arguments and names of 256 bytes). */
export const MAX_PAYLOAD_BYTES = 1024 * 1024
export const LINE_BREAK = 0x0a

const MAGIC = Buffer.from('PCSPOOL\0', 'latin1')

export interface SegmentHeader {
  readonly writerId: string
  /** Counts the segments that this writer opened; tells two segments with one first seq apart. */
  readonly epoch: number
  readonly firstSeq: number
}

/** Records as they lie in a segment. */
export interface Frame {
  /** Of the first record; the others follow. */
  readonly seq: number
  /** How many records there are, at least one. */
  readonly count: number
  /** Their lines; of version 1 without a line break at the end. */
  readonly payload: Buffer
  /** Offset of the first byte after the frame. */
  readonly end: number
}

export function encodeHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(bytes, 0)
  bytes.writeUInt32LE(VERSION, 8)
  bytes.writeUInt32LE(header.epoch, 12)
  bytes.writeBigUInt64LE(BigInt(header.firstSeq), 16)
  bytes.write(header.writerId, 24, 36, 'latin1')
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60)
  return bytes
}

/** Null when the bytes are no header of this version. */
export function decodeHeader(bytes: Buffer): SegmentHeader | null {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return null
  if (bytes.readUInt32LE(60) !== crc32(bytes.subarray(0, 60)) || !READ_VERSIONS.includes(bytes.readUInt32LE(8)))
    return null
  return {
    epoch: bytes.readUInt32LE(12),
    firstSeq: Number(bytes.readBigUInt64LE(16)),
    writerId: bytes.toString('latin1', 24, 60),
  }
}

/**
 * Makes a frame of the payload that lies in `bytes` from {@link FRAME_HEADER_BYTES} behind `start` up to `end`, at most
 * {@link MAX_PAYLOAD_BYTES} long.
 *
 * @param seq number of its first record
 */
export function sealFrame(bytes: Buffer, start: number, end: number, seq: number): void {
  bytes.writeUInt32LE(end - start - FRAME_HEADER_BYTES, start)
  bytes.writeBigUInt64LE(BigInt(seq), start + 8)
  bytes.writeUInt32LE(crc32(bytes.subarray(start + 8, end)), start + 4)
}

/** A frame on its own. */
export function encodeFrame(seq: number, lines: string): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + Buffer.byteLength(lines))
  bytes.write(lines, FRAME_HEADER_BYTES, 'utf8')
  sealFrame(bytes, 0, bytes.length, seq)
  return bytes
}

/** The frame at `at`; null when there is none, or not all of it. */
export function frameAt(bytes: Buffer, at: number): Frame | null {
  if (at + FRAME_HEADER_BYTES > bytes.length) return null
  const length = bytes.readUInt32LE(at)
  if (length === 0 || length > MAX_PAYLOAD_BYTES) return null
  const end = at + FRAME_HEADER_BYTES + length
  if (end > bytes.length || crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)) return null
  const payload = bytes.subarray(at + FRAME_HEADER_BYTES, end)
  return { seq: Number(bytes.readBigUInt64LE(at + 8)), count: countLines(payload), payload, end }
}

function countLines(payload: Buffer): number {
  let count = 0
  for (let at = 0; at < payload.length; at = lineEnd(payload, at) + 1) count++
  return count
}

/** Offset of the line break that ends the line at `at`, or the length of the payload. */
export function lineEnd(payload: Buffer, at: number): number {
  const found = payload.indexOf(LINE_BREAK, at)
  return found < 0 ? payload.length : found
}

/**
 * Offset of the next valid frame at or after `from`, or -1. Tried at every offset; a length field is implausible in the
 * middle of JSON text, which has no zero bytes, so few offsets come as far as the checksum.
 */
export function nextFrameAfter(bytes: Buffer, from: number): number {
  for (let at = from; at + FRAME_HEADER_BYTES <= bytes.length; at++) {
    if (bytes[at + 3] === 0 && frameAt(bytes, at)) return at
  }
  return -1
}
