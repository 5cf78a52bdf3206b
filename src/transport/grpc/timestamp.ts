import type { TimestampMessage } from './wire.js'

/** @param ms since the epoch */
export function toTimestamp(ms: number): TimestampMessage {
  const seconds = Math.floor(ms / 1_000)
  return { seconds, nanos: Math.round((ms - seconds * 1_000) * 1e6) }
}
