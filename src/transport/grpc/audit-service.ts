import type { ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js'
import {
  AuditNotSearchable,
  type AuditQueries,
  type Period,
  type RiskyAgent,
  type StoredEvent,
  type Totals,
} from '../../model/audit-queries.js'
import type { ControlEvent } from '../../model/control-event.js'
import type { Caller } from '../../model/identity.js'
import type { Outcome } from '../../model/outcome.js'
import { RpcError, toStatus } from './errors.js'
import { LIMITS } from './limits.js'
import { name, optional, overLimit } from './names.js'
import { pause } from './pause.js'
import type { Undecodable } from './proto.js'
import { toTimestamp } from './timestamp.js'
import { admitted, decoded, type EdgeDeps, toRpcError, unary } from './unary.js'
import type {
  AuditPeriodMessage,
  ControlEventsRequestMessage,
  QueryAuditRequestMessage,
  TimestampMessage,
} from './wire.js'

export interface AuditServiceDeps extends EdgeDeps {
  readonly queries: AuditQueries
  readonly nowMs: () => number
  /** How often a tail looks for new events, milliseconds. */
  readonly tailPollMs: number
}

const DEFAULT_PERIOD_MS = 7 * 24 * 3_600_000
const DEFAULT_ROWS = 10
/** Events that a tail sends between two looks at whether its client still reads. */
const TAIL_PAGE = 500
const OUTCOMES: readonly Outcome[] = ['ALLOW', 'DENY', 'REQUIRE_APPROVAL']

/** Reads only the caller's tenant. A store that does not answer is UNAVAILABLE, never an empty answer. */
export function auditHandlers(deps: AuditServiceDeps): UntypedServiceImplementation {
  const { queries } = deps

  const overPeriod = <Response>(
    ask: (tenant: string, period: Period, limit: number) => Promise<Response>,
  ): ReturnType<typeof unary<AuditPeriodMessage, Response>> =>
    unary(deps, (message: AuditPeriodMessage, { tenant }: Caller) => {
      const { period, limit } = toPeriod(message, deps.nowMs())
      return stored(ask(tenant, period, limit))
    })

  return {
    overview: overPeriod(async (tenant, period, limit) => {
      const [totals, topViolations, riskiest] = await Promise.all([
        queries.totals(tenant, period),
        queries.topViolations(tenant, period, limit),
        queries.riskiestAgents(tenant, period, limit),
      ])
      return {
        from: toTimestamp(period.fromMs),
        until: toTimestamp(period.untilMs),
        totals: toTotals(totals),
        topViolations,
        riskiestAgents: riskiest.map(toRiskyAgent),
      }
    }),
    totals: overPeriod(async (tenant, period) => toTotals(await queries.totals(tenant, period))),
    topViolations: overPeriod(async (tenant, period, limit) => ({
      violations: await queries.topViolations(tenant, period, limit),
    })),
    riskyAgents: overPeriod(async (tenant, period, limit) => ({
      agents: (await queries.riskiestAgents(tenant, period, limit)).map(toRiskyAgent),
    })),
    get: unary(deps, async ({ decisionId }: { readonly decisionId: string }, { tenant }) => {
      const id = name('decision_id', decisionId)
      const event = await stored(queries.get(tenant, id))
      if (event === null) {
        const text = 'no decision with this decision_id is stored; a fresh one may take a few seconds to arrive'
        throw new RpcError('EVENT_NOT_FOUND', text, { field: 'decision_id' })
      }
      return toAuditEvent(event)
    }),
    query: unary(deps, async (message: QueryAuditRequestMessage, { tenant }) => {
      const { period, limit } = toPeriod(message.period ?? { from: null, until: null, limit: 0 }, deps.nowMs())
      const filter = { period, limit, ...toFilter(message) }
      return { events: (await stored(queries.list(tenant, filter))).map(toAuditEvent) }
    }),
    tail: (stream: TailStream) => serveTail(deps, stream),
    controlEvents: unary(deps, async (message: ControlEventsRequestMessage, { tenant }) => {
      const { period, limit } = toPeriod(message.period ?? { from: null, until: null, limit: 0 }, deps.nowMs())
      const [kind, subject] = [optional('kind', message.kind), optional('subject', message.subject)]
      return {
        events: (await stored(queries.controlEvents(tenant, { period, limit, kind, subject }))).map(toControlEvent),
      }
    }),
  }
}

type TailStream = ServerWritableStream<{ readonly last: number } | Undecodable, object>

function serveTail(deps: AuditServiceDeps, stream: TailStream): void {
  const { inFlight } = deps
  const gone = new AbortController()
  inFlight.enter('stream')
  stream.once('cancelled', () => gone.abort())
  const stop = AbortSignal.any([gone.signal, inFlight.draining])
  tail(deps, stream, stop)
    .then(
      () => {
        if (gone.signal.aborted) return
        const text = 'the server is shutting down; begin the tail again elsewhere or later'
        stream.emit('error', toStatus(new RpcError('SERVER_DRAINING', text)))
      },
      (error: unknown) => {
        if (!gone.signal.aborted) stream.emit('error', toStatus(toRpcError(error, deps.log)))
      },
    )
    .finally(() => inFlight.leave('stream'))
}

/** Runs until `stop`. */
async function tail(deps: AuditServiceDeps, stream: TailStream, stop: AbortSignal): Promise<void> {
  const { last } = decoded(stream.request)
  if (last > LIMITS.tailEvents) throw overLimit('last', `is ${last}`, `${LIMITS.tailEvents}`)
  const { tenant } = admitted(deps, stream)
  // The cursor first: an event that is stored in between comes twice from the store and once to the client.
  let { cursor } = await stored(deps.queries.since(tenant, '', 1))
  const period = { fromMs: 0, untilMs: deps.nowMs() + DEFAULT_PERIOD_MS }
  const past = last === 0 ? [] : await stored(deps.queries.list(tenant, { period, limit: last }))
  const sent = new Set(past.map((event) => event.decisionId))
  for (const event of past.toReversed()) await write(stream, toAuditEvent(event), stop)
  while (!stop.aborted) {
    const page = await stored(deps.queries.since(tenant, cursor, TAIL_PAGE))
    cursor = page.cursor
    for (const event of page.events) {
      if (!sent.delete(event.decisionId)) await write(stream, toAuditEvent(event), stop)
    }
    if (page.events.length < TAIL_PAGE) await pause(deps.tailPollMs, stop)
  }
}

/** Waits where the client does not read. */
async function write(stream: TailStream, message: object, stop: AbortSignal): Promise<void> {
  if (stop.aborted || stream.write(message)) return
  await new Promise<void>((resolve) => {
    const go = (): void => {
      stream.off('drain', go)
      stop.removeEventListener('abort', go)
      resolve()
    }
    stream.once('drain', go)
    stop.addEventListener('abort', go)
  })
}

async function stored<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof AuditNotSearchable) throw new RpcError('AUDIT_STORE_UNAVAILABLE', error.message)
    const text = 'the audit store does not answer; decisions go on and are kept until it does'
    throw new RpcError('AUDIT_STORE_UNAVAILABLE', text, {}, error)
  }
}

