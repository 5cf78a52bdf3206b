import type { Attributes } from './approval.js'
import type { Call } from './call.js'

/** A call as its sender describes it: no tenant yet, and the agent only a claim. */
export type ClaimedCall = Omit<Call, 'tenant'>

/** What came with the request to prove who sends it. */
export interface Credential {
  /** Value of the `authorization` header; empty when there was none. Never logged. */
  readonly authorization: string
}

/** What a caller may do. Which role a method asks for stands in one table, `src/identity/permissions.ts`. */
export const ROLES = ['agent', 'approver', 'operator', 'auditor', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** Who calls, as the credential proves it: the authority on tenant and agent. */
export interface Caller {
  readonly tenant: string
  /** The agent's id, a person's address or a service's name. */
  readonly id: string
  readonly roles: readonly Role[]
  /** Names that policies ask for in `require approval from NAME`. */
  readonly approverRoles: readonly string[]
  readonly attributes: Attributes
  /** Of an agent: labels that policies match on, and the person who answers for it (empty: nobody known). */
  readonly labels: Readonly<Record<string, string>>
  readonly owner: string
  /** Empty when no key was needed: development on loopback, where the claims of a request are believed. */
  readonly keyId: string
}

/** Turns a credential into a caller, and holds the claims of a call against it. */
export interface Identity {
  /**
   * Who calls, if they may call this method at all.
   * @param method as gRPC writes it: `/portcullis.v1.DecisionService/Decide`
   * @throws {Unauthenticated} for a credential that proves nothing
   * @throws {PermissionDenied} for a caller without a role that may
   */
  admit(method: string, credential: Credential): Caller
  /**
   * The call with its tenant, its agent and the labels that the credential vouches for.
   * @throws {PermissionDenied} when the call names another agent than the credential
   */
  identify(call: ClaimedCall, caller: Caller): Call
}

/** The message is for the caller and says how to mend it; it never says whether a key exists. */
export class Unauthenticated extends Error {
  override readonly name = 'Unauthenticated'
}
export class PermissionDenied extends Error {
  override readonly name = 'PermissionDenied'
}
