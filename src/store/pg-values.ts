import pg from 'pg'

const { builtins } = pg.types

/** OIDs of array types that the driver names nowhere. */
const INT8_ARRAY = 1016
const TIMESTAMPTZ_ARRAY = 1185

type Parse = (text: string) => unknown

const readers: ReadonlyMap<number, Parse> = new Map<number, Parse>([
  [builtins.INT8, safeInteger],
  [builtins.TIMESTAMPTZ, epochMs],
  [INT8_ARRAY, (text) => texts(text).map((item) => item && safeInteger(item))],
  [TIMESTAMPTZ_ARRAY, (text) => texts(text).map((item) => item && epochMs(item))],
  // Without a zone, a point in time is a guess about one: left as the text that it is.
  [builtins.TIMESTAMP, String],
  [builtins.DATE, String],
  [builtins.INTERVAL, String],
])

/** How the driver reads values; the rest is read as the driver does by itself. */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    (format === 'binary' ? undefined : readers.get(oid)) ?? pg.types.getTypeParser(oid, format),
}

/** A rounded number would be another row's id or another amount, so it is none at all. */
function safeInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} does not fit a number exactly; select it as text`)
  return value
}

function epochMs(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY
  if (text === '-infinity') return Number.NEGATIVE_INFINITY
  // The session's zone is UTC and its style ISO: 2026-11-23 00:07:52.426123+00, fraction as long as it needs to be.
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text)
  const ms =
    match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}.${(match[3] ?? '').padEnd(3, '0').slice(0, 3)}Z`)
  if (Number.isNaN(ms)) throw new RangeError(`${text} is no point in time that can be told in milliseconds`)
  return ms
}

/** The items of an array of plain words, as PostgreSQL writes it; null where an item is null. */
function texts(array: string): (string | null)[] {
  const inner = array.slice(1, -1)
  if (inner === '') return []
  return inner.split(',').map((item) => (item === 'NULL' ? null : item.replaceAll('"', '')))
}
