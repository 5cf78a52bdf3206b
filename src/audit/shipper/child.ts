// The shipper process: one store, one shipper, and the queries of the server, since an embedded engine can be opened by
// one process only. Started by process.ts; it has no life of its own.
import { readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isUuid } from '../../model/uuid.js'
import { type AuditStore, StoreError, toStoreError } from '../store/audit-store.js'
import { openChdbStore } from '../store/chdb-store.js'
import { openClickHouseStore } from '../store/clickhouse-store.js'
import type { FromShipper, ShipperConfig, ToShipper } from './protocol.js'
import { Shipper } from './shipper.js'

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

async function openStore(config: ShipperConfig, writerId: string): Promise<AuditStore> {
  if (config.clickhouseUrl !== null) return openClickHouseStore({ url: config.clickhouseUrl, writerId })
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
  #store: AuditStore | null = null
  #shipper: Shipper | null = null
  #running: Promise<void> = Promise.resolve()

  async start(config: ShipperConfig): Promise<void> {
    const writerId = readWriterId(config.spoolFolder)
    this.#store = await openStore(config, writerId)
    this.#shipper = new Shipper({
      ...config.tuning,
      spoolFolder: config.spoolFolder,
      stateFolder: config.stateFolder,
      writerId,
      store: this.#store,
      onProblem: (message) => tell({ type: 'problem', message }),
      onStatus: (status) => tell({ type: 'status', status }),
    })
    this.#running = this.#shipper.run()
    this.#running.catch(fail)
  }

  async query(message: Extract<ToShipper, { type: 'query' }>): Promise<void> {
    try {
      if (!this.#store || this.#shipper?.status().state === 'starting') {
        throw new StoreError('unavailable', 'the audit store is not ready yet', { isPassing: true })
      }
      const rows = await this.#store.query(message.sql, message.params, message.limits)
      tell({ type: 'rows', id: message.id, rows })
    } catch (error) {
      const { kind, message: text, isPassing } = toStoreError(error)
      tell({ type: 'failed', id: message.id, kind, message: text, isPassing })
    }
  }

  async drain(id: number): Promise<void> {
    const shipper = this.#shipper
    if (!shipper) {
      tell({ type: 'failed', id, kind: 'unavailable', message: 'the audit store is not ready yet', isPassing: true })
      return
    }
    await shipper.drained()
    tell({ type: 'drained', id })
  }

  async stop(drainMs: number): Promise<void> {
    if (this.#shipper && drainMs > 0) await Promise.race([this.#shipper.drained(), sleep(drainMs)])
    this.#shipper?.stop()
    await this.#running
    await this.#store?.close()
    process.exit(0)
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
