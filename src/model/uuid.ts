import { createHash, randomFillSync } from 'node:crypto'

/** A clock that steps back by at most this much keeps its place, so that ids stay in order; see {@link uuidv7}. */
const MAX_HOLD_MS = 1_000

const pool = Buffer.alloc(4_096)
let poolAt = pool.length
let lastMs = -1
let counter = 0

function randomBytesAt(count: number): number {
  if (poolAt + count > pool.length) {
    randomFillSync(pool)
    poolAt = 0
  }
  poolAt += count
  return poolAt - count
}

/**
 * A UUIDv7 (RFC 9562) for `nowMs`, milliseconds since the epoch: 48 bits of time, a 12-bit counter, 62 random bits. Ids
 * of one process are strictly increasing as text; when the clock steps back by up to a second the id keeps the later
 * time, so an id's time is within a second of `nowMs`. A larger step back is followed.
 */
export function uuidv7(nowMs: number): string {
  const now = Math.max(0, Math.floor(nowMs))
  const at = randomBytesAt(10)
  if (now > lastMs || now < lastMs - MAX_HOLD_MS) {
    lastMs = now
    // Half of the counter's range is left for the ids that follow in the same millisecond.
    counter = pool.readUInt16BE(at) & 0x7ff
  } else if (++counter > 0xfff) {
    lastMs++
    counter = pool.readUInt16BE(at) & 0x7ff
  }
  if (lastMs !== writtenMs) writeTime(lastMs)
  text[15] = HEX[counter >> 8]!
  writeHex(16, counter & 0xff)
  writeHex(19, (pool[at + 2]! & 0x3f) | 0x80)
  writeHex(21, pool[at + 3]!)
  for (let i = 0; i < 6; i++) writeHex(24 + 2 * i, pool[at + 4 + i]!)
  return text.latin1Slice(0, 36)
}

/** The id being written, as ASCII: one string a call instead of a dozen. Hyphens and version stay. */
const text = Buffer.from('00000000-0000-7000-8000-000000000000', 'latin1') as Buffer & {
  latin1Slice(from: number, to: number): string
}
const HEX = Buffer.from('0123456789abcdef', 'latin1')
let writtenMs = -1

function writeTime(ms: number): void {
  const digits = ms.toString(16).padStart(12, '0')
  text.write(digits.slice(0, 8), 0, 'latin1')
  text.write(digits.slice(8), 9, 'latin1')
  writtenMs = ms
}

function writeHex(at: number, byte: number): void {
  text[at] = HEX[byte >> 4]!
  text[at + 1] = HEX[byte & 15]!
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** True for any UUID in its usual text form, whatever its version. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}

/** The UUID of a name, always the same one: version 8 (RFC 9562), of SHA-256. */
export function uuidOf(name: string): string {
  const bytes = createHash('sha256').update(name).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** Milliseconds since the epoch that a UUIDv7 was made from, within a second; null for anything else. */
export function uuidv7TimeMs(id: string): number | null {
  if (!UUID.test(id) || id[14] !== '7') return null
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
