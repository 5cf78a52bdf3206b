import type { Caller } from './client.js'
import type { ApprovalRequirement } from './messages.js'
import { optionalDate, type Timestamp, toDate, toTimestamp } from './timestamp.js'

export type ApprovalState =
  | 'PENDING'
  | 'APPROVED'
  | 'CONSUMED'
  | 'REJECTED'
  | 'EXPIRED'
  | 'CANCELLED'
  | 'GRANT_EXPIRED'
  | 'REVOKED'

export interface ApprovalUpdate {
  readonly approvalId: string
  readonly version: number
  readonly state: ApprovalState
  /** Whether the state is newer than what was seen before; false in heartbeats and when a wait ended without news. */
  readonly changed: boolean
  readonly final: boolean
  readonly reason: string
  readonly expiresAt: Date
  readonly validUntil: Date | null
  /** JSON of the arguments that a reviewer changed: decide with these. Empty where nobody did. */
  readonly editedArgumentsJson: string
}

export interface ApprovalSummary {
  readonly approvalId: string
  readonly version: number
  readonly state: ApprovalState
  readonly agent: string
  readonly principal: string
  readonly tool: string
  readonly environment: string
  readonly reason: string
  readonly severity: string
  readonly ruleIds: readonly string[]
  /** Roles whose vote is missing now. */
  readonly waitingFor: readonly string[]
  readonly createdAt: Date
  readonly expiresAt: Date
  /** Of what is shown; every vote names it. */
  readonly shownDigest: string
}

export interface ApprovalDetail {
  readonly summary: ApprovalSummary
  /** Masked, JSON. */
  readonly shownArgumentsJson: string
  readonly digest: string
  readonly sessionId: string
  readonly delegationChain: readonly string[]
  readonly agentOwner: string
  readonly requirements: readonly {
    readonly requirement: ApprovalRequirement
    readonly stage: number
    readonly met: boolean
    readonly deadline: Date
    readonly escalatedTo: readonly string[]
  }[]
  readonly votes: readonly {
    readonly person: string
    readonly onBehalfOf: string
    readonly approve: boolean
    readonly comment: string
    readonly at: Date
    readonly shownDigest: string
    readonly counts: boolean
  }[]
  readonly history: readonly {
    readonly version: number
    readonly kind: string
    readonly at: Date
    readonly by: string
    readonly why: string
    readonly state: ApprovalState
  }[]
  readonly validUntil: Date | null
  readonly policyRevision: string
  readonly edited: boolean
  readonly glassBroken: boolean
  readonly reviewGlassBy: Date | null
  readonly mayVote: boolean
  readonly whyNot: string
}

export interface ApprovalFilter {
  readonly states?: readonly ApprovalState[]
  readonly agent?: string
  readonly tool?: string
  readonly ruleId?: string
  readonly principal?: string
  readonly sessionId?: string
  /** Only those on which the caller may vote now. */
  readonly mine?: boolean
  readonly unreviewed?: boolean
  readonly from?: Date
  readonly until?: Date
  readonly text?: string
}

export interface Review {
  readonly approvalId: string
  readonly approve: boolean
  /** As shown to the person who votes. */
  readonly shownDigest: string
  readonly comment?: string
  /** The whole arguments as the reviewer wants them: JSON text, or an object that `JSON.stringify` takes. */
  readonly editedArguments?: object | string
  readonly remember?: {
    readonly scope: 'exact' | 'tool' | 'fields'
    readonly fields?: readonly string[]
    readonly forMs: number
    readonly mostUses?: number
  }
  readonly onBehalfOf?: string
}

export interface Delegation {
  readonly delegationId: string
  readonly fromPerson: string
  readonly toPerson: string
  readonly role: string
  readonly from: Date
  readonly until: Date
  readonly revokedAt: Date | null
}

export interface Grant {
  readonly grantId: string
  readonly agent: string
  readonly principal: string
  readonly tool: string
  readonly environment: string
  readonly scope: 'exact' | 'tool' | 'fields'
  readonly fieldsJson: string
  readonly approvalId: string
  readonly grantedBy: readonly string[]
  readonly createdAt: Date
  readonly expiresAt: Date
  /** 0: as often as wanted. */
  readonly mostUses: number
  readonly uses: number
  readonly revokedAt: Date | null
}

