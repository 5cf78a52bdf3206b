import type { Call } from './call.js'

/** A call as its sender describes it: no tenant yet, and the agent only a claim. */
export type ClaimedCall = Omit<Call, 'tenant'>

/** What came with the request to prove who sends it. */
export interface Credential {
  /** Value of the `authorization` header; empty when there was none. Never logged. */
  readonly authorization: string
}

/** Turns a credential into the tenant it belongs to, and holds the claims of a call against it. */
export interface Identity {
  /** The tenant whose policies answer and whose records may be read. */
  tenantOf(credential: Credential): string
  /** The call with its tenant, its agent and the labels that the credential vouches for. */
  identify(call: ClaimedCall, credential: Credential): Call
}
