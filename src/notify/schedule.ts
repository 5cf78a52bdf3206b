const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Pauses before each try, that of Standard Webhooks: ten tries within about three days. */
export const PAUSES_MS: readonly number[] = [
  0,
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
]

/** A receiver may put us off, but not for ever. */
const MOST_PUT_OFF_MS = 24 * HOUR

/** What could not even be tried for so long is given up; longer than all pauses together. */
export const GIVE_UP_MS = 96 * HOUR

/** Part of a pause that is added by chance, so that what failed together does not come back together. */
const JITTER = 0.2

/**
 * The pause after a failed try, in milliseconds, never shorter than the schedule's nor than what the receiver asked for;
 * null when it was the last one.
 *
 * @param attempt the one that failed, from 1
 * @param retryAfterMs what the receiver asked for, or null
 * @param random from 0 up to 1
 */
export function pauseAfter(attempt: number, retryAfterMs: number | null, random: () => number): number | null {
  const pauseMs = PAUSES_MS[attempt]
  if (pauseMs === undefined) return null
  return Math.max(pauseMs, Math.min(retryAfterMs ?? 0, MOST_PUT_OFF_MS)) * (1 + JITTER * random())
}

/**
 * Milliseconds from now that a Retry-After header asks for, RFC 9110: seconds or a date; null for anything else.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null
  const text = header.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text) * SECOND
  // Date.parse reads nearly everything, so only what looks like an HTTP date gets there.
  const atMs = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs)
}
