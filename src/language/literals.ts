/** Texts of literals to values and back; the two directions stand together because the printer must undo the parser. */

const UNIT_MS = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const

/** `1h30m` to milliseconds. */
export function parseDuration(text: string): number {
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdw])/g)) {
    total += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]
  }
  return total
}

/** Milliseconds (integer, not negative) to the shortest text in days, hours, minutes, seconds and milliseconds. */
export function printDuration(ms: number): string {
  let rest = ms
  let text = ''
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const amount = Math.floor(rest / UNIT_MS[unit])
    if (amount > 0) text += `${amount}${unit}`
    rest -= amount * UNIT_MS[unit]
  }
  return text === '' ? '0s' : text
}

/** ISO 8601 date (midnight UTC) or date, time and zone, to milliseconds since the epoch; null for a date that does not exist or a time without zone. */
export function parseTimestamp(text: string): number | null {
  const parts = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:\d{2}))?$/.exec(
    text,
  )
  if (parts === null) return null
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = parts
  const ms = Number(fraction.padEnd(3, '0').slice(0, 3))
  const local = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second), ms)
  const date = new Date(local)
  const exists =
    Number(year) >= 1000 &&
    date.getUTCMonth() === Number(month) - 1 &&
    date.getUTCDate() === Number(day) &&
    date.getUTCHours() === Number(hour) &&
    date.getUTCMinutes() === Number(minute)
  if (!exists || Number(second) > 59) return null
  if (zone === 'Z') return local
  const [zoneHours, zoneMinutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4, 6))]
  if (zoneHours > 23 || zoneMinutes > 59) return null
  const offset = zoneHours * 60 + zoneMinutes
  return local - (zone.startsWith('-') ? -offset : offset) * 60_000
}

/** The shortest form that {@link parseTimestamp} reads back; always UTC. */
export function printTimestamp(ms: number): string {
  const iso = new Date(ms).toISOString()
  if (iso.endsWith('T00:00:00.000Z')) return iso.slice(0, 10)
  if (iso.endsWith(':00.000Z')) return `${iso.slice(0, 16)}Z`
  return iso.endsWith('.000Z') ? `${iso.slice(0, 19)}Z` : iso
}

/** `09:30` to minutes since midnight. */
export function parseTimeOfDay(text: string): number {
  const [hours, minutes] = text.split(':')
  return Number(hours) * 60 + Number(minutes)
}

export function printTimeOfDay(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
}

export function parseNumber(text: string): number {
  return Number(text.replaceAll('_', ''))
}

/** `"a\n"` to its value; the lexer vouches for the form, which is JSON's. */
export function parseString(text: string): string {
  return JSON.parse(text) as string
}

/** JSON's form, plus escapes for what a terminal or an editor would act on rather than show. */
export function printString(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Sunday is 0. */
export const DAY_NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