export interface ApprovalStats {
  readonly key: string
  readonly requests: number
  readonly pending: number
  readonly approved: number
  readonly rejected: number
  readonly timedOut: number
  readonly cancelled: number
  readonly averageMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly approvalRate: number
  readonly rejectionRate: number
  readonly timeoutRate: number
}

/** A key of receipts as `verifyReceipt` in receipt.ts takes it. */
export interface PublishedReceiptKey {
  readonly keyId: string
  readonly publicKey: Uint8Array
  /** Seconds since the epoch. */
  readonly retiredAt: number | null
  readonly isWithdrawn: boolean
}

const SERVICE = 'ApprovalService'
const PREFIX = 'APPROVAL_STATE_'
/** The server holds a wait for at most so long. */
const MOST_WAIT_MS = 50_000
const WAIT_MARGIN_MS = 5_000
/** Pauses before a stream that broke is opened again, milliseconds. */
const RECONNECT_MS = { least: 250, most: 10_000 }

/** Waiting for people, and deciding as one. Every method throws PortcullisError. */
export class Approvals {
  readonly #caller: Caller

  constructor(caller: Caller) {
    this.#caller = caller
  }

  /**
   * Waits until people decided: resolves with the first state that is not PENDING. It goes on through servers that restart and
   * connections that break, until the signal aborts; that is no answer about the request.
   */
  async waitUntilDecided(approvalId: string, signal?: AbortSignal): Promise<ApprovalUpdate> {
    let afterVersion = 0
    let pauseMs = RECONNECT_MS.least
    for (;;) {
      signal?.throwIfAborted()
      try {
        for await (const update of this.watch(approvalId, afterVersion, signal)) {
          pauseMs = RECONNECT_MS.least
          afterVersion = update.version
          if (update.state !== 'PENDING') return update
        }
      } catch (error) {
        if (!isPassing(error)) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + 0.5 * Math.random())))
      pauseMs = Math.min(2 * pauseMs, RECONNECT_MS.most)
    }
  }

  /** The state and every change of it until it is final, heartbeats among them. */
  async *watch(approvalId: string, afterVersion = 0, signal?: AbortSignal): AsyncGenerator<ApprovalUpdate, void> {
    const message = { approvalId, afterVersion }
    for await (const update of this.#caller.watch<Wire>(SERVICE, 'watchApproval', message, signal))
      yield toUpdate(update)
  }

  /** For clients that cannot stream: answers when the state is newer than `afterVersion`, or after `waitMs` (at most 50 s). */
  async wait(approvalId: string, afterVersion = 0, waitMs = MOST_WAIT_MS): Promise<ApprovalUpdate> {
    const message = { approvalId, afterVersion, waitMs }
    return toUpdate(await this.#caller.call<Wire>(SERVICE, 'waitApproval', message, waitMs + WAIT_MARGIN_MS))
  }

  /** All that waits, `'synced'`, then what comes and changes. */
  async *watchQueue(
    filter: ApprovalFilter = {},
    signal?: AbortSignal,
  ): AsyncGenerator<ApprovalSummary | 'synced', void> {
    type Update = { readonly request?: Wire | null; readonly synced?: boolean }
    const message = { filter: fromFilter(filter) }
    for await (const { request, synced } of this.#caller.watch<Update>(SERVICE, 'watchQueue', message, signal)) {
      if (request) yield toSummary(request)
      else if (synced) yield 'synced'
    }
  }

  /** Newest first. */
  async list(
    filter: ApprovalFilter = {},
    limit = 0,
    pageToken = '',
  ): Promise<{ readonly requests: readonly ApprovalSummary[]; readonly nextPageToken: string }> {
    type Page = { readonly requests: readonly Wire[]; readonly nextPageToken: string }
    const message = { filter: fromFilter(filter), limit, pageToken }
    const { requests, nextPageToken } = await this.#caller.call<Page>(SERVICE, 'listApprovals', message)
    return { requests: requests.map(toSummary), nextPageToken }
  }

  get(approvalId: string): Promise<ApprovalDetail> {
    return this.#detail('getApproval', { approvalId })
  }

  review({ editedArguments, ...review }: Review): Promise<ApprovalDetail> {
    const text = typeof editedArguments === 'object' ? JSON.stringify(editedArguments) : (editedArguments ?? '')
    return this.#detail('review', { ...review, editedArgumentsJson: Buffer.from(text) })
  }

  /** The same verdict on up to 200 requests of one tool and one rule. */
  async reviewBatch(
    items: readonly { readonly approvalId: string; readonly shownDigest: string }[],
    approve: boolean,
    comment = '',
  ): Promise<
    readonly {
      readonly approvalId: string
      readonly request: ApprovalSummary | null
      readonly error: { readonly reason: string; readonly message: string } | null
    }[]
  > {
    type Result = { approvalId: string; request?: Wire | null; error?: { reason: string; message: string } | null }
    const message = { items, approve, comment }
    const { results } = await this.#caller.call<{ results: readonly Result[] }>(SERVICE, 'reviewBatch', message)
    return results.map(({ approvalId, request, error }) => ({
      approvalId,
      request: request ? toSummary(request) : null,
      error: error ?? null,
    }))
  }

  comment(approvalId: string, comment: string): Promise<ApprovalDetail> {
    return this.#detail('comment', { approvalId, comment })
  }

  extend(approvalId: string, byMs: number, reason: string): Promise<ApprovalDetail> {
    return this.#detail('extend', { approvalId, byMs, reason })
  }

  cancel(approvalId: string, reason: string): Promise<ApprovalDetail> {
    return this.#detail('cancel', { approvalId, reason })
  }

  breakGlass(approvalId: string, shownDigest: string, reason: string): Promise<ApprovalDetail> {
    return this.#detail('breakGlass', { approvalId, shownDigest, reason })
  }

  reviewBrokenGlass(approvalId: string, comment: string): Promise<ApprovalDetail> {
    return this.#detail('reviewBrokenGlass', { approvalId, comment })
  }

  /** @param role empty: every role that one holds */
  async delegate(to: string, until: Date, role = '', from?: Date): Promise<Delegation> {
    const message = { to, role, until: toTimestamp(until), ...(from && { from: toTimestamp(from) }) }
    return toDelegation(await this.#caller.call<Wire>(SERVICE, 'delegate', message))
  }

  async listDelegations(): Promise<readonly Delegation[]> {
    const { delegations } = await this.#caller.call<{ delegations: readonly Wire[] }>(SERVICE, 'listDelegations', {})
    return delegations.map(toDelegation)
  }

  async revokeDelegation(delegationId: string): Promise<Delegation> {
    return toDelegation(await this.#caller.call<Wire>(SERVICE, 'revokeDelegation', { delegationId }))
  }

  async listGrants(agent = '', includeEnded = false): Promise<readonly Grant[]> {
    const message = { agent, includeEnded }
    const { grants } = await this.#caller.call<{ grants: readonly Wire[] }>(SERVICE, 'listGrants', message)
    return grants.map(toGrant)
  }

  async revokeGrant(grantId: string, reason: string): Promise<Grant> {
    return toGrant(await this.#caller.call<Wire>(SERVICE, 'revokeGrant', { grantId, reason }))
  }

  async stats(
    by: '' | 'rule' | 'tool' | 'approver' = '',
    from?: Date,
    until?: Date,
  ): Promise<readonly ApprovalStats[]> {
    const message = { by, ...(from && { from: toTimestamp(from) }), ...(until && { until: toTimestamp(until) }) }
    return (await this.#caller.call<{ rows: readonly ApprovalStats[] }>(SERVICE, 'approvalStats', message)).rows
  }

  async receiptKeys(): Promise<readonly PublishedReceiptKey[]> {
    type Key = {
      readonly keyId: string
      readonly publicKey: Uint8Array
      readonly retiredAt: Timestamp | null
      readonly withdrawnAt: Timestamp | null
    }
    const { keys } = await this.#caller.call<{ keys: readonly Key[] }>(SERVICE, 'receiptKeys', {})
    return keys.map(({ keyId, publicKey, retiredAt, withdrawnAt }) => ({
      keyId,
      publicKey,
      retiredAt: retiredAt?.seconds ?? null,
      isWithdrawn: withdrawnAt !== null,
    }))
  }

  async #detail(method: string, message: object): Promise<ApprovalDetail> {
    const { summary, shownArgumentsJson, requirements, votes, history, ...rest } = await this.#caller.call<WireDetail>(
      SERVICE,
      method,
      message,
    )
    return {
      ...(rest as unknown as ApprovalDetail),
      summary: toSummary(summary),
      shownArgumentsJson: Buffer.from(shownArgumentsJson).toString(),
      requirements: requirements.map((each) => ({ ...each, deadline: toDate(each.deadline) })),
      votes: votes.map((vote) => ({ ...vote, at: toDate(vote.at) })),
      history: history.map((event) => ({ ...event, at: toDate(event.at), state: toState(event.state) })),
      validUntil: optionalDate(rest.validUntil),
      reviewGlassBy: optionalDate(rest.reviewGlassBy),
    }
  }
}

/** A message as the loader gives it: timestamps and states in the proto's form. */
type Wire = Readonly<Record<string, never>>
type At<T> = Omit<T, 'at' | 'deadline' | 'state'> & {
  readonly at: Timestamp
  readonly deadline: Timestamp
  readonly state: string
}
interface WireDetail {
  readonly summary: Wire
  readonly shownArgumentsJson: Uint8Array
  readonly requirements: readonly At<ApprovalDetail['requirements'][number]>[]
  readonly votes: readonly At<ApprovalDetail['votes'][number]>[]
  readonly history: readonly At<ApprovalDetail['history'][number]>[]
  readonly validUntil: Timestamp | null
  readonly reviewGlassBy: Timestamp | null
}

/** What another try may mend. 14: UNAVAILABLE. */
function isPassing(error: unknown): boolean {
  return (error as { readonly code?: number }).code === 14
}

function toState(text: string): ApprovalState {
  return text.slice(PREFIX.length) as ApprovalState
}

function toUpdate(wire: Wire): ApprovalUpdate {
  return {
    ...(wire as unknown as ApprovalUpdate),
    state: toState(wire['state'] as unknown as string),
    expiresAt: toDate(wire['expiresAt'] as unknown as Timestamp),
    validUntil: optionalDate(wire['validUntil'] as unknown as Timestamp | null),
    editedArgumentsJson: Buffer.from(wire['editedArgumentsJson'] as unknown as Uint8Array).toString(),
  }
}

function toSummary(wire: Wire): ApprovalSummary {
  return {
    ...(wire as unknown as ApprovalSummary),
    state: toState(wire['state'] as unknown as string),
    createdAt: toDate(wire['createdAt'] as unknown as Timestamp),
    expiresAt: toDate(wire['expiresAt'] as unknown as Timestamp),
  }
}

function toDelegation(wire: Wire): Delegation {
  return {
    ...(wire as unknown as Delegation),
    from: toDate(wire['from'] as unknown as Timestamp),
    until: toDate(wire['until'] as unknown as Timestamp),
    revokedAt: optionalDate(wire['revokedAt'] as unknown as Timestamp | null),
  }
}

function toGrant(wire: Wire): Grant {
  return {
    ...(wire as unknown as Grant),
    fieldsJson: Buffer.from(wire['fieldsJson'] as unknown as Uint8Array).toString(),
    createdAt: toDate(wire['createdAt'] as unknown as Timestamp),
    expiresAt: toDate(wire['expiresAt'] as unknown as Timestamp),
    revokedAt: optionalDate(wire['revokedAt'] as unknown as Timestamp | null),
  }
}

function fromFilter({ states, from, until, ...rest }: ApprovalFilter): object {
  return {
    ...rest,
    states: (states ?? []).map((state) => PREFIX + state),
    ...(from && { from: toTimestamp(from) }),
    ...(until && { until: toTimestamp(until) }),
  }
}
