import {
  type AuditStoreStatus,
  type OpenAuditLog,
  openAuditLog,
  type RunningAuditStore,
  type SpoolStatus,
  startAuditStore,
} from './audit/index.js'
import { readPolicyFolder } from './authoring/policy-folder.js'
import { watchPolicyFolder } from './authoring/watch-folder.js'
import type { Config } from './config.js'
import { openControlPlane } from './control-plane.js'
import { decide } from './engine/decide.js'
import { AuditNotSearchable, type AuditQueries } from './model/audit-queries.js'
import type { Log, LogFields } from './model/log.js'
import { uuidv7 } from './model/uuid.js'
import { type Answer, type Clock, Pdp } from './pdp.js'
import { AnsweredRequests } from './state/answered-requests.js'
import { type ControlStore, openControlStore } from './store/control-store.js'
import { lockDataFolder } from './store/data-folder.js'
import { startEventRelay } from './store/events/relay.js'
import { LivePolicies, type PolicySource, type PolicyStatus, type Snapshot } from './tenants/live-policies.js'
import { rereadQuestion } from './transport/grpc/codec/decide-request.js'
import { addressOf } from './transport/grpc/listen.js'
import { GrpcServer } from './transport/grpc/server.js'
import { HttpServer } from './transport/http/server.js'

/** A server that answers: one process, or several behind one port. */
export interface Server {
  /** `host:port` as bound. */
  readonly address: string
  /** The same of the HTTP listener; null where there is none. */
  readonly httpAddress: string | null
  /** The policies that were live when it began to answer, or are. */
  readonly live: Pick<Snapshot, 'revision' | 'counts'>
  /** What a shutdown would wait for, as the log tells it. */
  readonly underWay: LogFields
  /** Resolves, with the reason, when the server cannot go on by itself and has to be closed. */
  readonly failed?: Promise<string>
  /** Reads the policy folder again. */
  reload(): Promise<void>
  /**
   * Drains, writes out the audit and frees the data folder. Safe to call twice.
   * @returns true when every call under way finished within `drainMs`
   */
  close(): Promise<boolean>
}

/** A server of one process. */
export interface App extends Server {
  /** The policies that are live. */
  readonly live: Snapshot
  readonly policyStatus: PolicyStatus
  /** Of the spool: the number of the last record, how full it is, and whether it refuses records. */
  readonly auditStatus: SpoolStatus
  /** Null when records stay in the spool. */
  readonly storeStatus: AuditStoreStatus | null
  /** Calls and streams under way. */
  readonly underWay: { readonly calls: number; readonly streams: number }
}

/** What one server has for itself, and the processes of another share. */
export interface Surroundings {
  /** Takes the data folder, when the policies are live: with faulty ones the server leaves no trace on disk. */
  takeData(): Promise<{
    readonly folder: string
    /** Number of the process among those that share the folder, or null. */
    readonly worker: number | null
    release(): Promise<void>
  }>
  /** Called when the data folder is ours; null where there is no control state. */
  openControl(dataFolder: string): Promise<ControlStore | null>
  /** Called when the spool is open; `running` is null where the store is not this process's. */
  openStore(
    dataDir: string,
    onProblem: (problem: string) => void,
  ): Promise<{ readonly queries: AuditQueries; readonly running: RunningAuditStore | null }>
  /** From here on the server gets connections. Returns its address. */
  listen(server: GrpcServer): Promise<string>
}

const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicNs: () => performance.now() * 1e6,
}

/** How long a request id is remembered: the contract's ten minutes. */
const REMEMBER_MS = 10 * 60_000
const TAIL_POLL_MS = 500

const noStore = (): Promise<never> => Promise.reject(new AuditNotSearchable())
/** Of a server that stores nothing: the spool is no place to search. */
export const noQueries: AuditQueries = {
  totals: noStore,
  topViolations: noStore,
  riskiestAgents: noStore,
  get: noStore,
  list: noStore,
  since: noStore,
  controlEvents: noStore,
}

/**
 * The composition root: alone picks adapters and calls constructors, bottom up, and closes them in reverse.
 *
 * Resolves when the server answers. What was opened before a failure is closed again.
 *
 * @throws {PoliciesRefused} with the rendered diagnostics when the policies do not read or check
 * @throws an error that a person can act on when the data folder or the address cannot be used
 */
