import type { ApprovalRequest } from '../model/approval.js'
import { canonicalJson } from '../model/canonical-json.js'
import type { JsonValue } from '../model/json.js'
import type { Sql } from '../store/database.js'
import type { ApprovalAct, Step } from './acts.js'
import { nextTimerMs, step } from './machine.js'
import { type Refusal, refuse } from './refusal.js'
import { readRequest, writtenEvents, writtenGrants, writtenNotices, writtenRequest } from './rows.js'

/** Where changed requests are announced, by id. */
export const APPROVALS_CHANNEL = 'approvals'

/** What became of an act: the request after it, and why the act was refused where it was. */
export interface Outcome {
  readonly request: ApprovalRequest
  readonly refusal: Refusal | null
}

/** Milliseconds of the store's clock, which alone decides what is due. */
export const CLOCK_MS = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

interface RequestRow {
  readonly doc: string
  readonly now: number
}

/**
 * Reads a request, does the act on it and writes it back if nobody else was faster and nothing fell due meanwhile; else once more
 * from the beginning. No lock is held between reading and writing: a process that dies or stalls there holds nobody up.
 *
 * @param id a UUID
 * @returns null when the tenant has no such request
 */
export async function actOn(sql: Sql, tenant: string, id: string, act: ApprovalAct): Promise<Outcome | null> {
  for (;;) {
    const [row] = await sql.query<RequestRow>(
      `SELECT doc, ${CLOCK_MS} AS now FROM approvals WHERE id = $1 AND tenant = $2`,
      [id, tenant],
    )
    if (row === undefined) return null
    const before = readRequest(row.doc)
    // What is due is written by itself first, so that the act is held against the clock by what is due after it.
    const due = step(before, { kind: 'tick' }, row.now)
    const done = due.events.length > 0 ? due : step(before, act, row.now)
    const untilMs = act.kind === 'kill' || done === due ? null : nextTimerMs(before)
    // Each failure is somebody else's success or a moment that passed, so that this ends.
    const isWritten = done.events.length === 0 || (await save(sql, [{ before, done, untilMs }])).has(id)
    if (isWritten && (done !== due || act.kind === 'tick')) return { request: done.request, refusal: done.refusal }
  }
}

/** A request, or null when the tenant has none of this id. */
export async function findRequest(sql: Sql, tenant: string, id: string): Promise<ApprovalRequest | null> {
  const [row] = await sql.query<Pick<RequestRow, 'doc'>>('SELECT doc FROM approvals WHERE id = $1 AND tenant = $2', [
    id,
    tenant,
  ])
  return row === undefined ? null : readRequest(row.doc)
}

export const notFound = (): Refusal =>
  refuse('NOT_FOUND', 'there is no request of this id: take the one of the answer to the call')

/** What the store's clock says, after whatever the statement before it waited for. */
export async function clockMs(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ now: number }>(`SELECT ${CLOCK_MS} AS now`)
  return row!.now
}

export interface Change {
  readonly before: ApprovalRequest
  readonly done: Step
  /** The step is true only before this moment; null for always. */
  readonly untilMs: number | null
}

/**
 * Writes steps with their events, notices, grants and announcements, in one statement and so together or not at all.
 *
 * A request is written only if its version is the one that was read, and if by the clock of this very statement nothing has
 * become due that the step did not know: a vote that is late by then is counted by nobody.
 *
 * @returns the ids of those that were written
 */
export async function save(sql: Sql, changes: readonly Change[]): Promise<ReadonlySet<string>> {
  const rows = changes.map(({ before, done, untilMs }) => ({
    ...writtenRequest(done.request),
    was: before.version,
    until_ms: untilMs,
  }))
  const written = await sql.query<{ id: string }>(SAVE, [jsonText(rows), ...parts(changes.map(({ done }) => done))])
  return new Set(written.map(({ id }) => id))
}

/** Writes a new request; a duplicate of one that waits is a `QueryFailed`. */
export async function insert(sql: Sql, done: Step): Promise<void> {
  await sql.query(INSERT, [jsonText([writtenRequest(done.request)]), ...parts([done])])
}

function parts(steps: readonly Step[]): readonly string[] {
  return [
    jsonText(steps.flatMap(writtenEvents)),
    jsonText(steps.flatMap(writtenNotices)),
    jsonText(steps.flatMap(writtenGrants)),
  ]
}

function jsonText(rows: readonly object[]): string {
  return canonicalJson(rows as unknown as JsonValue)
}

const COLUMNS = [
  'id uuid',
  'tenant text',
  'version integer',
  'state text',
  'asked_digest text',
  'digest text',
  'agent text',
  'principal text',
  'session_id text',
  'delegators text[]',
  'tool text',
  'environment text',
  'rule_ids text[]',
  'reason text',
  'roles text[]',
  'created_at timestamptz',
  'expires_at timestamptz',
  'decided_at timestamptz',
  'ended_at timestamptz',
  'unreviewed boolean',
  'next_timer_at timestamptz',
  'doc text',
]
const NAMES = COLUMNS.map((column) => column.split(' ')[0]!)
const CHANGING = NAMES.filter((name) => !['id', 'tenant', 'created_at', 'asked_digest', 'agent'].includes(name))

/** $2 events, $3 notices, $4 grants, of requests in `moved`. */
const BESIDE = `
  logged AS (
    INSERT INTO approval_events (approval_id, version, tenant, kind, at, actor, why, state, shown_digest, verdict)
    SELECT x.* FROM json_to_recordset($2::json) AS x(approval_id uuid, version integer, tenant text, kind text,
      at timestamptz, actor text, why text, state text, shown_digest text, verdict text)
    JOIN moved ON moved.id = x.approval_id
  ),
  told AS (
    INSERT INTO outbox (tenant, kind, dedupe_key, payload)
    SELECT x.tenant, x.kind, x.dedupe_key, x.payload
    FROM json_to_recordset($3::json) AS x(tenant text, kind text, dedupe_key text, payload jsonb)
    JOIN moved ON moved.id = (x.payload ->> 'approvalId')::uuid
  ),
  granted AS (
    INSERT INTO grants (id, tenant, agent, principal, tool, environment, approval_id, created_at, expires_at, most_uses, doc)
    SELECT x.* FROM json_to_recordset($4::json) AS x(id uuid, tenant text, agent text, principal text, tool text,
      environment text, approval_id uuid, created_at timestamptz, expires_at timestamptz, most_uses integer, doc text)
    JOIN moved ON moved.id = x.approval_id
  )
  SELECT id::text, pg_notify('${APPROVALS_CHANNEL}', id::text)::text AS announced FROM moved`

const SAVE = `
  WITH moved AS (
    UPDATE approvals a SET ${CHANGING.map((name) => `${name} = x.${name}`).join(', ')}
    FROM json_to_recordset($1::json) AS x(${COLUMNS.join(', ')}, was integer, until_ms bigint)
    WHERE a.id = x.id AND a.version = x.was
      AND (x.until_ms IS NULL OR extract(epoch FROM clock_timestamp()) * 1000 < x.until_ms)
    RETURNING a.id
  ),${BESIDE}`

const INSERT = `
  WITH moved AS (
    INSERT INTO approvals (${NAMES.join(', ')})
    SELECT x.* FROM json_to_recordset($1::json) AS x(${COLUMNS.join(', ')})
    RETURNING id
  ),${BESIDE}`
