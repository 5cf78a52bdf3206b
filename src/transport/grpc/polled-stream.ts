import type { ServerWritableStream } from '@grpc/grpc-js'
import type { Caller } from '../../model/identity.js'
import { RpcError, toStatus } from './errors.js'
import { pause } from './pause.js'
import { admitted, type EdgeDeps, toRpcError } from './unary.js'

/** Things that change, read whole at intervals: a client gets each once, and again when it differs. */
export interface PolledSource<T> {
  readonly read: (caller: Caller) => Promise<readonly T[]>
  readonly keyOf: (item: T) => string
  /** Whether the item is among what a new client is told; what is over is not. */
  readonly isFirst: (item: T) => boolean
  readonly toMessage: (item: T) => object
}

const POLL_MS = 1_000
/** Less than the contract's 15 s, so that a slow turn does not break the promise. */
const HEARTBEAT_MS = 10_000

/**
 * Sends what there is, then `synced`, then every change, and a heartbeat where nothing changes. It outlives a store that is
 * down: the client hears heartbeats, which say that the stream lives and nothing of what it watches.
 */
export function servePolled<T>(
  deps: EdgeDeps,
  stream: ServerWritableStream<object, object>,
  source: PolledSource<T>,
): void {
  const { inFlight } = deps
  let caller: Caller
  try {
    caller = admitted(deps, stream)
  } catch (error) {
    stream.emit('error', toStatus(toRpcError(error, deps.log)))
    return
  }
  inFlight.enter('stream')
  const gone = new AbortController()
  stream.once('cancelled', () => gone.abort())
  const stop = AbortSignal.any([gone.signal, inFlight.draining])
  run(deps, stream, source, caller, stop)
    .then(() => {
      if (gone.signal.aborted) return
      const text = 'the server is shutting down; begin to watch again elsewhere or later'
      stream.emit('error', toStatus(new RpcError('SERVER_DRAINING', text)))
    })
    .finally(() => inFlight.leave('stream'))
}

async function run<T>(
  { log }: EdgeDeps,
  stream: ServerWritableStream<object, object>,
  { read, keyOf, isFirst, toMessage }: PolledSource<T>,
  caller: Caller,
  stop: AbortSignal,
): Promise<void> {
  let known: Map<string, string> | null = null
  let saidMs = performance.now()
  const say = (message: object): void => {
    saidMs = performance.now()
    stream.write(message)
  }
  while (!stop.aborted) {
    try {
      const items = await read(caller)
      if (stop.aborted) return
      // A client that does not read is told the newest state once it does, and nothing piles up for it.
      if (!stream.writableNeedDrain) {
        const before: Map<string, string> | null = known
        const now = new Map(items.map((item) => [keyOf(item), JSON.stringify(toMessage(item))]))
        for (const item of items) {
          const isNews = before === null ? isFirst(item) : before.get(keyOf(item)) !== now.get(keyOf(item))
          if (isNews) say(toMessage(item))
        }
        known = now
        if (before === null) say({ synced: true })
      }
    } catch (error) {
      log.debug('what is watched cannot be read', { cause: error instanceof Error ? error : new Error(String(error)) })
    }
    if (performance.now() - saidMs >= HEARTBEAT_MS && !stream.writableNeedDrain) say({ heartbeat: true })
    await pause(POLL_MS, stop)
  }
}
