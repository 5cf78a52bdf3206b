import type { ApprovalRequest, Grant } from '../model/approval.js'
import { canonicalJson } from '../model/canonical-json.js'
import type { JsonObject, JsonValue } from '../model/json.js'
import { parseJsonObject } from '../model/parse-json.js'
import { timestamp } from '../store/database.js'
import type { EventRow } from '../store/events/write.js'
import type { Step } from './acts.js'
import { expiresMs, nextTimerMs, rolesWaitedFor } from './machine.js'

/** Larger than any request may become: arguments twice, their votes and comments. */
const DOC_LIMITS = { maxBytes: 16 * 1024 * 1024, maxDepth: 100 }

/** Who decided, where neither the clock nor a kill switch did. */
const BY_PEOPLE: ReadonlySet<ApprovalRequest['state']> = new Set(['APPROVED', 'CONSUMED', 'GRANT_EXPIRED', 'REVOKED'])

export function readRequest(doc: string): ApprovalRequest {
  return parseJsonObject(doc, DOC_LIMITS) as unknown as ApprovalRequest
}

/** What one step writes, as parameters of one JSON text. */
export function writtenRequest(request: ApprovalRequest): JsonObject {
  const { id, version, state, subject, edited, shown, requirements } = request
  return {
    id,
    tenant: plain(subject.tenant),
    version,
    state,
    asked_digest: edited?.before ?? subject.digest,
    digest: subject.digest,
    agent: plain(subject.agent),
    principal: plain(subject.principal),
    session_id: plain(subject.sessionId),
    delegators: subject.delegationChain.map(plain),
    tool: plain(subject.tool),
    environment: plain(subject.environment),
    rule_ids: [...new Set(requirements.flatMap(({ requirement }) => requirement.ruleIds))].map(plain),
    reason: plain(shown.reason),
    roles: rolesWaitedFor(request).map(plain),
    created_at: timestamp(request.createdMs),
    expires_at: timestamp(expiresMs(request)),
    decided_at: time(BY_PEOPLE.has(state) ? request.approvedMs : state === 'REJECTED' ? request.endedMs : null),
    ended_at: time(request.endedMs),
    unreviewed: request.brokenGlass !== null && request.brokenGlass.reviewedMs === null,
    next_timer_at: time(nextTimerMs(request)),
    doc: canonicalJson(request as unknown as JsonValue),
  }
}

export function writtenEvents({ request, events }: Step): readonly JsonObject[] {
  return events.map((event) => ({
    approval_id: event.approvalId,
    version: event.version,
    tenant: plain(request.subject.tenant),
    kind: event.kind,
    at: timestamp(event.atMs),
    actor: plain(event.by),
    why: plain(event.why),
    state: event.state,
    shown_digest: event.shownDigest,
    // An act gives one vote at most, and it is the last one.
    verdict: event.kind === 'voted' ? (request.votes.at(-1)?.verdict ?? null) : null,
  }))
}

/** What channels need to tell people; never the raw arguments. */
export function writtenNotices({ request, effects }: Step): readonly JsonObject[] {
  const { subject, shown } = request
  return effects.flatMap((effect) => {
    if (effect.kind !== 'notice') return []
    const payload: JsonObject = {
      approvalId: request.id,
      version: request.version,
      notice: effect.notice,
      state: request.state,
      roles: effect.roles.map(plain),
      agent: plain(subject.agent),
      principal: plain(subject.principal),
      tool: plain(subject.tool),
      environment: plain(subject.environment),
      reason: plain(shown.reason),
      severity: shown.rules[0]?.severity ?? '',
      ruleIds: shown.rules.map(({ id }) => plain(id)),
      endedBy: plain(request.endedBy),
      endedWhy: plain(request.endedWhy),
      expiresMs: expiresMs(request),
    }
    return [{ tenant: plain(subject.tenant), kind: `approval.${effect.notice}`, dedupe_key: effect.key, payload }]
  })
}

export function writtenGrants({ effects }: Step): readonly JsonObject[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== 'grant') return []
    const {
      id,
      tenant,
      agent,
      principal,
      tool,
      environment,
      approvalId,
      createdMs,
      expiresMs,
      mostUses,
      scope,
      votes,
    } = effect.grant
    return [
      {
        id,
        tenant: plain(tenant),
        agent: plain(agent),
        principal: plain(principal),
        tool: plain(tool),
        environment: plain(environment),
        approval_id: approvalId,
        created_at: timestamp(createdMs),
        expires_at: timestamp(expiresMs),
        most_uses: mostUses,
        // The names, too: columns hold them without U+0000.
        doc: canonicalJson({ scope, votes, agent, principal, tool, environment } as unknown as JsonValue),
      },
    ]
  })
}

/** Columns of `grants` as they are read; see {@link readGrant}. */
export const GRANT_COLUMNS =
  'id, tenant, approval_id, created_at, expires_at, most_uses, uses, revoked_at, revoked_by, doc'

export interface GrantRow {
  readonly id: string
  readonly tenant: string
  readonly approval_id: string
  readonly created_at: number
  readonly expires_at: number
  readonly most_uses: number | null
  readonly uses: number
  readonly revoked_at: number | null
  readonly revoked_by: string
  readonly doc: string
}

export function readGrant(row: GrantRow): Grant {
  const kept = parseJsonObject(row.doc, DOC_LIMITS) as unknown as Pick<
    Grant,
    'scope' | 'votes' | 'agent' | 'principal' | 'tool' | 'environment'
  >
  return {
    ...kept,
    id: row.id,
    tenant: row.tenant,
    approvalId: row.approval_id,
    createdMs: row.created_at,
    expiresMs: row.expires_at,
    mostUses: row.most_uses,
    uses: row.uses,
    revokedMs: row.revoked_at,
    revokedBy: row.revoked_by,
  }
}

export function grantRevoked({ id, tenant, agent, tool }: Grant, actor: string, why: string): EventRow {
  return { tenant, kind: 'grant.revoked', subject: id, actor, why, agent, tool }
}

/** PostgreSQL's text holds every character but U+0000. */
export function plain(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}

function time(ms: number | null): string | null {
  return ms === null ? null : timestamp(ms)
}