function toPeriod(message: AuditPeriodMessage, nowMs: number): { readonly period: Period; readonly limit: number } {
  if (message.limit > LIMITS.auditRows) throw overLimit('limit', `is ${message.limit}`, `${LIMITS.auditRows}`)
  const untilMs = message.until === null ? nowMs : toMs('until', message.until)
  const fromMs = message.from === null ? untilMs - DEFAULT_PERIOD_MS : toMs('from', message.from)
  if (fromMs >= untilMs) throw new RpcError('FIELD_INVALID', 'from is not before until', { field: 'from' })
  return { period: { fromMs, untilMs }, limit: message.limit || DEFAULT_ROWS }
}

function toFilter(message: QueryAuditRequestMessage): {
  agent?: string
  tool?: string
  ruleId?: string
  outcome?: Outcome
  sessionId?: string
} {
  const outcome = OUTCOMES.find((known) => known === message.outcome)
  if (message.outcome !== '' && outcome === undefined) {
    throw new RpcError('FIELD_INVALID', 'outcome is none of ALLOW, DENY, REQUIRE_APPROVAL', { field: 'outcome' })
  }
  return {
    ...(message.agent !== '' && { agent: optional('agent', message.agent) }),
    ...(message.tool !== '' && { tool: optional('tool', message.tool) }),
    ...(message.ruleId !== '' && { ruleId: optional('rule_id', message.ruleId) }),
    ...(message.sessionId !== '' && { sessionId: optional('session_id', message.sessionId) }),
    ...(outcome !== undefined && { outcome }),
  }
}

/** The range of google.protobuf.Timestamp: years 1 to 9999. */
const MIN_SECONDS = -62_135_596_800
const MAX_SECONDS = 253_402_300_799

function toMs(field: string, { seconds, nanos }: TimestampMessage): number {
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos < 0 || nanos > 999_999_999) {
    throw new RpcError('FIELD_INVALID', `${field} is no time between the years 1 and 9999`, { field })
  }
  return seconds * 1_000 + Math.floor(nanos / 1e6)
}

function toTotals({ total, allowed, requireApproval, denied }: Totals): object {
  return { total, allowed, requireApproval, denied }
}

function toRiskyAgent({ agent, violations, decisions }: RiskyAgent): object {
  return { agent, violations, decisions, violationRate: decisions === 0 ? 0 : violations / decisions }
}

function toAuditEvent({ timeMs, ...event }: StoredEvent): object {
  return { ...event, time: toTimestamp(timeMs) }
}

function toControlEvent({ timeMs, ...event }: ControlEvent): object {
  return { ...event, time: toTimestamp(timeMs) }
}
