import type { ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js'
import { type ApprovalFilter, type ApprovalPage, MOST_A_PAGE } from '../../approvals/history.js'
import type { PublishedKey } from '../../approvals/receipts/key-store.js'
import { MOST_BATCH, type Reviews } from '../../approvals/reviews.js'
import { type ApprovalStats, STATS_BY, type StatsBy } from '../../approvals/stats.js'
import type { Waiting } from '../../approvals/waiting.js'
import { APPROVAL_STATES, type ApprovalEvent, type ApprovalRequest, type ApprovalState } from '../../model/approval.js'
import type { Caller } from '../../model/identity.js'
import type { JsonObject } from '../../model/json.js'
import { JsonError } from '../../model/json-error.js'
import { parseJsonObject } from '../../model/parse-json.js'
import { toDelegation, toDetail, toGrant, toKey, toStats, toSummary, toUpdate } from './approval-messages.js'
import { watchApproval, watchQueue } from './approval-streams.js'
import { RpcError, toErrorMessage } from './errors.js'
import { LIMITS } from './limits.js'
import { name, optional, overLimit, uuid } from './names.js'
import { refusalError } from './refusals.js'
import { type EdgeDeps, unary } from './unary.js'
import type { TimestampMessage } from './wire.js'

/** What the service works on. */
export interface ApprovalParts {
  readonly reviews: Reviews
  readonly waiting: Waiting
  list(caller: Caller, filter: ApprovalFilter, limit: number, pageToken: string): Promise<ApprovalPage>
  events(tenant: string, approvalId: string): Promise<readonly ApprovalEvent[]>
  stats(tenant: string, by: StatsBy, fromMs: number, untilMs: number): Promise<readonly ApprovalStats[]>
  /** The keys that receipts are verified with, oldest first. */
  receiptKeys(): readonly PublishedKey[]
}

export interface ApprovalServiceDeps extends EdgeDeps {
  readonly approvals: ApprovalParts
  readonly nowMs: () => number
}

interface ById {
  readonly approvalId: string
}
interface WithComment extends ById {
  readonly comment: string
}
interface WithReason extends ById {
  readonly reason: string
}
interface WaitMessage extends ById {
  readonly afterVersion: number
  readonly waitMs: number
}
interface ReviewMessage extends WithComment {
  readonly approve: boolean
  readonly shownDigest: string
  readonly editedArgumentsJson: Uint8Array
  readonly remember: {
    readonly scope: string
    readonly fields: readonly string[]
    readonly forMs: number
    readonly mostUses: number
  } | null
  readonly onBehalfOf: string
}
interface BatchMessage {
  readonly items: readonly (ById & { readonly shownDigest: string })[]
  readonly approve: boolean
  readonly comment: string
}
export interface FilterMessage {
  readonly states: readonly string[]
  readonly agent: string
  readonly tool: string
  readonly ruleId: string
  readonly principal: string
  readonly sessionId: string
  readonly mine: boolean
  readonly from: TimestampMessage | null
  readonly until: TimestampMessage | null
  readonly text: string
  readonly unreviewed: boolean
}

const MOST_WAIT_MS = 50_000
const DEFAULT_PAGE = 50
const STATE_PREFIX = 'APPROVAL_STATE_'
const DAY_MS = 86_400_000
const STATS_DAYS = 30
const SCOPES = ['exact', 'tool', 'fields'] as const
const ARGUMENT_LIMITS = { maxBytes: LIMITS.jsonBytes, maxDepth: LIMITS.jsonDepth }

export function approvalHandlers(deps: ApprovalServiceDeps): UntypedServiceImplementation {
  const { reviews, waiting, list, events, stats, receiptKeys } = deps.approvals

  const detail = async (caller: Caller, request: ApprovalRequest): Promise<object> => {
    const mayVote = caller.keyId === '' || caller.roles.includes('approver')
    const [history, fault] = await Promise.all([
      events(caller.tenant, request.id),
      mayVote ? reviews.voteFault(caller, request) : null,
    ])
    return toDetail(request, history, mayVote ? (fault?.message ?? null) : 'your key has not the role approver')
  }
  /** A handler that does something to a request and answers with what it is now. */
  const acting = <Message>(act: (message: Message, caller: Caller) => Promise<ApprovalRequest>) =>
    unary(deps, async (message: Message, caller) => detail(caller, await act(message, caller)))

  return {
    watchApproval: (stream: ServerWritableStream<WaitMessage, object>) =>
      watchApproval(deps, stream, async ({ approvalId }, caller) => reviews.get(caller, idOf(approvalId))),
    waitApproval: unary(deps, async ({ approvalId, afterVersion, waitMs }: WaitMessage, caller) => {
      if (waitMs > MOST_WAIT_MS) throw overLimit('wait_ms', `is ${waitMs}`, `${MOST_WAIT_MS}`)
      const now = await reviews.get(caller, idOf(approvalId))
      if (now.version > afterVersion) return toUpdate(now, true)
      const newer = await waiting.wait(now.id, afterVersion, waitMs || MOST_WAIT_MS, deps.inFlight.draining)
      return toUpdate(newer ?? now, newer !== null)
    }),
    watchQueue: (stream: ServerWritableStream<{ readonly filter: FilterMessage | null }, object>) =>
      watchQueue(deps, stream, list, ({ filter }) => toFilter(filter)),
    listApprovals: unary(
      deps,
      async (
        { filter, limit, pageToken }: { filter: FilterMessage | null; limit: number; pageToken: string },
        caller,
      ) => {
        if (limit > MOST_A_PAGE) throw overLimit('limit', `is ${limit}`, `${MOST_A_PAGE}`)
        const page = await list(caller, toFilter(filter), limit || DEFAULT_PAGE, optional('page_token', pageToken))
        return { requests: page.requests.map(toSummary), nextPageToken: page.nextPageToken }
      },
    ),
    getApproval: acting(({ approvalId }: ById, caller) => reviews.get(caller, idOf(approvalId))),
    review: acting((message: ReviewMessage, caller) =>
      reviews.review(caller, {
        approvalId: idOf(message.approvalId),
        verdict: message.approve ? 'approve' : 'reject',
        comment: comment(message.comment),
        shownDigest: name('shown_digest', message.shownDigest),
        editedArguments: message.editedArgumentsJson.length === 0 ? null : argumentsOf(message.editedArgumentsJson),
        remember: message.remember === null ? null : toRemember(message.remember),
        onBehalfOf: optional('on_behalf_of', message.onBehalfOf),
      }),
    ),
    reviewBatch: unary(deps, async ({ items, approve, comment: text }: BatchMessage, caller) => {
      if (items.length > MOST_BATCH) throw overLimit('items', `has ${items.length} entries`, `${MOST_BATCH}`)
      const votes = items.map(({ approvalId, shownDigest }) => ({
        approvalId: idOf(approvalId),
        shownDigest: name('items.shown_digest', shownDigest),
      }))
      const done = await reviews.reviewBatch(caller, votes, approve ? 'approve' : 'reject', comment(text))
      const results = done.map((one, i) => {
        const { approvalId } = votes[i]!
        if (!('code' in one)) return { approvalId, request: toSummary(one) }
        return { approvalId, error: toErrorMessage(refusalError(one)) }
      })
      return { results }
    }),
    comment: acting(({ approvalId, comment: text }: WithComment, caller) =>
      reviews.comment(caller, idOf(approvalId), comment(text)),
    ),
    extend: acting(({ approvalId, byMs, reason }: WithReason & { readonly byMs: number }, caller) =>
      reviews.extend(caller, idOf(approvalId), byMs, comment(reason, 'reason')),
    ),
    cancel: acting(({ approvalId, reason }: WithReason, caller) =>
      reviews.cancel(caller, idOf(approvalId), comment(reason, 'reason')),
    ),
    breakGlass: acting(({ approvalId, shownDigest, reason }: WithReason & { readonly shownDigest: string }, caller) =>
      reviews.breakGlass(caller, idOf(approvalId), name('shown_digest', shownDigest), comment(reason, 'reason')),
    ),
    reviewBrokenGlass: acting(({ approvalId, comment: text }: WithComment, caller) =>
      reviews.reviewBrokenGlass(caller, idOf(approvalId), comment(text)),
    ),
    delegate: unary(
      deps,
      async (
        {
          to,
          role,
          from,
          until,
        }: { to: string; role: string; from: TimestampMessage | null; until: TimestampMessage | null },
        caller,
      ) => {
        if (until === null) throw new RpcError('FIELD_REQUIRED', 'until is missing', { field: 'until' })
        const wish = { to: name('to', to), role: optional('role', role), fromMs: msOf(from), untilMs: msOf(until)! }
        return toDelegation(await reviews.delegate(caller, wish))
      },
    ),
    listDelegations: unary(deps, async (_: object, caller) => ({
      delegations: (await reviews.listDelegations(caller)).map(toDelegation),
    })),
    revokeDelegation: unary(deps, async ({ delegationId }: { readonly delegationId: string }, caller) =>
      toDelegation(await reviews.revokeDelegation(caller, uuid('delegation_id', delegationId))),
    ),
    listGrants: unary(deps, async ({ agent, includeEnded }: { agent: string; includeEnded: boolean }, caller) => ({
      grants: (await reviews.listGrants(caller, optional('agent', agent), includeEnded)).map(toGrant),
    })),
    revokeGrant: unary(deps, async ({ grantId, reason }: { grantId: string; reason: string }, caller) =>
      toGrant(await reviews.revokeGrant(caller, uuid('grant_id', grantId), comment(reason, 'reason'))),
    ),
    approvalStats: unary(
      deps,
      async (
        { from, until, by }: { from: TimestampMessage | null; until: TimestampMessage | null; by: string },
        { tenant },
      ) => {
        const known = STATS_BY.find((each) => each === by)
        if (known === undefined) {
          throw new RpcError('FIELD_INVALID', `by must be one of ${STATS_BY.slice(1).join(', ')}, or empty`, {
            field: 'by',
          })
        }
        const untilMs = msOf(until) ?? deps.nowMs()
        return { rows: (await stats(tenant, known, msOf(from) ?? untilMs - STATS_DAYS * DAY_MS, untilMs)).map(toStats) }
      },
    ),
    receiptKeys: unary(deps, () => ({ keys: receiptKeys().map(toKey) })),
  }
}

function idOf(approvalId: string): string {
  return uuid('approval_id', approvalId)
}

function comment(text: string, field = 'comment'): string {
  return optional(field, text, LIMITS.commentBytes)
}

function argumentsOf(bytes: Uint8Array): JsonObject {
  try {
    return parseJsonObject(bytes, ARGUMENT_LIMITS)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    const field = 'edited_arguments_json'
    throw new RpcError('ARGUMENTS_INVALID', `${field}: ${error.message}`, {
      field,
      path: error.path,
      problem: error.code,
    })
  }
}

function toRemember({ scope, fields, forMs, mostUses }: NonNullable<ReviewMessage['remember']>) {
  const known = SCOPES.find((each) => each === scope)
  if (known === undefined) {
    throw new RpcError('FIELD_INVALID', `remember.scope must be one of ${SCOPES.join(', ')}`, {
      field: 'remember.scope',
    })
  }
  const paths = fields.map((field) => {
    const [root, ...path] = field.split('.')
    if (root === 'args' && path.length > 0 && path.every((step) => step !== '')) return path
    throw new RpcError('FIELD_INVALID', 'remember.fields are paths such as args.to', { field: 'remember.fields' })
  })
  return { scope: known, fields: paths, forMs, mostUses }
}

function toFilter(message: FilterMessage | null): ApprovalFilter {
  return {
    states: (message?.states ?? []).map(toState),
    agent: optional('filter.agent', message?.agent ?? ''),
    tool: optional('filter.tool', message?.tool ?? ''),
    ruleId: optional('filter.rule_id', message?.ruleId ?? ''),
    principal: optional('filter.principal', message?.principal ?? ''),
    sessionId: optional('filter.session_id', message?.sessionId ?? ''),
    mine: message?.mine ?? false,
    unreviewed: message?.unreviewed ?? false,
    fromMs: msOf(message?.from ?? null),
    untilMs: msOf(message?.until ?? null),
    text: optional('filter.text', message?.text ?? ''),
  }
}

function toState(text: string): ApprovalState {
  const state = APPROVAL_STATES.find((known) => STATE_PREFIX + known === text)
  if (state !== undefined) return state
  throw new RpcError('FIELD_INVALID', 'filter.states has a state that this server does not know', {
    field: 'filter.states',
  })
}

function msOf(timestamp: TimestampMessage | null): number | null {
  if (timestamp === null) return null
  const ms = timestamp.seconds * 1_000 + Math.floor(timestamp.nanos / 1e6)
  if (Math.abs(ms) <= 8.64e15) return ms
  throw new RpcError('FIELD_INVALID', 'a timestamp is out of its range', {})
}
