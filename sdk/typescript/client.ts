import { fileURLToPath } from 'node:url'
import {
  type CallOptions,
  type ChannelOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader'
import { Admin } from './admin.js'
import { Approvals } from './approvals.js'
import { KillSwitches } from './kill-switches.js'
import type {
  AuditEvent,
  AuditOverview,
  AuditPeriod,
  AuditQuery,
  AuditTotals,
  BatchResult,
  ControlEvent,
  ControlEventQuery,
  DecideRequest,
  DecideResponse,
  RiskyAgent,
  StreamResult,
  Violation,
  VisibleTool,
  VisibleToolsRequest,
} from './messages.js'
import { type Timestamp, toDate, toTimestamp } from './timestamp.js'

export type * from './admin.js'
export type * from './approvals.js'
export type * from './kill-switches.js'
export type * from './messages.js'

const definition = loadSync(
  [
    'portcullis/v1/decision.proto',
    'portcullis/v1/audit.proto',
    'portcullis/v1/approval.proto',
    'portcullis/v1/kill_switch.proto',
    'portcullis/v1/admin.proto',
    'google/rpc/status.proto',
    'google/rpc/error_details.proto',
  ],
  {
    // Beside the code both in the source tree and in what is built from it.
    includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
    keepCase: false,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  },
)

export interface ConnectOptions {
  /** How long a call may take, milliseconds; it fails with DEADLINE_EXCEEDED then. Streams have no deadline. @default 5_000 */
  readonly deadlineMs?: number
  /** An API key, `pk_…`, sent with every call; or, to a development server without keys, `Development NAME ROLE,ROLE`. */
  readonly key?: string
  /** Options of the gRPC channel. */
  readonly channel?: ChannelOptions
}

/** A call that was not answered. Whoever enforces treats it as a DENY. */
export class PortcullisError extends Error {
  override readonly name = 'PortcullisError'
  constructor(
    message: string,
    /** A gRPC status code. */
    readonly code: status,
    /** From the closed list of docs/errors.md; empty when the failure is the transport's. */
    readonly reason: string,
    /** Names the field, the limit and the like. */
    readonly details: Readonly<Record<string, string>>,
  ) {
    super(message)
  }
}

/** Answers to the calls of one stream, in any order, matched with them by `requestId`. Leaving the iteration cancels the stream. */
export interface DecideStream extends AsyncIterable<StreamResult> {
  /** Sends a call; resolves when the server can take the next one. `requestId` is required. */
  write(request: DecideRequest & { readonly requestId: string }): Promise<void>
  /** No more calls; the iteration ends after the last answer. */
  end(): void
  /** Gives up at once. */
  cancel(): void
}

/** {@link DecideStream} for callers with many calls at a time: both sides spend a fraction of what a message a call costs. */
export interface DecideBatchStream extends AsyncIterable<StreamResult> {
  /** Sends up to 1,000 calls, decided by the same policies; resolves when the server can take the next ones. */
  write(requests: readonly (DecideRequest & { readonly requestId: string })[]): Promise<void>
  /** No more calls; the iteration ends after the last answer. */
  end(): void
  /** Gives up at once. */
  cancel(): void
}

type Unary = (
  message: object,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: ServiceError | null, response: object) => void,
) => void

interface Stub {
  [method: string]: Unary
}
type StubConstructor = new (address: string, channelCredentials: unknown, options: object) => Stub & { close(): void }

const SERVICES = ['DecisionService', 'AuditService', 'ApprovalService', 'KillSwitchService', 'AdminService'] as const
type ServiceName = (typeof SERVICES)[number]

/** Calls of a service in the messages of the proto, for the modules that give them types. */
export interface Caller {
  /** @throws {PortcullisError} */
  call<Response>(service: ServiceName, method: string, message: object, deadlineMs?: number): Promise<Response>
  /** Until the signal aborts or the server ends it. @throws {PortcullisError} */
  watch<Message>(
    service: ServiceName,
    method: string,
    message: object,
    signal?: AbortSignal,
  ): AsyncGenerator<Message, void>
}

