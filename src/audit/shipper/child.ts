// The shipper process: one store, a shipper for each spool, and the queries of the server, since an embedded engine can be
// opened by one process only. Started by process.ts; it has no life of its own.
import { readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isUuid } from '../../model/uuid.js'
import { type AuditStore, StoreError, toStoreError } from '../store/audit-store.js'
import { openChdbStore } from '../store/chdb-store.js'
import { openClickHouseStore } from '../store/clickhouse-store.js'
import type { FromShipper, ShipperConfig, ToShipper } from './protocol.js'
import { Shipper, type ShipperStatus } from './shipper.js'

/** A killed server's shipper may hold the engine's lock for a moment longer than its server lived. */
const OPEN_TRIES = 9
const OPEN_PAUSE_MS = 250

/** Before any thread of the engine exists: they inherit it, and Decide keeps its core. */
function lowerPriority(): void {
  try {
    setPriority(10)
  } catch {
    // A sandbox that forbids it costs latency under load, nothing else.
  }
}

function tell(message: FromShipper): void {
  if (process.connected) process.send?.(message)
}

/** The stores of the writers. An embedded engine is one for all of them; it can be opened once. */
async function openStores(config: ShipperConfig, writers: readonly string[]): Promise<readonly AuditStore[]> {
  const { clickhouseUrl: url } = config
  if (url !== null) return writers.map((writerId) => openClickHouseStore({ url, writerId }))
  const store = await openEmbedded(config)
  return writers.map(() => store)
}

async function openEmbedded(config: ShipperConfig): Promise<AuditStore> {
  const memory = config.chdbMemoryBytes === undefined ? {} : { memoryBytes: config.chdbMemoryBytes }
  for (let attempt = 1; ; attempt++) {
    try {
      return await openChdbStore({ folder: config.chdbFolder, ...memory })
    } catch (error) {
      if (attempt >= OPEN_TRIES || !(error instanceof StoreError) || !error.isPassing) throw error
      await sleep(OPEN_PAUSE_MS)
    }
  }
}

function readWriterId(spoolFolder: string): string {
  const file = join(spoolFolder, 'writer')
  const id = readFileSync(file, 'latin1').trim()
  if (!isUuid(id)) throw new StoreError('unusable', `${file} holds no writer id`)
  return id
}

class ShipperProcess {
  #stores: readonly AuditStore[] = []
  #shippers: readonly Shipper[] = []
  #running: Promise<unknown> = Promise.resolve()

  async start(config: ShipperConfig): Promise<void> {
    if (config.spools.length === 0) throw new StoreError('unusable', 'there is no spool to ship')
    const writers = config.spools.map(({ spool }) => readWriterId(spool))
    this.#stores = await openStores(config, writers)
    this.#shippers = config.spools.map(
      ({ spool, shipper }, i) =>
        new Shipper({
          ...config.tuning,
          spoolFolder: spool,
          stateFolder: shipper,
          writerId: writers[i]!,
          store: this.#stores[i]!,
          rollsUp: i === 0,
          onProblem: (message) => tell({ type: 'problem', message }),
          onStatus: () => tell({ type: 'status', status: this.#status() }),
        }),
    )
    this.#running = Promise.all(this.#shippers.map((shipper) => shipper.run()))
    this.#running.catch(fail)
  }

  async query(message: Extract<ToShipper, { type: 'query' }>): Promise<void> {
    try {
      const [store] = this.#stores
      if (!store || this.#status().state === 'starting') {
        throw new StoreError('unavailable', 'the audit store is not ready yet', { isPassing: true })
      }
      const rows = await store.query(message.sql, message.params, message.limits)
      tell({ type: 'rows', id: message.id, rows })
    } catch (error) {
      const { kind, message: text, isPassing } = toStoreError(error)
      tell({ type: 'failed', id: message.id, kind, message: text, isPassing })
    }
  }

  async drain(id: number): Promise<void> {
    if (this.#shippers.length === 0) {
      tell({ type: 'failed', id, kind: 'unavailable', message: 'the audit store is not ready yet', isPassing: true })
      return
    }
    await this.#drained()
    tell({ type: 'drained', id })
  }

  async stop(drainMs: number): Promise<void> {
    if (drainMs > 0) await Promise.race([this.#drained(), sleep(drainMs)])
    for (const shipper of this.#shippers) shipper.stop()
    await this.#running
    await Promise.all([...new Set(this.#stores)].map((store) => store.close()))
    process.exit(0)
  }

  #status(): ShipperStatus {
    return sumOf(this.#shippers.map((shipper) => shipper.status()))
  }

  async #drained(): Promise<void> {
    await Promise.all(this.#shippers.map((shipper) => shipper.drained()))
  }
}

/** All spools as one: the worst state, and the sum of the numbers. */
function sumOf(all: readonly ShipperStatus[]): ShipperStatus {
  const sum = (of: (status: ShipperStatus) => number): number => all.reduce((total, status) => total + of(status), 0)
  const state = (['starting', 'unavailable'] as const).find((bad) => all.some((status) => status.state === bad))
  return {
    state: state ?? 'running',
    storedSeq: sum((status) => status.storedSeq),
    missing: sum((status) => status.missing),
    duplicates: sum((status) => status.duplicates),
    deadLetters: sum((status) => status.deadLetters),
    spoolBytes: sum((status) => status.spoolBytes),
    lastError: all.find((status) => status.lastError !== '')?.lastError ?? '',
  }
}

function fail(error: unknown): void {
  const { message } = toStoreError(error)
  tell({ type: 'unusable', message })
  // After the message has left; the parent's answer to it is to close the channel.
  setTimeout(() => process.exit(1), 1_000)
}

lowerPriority()
const own = new ShipperProcess()
process.on('message', (message: ToShipper) => {
  switch (message.type) {
    case 'start':
      own.start(message.config).catch(fail)
      break
    case 'query':
      void own.query(message)
      break
    case 'drain':
      void own.drain(message.id)
      break
    case 'stop':
      own.stop(message.drainMs).catch(fail)
      break
  }
})
// Signals of a terminal reach the whole process group; the server says when to stop.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
// An orphan must let go of the engine at once; what it was doing is done again by the next one.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
