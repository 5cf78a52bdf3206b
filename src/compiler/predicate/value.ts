import type { ViewName } from '../../language/vocabulary.js'
import type { JsonValue } from '../../model/json.js'
import type { IpView, PathView, ViewRecord } from '../views/view-value.js'

/** Values that no JSON text denotes. */
abstract class Special {}

/** A point in time: a `timestamp` literal or `now`. Apart from numbers, since comparing the two is unknown. */
export class Instant extends Special {
  constructor(readonly ms: number) {
    super()
  }
}

export class Duration extends Special {
  constructor(readonly ms: number) {
    super()
  }
}

/** An address or a range of addresses, as written in the policy. */
export class AddressRange extends Special {
  constructor(readonly text: string) {
    super()
  }
}

/** What a view other than `json` made of a text. Only fields, `under` and `in` look inside. */
export class Parsed extends Special {
  constructor(
    readonly view: Exclude<ViewName, 'json'>,
    readonly record: ViewRecord,
  ) {
    super()
  }
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
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Special)
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
