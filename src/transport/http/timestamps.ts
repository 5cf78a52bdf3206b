import type { TimestampMessage } from '../grpc/wire.js'

const RFC_3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/
const MIN_SECONDS = -62_135_596_800
const MAX_SECONDS = 253_402_300_799

/** Null for what is no time of RFC 3339 between the years 1 and 9999. Nine digits of a second at most, no leap seconds. */
export function readTimestamp(text: string): TimestampMessage | null {
  const match = RFC_3339.exec(text)
  if (match === null) return null
  const [, local = '', fraction = '', sign = '+', hours = '0', minutes = '0'] = match
  const ms = Date.parse(`${local}Z`)
  // The 30th of February would be taken for a day of March.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== local) return null
  const offset = (Number(hours) * 60 + Number(minutes)) * 60 * (sign === '-' ? -1 : 1)
  const seconds = ms / 1_000 - offset
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS) return null
  return { seconds, nanos: Number(fraction.padEnd(9, '0')) }
}

/** In UTC, with no, three, six or nine digits of a second. */
export function printTimestamp({ seconds, nanos }: TimestampMessage): string {
  const whole = new Date(seconds * 1_000).toISOString().slice(0, 19)
  if (nanos === 0) return `${whole}Z`
  const digits = String(nanos).padStart(9, '0')
  return `${whole}.${digits.replace(/(?:000){1,2}$/, '')}Z`
}
