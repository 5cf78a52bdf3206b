import { mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { type OpenAuditLog, openAuditLog } from '../../src/audit/index.js'
import { listSegments, scanSegment } from '../../src/audit/spool/segments.js'
import type { Durability } from '../../src/model/audit-record.js'
import { mainThreadNs } from '../support/cpu.js'
import { alternate, type Spread } from '../support/rounds.js'
import { type Make, recordsOf, type Size } from './records.js'

export interface AppendCase {
  readonly size: Size
  /** Records of one turn of the event loop. */
  readonly perTurn: number
  readonly durability: Durability
}

export interface AppendResult extends AppendCase {
  /** CPU time of the main thread for a record: mask, print, number, frame, checksum, write, tell. */
  readonly cpuNs: Spread
  /** Time that `record` and the write at the end of its turn keep the thread, shared by the records of the turn. */
  readonly p50Ns: number
  readonly p99Ns: number
  /** Time until a record is told to be safe. */
  readonly safeP50Ns: number
  readonly safeP99Ns: number
}

export const CASES: readonly AppendCase[] = [
  { size: 'typical', perTurn: 1, durability: 'written' },
  { size: 'typical', perTurn: 16, durability: 'written' },
  { size: 'typical', perTurn: 64, durability: 'written' },
  { size: 'small', perTurn: 16, durability: 'written' },
  { size: 'large', perTurn: 16, durability: 'written' },
  { size: 'typical', perTurn: 1, durability: 'fsync' },
  { size: 'typical', perTurn: 16, durability: 'fsync' },
]
const DISTINCT = 4_096
/** Segments are emptied between samples; the spool is given room for one. */
const SPOOL_BYTES = 4 * 1024 ** 3

export interface AppendOptions {
  readonly rounds: number
  /** Of one sample. */
  readonly leastMs: number
  /** Where the spools lie: the disk that is measured. */
  readonly folder: string
}

/** Appends records turn by turn and counts what is in the segments afterwards. */
export async function measureAppends({ rounds, leastMs, folder }: AppendOptions): Promise<readonly AppendResult[]> {
  const benches = CASES.map((one) => new AppendBench(one, folder, leastMs))
  try {
    const spreads = await alternate(new Map(benches.map((bench, i) => [String(i), () => bench.sample()])), {
      rounds,
      warmUps: 2,
    })
    return benches.map((bench, i) => bench.result(spreads.get(String(i))!))
  } finally {
    for (const bench of benches) await bench.close()
  }
}

class AppendBench {
  readonly #case: AppendCase
  readonly #dataDir: string
  readonly #log: OpenAuditLog
  readonly #make: Make
  readonly #leastMs: number
  #made = 0
  #keptNs: number[] = []
  #safeNs: number[] = []

  constructor(one: AppendCase, folder: string, leastMs: number) {
    this.#case = one
    this.#dataDir = mkdtempSync(path.join(folder, 'portcullis-bench-'))
    this.#log = openAuditLog({ dataDir: this.#dataDir, maxBytes: SPOOL_BYTES })
    this.#make = recordsOf(one.size, DISTINCT)
    this.#leastMs = leastMs
  }

  /** CPU nanoseconds a record. */
  async sample(): Promise<number> {
    const before = this.#log.status().lastSeq
    const firstMade = this.#made
    const untilMs = performance.now() + this.#leastMs
    const startedNs = mainThreadNs(process.pid)
    do await this.#turn()
    while (performance.now() < untilMs)
    const cpuNs = mainThreadNs(process.pid) - startedNs
    await this.#log.flush()
    const records = this.#made - firstMade
    this.#check(before, records)
    return cpuNs / records
  }

  /** One turn's records, and the turn after which all of them are safe. */
  #turn(): Promise<void> {
    const { perTurn, durability } = this.#case
    const nowMs = Date.now()
    const records = Array.from({ length: perTurn }, () => this.#make(this.#made++, nowMs))
    return new Promise((resolve, reject) => {
      let left = perTurn
      const startedNs = performance.now() * 1e6
      const recorded = (failure: Error | null): void => {
        this.#safeNs.push(performance.now() * 1e6 - startedNs)
        if (failure !== null) reject(failure)
        else if (--left === 0) resolve()
      }
      for (const record of records) this.#log.record(record, durability, recorded)
      // Asked for after the spool's own, so that it runs right behind the write.
      setImmediate(() => this.#keptNs.push((performance.now() * 1e6 - startedNs) / perTurn))
    })
  }

  #check(before: number, records: number): void {
    const { lastSeq } = this.#log.status()
    if (lastSeq - before !== records)
      throw new Error(`${records} records were appended, ${lastSeq - before} are numbered`)
    const segments = listSegments(path.join(this.#dataDir, 'audit', 'spool'))
    let seen = before
    for (const { path: file } of segments) {
      const scan = scanSegment(file)
      if (scan.damaged || scan.validBytes !== scan.size) throw new Error(`${file} is damaged`)
      seen = Math.max(seen, scan.lastSeq)
    }
    if (seen !== lastSeq) throw new Error(`the segments end with ${seen}, the spool with ${lastSeq}`)
    // As the shipper does it: the last one stays.
    for (const { path: file } of segments.slice(0, -1)) rmSync(file)
  }

  result(cpuNs: Spread): AppendResult {
    const kept = this.#keptNs.toSorted((a, b) => a - b)
    const safe = this.#safeNs.toSorted((a, b) => a - b)
    const at = (sorted: readonly number[], share: number): number => sorted[Math.floor(sorted.length * share)]!
    return {
      ...this.#case,
      cpuNs,
      p50Ns: at(kept, 0.5),
      p99Ns: at(kept, 0.99),
      safeP50Ns: at(safe, 0.5),
      safeP99Ns: at(safe, 0.99),
    }
  }

  async close(): Promise<void> {
    await this.#log.close()
    rmSync(this.#dataDir, { recursive: true })
  }
}
