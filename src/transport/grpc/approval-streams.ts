import type { ServerWritableStream } from '@grpc/grpc-js'
import type { ApprovalFilter, ApprovalPage } from '../../approvals/history.js'
import type { Waiting } from '../../approvals/waiting.js'
import type { ApprovalRequest } from '../../model/approval.js'
import type { Caller } from '../../model/identity.js'
import { isFinal, toSummary, toUpdate } from './approval-messages.js'
import { RpcError, toStatus } from './errors.js'
import { admitted, decoded, type EdgeDeps, toRpcError } from './unary.js'

/** Less than the contract's 15 s, so that a slow turn does not break the promise. */
const HEARTBEAT_MS = 10_000
/** Of a queue, in one page of the first reading. */
const PAGE = 200

interface StreamDeps extends EdgeDeps {
  readonly approvals: { readonly waiting: Waiting }
}
type Stream<Message> = ServerWritableStream<Message, object>

/** The state of a request and every change until it is final. What a slow client misses in between it never hears of. */
export function watchApproval<Message extends { readonly afterVersion: number }>(
  deps: StreamDeps,
  stream: Stream<Message>,
  find: (message: Message, caller: Caller) => Promise<ApprovalRequest>,
): void {
  serve(deps, stream, async (message, caller, send, end) => {
    let now = await find(message, caller)
    const tell = (request: ApprovalRequest): void => {
      now = request
      send(toUpdate(request, true))
      if (isFinal(request)) end()
    }
    const { afterVersion } = message
    if (now.version > afterVersion) tell(now)
    else if (isFinal(now)) {
      // A client that comes back after the end still gets one message before it.
      send(toUpdate(now, false))
      end()
    }
    return {
      stop: deps.approvals.waiting.watch(now.id, Math.max(now.version, afterVersion), tell),
      heartbeat: () => toUpdate(now, false),
    }
  })
}

/** All that waits, `synced`, then changes of the tenant's requests that fit the filter, the ends of such among them. */
export function watchQueue<Message>(
  deps: StreamDeps,
  stream: Stream<Message>,
  list: (caller: Caller, filter: ApprovalFilter, limit: number, pageToken: string) => Promise<ApprovalPage>,
  toFilter: (message: Message) => ApprovalFilter,
): void {
  serve(deps, stream, async (message, caller, send) => {
    const filter = toFilter(message)
    const waits: ApprovalFilter = { ...filter, states: ['PENDING'] }
    /** What the client was told is theirs: they hear of its end, too. */
    const told = new Map<string, number>()
    const tell = (request: ApprovalRequest): void => {
      if ((told.get(request.id) ?? 0) >= request.version) return
      told.set(request.id, request.version)
      send({ request: toSummary(request) })
      if (isFinal(request)) told.delete(request.id)
    }
    // Asked of the store once more, for it alone knows whether a request fits; one at a time, in their order.
    let asking = Promise.resolve()
    const consider = (request: ApprovalRequest): void => {
      asking = asking.then(async () => {
        if (told.has(request.id)) tell(request)
        else if (request.state === 'PENDING' && (await fits(request))) tell(request)
      }, undefined)
    }
    const fits = async ({ id }: ApprovalRequest): Promise<boolean> => {
      const { requests } = await list(caller, waits, PAGE, '').catch(() => ({ requests: [] }))
      return requests.some((one) => one.id === id)
    }
    // First the ear, then the reading: nothing falls between the two.
    const stop = deps.approvals.waiting.watchQueue(caller.tenant, consider)
    try {
      for (let pageToken = ''; ; ) {
        const page = await list(caller, waits, PAGE, pageToken)
        for (const request of page.requests) tell(request)
        pageToken = page.nextPageToken
        if (pageToken === '') break
      }
    } catch (error) {
      stop()
      throw error
    }
    send({ synced: true })
    return { stop, heartbeat: () => ({ heartbeat: true }) }
  })
}

interface Watching {
  readonly stop: () => void
  readonly heartbeat: () => object
}
type Begin<Message> = (
  message: Message,
  caller: Caller,
  send: (message: object) => void,
  end: () => void,
) => Promise<Watching>

/** One stream from its admission to its end: by the client, by a final state, or by a server that goes. */
function serve<Message>(deps: EdgeDeps, stream: Stream<Message>, begin: Begin<Message>): void {
  const { inFlight } = deps
  let watching: Watching | null = null
  let heart: NodeJS.Timeout | undefined
  let isOver = false
  inFlight.enter('stream')
  const finish = (last: () => void): void => {
    if (isOver) return
    isOver = true
    clearInterval(heart)
    inFlight.draining.removeEventListener('abort', drain)
    watching?.stop()
    last()
    inFlight.leave('stream')
  }
  const fail = (error: unknown): void => finish(() => stream.emit('error', toStatus(toRpcError(error, deps.log))))
  const drain = (): void =>
    fail(new RpcError('SERVER_DRAINING', 'the server is shutting down; begin to watch again elsewhere or later'))
  // Over for us and still open for gRPC: the end is sent in a turn of its own, after what was written.
  const end = (): void => void setImmediate(() => finish(() => stream.end()))
  const send = (message: object): void => {
    if (!isOver) stream.write(message)
  }
  stream.once('cancelled', () => finish(() => undefined))
  if (inFlight.draining.aborted) {
    drain()
    return
  }
  inFlight.draining.addEventListener('abort', drain)
  const start = async (): Promise<void> => {
    const caller = admitted(deps, stream)
    const started = await begin(decoded(stream.request), caller, send, end)
    if (isOver) started.stop()
    else {
      watching = started
      heart = setInterval(() => {
        if (!stream.writableNeedDrain) send(started.heartbeat())
      }, HEARTBEAT_MS)
    }
  }
  start().catch(fail)
}