/**
 * A client of one Portcullis server.
 *
 * ```ts
 * const portcullis = connect('127.0.0.1:50051')
 * const answer = await portcullis.decide({
 *   agent: { id: 'support-1' }, tool: 'issue_refund', environment: 'prod', arguments: { order_id: 'A1', amount: 450 },
 * })
 * if (answer.outcome !== 'ALLOW') throw new Error(answer.reason)
 * ```
 */
export function connect(address: string, options: ConnectOptions = {}): PortcullisClient {
  return new PortcullisClient(address, options)
}

export class PortcullisClient {
  /** Waiting for people, and deciding as one. */
  readonly approvals: Approvals
  /** Stopping agents, and letting them go on. */
  readonly killSwitches: KillSwitches
  /** API keys of the caller's tenant. */
  readonly admin: Admin
  readonly #stubs: Readonly<Record<ServiceName, Stub & { close(): void }>>
  readonly #decisions: Stub & { close(): void }
  readonly #audit: Stub & { close(): void }
  readonly #deadlineMs: number
  readonly #metadata = new Metadata()

  /** @param address `host:port` */
  constructor(address: string, options: ConnectOptions = {}) {
    const grpc = loadPackageDefinition(definition) as unknown as {
      portcullis: { v1: Readonly<Record<ServiceName, StubConstructor>> }
    }
    // Channelz keeps a trace of every call that nobody here reads.
    const channel = { 'grpc.enable_channelz': 0, ...options.channel }
    const insecure = credentials.createInsecure()
    const stubs = SERVICES.map((name) => [name, new grpc.portcullis.v1[name](address, insecure, channel)] as const)
    this.#stubs = Object.fromEntries(stubs) as Record<ServiceName, Stub & { close(): void }>
    this.#decisions = this.#stubs.DecisionService
    this.#audit = this.#stubs.AuditService
    this.#deadlineMs = options.deadlineMs ?? 5_000
    const { key = '' } = options
    if (key !== '') this.#metadata.set('authorization', key.startsWith('pk_') ? `Bearer ${key}` : key)
    const caller: Caller = {
      call: (service, method, message, deadlineMs) => this.#call(this.#stubs[service], method, message, deadlineMs),
      watch: (service, method, message, signal) => this.#watch(this.#stubs[service], method, message, signal),
    }
    this.approvals = new Approvals(caller)
    this.killSwitches = new KillSwitches(caller)
    this.admin = new Admin(caller)
  }

