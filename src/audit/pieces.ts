import type { Period } from '../model/audit-queries.js'
import { DAY_SECONDS, HOUR_SECONDS } from './store/roll-ups.js'

const DAY_MS = DAY_SECONDS * 1_000
const HOUR_MS = HOUR_SECONDS * 1_000
/** A period that is in more pieces, or made of more spans, than this is read row by row: it cannot be for long. */
const MAX_PIECES = 100
/** More than all days that are kept. Each is named in the statement. */
const MAX_SPANS = 5_000

/** Starts of closed spans, in milliseconds since the epoch. */
export interface ClosedSpans {
  readonly days: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
}

/** A period cut into what is read from whole days, from whole hours, and from the rows themselves; together exactly it. */
export interface Pieces {
  readonly days: readonly Period[]
  readonly hours: readonly Period[]
  readonly rows: readonly Period[]
}

export function cutPeriod(period: Period, closed: ClosedSpans): Pieces {
  const pieces = { days: [] as Period[], hours: [] as Period[], rows: [] as Period[] }
  const { firstMs, endMs } = boundsOf(closed)
  let atMs = period.fromMs
  while (atMs < period.untilMs) {
    const left = period.untilMs - atMs
    if (left >= DAY_MS && closed.days.has(atMs)) atMs = add(pieces.days, atMs, atMs + DAY_MS)
    else if (left >= HOUR_MS && closed.hours.has(atMs)) atMs = add(pieces.hours, atMs, atMs + HOUR_MS)
    else {
      const nextHourMs = (Math.floor(atMs / HOUR_MS) + 1) * HOUR_MS
      const untilMs = atMs >= endMs ? period.untilMs : Math.max(nextHourMs, firstMs)
      atMs = add(pieces.rows, atMs, Math.min(untilMs, period.untilMs))
    }
  }
  const count = pieces.days.length + pieces.hours.length + pieces.rows.length
  const spans = countOf(pieces.days, DAY_MS) + countOf(pieces.hours, HOUR_MS)
  return count > MAX_PIECES || spans > MAX_SPANS ? { days: [], hours: [], rows: [period] } : pieces
}

function countOf(periods: readonly Period[], length: number): number {
  return periods.reduce((sum, { fromMs, untilMs }) => sum + (untilMs - fromMs) / length, 0)
}

/** Outside these no span is closed. */
function boundsOf({ days, hours }: ClosedSpans): { readonly firstMs: number; readonly endMs: number } {
  let firstMs = Number.POSITIVE_INFINITY
  let endMs = Number.NEGATIVE_INFINITY
  for (const [starts, length] of [
    [days, DAY_MS],
    [hours, HOUR_MS],
  ] as const) {
    for (const start of starts) {
      firstMs = Math.min(firstMs, start)
      endMs = Math.max(endMs, start + length)
    }
  }
  return { firstMs, endMs }
}

/** Appends to the piece that ends where this one begins, if it does. */
function add(pieces: Period[], fromMs: number, untilMs: number): number {
  const last = pieces.at(-1)
  if (last !== undefined && last.untilMs === fromMs) pieces[pieces.length - 1] = { fromMs: last.fromMs, untilMs }
  else pieces.push({ fromMs, untilMs })
  return untilMs
}
