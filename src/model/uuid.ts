import { randomFillSync } from 'node:crypto'

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
  const time = lastMs.toString(16).padStart(12, '0')
  const low = pool.readUInt16BE(at + 2)
  const variant = ((low & 0x3fff) | 0x8000).toString(16)
  const random = pool.toString('hex', at + 4, at + 10)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, '0')}-${variant}-${random}`
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** True for any UUID in its usual text form, whatever its version. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}

/** Milliseconds since the epoch that a UUIDv7 was made from, within a second; null for anything else. */
export function uuidv7TimeMs(id: string): number | null {
  if (!UUID.test(id) || id[14] !== '7') return null
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