  /** @throws {PortcullisError} */
  async decide(request: DecideRequest): Promise<DecideResponse> {
    return closedOutcome(await this.#call(this.#decisions, 'decide', toMessage(request)))
  }

  /** Up to 1,000 calls; results in their order. @throws {PortcullisError} */
  async decideBatch(requests: readonly DecideRequest[]): Promise<readonly BatchResult[]> {
    const { results } = await this.#call<{ results: readonly BatchResult[] }>(this.#decisions, 'decideBatch', {
      requests: requests.map(toMessage),
    })
    return results.map(closedResult)
  }

  decideStream(): DecideStream {
    const open = this.#decisions['decideStream'] as unknown as (
      metadata: Metadata,
    ) => ClientDuplexStream<object, StreamResult>
    return new GrpcDecideStream(open.call(this.#decisions, this.#metadata), toMessage, (result) => [result])
  }

  decideBatchStream(): DecideBatchStream {
    type Results = { readonly results: readonly StreamResult[] }
    const open = this.#decisions['decideBatchStream'] as unknown as (
      metadata: Metadata,
    ) => ClientDuplexStream<object, Results>
    const toBatch = (requests: readonly DecideRequest[]): object => ({ requests: requests.map(toMessage) })
    return new GrpcDecideStream(open.call(this.#decisions, this.#metadata), toBatch, ({ results }) => results)
  }

  /** Not audited and without effect. @throws {PortcullisError} */
  async explain(request: DecideRequest): Promise<DecideResponse> {
    const { decision } = await this.#call<{ decision: DecideResponse }>(this.#decisions, 'explain', toMessage(request))
    return closedOutcome(decision)
  }

  /** @throws {PortcullisError} */
  visibleTools(
    request: VisibleToolsRequest,
  ): Promise<{ readonly tools: readonly VisibleTool[]; readonly policyRevision: string }> {
    return this.#call(this.#decisions, 'visibleTools', request)
  }

  /** @throws {PortcullisError} */
  async auditOverview(period: AuditPeriod = {}): Promise<AuditOverview> {
    const answer = await this.#call<Omit<AuditOverview, 'from' | 'until'> & { from: Timestamp; until: Timestamp }>(
      this.#audit,
      'overview',
      toPeriod(period),
    )
    return { ...answer, from: toDate(answer.from), until: toDate(answer.until) }
  }

  /** @throws {PortcullisError} */
  auditTotals(period: AuditPeriod = {}): Promise<AuditTotals> {
    return this.#call(this.#audit, 'totals', toPeriod(period))
  }

  /** @throws {PortcullisError} */
  async auditTopViolations(period: AuditPeriod = {}): Promise<readonly Violation[]> {
    return (await this.#call<{ violations: readonly Violation[] }>(this.#audit, 'topViolations', toPeriod(period)))
      .violations
  }

  /** @throws {PortcullisError} */
  async auditRiskyAgents(period: AuditPeriod = {}): Promise<readonly RiskyAgent[]> {
    return (await this.#call<{ agents: readonly RiskyAgent[] }>(this.#audit, 'riskyAgents', toPeriod(period))).agents
  }

  /** @returns null when no such decision is stored, or not yet. @throws {PortcullisError} */
  async auditGet(decisionId: string): Promise<AuditEvent | null> {
    try {
      return toEvent(await this.#call<WireEvent>(this.#audit, 'get', { decisionId }))
    } catch (error) {
      if (error instanceof PortcullisError && error.code === status.NOT_FOUND) return null
      throw error
    }
  }

  /** Latest first. @throws {PortcullisError} */
  async auditQuery(query: AuditQuery = {}): Promise<readonly AuditEvent[]> {
    const { from, until, limit, ...filter } = query
    const message = { ...filter, period: toPeriod({ from, until, limit }) }
    const { events } = await this.#call<{ events: readonly WireEvent[] }>(this.#audit, 'query', message)
    return events.map(toEvent)
  }

  /** The `last` events, then every new one, until the signal aborts. @throws {PortcullisError} */
  async *auditTail(last: number, signal?: AbortSignal): AsyncGenerator<AuditEvent, void> {
    for await (const event of this.#watch<WireEvent>(this.#audit, 'tail', { last }, signal)) yield toEvent(event)
  }

  /** What was done to approvals, kill switches, keys, grants and lent seats; latest first. @throws {PortcullisError} */
  async auditControlEvents(query: ControlEventQuery = {}): Promise<readonly ControlEvent[]> {
    const { from, until, limit, ...filter } = query
    const message = { ...filter, period: toPeriod({ from, until, limit }) }
    type Wire = Omit<ControlEvent, 'time'> & { readonly time: Timestamp }
    const { events } = await this.#call<{ events: readonly Wire[] }>(this.#audit, 'controlEvents', message)
    return events.map((event) => ({ ...event, time: toDate(event.time) }))
  }

  close(): void {
    for (const stub of Object.values(this.#stubs)) stub.close()
  }

  async *#watch<Message>(
    stub: Stub,
    method: string,
    message: object,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Message, void> {
    const open = stub[method] as unknown as (message: object, metadata: Metadata) => ClientReadableStream<Message>
    const stream = open.call(stub, message, this.#metadata)
    const cancel = (): void => stream.cancel()
    if (signal?.aborted) cancel()
    signal?.addEventListener('abort', cancel)
    try {
      for await (const received of stream) yield received as Message
    } catch (error) {
      if (!signal?.aborted) throw toPortcullisError(error as ServiceError)
    } finally {
      signal?.removeEventListener('abort', cancel)
      stream.cancel()
    }
  }

  #call<Response>(stub: Stub, method: string, message: object, deadlineMs = this.#deadlineMs): Promise<Response> {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + deadlineMs }
      const call = stub[method] as Unary
      call.call(stub, message, this.#metadata, options, (error, response) => {
        if (error) reject(toPortcullisError(error))
        else resolve(response as Response)
      })
    })
  }
}

/** Both kinds of stream: `Sent` goes into a message, and results come out of one. */
class GrpcDecideStream<Sent, Received> {
  readonly #stream: ClientDuplexStream<object, Received>
  readonly #toMessage: (sent: Sent) => object
  readonly #resultsOf: (received: Received) => readonly StreamResult[]

  constructor(
    stream: ClientDuplexStream<object, Received>,
    toMessage: (sent: Sent) => object,
    resultsOf: (received: Received) => readonly StreamResult[],
  ) {
    this.#stream = stream
    this.#toMessage = toMessage
    this.#resultsOf = resultsOf
    // The iteration reports errors; without a listener one that comes before it would end the process.
    stream.on('error', () => {})
  }

  write(sent: Sent): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(this.#toMessage(sent), (error: Error | null | undefined) => {
        if (error) reject(error)
        else resolve()
      })
    })
  }

  end(): void {
    this.#stream.end()
  }

  cancel(): void {
    this.#stream.cancel()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamResult, void> {
    try {
      for await (const received of this.#stream) {
        for (const result of this.#resultsOf(received as Received)) yield closedResult(result)
      }
    } catch (error) {
      throw toPortcullisError(error as ServiceError)
    } finally {
      // Who leaves the iteration early gives up; destroying the stream, as Node does then, does not end the call.
      this.#stream.cancel()
    }
  }
}

