/**
 * What a JSON text denotes. Integers that a double cannot hold exactly are `bigint`, so that an account number of 19
 * digits is never equal to its neighbour. Objects inherit nothing and never have the key `__proto__`.
 */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** An object that inherits nothing. Unlike one of `Object.create(null)`, V8 keeps its keys in a shape and not in a table. */
export function emptyObject<T>(): Record<string, T> {
  return new Empty() as Record<string, T>
}

const Empty = function Empty() {} as unknown as new () => object
Empty.prototype = Object.freeze(Object.create(null))
