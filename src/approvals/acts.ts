import type {
  ApprovalEvent,
  ApprovalRequest,
  ApprovalShown,
  ApprovalSubject,
  Grant,
  Verdict,
} from '../model/approval.js'
import type { ApprovalRequirement, ArgumentPath } from '../model/decision.js'
import type { JsonObject } from '../model/json.js'
import type { Refusal } from './refusal.js'
import type { Seat } from './seats.js'

/** What may be done to a request that is there. Whether the caller's role lets it is settled before, see `review.ts`. */
export type ApprovalAct =
  | {
      readonly kind: 'vote'
      readonly seat: Seat
      readonly verdict: Verdict
      readonly comment: string
      readonly shownDigest: string
      /** Only with `approve`. */
      readonly remember: RememberWish | null
      /** Only with `approve`: the call as the reviewer wants it, decided anew. */
      readonly edited: EditedCall | null
    }
  | { readonly kind: 'comment'; readonly by: string; readonly comment: string }
  | { readonly kind: 'extend'; readonly seat: Seat; readonly byMs: number; readonly reason: string }
  /** Does what is due by now, which every other act does first. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'cancel'; readonly by: string; readonly reason: string }
  /** Uses it for the call of this digest, of which the policies ask this now. */
  | { readonly kind: 'consume'; readonly digest: string; readonly asked: readonly ApprovalRequirement[] }
  | { readonly kind: 'break-glass'; readonly seat: Seat; readonly shownDigest: string; readonly reason: string }
  | { readonly kind: 'review-glass'; readonly by: string; readonly comment: string }
  | { readonly kind: 'kill'; readonly switchId: string; readonly reason: string }

/** What an agent's call needs to become a request. */
export interface Opening {
  /** UUIDv7. */
  readonly id: string
  readonly subject: ApprovalSubject
  readonly shown: ApprovalShown
  readonly requirements: readonly ApprovalRequirement[]
  readonly times: DefaultTimes
}

/** Where a clause names no time of its own; milliseconds. */
export interface DefaultTimes {
  /** @default 3_600_000 */
  readonly withinMs: number
  /** @default 900_000 */
  readonly validForMs: number
}
export const DEFAULT_TIMES: DefaultTimes = { withinMs: 3_600_000, validForMs: 900_000 }

/** A call with arguments that a reviewer changed, and what the policies ask of it. */
export interface EditedCall {
  readonly arguments: JsonObject
  readonly digest: string
  readonly shown: ApprovalShown
  /** Empty where the policies allow the changed call: the old requirements stay. */
  readonly requirements: readonly ApprovalRequirement[]
  readonly times: DefaultTimes
}

/** The grant that a reviewer wants to leave. */
export interface RememberWish {
  /** The id that it gets, a UUIDv7. */
  readonly grantId: string
  readonly scope: Grant['scope']['kind']
  /** Of `fields`: the arguments that stay as they are. */
  readonly fields: readonly ArgumentPath[]
  /** 0: as long as the rule allows. */
  readonly forMs: number
  /** 0: as often as the rule allows. */
  readonly mostUses: number
}

/** What has to happen with a transition, in its transaction. */
export type Effect =
  /** People are to be told; once, by this key. */
  | { readonly kind: 'notice'; readonly notice: NoticeKind; readonly roles: readonly string[]; readonly key: string }
  | { readonly kind: 'grant'; readonly grant: Grant }

/** Transitions that people hear of. */
export const NOTICES = [
  'opened',
  'stage-met',
  'escalated',
  'edited',
  'extended',
  'approved',
  'rejected',
  'expired',
  'cancelled',
  'revoked',
  'glass-broken',
  'review-overdue',
] as const satisfies readonly ApprovalEvent['kind'][]
export type NoticeKind = (typeof NOTICES)[number]

/**
 * What an act did. A refused act still carries what was due by the clock: who votes too late is refused, and the request is
 * out of time from then on.
 */
export interface Step {
  readonly request: ApprovalRequest
  /** One for each version that was added. */
  readonly events: readonly ApprovalEvent[]
  readonly effects: readonly Effect[]
  readonly refusal: Refusal | null
}