/** Objects travel as JSON text, the form that is exact; pass text for integers past 2^53, which a number cannot hold. */
function toMessage(request: DecideRequest): object {
  const { arguments: args, context, ...rest } = request
  return {
    ...rest,
    ...(args !== undefined && { argumentsJson: toJsonBytes(args) }),
    ...(context !== undefined && { contextJson: toJsonBytes(context) }),
  }
}

function toJsonBytes(value: object | string | Uint8Array): Uint8Array {
  if (value instanceof Uint8Array) return value
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}

const OUTCOMES = new Set(['ALLOW', 'DENY', 'REQUIRE_APPROVAL'])

/** An outcome that this client does not know, from a newer server, is a denial. */
function closedOutcome(response: DecideResponse): DecideResponse {
  return OUTCOMES.has(response.outcome) ? response : { ...response, outcome: 'DENY' }
}

function closedResult<T extends BatchResult>(result: T): T {
  return result.response ? { ...result, response: closedOutcome(result.response) } : result
}

type WireEvent = Omit<AuditEvent, 'time'> & { readonly time: Timestamp }

function toEvent(event: WireEvent): AuditEvent {
  return { ...event, time: toDate(event.time) }
}

function toPeriod({ from, until, limit }: AuditPeriod): object {
  return {
    ...(from !== undefined && { from: toTimestamp(from) }),
    ...(until !== undefined && { until: toTimestamp(until) }),
    limit: limit ?? 0,
  }
}

const statusType = definition['google.rpc.Status'] as MessageTypeDefinition<object, object>
const errorInfoType = definition['google.rpc.ErrorInfo'] as MessageTypeDefinition<object, object>

function toPortcullisError(error: ServiceError): PortcullisError {
  const info = errorInfo(error)
  return new PortcullisError(error.details ?? error.message, error.code ?? status.UNKNOWN, info.reason, info.metadata)
}

function errorInfo(error: ServiceError): { reason: string; metadata: Record<string, string> } {
  const none = { reason: '', metadata: {} }
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? []
  if (!Buffer.isBuffer(bytes)) return none
  try {
    const { details } = statusType.deserialize(bytes) as { details: readonly { type_url: string; value: Buffer }[] }
    const detail = details.find((d) => d.type_url.endsWith('/google.rpc.ErrorInfo'))
    return detail ? (errorInfoType.deserialize(detail.value) as typeof none) : none
  } catch {
    // A proxy's trailer of another make; status code and text stand.
    return none
  }
}
