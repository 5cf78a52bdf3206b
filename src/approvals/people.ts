import type { Attributes } from '../model/approval.js'
import type { JsonObject } from '../model/json.js'
import type { Seat } from './seats.js'

/** A person who may vote, as the keys or the directory of the tenant know them. */
export interface Person {
  readonly id: string
  /** Names that policies ask for. */
  readonly roles: readonly string[]
  readonly attributes: Attributes
}

/** Who is there to decide, read from memory. Null in its place where nobody is known: in development, where claims are believed. */
export interface People {
  /** Everybody who may vote in the tenant. */
  approversOf(tenant: string): readonly Person[]
  /** Who answers for the agent; empty when nobody is known to. */
  ownerOf(tenant: string, agent: string): string
}

/** Arguments as people and channels may see them: what the audit would mask is masked. */
export type MaskArguments = (args: JsonObject) => JsonObject

/** One's own seat. */
export function seatOf({ id, roles, attributes }: Person): Seat {
  return { person: id, onBehalfOf: '', roles, attributes }
}
