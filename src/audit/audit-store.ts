import type { AuditQueries } from '../model/audit-queries.js'
import { toStandardError } from './audit-log.js'
import { auditFolders, spoolsOf } from './folders.js'
import { auditQueries } from './queries.js'
import { ShipperProcess } from './shipper/process.js'
import type { ShipperTuning } from './shipper/protocol.js'
import type { ShipperStatus } from './shipper/shipper.js'
import { checkDatabaseName, StoreError } from './store/audit-store.js'

export interface AuditStoreOptions {
  /** The server's data folder; its spools must have been opened by `openAuditLog` before, and the caller holds its lock. */
  readonly dataDir: string
  /** `http(s)://user:password@host:port/database`. Absent or empty: the embedded engine, in the data folder. */
  readonly clickhouseUrl?: string
  /** Cap of the embedded engine's memory. @default 700 MB */
  readonly chdbMemoryBytes?: number
  readonly tuning?: ShipperTuning
  /** @default writes to standard error */
  readonly onProblem?: (problem: string) => void
}

export interface AuditStoreStatus {
  /** `starting` also while the shipper process is started again. */
  readonly state: ShipperStatus['state']
  /** Where rows go: `chdb` in the data folder, or a server. */
  readonly engine: 'chdb' | 'clickhouse'
  /** Records of all spools that are in the store, `missing` among them. What is still spooled is the logs' `lastSeq` less this. */
  readonly storedSeq: number
  readonly missing: number
  readonly duplicates: number
  readonly deadLetters: number
  readonly spoolBytes: number
  readonly lastError: string
  /** Process id of the shipper; null while it is started again. */
  readonly pid: number | null
  readonly restarts: number
}

export interface RunningAuditStore {
  readonly queries: AuditQueries
  status(): AuditStoreStatus
  /** Resolves when everything that is in the spool now is in the store; waits as long as that takes. */
  drain(): Promise<void>
  /** Starts the shipper process again: it learns which spools there are, and whose, when it starts. */
  restart(): void
  /** Ships what is in the spool for at most `drainMs`, then stops. What is left is shipped at the next start. @default 5_000 */
  close(drainMs?: number): Promise<void>
}

/**
 * Starts the shipper process and waits until its store is ready, or known to be down: then the server may run all the same,
 * the spool holds what comes. Rejects with a StoreError that says what to do when the store cannot be used at all (engine not
 * installed, its folder open in another process, wrong password).
 */
export async function startAuditStore(options: AuditStoreOptions): Promise<RunningAuditStore> {
  const url = options.clickhouseUrl || null
  const shipper = new ShipperProcess({
    config: {
      spools: spoolsOf(options.dataDir),
      chdbFolder: auditFolders(options.dataDir).chdb,
      clickhouseUrl: url,
      ...(options.chdbMemoryBytes === undefined ? {} : { chdbMemoryBytes: options.chdbMemoryBytes }),
      tuning: options.tuning ?? {},
    },
    onProblem: options.onProblem ?? toStandardError,
  })
  await shipper.start()
  return {
    queries: auditQueries((sql, params, limits) => shipper.query(sql, params, limits), databaseOf(url)),
    status: () => statusOf(shipper, url),
    drain: () => shipper.drain(),
    restart: () => shipper.restart(),
    close: (drainMs = 5_000) => shipper.close(drainMs),
  }
}

/**
 * The audit of a data folder that no server runs on: ships what its spool still has, then answers. The caller holds the
 * folder's lock. Throws a StoreError when there is no audit in the folder.
 */
export async function openAuditFolder(options: AuditStoreOptions): Promise<RunningAuditStore> {
  if (spoolsOf(options.dataDir).length === 0) {
    throw new StoreError('unusable', `there is no audit in ${options.dataDir}: no server has run on this data folder`)
  }
  const store = await startAuditStore({ ...options, tuning: { pollMs: 10, ...options.tuning } })
  if (store.status().state === 'unavailable') {
    await store.close(0)
    throw new StoreError('unavailable', `the audit store cannot be reached: ${store.status().lastError}`)
  }
  await store.drain()
  return store
}

function statusOf(shipper: ShipperProcess, url: string | null): AuditStoreStatus {
  const { shipper: status, pid, restarts } = shipper.status()
  return {
    state: pid === null ? 'starting' : (status?.state ?? 'starting'),
    engine: url === null ? 'chdb' : 'clickhouse',
    storedSeq: status?.storedSeq ?? 0,
    missing: status?.missing ?? 0,
    duplicates: status?.duplicates ?? 0,
    deadLetters: status?.deadLetters ?? 0,
    spoolBytes: status?.spoolBytes ?? 0,
    lastError: status?.lastError ?? '',
    pid,
    restarts,
  }
}

function databaseOf(url: string | null): string {
  return checkDatabaseName((url && decodeURIComponent(new URL(url).pathname.slice(1))) || 'audit')
}
