import type { ApprovalRequest, Delegation, Grant, Verdict } from '../model/approval.js'
import type { ArgumentPath, Decision } from '../model/decision.js'
import type { Caller } from '../model/identity.js'
import type { JsonObject } from '../model/json.js'
import { isUuid, uuidv7 } from '../model/uuid.js'
import type { Database } from '../store/database.js'
import { writeEvents } from '../store/events/write.js'
import { type ApprovalAct, DEFAULT_TIMES, type DefaultTimes, type EditedCall, type RememberWish } from './acts.js'
import { shownOf } from './desk.js'
import { type DelegationWish, lendSeat, lentSeat, listDelegations, takeSeatBack } from './lent-seats.js'
import { voteFault } from './machine.js'
import type { MaskArguments, People } from './people.js'
import { type Refusal, refuse } from './refusal.js'
import { actOn, findRequest, notFound } from './requests.js'
import { GRANT_COLUMNS, type GrantRow, grantRevoked, plain, readGrant } from './rows.js'
import type { Seat } from './seats.js'
import { withArguments } from './subject.js'

export interface ReviewsOptions {
  readonly database: Database
  readonly people: People | null
  readonly mask: MaskArguments
  readonly decideAnew: DecideAnew
  readonly times?: DefaultTimes
}

/** What the live policies say of a request's call with other arguments. Nothing is recorded and nothing opened. */
export type DecideAnew = (request: ApprovalRequest, args: JsonObject) => Promise<Decision> | Decision

/** Nothing was done, and why. */
export class ApprovalRefused extends Error {
  override readonly name = 'ApprovalRefused'
  constructor(readonly refusal: Refusal) {
    super(refusal.message)
  }
}

/** One person's vote on one request. */
export interface Review {
  readonly approvalId: string
  readonly verdict: Verdict
  readonly comment: string
  readonly shownDigest: string
  /** The whole arguments as the reviewer wants them; null: as they are. */
  readonly editedArguments: JsonObject | null
  readonly remember: {
    readonly scope: RememberWish['scope']
    readonly fields: readonly ArgumentPath[]
    readonly forMs: number
    readonly mostUses: number
  } | null
  /** Whose lent seat is voted from; empty for one's own. */
  readonly onBehalfOf: string
}

/** Requests that one call may decide about. */
export const MOST_BATCH = 200

/** The name of who votes in development, where no key says it. */
export const NOBODY_KNOWN = 'development'

/**
 * What people do. Callers come admitted: that a role may call a method at all is settled, what it may do with this request is
 * settled here.
 *
 * Every method throws {@link ApprovalRefused}, and {@link StoreUnavailable} where nothing was done, or nobody can tell whether.
 */
export class Reviews {
  readonly #options: ReviewsOptions

  constructor(options: ReviewsOptions) {
    this.#options = options
  }