export async function startApp(
  config: Config,
  log: Log,
  clock: Clock = systemClock,
  surroundings: Surroundings = alone(config, log),
): Promise<App> {
  const opened: (() => Promise<void> | void)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).reverse()) {
      try {
        await close()
      } catch (cause) {
        log.error('a part did not close', { cause: cause instanceof Error ? cause : new Error(String(cause)) })
      }
    }
  }
  try {
    return await open(config, log, clock, surroundings, opened, closeAll)
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function open(
  config: Config,
  log: Log,
  clock: Clock,
  surroundings: Surroundings,
  opened: (() => Promise<void> | void)[],
  closeAll: () => Promise<void>,
): Promise<App> {
  const { nowMs } = clock
  let server: GrpcServer | null = null

  // Policies first: with faulty ones the server leaves no trace on disk.
  const policies = new LivePolicies({
    source: folderSource(config.policies),
    log,
    nowMs,
    onCurrent: (current) => server?.setPoliciesCurrent(current),
  })
  await policies.start()
  opened.push(() => policies.close())

  const data = await surroundings.takeData()
  opened.push(() => data.release())
  const controlStore = await surroundings.openControl(data.folder)
  if (controlStore) opened.push(() => controlStore.close())
  const onProblem = (problem: string): void => log.warn('audit problem', { problem })
  const { spoolMaxBytes: maxBytes } = config.audit
  const audit = openAuditLog({ dataDir: data.folder, worker: data.worker, maxBytes, clock: nowMs, onProblem })
  opened.push(() => audit.close())
  const { identity, control, approvals, receipts, services, ...plane } = await openControlPlane(
    config,
    controlStore,
    data.folder,
    log,
    clock,
    (call) => decide(call, { nowMs: nowMs() }, policies.live().policySetOf(call.tenant)),
  )
  opened.push(() => plane.close())
  if (controlStore) {
    const relay = startEventRelay(controlStore.database, audit, log)
    opened.push(() => relay.close())
  }
  const { queries, running: store } = await surroundings.openStore(data.folder, onProblem)
  if (store) opened.push(() => closeStore(store, audit))

  const pdp = new Pdp({
    identity,
    policies,
    audit,
    control,
    approvals,
    receipts,
    answered: new AnsweredRequests<Answer>({ maxEntries: config.limits.rememberedRequests, ttlMs: REMEMBER_MS }),
    readQuestion: rereadQuestion,
    clock,
    newId: uuidv7,
    log,
  })
  const edge = {
    pdp,
    queries,
    identity,
    log,
    nowMs,
    control: services,
    tailPollMs: TAIL_POLL_MS,
    streamInFlight: config.limits.streamInFlight,
    maxConnections: config.limits.maxConnections,
    maxBufferedBytes: config.limits.maxBufferedBytes,
  }
  const grpc = new GrpcServer({
    ...edge,
    maxConcurrentStreams: config.limits.maxConcurrentStreams,
    maxConnectionAgeMs: config.limits.maxConnectionAgeMs,
    connectionGraceMs: config.drainMs,
  })
  server = grpc
  opened.push(() => grpc.close())
  const http = config.http === null ? null : new HttpServer({ ...edge, isLoopback: config.http.isLoopback })
  if (http) opened.push(() => http.close())
  const address = await surroundings.listen(grpc)
  const httpAddress = http && config.http ? await listenHttp(http, config.http) : null
  grpc.setPoliciesCurrent(policies.status().failure === null)
  grpc.setServing(true)
  http?.setServing(true)

  let closing: Promise<boolean> | null = null
  const close = async (): Promise<boolean> => {
    const inTime = await Promise.all([grpc.drain(config.drainMs), http?.drain(config.drainMs) ?? true])
    await closeAll()
    return inTime.every(Boolean)
  }
  return {
    address,
    httpAddress,
    get live() {
      return policies.live()
    },
    get policyStatus() {
      return policies.status()
    },
    get auditStatus() {
      return audit.status()
    },
    get storeStatus() {
      return store?.status() ?? null
    },
    get underWay() {
      const { calls, streams } = grpc.underWay
      return { calls: calls + (http?.underWay.calls ?? 0), streams: streams + (http?.underWay.streams ?? 0) }
    },
    reload: () => policies.reload('signal'),
    close: () => (closing ??= close()),
  }
}

async function listenHttp(server: HttpServer, { host, port }: { host: string; port: number }): Promise<string> {
  return addressOf(host, await server.listen(host, port))
}

function alone(config: Config, log: Log): Surroundings {
  return {
    async takeData() {
      const lock = await lockDataFolder(config.data)
      return { folder: lock.folder, worker: null, release: () => lock.release() }
    },
    openControl: (folder) => openControl(config, folder, log),
    async openStore(dataDir, onProblem) {
      const running = await openStore(config, dataDir, onProblem)
      return { queries: running?.queries ?? noQueries, running }
    },
    async listen(server) {
      const { host, port } = config.listen
      return addressOf(host, await server.listen(host, port))
    },
  }
}

/** Of the process that owns the data folder. Null where there is no control state. */
export async function openControl(config: Config, dataFolder: string, log: Log): Promise<ControlStore | null> {
  const { store, databaseUrl, poolSize } = config.control
  const pool = { poolSize }
  if (databaseUrl !== null) return openControlStore({ kind: 'postgres', url: databaseUrl, log, pool })
  const processes = config.workers + 1
  return store === 'embedded' ? openControlStore({ kind: 'embedded', dataFolder, log, pool, processes }) : null
}

/** Null where records stay in the spool. */
export async function openStore(
  config: Config,
  dataDir: string,
  onProblem: (problem: string) => void,
): Promise<RunningAuditStore | null> {
  const { store, clickhouseUrl } = config.audit
  if (store === 'none') return null
  return startAuditStore({ dataDir, onProblem, ...(clickhouseUrl !== null && { clickhouseUrl }) })
}

/** What is still in the spool after this is stored after the next start. */
export async function closeStore(store: RunningAuditStore, audit: Pick<OpenAuditLog, 'flush'> | null): Promise<void> {
  await audit?.flush()
  // A store that is down will hardly come back while we wait for it.
  if (store.status().state === 'unavailable') await store.close(0)
  else await store.close()
}

function folderSource(folder: string): PolicySource {
  return {
    name: folder,
    read: () => readPolicyFolder(folder),
    watch: (onChange) => watchPolicyFolder(folder, onChange),
  }
}
