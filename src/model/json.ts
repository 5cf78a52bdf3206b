/**
 * What a JSON text denotes. Integers that a double cannot hold exactly are `bigint`, so that an account number of 19
 * digits is never equal to its neighbour. Objects have a null prototype and never the key `__proto__`.
 */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue
}