  /** A request that the caller may see: agents their own, people those of their tenant. */
  async get(caller: Caller, approvalId: string): Promise<ApprovalRequest> {
    const request = isUuid(approvalId)
      ? await findRequest(this.#options.database, plain(caller.tenant), approvalId)
      : null
    if (request === null || !maySee(caller, request)) throw new ApprovalRefused(notFound())
    return request
  }

  async review(caller: Caller, review: Review): Promise<ApprovalRequest> {
    const request = await this.get(caller, review.approvalId)
    const seat = await this.#seat(caller, review.onBehalfOf, request)
    const { verdict, comment, shownDigest, editedArguments, remember } = review
    const edited = editedArguments === null ? null : await this.#decideEdited(request, seat, editedArguments)
    const wish = remember === null ? null : { ...remember, grantId: uuidv7(Date.now()) }
    return this.#act(caller, review.approvalId, {
      kind: 'vote',
      seat,
      verdict,
      comment,
      shownDigest,
      remember: wish,
      edited,
    })
  }

  /** The same verdict on many: each stands or fails by itself, and all must be of one tool and one rule. */
  async reviewBatch(
    caller: Caller,
    items: readonly Pick<Review, 'approvalId' | 'shownDigest'>[],
    verdict: Verdict,
    comment: string,
  ): Promise<readonly (ApprovalRequest | Refusal)[]> {
    if (items.length === 0 || items.length > MOST_BATCH) {
      throw new ApprovalRefused(refuse('INVALID', `a batch holds 1 to ${MOST_BATCH} requests`))
    }
    const requests = await Promise.all(items.map(({ approvalId }) => this.get(caller, approvalId).catch(asRefusal)))
    const kinds = new Set(requests.flatMap((one) => ('code' in one ? [] : [kindOf(one)])))
    if (kinds.size > 1) {
      const why =
        'a batch is of one tool and one rule, so that whoever decides knows about what: send one batch for each'
      throw new ApprovalRefused(refuse('INVALID', why))
    }
    const results: (ApprovalRequest | Refusal)[] = []
    for (const [at, { approvalId, shownDigest }] of items.entries()) {
      const request = requests[at]!
      const vote = { approvalId, shownDigest, verdict, comment, editedArguments: null, remember: null, onBehalfOf: '' }
      results.push('code' in request ? request : await this.review(caller, vote).catch(asRefusal))
    }
    return results
  }

  async comment(caller: Caller, approvalId: string, comment: string): Promise<ApprovalRequest> {
    return this.#act(caller, approvalId, { kind: 'comment', by: nameOf(caller), comment })
  }

  async extend(caller: Caller, approvalId: string, byMs: number, reason: string): Promise<ApprovalRequest> {
    const seat = await this.#seat(caller, '', await this.get(caller, approvalId))
    return this.#act(caller, approvalId, { kind: 'extend', seat, byMs, reason })
  }

  /** By the agent that asked, or an operator. */
  async cancel(caller: Caller, approvalId: string, reason: string): Promise<ApprovalRequest> {
    const { subject } = await this.get(caller, approvalId)
    const isOwn = caller.roles.includes('agent') && caller.id === subject.agent
    if (!isOwn && !caller.roles.includes('operator') && caller.keyId !== '') {
      throw new ApprovalRefused(
        refuse('NOT_ALLOWED', 'the agent that asked cancels, or an operator: reject it instead'),
      )
    }
    return this.#act(caller, approvalId, { kind: 'cancel', by: nameOf(caller), reason })
  }

  async breakGlass(caller: Caller, approvalId: string, shownDigest: string, reason: string): Promise<ApprovalRequest> {
    const seat = await this.#seat(caller, '', await this.get(caller, approvalId))
    return this.#act(caller, approvalId, { kind: 'break-glass', seat, shownDigest, reason })
  }

  async reviewBrokenGlass(caller: Caller, approvalId: string, comment: string): Promise<ApprovalRequest> {
    return this.#act(caller, approvalId, { kind: 'review-glass', by: nameOf(caller), comment })
  }

  /** Why the caller may not vote from their own seat, or null. */
  async voteFault(caller: Caller, request: ApprovalRequest): Promise<Refusal | null> {
    return voteFault(request, await this.#seat(caller, '', request))
  }

  async delegate(caller: Caller, wish: DelegationWish): Promise<Delegation> {
    return taken(await lendSeat(this.#options.database, this.#options.people, caller, wish))
  }

  async listDelegations(caller: Caller): Promise<readonly Delegation[]> {
    return listDelegations(this.#options.database, caller.tenant)
  }

  async revokeDelegation(caller: Caller, id: string): Promise<Delegation> {
    return taken(await takeSeatBack(this.#options.database, caller, id))
  }

  /** Newest first, the last thousand. @param agent empty for all */
  async listGrants(caller: Caller, agent: string, includeEnded: boolean): Promise<readonly Grant[]> {
    const rows = await this.#options.database.query<GrantRow>(
      `SELECT ${GRANT_COLUMNS} FROM grants WHERE tenant = $1 AND ($2 = '' OR agent = $2)
         AND ($3 OR (revoked_at IS NULL AND expires_at > clock_timestamp() AND (most_uses IS NULL OR uses < most_uses)))
       ORDER BY created_at DESC LIMIT 1000`,
      [plain(caller.tenant), plain(agent), includeEnded],
    )
    return rows.map(readGrant)
  }

  /** A grant that is revoked already stays as it is. */
  async revokeGrant(caller: Caller, grantId: string, reason: string): Promise<Grant> {
    const by = nameOf(caller)
    const why = reason.slice(0, 4_096)
    const grant = await this.#options.database.transaction(async (tx) => {
      const [found] = isUuid(grantId)
        ? await tx.query<GrantRow>(`SELECT ${GRANT_COLUMNS} FROM grants WHERE id = $1 AND tenant = $2 FOR UPDATE`, [
            grantId,
            plain(caller.tenant),
          ])
        : []
      if (found === undefined || found.revoked_at !== null) return found
      const [revoked] = await tx.query<GrantRow>(
        `UPDATE grants SET revoked_at = clock_timestamp(), revoked_by = $2, revoked_why = $3 WHERE id = $1
         RETURNING ${GRANT_COLUMNS}`,
        [grantId, plain(by), plain(why)],
      )
      await writeEvents(tx, [grantRevoked(readGrant(revoked!), by, why)])
      return revoked
    })
    if (grant === undefined) throw new ApprovalRefused(refuse('NOT_FOUND', 'there is no grant of this id'))
    return readGrant(grant)
  }

  async #act(caller: Caller, approvalId: string, act: ApprovalAct): Promise<ApprovalRequest> {
    const outcome = isUuid(approvalId)
      ? await actOn(this.#options.database, plain(caller.tenant), approvalId, act)
      : null
    if (outcome === null) throw new ApprovalRefused(notFound())
    if (outcome.refusal !== null) throw new ApprovalRefused(outcome.refusal)
    return outcome.request
  }

  async #seat(caller: Caller, onBehalfOf: string, request: ApprovalRequest): Promise<Seat> {
    if (caller.keyId === '') return developmentSeat(caller, onBehalfOf, request)
    if (onBehalfOf === '') {
      return { person: caller.id, onBehalfOf: '', roles: caller.approverRoles, attributes: caller.attributes }
    }
    const lent = await lentSeat(this.#options.database, this.#options.people, caller, onBehalfOf)
    if (lent !== null) return lent
    throw new ApprovalRefused(refuse('NOT_ELIGIBLE', `\`${onBehalfOf}\` lent you no seat that you could vote from now`))
  }

  /** The changed call, decided anew. Who may not vote does not learn what policies say of other arguments. */
  async #decideEdited(request: ApprovalRequest, seat: Seat, args: JsonObject): Promise<EditedCall> {
    const fault = voteFault(request, seat)
    if (fault !== null) throw new ApprovalRefused(fault)
    const { mask, decideAnew, times = DEFAULT_TIMES } = this.#options
    const decision = await decideAnew(request, args)
    if (decision.outcome === 'DENY') {
      throw new ApprovalRefused(refuse('EDIT_DENIED', `the policies deny the changed call: ${decision.reason}`))
    }
    const shown =
      decision.outcome === 'ALLOW' ? { ...request.shown, arguments: mask(args) } : shownOf(decision, mask(args))
    const { digest } = withArguments(request.subject, args)
    return { arguments: args, digest, shown, requirements: decision.approvals, times }
  }
}

/** Agents see what they asked, people what their tenant asked; without keys everybody sees all of it. */
export function maySee({ roles, id, keyId }: Caller, { subject }: ApprovalRequest): boolean {
  return keyId === '' || roles.some((role) => role !== 'agent') || subject.agent === id
}

/** Without keys there are no roles to hold: whoever can connect may do everything, under one name. */
function developmentSeat(caller: Caller, onBehalfOf: string, { requirements }: ApprovalRequest): Seat {
  const groups = requirements.flatMap(({ requirement }) => requirement.stages.flatMap(({ from }) => from))
  const glass = requirements.flatMap(({ requirement }) => requirement.breakGlass ?? [])
  const attributes = Object.fromEntries(
    groups.flatMap(({ where }) =>
      where.flatMap(({ attribute, value }) => (value === null ? [] : [[attribute, value]])),
    ),
  )
  // Who says as what they vote holds no more than that: so approvals by two roles can be tried.
  const roles = caller.approverRoles.length > 0 ? caller.approverRoles : [...groups.map(({ role }) => role), ...glass]
  return { person: nameOf(caller), onBehalfOf, roles: [...new Set(roles)], attributes }
}

function nameOf({ id }: Caller): string {
  return id === '' ? NOBODY_KNOWN : id
}

function kindOf({ subject, shown }: ApprovalRequest): string {
  return JSON.stringify([subject.tool, shown.rules[0]?.id ?? ''])
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof ApprovalRefused) return error.refusal
  throw error
}

function taken<T extends object>(result: T | Refusal): T {
  if ('code' in result) throw new ApprovalRefused(result as Refusal)
  return result as T
}
