import type { Call } from './call.js'
import type { Decision } from './decision.js'
import type { KillSwitch } from './kill-switch.js'

/** What stops a call before the policies are asked. Read from memory: it holds while every store is down. */
export interface Control {
  /** The kill switch that stops this call, or null. */
  stopping(call: Call): KillSwitch | null
  /** Whether what is known of switches and keys is too old to let anything through. */
  isStale(nowMs: number): boolean
  /** Told of every decision that counts: no dry runs. May stop an agent that goes too far. */
  observe(call: Call, decision: Decision, nowMs: number): void
}

/** A server without a control store: nothing stops, nothing ages. */
export const NO_CONTROL: Control = { stopping: () => null, isStale: () => false, observe: () => undefined }

/** Where calls that people must decide about go. */
export interface ApprovalDesk {
  /**
   * Joins or opens the request of this call, or consumes what was approved of it.
   *
   * @param decision REQUIRE_APPROVAL, by the policies that are live now
   * @param approvalId named by the call, or empty
   * @returns ALLOW by `APPROVED`; DENY by one of the approval reasons; or REQUIRE_APPROVAL with `opened`
   * @throws whatever keeps the store from answering; the call is denied then
   */
  settle(call: Call, decision: Decision, approvalId: string): Promise<Decision>
}

/** What a receipt says of an ALLOW. */
export interface ReceiptClaims {
  readonly decisionId: string
  readonly call: Call
  readonly policyRevision: string
  /** Empty unless an approval was consumed; a tool server honours such a receipt once. */
  readonly approvalId: string
  readonly issuedMs: number
}

export interface ReceiptSigner {
  /** Resolves with the receipt as text. Those that are asked for at a time share a signature. */
  sign(claims: ReceiptClaims): Promise<string>
}
