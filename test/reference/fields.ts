import type { TimeWindow } from '../../src/language/ast.js'

/** Functions and clocks of the language, written down a second time: nothing here is shared with the compiler. */

/** Every text in a value, at any depth; keys are not among them. */
export function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return (Array.isArray(value) ? value : Object.values(value)).flatMap(textsIn)
}

const ADDRESSEES = new Set(['to', 'recipient', 'recipients', 'cc', 'bcc'])

/** Everyone that a message goes to; undefined where nobody is named, or not as texts or `{ email }` or `{ address }`. */
export function addresseesIn(value: unknown): string[] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const named = Object.entries(value).filter(([key, of]) => ADDRESSEES.has(key.toLowerCase()) && of !== null)
  if (named.length === 0) return undefined
  const found = named.flatMap(([, of]) => (Array.isArray(of) ? of : [of])).map(headerOf)
  const parts = found.map((header) => (header === undefined ? undefined : splitHeader(header)))
  return parts.every((part) => part !== undefined) ? parts.flat() : undefined
}

function headerOf(item: unknown): string | undefined {
  if (typeof item === 'string') return item
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return undefined
  const given = new Map<string, unknown>(Object.entries(item))
  const [email, address] = [given.get('email'), given.get('address')]
  if (typeof email === 'string' && address === undefined) return email
  return typeof address === 'string' && email === undefined ? address : undefined
}

/** At commas and semicolons outside of quotes and angle brackets; undefined where one of these stays open. */
function splitHeader(header: string): string[] | undefined {
  if (header.trim() === '') return ['']
  const bare = header.replace(/"(?:\\.|[^"\\])*"/gs, (quoted) => '_'.repeat(quoted.length))
  if (bare.includes('"')) return undefined
  const hidden = bare.replace(/<[^>]*>/g, (bracketed) => '_'.repeat(bracketed.length))
  if (hidden.includes('<')) return undefined
  const cuts = [-1, ...[...hidden.matchAll(/[,;]/g)].map(({ index }) => index), header.length]
  return cuts
    .slice(1)
    .map((cut, i) => header.slice(cuts[i]! + 1, cut).trim())
    .filter((part) => part !== '')
}

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

/** By the wall clock of the zone; a window across midnight belongs to the day it began. */
export function isInWindow(
  atMs: number,
  { fromMinute, untilMinute, zone, days }: Omit<TimeWindow, 'subject'>,
): boolean {
  const shown = clockOf(zone).formatToParts(atMs)
  const part = (type: string) => shown.find((one) => one.type === type)?.value ?? ''
  const minute = Number(part('hour')) * 60 + Number(part('minute'))
  const today = WEEKDAYS.indexOf(part('weekday'))
  const isOn = (day: number) => days === null || days.includes((day + 7) % 7)
  if (fromMinute < untilMinute) return minute >= fromMinute && minute < untilMinute && isOn(today)
  return (minute >= fromMinute && isOn(today)) || (minute < untilMinute && isOn(today - 1))
}

const clocks = new Map<string, Intl.DateTimeFormat>()

function clockOf(zone: string): Intl.DateTimeFormat {
  const format = { timeZone: zone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const
  const clock = clocks.get(zone) ?? new Intl.DateTimeFormat('en-US', format)
  clocks.set(zone, clock)
  return clock
}
