import type { TimeWindow } from '../language/ast.js'
import { zoneOffset } from './zone.js'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** The epoch was a Thursday; 0 is Sunday. */
const EPOCH_WEEKDAY = 4

/**
 * Compiles `… in 09:00..17:00 "America/New_York" on mon..fri` to a test of an instant. The wall clock of the zone counts:
 * where a daylight-saving change skips or repeats an hour, the window is as much shorter or longer. A window across midnight
 * belongs to the day it began.
 *
 * @returns a predicate over milliseconds since the epoch
 * @throws {RangeError} for a zone that this Node does not know
 */
export function compileTimeWindow(
  window: Pick<TimeWindow, 'fromMinute' | 'untilMinute' | 'zone' | 'days'>,
): (nowMs: number) => boolean {
  const { fromMinute, untilMinute } = window
  const offset = zoneOffset(window.zone)
  const days = dayMask(window.days)
  const crossesMidnight = untilMinute <= fromMinute
  return (nowMs) => {
    const local = nowMs + offset(nowMs)
    const day = Math.floor(local / DAY_MS)
    const minute = Math.floor((local - day * DAY_MS) / MINUTE_MS)
    if (!crossesMidnight) return minute >= fromMinute && minute < untilMinute && holds(days, day)
    return minute >= fromMinute ? holds(days, day) : minute < untilMinute && holds(days, day - 1)
  }
}

/** One bit a weekday. */
function dayMask(days: readonly number[] | null): number {
  if (days === null) return 0b111_1111
  return days.reduce((mask, day) => mask | (1 << day), 0)
}

/** @param day days since the epoch, before it negative */
function holds(mask: number, day: number): boolean {
  const weekday = (((day + EPOCH_WEEKDAY) % 7) + 7) % 7
  return (mask & (1 << weekday)) !== 0
}
