/** google.protobuf.Timestamp. */
export interface Timestamp {
  readonly seconds: number
  readonly nanos: number
}

export function toDate({ seconds, nanos }: Timestamp): Date {
  return new Date(seconds * 1_000 + Math.floor(nanos / 1e6))
}

export function optionalDate(timestamp: Timestamp | null): Date | null {
  return timestamp === null ? null : toDate(timestamp)
}

export function toTimestamp(date: Date): Timestamp {
  const ms = date.getTime()
  const seconds = Math.floor(ms / 1_000)
  return { seconds, nanos: (ms - seconds * 1_000) * 1e6 }
}
