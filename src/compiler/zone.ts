const BUCKET_MS = 15 * 60_000

const zones = new Map<string, (atMs: number) => number>()

/**
 * The offset of a zone's wall clock from UTC, in milliseconds, as a function of the instant (milliseconds since the epoch).
 *
 * Asking Intl costs microseconds, so the offset is kept for the quarter of an hour that was asked for last. Zones change
 * their offset on quarters of an hour since 1972; a quarter in which the offset differs between its ends (history has such)
 * is asked for anew each time.
 *
 * @throws {RangeError} for a zone that this Node does not know
 */
export function zoneOffset(zone: string): (atMs: number) => number {
  const known = zones.get(zone)
  if (known !== undefined) return known
  const ask = intlOffset(zone)
  let bucket = Number.NaN
  let offset = 0
  const cached = (atMs: number): number => {
    const asked = Math.floor(atMs / BUCKET_MS)
    if (asked === bucket) return offset
    const first = ask(asked * BUCKET_MS)
    if (first !== ask((asked + 1) * BUCKET_MS - 1)) return ask(atMs)
    bucket = asked
    offset = first
    return first
  }
  zones.set(zone, cached)
  return cached
}

function intlOffset(zone: string): (atMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US-u-ca-iso8601', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (atMs) => {
    const field = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 }
    for (const { type, value } of format.formatToParts(atMs))
      if (type in field) field[type as keyof typeof field] = Number(value)
    const local = Date.UTC(field.year, field.month - 1, field.day, field.hour, field.minute, field.second)
    return local - Math.floor(atMs / 1000) * 1000
  }
}
