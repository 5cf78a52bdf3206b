import type { Call } from '../../src/model/call.js'
import type { Outcome } from '../../src/model/outcome.js'
import type { PlainPolicies } from './plain.js'

/** An engine of the comparison, set up as its documentation says for speed; docs/benchmarks.md tells how. */
export interface Peer {
  readonly name: string
  /** Its npm package, for the version. */
  readonly npm: string
  /** Policies and calls in the engine's own terms. Whatever can be made ahead of a decision is made here, and costs nothing. */
  open(policies: PlainPolicies, calls: readonly Call[]): Promise<OpenPeer>
}

export type OpenPeer =
  | { readonly isAsync: false; readonly decide: (call: number) => Outcome }
  | { readonly isAsync: true; readonly decide: (call: number) => Promise<Outcome> }
