import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation, protoPath as healthProtoPath } from 'grpc-health-check'
import { type AuditServiceDeps, auditHandlers } from './audit-service.js'
import { type DecisionServiceDeps, decisionHandlers } from './decision-service.js'
import { InFlight } from './in-flight.js'
import { LIMITS } from './limits.js'
import { AUDIT_SERVICE, auditService, DECISION_SERVICE, decisionService, packageDefinition } from './proto.js'

export interface GrpcServerOptions
  extends Omit<DecisionServiceDeps, 'inFlight'>,
    Omit<AuditServiceDeps, 'inFlight' | 'nowMs'> {
  readonly nowMs: () => number
  /** Calls that one connection may have open at a time. */
  readonly maxConcurrentStreams: number
}

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

  constructor(options: GrpcServerOptions) {
    this.#server = new Server({
      // Costs 2 % of a call and nobody here reads it.
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': LIMITS.messageBytes,
      'grpc.max_concurrent_streams': options.maxConcurrentStreams,
      // A client that vanished without a word is noticed after the two together, and its streams are given up.
      'grpc.keepalive_time_ms': 60_000,
      'grpc.keepalive_timeout_ms': 20_000,
    })
    const deps = { ...options, inFlight: this.#inFlight }
    this.#server.addService(decisionService, decisionHandlers(deps))
    this.#server.addService(auditService, auditHandlers(deps))
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
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
        if (error) reject(new Error(listenProblem(address, error), { cause: error }))
        else resolve(bound)
      })
    })
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
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()))
    const finished = Promise.all([this.#inFlight.drain(), closed])
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), graceMs)
    })
    const outcome = await Promise.race([finished, late])
    clearTimeout(timer)
    if (outcome === 'late') this.close()
    return outcome !== 'late'
  }

  /** Cuts every connection. */
  close(): void {
    this.#server.forceShutdown()
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

interface HealthWatch {
  end(): void
  on(event: 'cancelled', listener: () => void): void
}

function listenProblem(address: string, error: Error): string {
  if (/EADDRINUSE|No address added/i.test(error.message)) {
    return `cannot listen on \`${address}\`: the port is taken, or the address is not this machine's; choose another with --listen`
  }
  return `cannot listen on \`${address}\`: ${error.message}`
}
