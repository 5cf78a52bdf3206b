/** Three figures that count, whole numbers as they are, and blanks for thousands: `0.42`, `12.3`, `1 450`. */
export function inShort(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const decimals = Number.isInteger(value) ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  const [whole, fraction] = value.toFixed(Math.min(decimals, 3)).split('.') as [string, string?]
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ' ')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

/** `350 ns`, `1.2 µs`, `28 ms`. */
export function inTime(ns: number): string {
  if (ns < 1e3) return `${inShort(ns)} ns`
  if (ns < 1e6) return `${inShort(ns / 1e3)} µs`
  return ns < 1e9 ? `${inShort(ns / 1e6)} ms` : `${inShort(ns / 1e9)} s`
}

/** `10`, `1k`, `2.5M`, for axes and names. */
export function inThousands(count: number): string {
  const [unit, name] = count >= 1e6 ? [1e6, 'M'] : count >= 1e3 ? [1e3, 'k'] : [1, '']
  return `${Number((count / unit).toPrecision(3))}${name}`
}

/** `14 (12 to 19)`. */
export function withRange({
  median,
  min,
  max,
}: {
  readonly median: number
  readonly min: number
  readonly max: number
}) {
  return `${inShort(median)} (${inShort(min)} to ${inShort(max)})`
}
