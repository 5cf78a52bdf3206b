import { createServer, type Socket } from 'node:net'
import { Server, ServerCredentials, type ServerOptions, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation, protoPath as healthProtoPath } from 'grpc-health-check'
import { type ConnectionLimits, Connections } from './connections.js'
import { InFlight } from './in-flight.js'
import { LIMITS } from './limits.js'
import { listen } from './listen.js'
import { renewStreamTable } from './open-streams.js'
import { AUDIT_SERVICE, DECISION_SERVICE, packageDefinition } from './proto.js'
import { type ServiceDeps, servedServices } from './services.js'

export interface GrpcServerOptions extends Omit<ServiceDeps, 'inFlight'>, ConnectionLimits {
  /** Calls that one connection may have open at a time. */
  readonly maxConcurrentStreams: number
  /** A connection that is older is told to go, and cut `connectionGraceMs` later; 0: never. @default 0 */
  readonly maxConnectionAgeMs?: number
  readonly connectionGraceMs?: number
}

type ConnectionInjector = ReturnType<Server['createConnectionInjector']>

/** How long a drain waits for connections to close once every call is answered, milliseconds. */
const LINGER_MS = 1_000
const SERVICES = ['', DECISION_SERVICE, AUDIT_SERVICE]
/** A health name of its own: SERVING while what is live is what the policy source holds, for alarms on refused reloads. */
const POLICIES = 'portcullis.policies'

/** The gRPC edge: DecisionService, AuditService, health and reflection on one port. */
export class GrpcServer {
  readonly #server: Server
  readonly #health = new HealthImplementation(
    Object.fromEntries([...SERVICES, POLICIES].map((name) => [name, 'NOT_SERVING' as const])),
  )
  readonly #inFlight = new InFlight()
  /**
   * We listen and hand connections over: without channelz the library forgets its connections and cannot cut them, and it
   * words a taken port as `No address added`.
   */
  readonly #listener = createServer({ noDelay: true }, (socket) => this.accept(socket))
  readonly #connections: Connections
  readonly #injector: ConnectionInjector

  constructor(options: GrpcServerOptions) {
    this.#server = new Server({
      // Costs 2 % of a call and nobody here reads it.
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': LIMITS.messageBytes,
      'grpc.max_concurrent_streams': options.maxConcurrentStreams,
      // A client that vanished without a word is noticed after the two together, and its streams are given up.
      'grpc.keepalive_time_ms': 60_000,
      'grpc.keepalive_timeout_ms': 20_000,
      ...agesOf(options),
    })
    this.#connections = new Connections(options, options.log)
    for (const { definition, handlers } of servedServices({ ...options, inFlight: this.#inFlight })) {
      this.#server.addService(definition, handlers)
    }
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure())
    this.#addHealth()
    new ReflectionService({ ...packageDefinition, ...loadSync(healthProtoPath) }).addToServer(this.#server)
  }

  /** Calls and streams under way, for tests and status. */
  get underWay(): { readonly calls: number; readonly streams: number } {
    return { calls: this.#inFlight.calls, streams: this.#inFlight.streams }
  }

  /**
   * @param port 0 lets the system choose
   * @returns the port
   * @throws when the address is taken or not this machine's
   */
  listen(host: string, port: number): Promise<number> {
    return listen(this.#listener, host, port)
  }

  /** Serves a connection that was accepted here, or by another process that listens for this one. */
  accept(socket: Socket): void {
    if (this.#inFlight.draining.aborted) socket.destroy()
    else if (this.#connections.add(socket)) {
      this.#injector.injectConnection(socket)
      renewStreamTable(socket)
    }
  }

  setServing(serving: boolean): void {
    for (const service of SERVICES) this.#health.setStatus(service, serving ? 'SERVING' : 'NOT_SERVING')
  }

  /** @param current false while the policies that are live are older than those that were refused */
  setPoliciesCurrent(current: boolean): void {
    this.#health.setStatus(POLICIES, current ? 'SERVING' : 'NOT_SERVING')
  }

  /**
   * Takes no new connections, lets what is under way finish, then ends. Clients that hold on are cut off after `graceMs`.
   * @returns true when everything finished by itself
   */
  async drain(graceMs: number): Promise<boolean> {
    this.setServing(false)
    this.#listener.close()
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()))
    const answered = this.#inFlight.drain()
    const timers: NodeJS.Timeout[] = []
    const after = <T>(ms: number, what: T): Promise<T> =>
      new Promise((resolve) => timers.push(setTimeout(() => resolve(what), ms)))
    // Node forgets to close a connection that broke the protocol, and one without calls may wait for a client for ever.
    const finished = answered.then(() => Promise.race([closed, after(LINGER_MS, undefined)]))
    const outcome = await Promise.race([finished, after(graceMs, 'late' as const)])
    for (const timer of timers) clearTimeout(timer)
    this.close()
    return outcome !== 'late'
  }

  /** Cuts every connection. */
  close(): void {
    if (this.#listener.listening) this.#listener.close()
    this.#server.forceShutdown()
    this.#connections.close()
  }

  /** The library leaves watches of health open for ever, which would hold up every drain to its deadline. */
  #addHealth(): void {
    const { draining } = this.#inFlight
    const registrar = {
      addService: (service: ServiceDefinition, handlers: { watch: (call: HealthWatch) => void }): void => {
        const watch = (call: HealthWatch): void => {
          const end = (): void => call.end()
          draining.addEventListener('abort', end)
          call.on('cancelled', () => draining.removeEventListener('abort', end))
          handlers.watch(call)
        }
        this.#server.addService(service, { ...handlers, watch })
      },
    }
    this.#health.addToServer(registrar as unknown as Parameters<HealthImplementation['addToServer']>[0])
  }
}

/** The library spreads ages by a tenth, so that clients which came together do not come again together. */
function agesOf({ maxConnectionAgeMs = 0, connectionGraceMs = 0 }: GrpcServerOptions): ServerOptions {
  if (maxConnectionAgeMs === 0) return {}
  return {
    'grpc.max_connection_age_ms': maxConnectionAgeMs,
    'grpc.max_connection_age_grace_ms': connectionGraceMs,
  }
}

interface HealthWatch {
  end(): void
  on(event: 'cancelled', listener: () => void): void
}
