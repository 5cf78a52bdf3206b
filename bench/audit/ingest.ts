import { mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { openAuditLog, type RunningAuditStore, startAuditStore } from '../../src/audit/index.js'
import { mainThreadNs, processNs, residentBytes } from '../support/cpu.js'
import { type Spread, spreadOf } from '../support/rounds.js'
import { recordsOf } from './records.js'

export interface IngestOptions {
  /** Of each round. */
  readonly events: number
  readonly rounds: number
  /** Where spool and store lie: the disk that is measured. */
  readonly folder: string
}

export interface IngestResult {
  readonly events: number
  /** From the first record that was appended to the last one that was read back from the store. */
  readonly eventsPerSecond: Spread
  /** Of the server's main thread and of the whole shipper process, for an event. */
  readonly serverCpuNs: Spread
  readonly shipperCpuNs: Spread
  readonly shipperBytes: Spread
}

type Sample = Readonly<Record<'eventsPerSecond' | 'serverCpuNs' | 'shipperCpuNs' | 'shipperBytes', number>>

/** Records that are appended without waiting, like those of calls that come in together. */
const BURST = 2_000
const DISTINCT = 4_096

/** Every round on a data folder of its own. */
export async function measureIngest({ events, rounds, folder }: IngestOptions): Promise<IngestResult> {
  const samples: Sample[] = []
  for (let round = 0; round < rounds; round++) samples.push(await measureOnce(events, folder))
  const spread = (of: keyof Sample): Spread => spreadOf(samples.map((sample) => sample[of]))
  return {
    events,
    eventsPerSecond: spread('eventsPerSecond'),
    serverCpuNs: spread('serverCpuNs'),
    shipperCpuNs: spread('shipperCpuNs'),
    shipperBytes: spread('shipperBytes'),
  }
}

/**
 * Appends as fast as the spool takes records while the shipper process stores them, and waits until all of them are stored
 * and read back. Then counts: stored is what was appended, nothing twice, no number missing.
 */
async function measureOnce(events: number, folder: string): Promise<Sample> {
  const dataDir = mkdtempSync(path.join(folder, 'portcullis-bench-'))
  const log = openAuditLog({ dataDir })
  const store = await startAuditStore({ dataDir, tuning: { keepMs: 0 } })
  try {
    const make = recordsOf('typical', DISTINCT)
    const { pid } = store.status()
    if (pid === null) throw new Error('the shipper does not run')
    const shipperBefore = processNs(pid)
    const startedNs = mainThreadNs(process.pid)
    const startedMs = performance.now()
    for (let made = 0; made < events; made += BURST) {
      const nowMs = Date.now()
      const safe: Promise<void>[] = []
      for (let n = made; n < Math.min(events, made + BURST); n++) safe.push(log.append(make(n, nowMs), 'written'))
      await Promise.all(safe)
    }
    const serverNs = mainThreadNs(process.pid) - startedNs
    await store.drain()
    const seconds = (performance.now() - startedMs) / 1_000
    await check(store, events)
    return {
      eventsPerSecond: events / seconds,
      serverCpuNs: serverNs / events,
      shipperCpuNs: (processNs(pid) - shipperBefore) / events,
      shipperBytes: residentBytes(pid),
    }
  } finally {
    await store.close(0)
    await log.close()
    rmSync(dataDir, { recursive: true })
  }
}

async function check(store: RunningAuditStore, events: number): Promise<void> {
  const { missing, duplicates, deadLetters, restarts } = store.status()
  const { total } = await store.queries.totals('acme', { fromMs: 0, untilMs: Date.now() + 1_000 })
  const found = { total, missing, duplicates, deadLetters, restarts }
  const wanted = { total: events, missing: 0, duplicates: 0, deadLetters: 0, restarts: 0 }
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`stored ${JSON.stringify(found)}, but appended ${JSON.stringify(wanted)}`)
  }
}
