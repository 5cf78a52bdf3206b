import type { JsonObject } from './json.js'

/** One thing that happened, on its way through one channel. Made anew for each try out of what the control store holds. */
export interface Delivery {
  /** The same for each try and each channel, and never used for anything else: receivers know by it what they had before. */
  readonly id: string
  readonly tenant: string
  /** `approval.opened`, `kill.engaged`: a family, a point, a word. */
  readonly kind: string
  readonly payload: JsonObject
  /** When it happened, by the store's clock. */
  readonly createdMs: number
  /** This try, from 1. */
  readonly attempt: number
  /** How long it has been tried, or was waited with. */
  readonly ageMs: number
  /** Sent again at somebody's wish after it was given up. */
  readonly isReplay: boolean
  /** Something newer about the same subject went through this channel meanwhile. */
  readonly isOvertaken: boolean
  /** What the channel called its last message about the same subject; empty when there is none. */
  readonly earlier: string
}

export type DeliveryOutcome =
  /** `remote`: what the channel calls its message, to find it again; empty where there is nothing to find. */
  | { readonly kind: 'sent'; readonly remote: string }
  /** `counts`: whether it was tried at all. */
  | { readonly kind: 'retry'; readonly afterMs: number; readonly why: string; readonly counts: boolean }
  | { readonly kind: 'dead'; readonly why: string }

/** Where the outbox hands things over. Neither side knows the other: app.ts connects them. */
export interface DeliveryPort {
  /** Distinct; kept with what waits for it, so that a new name is a new channel. */
  readonly name: string
  /** Asked once for each thing that happens. */
  accepts(kind: string, tenant: string): boolean
  /** Sends once, or says when to try again. Ends within 30 s and never rejects on account of the other side. */
  deliver(delivery: Delivery): Promise<DeliveryOutcome>
  close?(): Promise<void> | void
}

/** What a channel gave up on. */
export interface DeadLetter {
  readonly id: string
  readonly channel: string
  readonly kind: string
  /** Empty when it is about something else. */
  readonly approvalId: string
  readonly attempts: number
  /** Why the last try failed; may quote what the other side said. */
  readonly lastError: string
  readonly createdMs: number
  readonly givenUpMs: number
}

/** Deliveries that were given up, and sending them again. */
export interface DeadLetterDesk {
  /** Those of a tenant, the latest first. @param limit 1 to 500 */
  list(tenant: string, limit: number): Promise<readonly DeadLetter[]>
  /**
   * Has it sent again, by the whole schedule and under the same id, so that a receiver which had it all the same drops it.
   *
   * @returns the letter as it was, or null when the tenant has no dead letter of this id
   */
  replay(tenant: string, id: string): Promise<DeadLetter | null>
}
