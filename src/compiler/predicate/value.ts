import type { ViewName } from '../../language/vocabulary.js'
import type { JsonValue } from '../../model/json.js'
import type { IpView, PathView, ViewRecord } from '../views/view-value.js'

/** A point in time: a `timestamp` literal or `now`. Apart from numbers, since comparing the two is unknown. */
export class Instant {
  constructor(readonly ms: number) {}
}

export class Duration {
  constructor(readonly ms: number) {}
}

/** An address or a range of addresses, as written in the policy. */
export class AddressRange {
  constructor(readonly text: string) {}
}

/** What a view other than `json` made of a text. Only fields, `under` and `in` look inside. */
export class Parsed {
  constructor(
    readonly view: Exclude<ViewName, 'json'>,
    readonly record: ViewRecord,
  ) {}
}

export interface ValueMap {
  readonly [key: string]: Value
}

/** What an expression may come to; `undefined` is unknown: missing, of a wrong type, or a text that does not parse. */
export type Value =
  | undefined
  | null
  | boolean
  | number
  | bigint
  | string
  | Instant
  | Duration
  | AddressRange
  | Parsed
  | readonly Value[]
  | ValueMap

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

export function isMap(value: Value): value is ValueMap {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Instant) &&
    !(value instanceof Duration) &&
    !(value instanceof AddressRange) &&
    !(value instanceof Parsed)
  )
}

/**
 * A member that the value itself holds. Keys of JSON objects never reach `Object.prototype`, whatever object the caller
 * built the call from: `args.constructor` is an argument or nothing.
 */
export function member(value: Value, key: string): Value {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  if (value instanceof Parsed) return ownMember(value.record, key)
  return isMap(value) ? ownMember(value, key) : undefined
}

function ownMember(map: ValueMap, key: string): Value {
  return Object.hasOwn(map, key) ? map[key] : undefined
}

export function isIp(value: Value): value is Parsed & { readonly record: IpView } {
  return value instanceof Parsed && value.view === 'ip'
}

export function isPath(value: Value): value is Parsed & { readonly record: PathView } {
  return value instanceof Parsed && value.view === 'path'
}

/** True when the value could stand in a JSON text, all through. */
export function isJson(value: Value): value is JsonValue {
  if (typeof value !== 'object' || value === null) return value !== undefined
  if (isList(value)) return value.every(isJson)
  return isMap(value) && Object.values(value).every(isJson)
}
