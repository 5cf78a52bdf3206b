import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isUuid, uuidv7 } from '../../model/uuid.js'
import { makeFolder } from '../folders.js'
import { rowsOfSegment, SpoolReader } from '../spool/reader.js'
import { Rows, type SpooledRow } from '../spool/rows.js'
import { listSegments, type SegmentFile } from '../spool/segments.js'
import { type AuditStore, StoreError } from '../store/audit-store.js'
import { wellFormed } from '../well-formed.js'

export interface ShipperOptions {
  readonly spoolFolder: string
  /** Where the shipper keeps its cursor: a hint, the store itself is asked what it has. */
  readonly stateFolder: string
  readonly writerId: string
  readonly store: AuditStore
  /** Rows of one insert. @default 100_000 */
  readonly maxRows?: number
  /** Bytes of one insert. @default 32 MiB */
  readonly maxBytes?: number
  /** Least time between two inserts that are not full. @default 1_000 */
  readonly flushMs?: number
  /** How often an idle shipper looks for new records. @default 100 */
  readonly pollMs?: number
  /** Least age of a segment, since its last write, at which it may be removed. @default 900_000 */
  readonly keepMs?: number
  /** How often hours and days that have ended are rolled up. @default 60_000 */
  readonly closeMs?: number
  /** False where another shipper of the same process rolls up. @default true */
  readonly rollsUp?: boolean
  /** Longest pause after a failed try. @default 30_000 */
  readonly maxBackoffMs?: number
  readonly onProblem: (problem: string) => void
  readonly onStatus: (status: ShipperStatus) => void
}

export interface ShipperStatus {
  /** `unavailable`: the store does not take rows at the moment; `lastError` says why. */
  readonly state: 'starting' | 'running' | 'unavailable'
  /** Every record up to this number was read back from the store, or is counted in `missing`. */
  readonly storedSeq: number
  /** Numbers that the spool had lost when they were to be sent. */
  readonly missing: number
  /** Rows that the store has more than once. */
  readonly duplicates: number
  /** Rows that the store refused; they are in `dead_letter`, with a stand-in in `events`. */
  readonly deadLetters: number
  /** Bytes in the spool folder. */
  readonly spoolBytes: number
  readonly lastError: string
}

const RETRY_MS = 250
/** A batch with more refused rows than this, and more than 1 %, speaks of a wrong schema, not of wrong rows. */
const MAX_REFUSED = 10

/**
 * Carries spooled records into the store, each once.
 *
 * INVARIANT: the cursor moves past a row only after the row was read back by its number. An acknowledgement of the store
 * proves nothing here, and neither does a token: what is missing is sent again until the read-back has it.
 */
export class Shipper {
  readonly #options: Required<ShipperOptions>
  readonly #store: AuditStore
  readonly #reader: SpoolReader
  readonly #cursorFile: string
  readonly #stop = new AbortController()
  /** True while rows may be in the store without our knowing: after a start, and after an insert that failed. */
  #inDoubt = true
  /** True once the end of the spool was seen: what comes later was written after this process began, so no other sent it. */
  #hasCaughtUp = false
  #status: ShipperStatus
  #failures = 0
  #flushedAt = Number.NEGATIVE_INFINITY
  #expiredAt = Number.NEGATIVE_INFINITY
  #closeAt = Number.NEGATIVE_INFINITY
  #waiting: { readonly isDone: () => boolean; readonly resolve: () => void }[] = []

  constructor(options: ShipperOptions) {
    this.#options = {
      maxRows: 100_000,
      maxBytes: 32 * 1024 * 1024,
      flushMs: 1_000,
      pollMs: 100,
      keepMs: 900_000,
      closeMs: 60_000,
      rollsUp: true,
      maxBackoffMs: 30_000,
      ...options,
    }
    this.#store = options.store
    this.#reader = new SpoolReader(options.spoolFolder, options.onProblem)
    makeFolder(options.stateFolder)
    this.#cursorFile = join(options.stateFolder, 'cursor.json')
    const cursor = readCursor(this.#cursorFile, options.writerId)
    this.#status = {
      state: 'starting',
      storedSeq: cursor,
      missing: 0,
      duplicates: 0,
      deadLetters: 0,
      spoolBytes: 0,
      lastError: '',
    }
  }

  status(): ShipperStatus {
    return this.#status
  }

  /**
   * Runs until {@link stop}. What is still in the spool is compared with the store from its oldest record on, so that
   * rows which the store lost after it had them (a power cut) are sent again.
   */
  async run(): Promise<void> {
    await this.#persist(() => this.#store.migrate())
    await this.#persist(() => this.#store.settle())
    this.#update({ state: 'running', lastError: '' })
    this.#reader.seek(0)
    await this.#persist(() => this.#noteLostBeginning())
    while (!this.#stop.signal.aborted) {
      const worked = await this.#step()
      this.#settleWaiting()
      if (!worked) await this.#pause(this.#options.pollMs)
    }
  }

  /** Ends {@link run} after the batch at hand. */
  stop(): void {
    this.#stop.abort()
  }

  /** Resolves when the shipper has found the spool empty once from now on. */
  drained(): Promise<void> {
    let looks = 0
    return new Promise((resolve) => {
      this.#waiting.push({ isDone: () => this.#idle && ++looks > 1, resolve })
    })
  }

  #idle = false

  async #step(): Promise<boolean> {
    const since = performance.now() - this.#flushedAt
    // Draining does not wait for company.
    if (since < this.#options.flushMs && this.#waiting.length === 0) await this.#pause(this.#options.flushMs - since)
    if (this.#stop.signal.aborted) return false
    const reading = await this.#persist(async () => this.#reader.read(this.#options))
    if (!reading) return false
    this.#idle = reading.kind === 'none'
    switch (reading.kind) {
      case 'none':
        this.#hasCaughtUp = true
        this.#inDoubt = false
        await this.#persist(() => this.#expire())
        await this.#closeSpans()
        return false
      case 'gap':
        await this.#persist(() => this.#noteGap(reading.from, reading.to, reading.reason))
        return true
      case 'rows':
        await this.#ship(reading.rows, reading.segments)
        this.#flushedAt = reading.full ? Number.NEGATIVE_INFINITY : performance.now()
        await this.#persist(() => this.#expire())
        if (!reading.full) await this.#closeSpans()
        return true
    }
  }

  async #ship(rows: Rows, segments: readonly string[]): Promise<void> {
    const isStored = await this.#persist(async () => {
      // What the store has must outlive a power cut in the spool too, else its numbers would be given out again.
      for (const segment of segments) syncFile(segment)
      const missing = this.#inDoubt ? await this.#missing(rows) : rows
      if (missing.count === 0) return this.#stored(rows)
      this.#inDoubt = true
      await this.#insert(missing, { left: Math.max(MAX_REFUSED, Math.ceil(rows.count / 100)) })
      const still = await this.#missing(rows)
      if (still.count > 0) {
        throw new StoreError(
          'unavailable',
          `${still.count} of ${rows.count} rows are not there after an insert that succeeded`,
        )
      }
      this.#inDoubt = !this.#hasCaughtUp
      return this.#stored(rows)
    })
    if (isStored) this.#advance(rows.last)
  }

  /** Rows that are there, by whoever's insert, and that roll-ups may have been made without. */
  async #stored(rows: Rows): Promise<true> {
    await this.#store.rollUps.reopen(this.#options.writerId, rows.first, rows.last)
    return true
  }

  /** Roll-ups make questions fast and nothing else: a failure is told and tried again later, and holds up no rows. */
  async #closeSpans(): Promise<void> {
    if (!this.#options.rollsUp || performance.now() < this.#closeAt || this.#stop.signal.aborted) return
    try {
      const hasMore = await this.#store.rollUps.closeSome()
      this.#closeAt = hasMore ? 0 : performance.now() + this.#options.closeMs
    } catch (error) {
      this.#closeAt = performance.now() + this.#options.closeMs
      this.#options.onProblem(`audit store: no roll-up: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #advance(seq: number): void {
    if (seq <= this.#status.storedSeq) return
    this.#update({ storedSeq: seq })
    try {
      writeFileSync(this.#cursorFile, `${JSON.stringify({ writer: this.#options.writerId, seq })}\n`)
    } catch (error) {
      // On a full disk the way out is to ship on. The next process only has to read back more.
      this.#options.onProblem(`audit shipper: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** Those of the rows that the store does not have. */
  async #missing(rows: Rows): Promise<Rows> {
    const { first, last } = rows
    if (rows.count === 0 || (rows.isRun && (await this.#hasRange(first, last)))) return Rows.none
    const stored = await this.#store.seqsInRange(this.#options.writerId, first, last)
    let duplicates = 0
    for (const copies of stored.values()) duplicates += copies - 1
    if (duplicates > 0) {
      this.#options.onProblem(
        `audit store: ${duplicates} rows too many between ${first} and ${last} of writer ${this.#options.writerId}`,
      )
      this.#update({ duplicates: this.#status.duplicates + duplicates })
    }
    return rows.without(stored)
  }

  /** True when every number from `from` to `to` is in the store, once. */
  async #hasRange(from: number, to: number): Promise<boolean> {
    const count = to - from + 1
    const { rows, distinct } = await this.#store.countRange(this.#options.writerId, from, to)
    return rows === count && distinct === count
  }

  /** Inserts rows; one that the store refuses goes to the dead letters, and a stand-in takes its number. */
  async #insert(rows: Rows, refusals: { left: number }): Promise<void> {
    try {
      await this.#store.insert('events', rows.ndjson)
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'data') throw error
      const all = rows.split()
      const [only] = all
      if (all.length === 1 && only) {
        await this.#bury(only, error, refusals)
        return
      }
      const named = Number(/\(at row (\d+)\)/.exec(error.message)?.[1] ?? 0)
      const suspect = all[named - 1]
      const parts = suspect ? [[suspect], all.filter((row) => row !== suspect)] : halves(all)
      for (const part of parts) {
        const missing = await this.#missing(Rows.of(part))
        if (missing.count > 0) await this.#insert(missing, refusals)
      }
    }
  }

  async #bury(row: SpooledRow, error: StoreError, refusals: { left: number }): Promise<void> {
    if (refusals.left-- <= 0) {
      throw new StoreError(
        'unavailable',
        `the store refuses too many rows of one batch; is its schema changed? ${error.message}`,
      )
    }
    this.#options.onProblem(
      `audit store: row ${row.seq} of writer ${this.#options.writerId} is refused and kept in dead_letter: ${error.message}`,
    )
    await this.#deadLetter(row.seq, row.seq, row.payload.toString('utf8'), error.message)
    await this.#store.insert('events', Rows.of([standIn(row, this.#options.writerId)]).ndjson)
    this.#update({ deadLetters: this.#status.deadLetters + 1 })
  }

  async #deadLetter(seq: number, seqTo: number, raw: string, error: string): Promise<void> {
    const line = JSON.stringify({
      writer_id: this.#options.writerId,
      seq,
      seq_to: seqTo,
      raw: wellFormed(raw),
      error: wellFormed(error),
    })
    await this.#store.insert('dead_letter', [Buffer.from(`${line}\n`)])
  }

  /** Segments that were not stored yet and are gone: removed by a person, or by a file system check. */
  async #noteLostBeginning(): Promise<void> {
    const from = this.#status.storedSeq + 1
    const to = this.#reader.expected - 1
    if (from <= to) await this.#noteGap(from, to, 'their segments are gone')
  }

  async #noteGap(from: number, to: number, reason: string): Promise<void> {
    // A number that the spool lost may be in the store: sent before the damage.
    const stored = await this.#store.seqsInRange(this.#options.writerId, from, to)
    const missing = to - from + 1 - stored.size
    if (missing > 0) {
      this.#options.onProblem(`audit spool: ${missing} records between ${from} and ${to} are lost: ${reason}`)
      await this.#deadLetter(from, to, '', `lost from the spool: ${reason}`)
      this.#update({ missing: this.#status.missing + missing })
    }
    this.#advance(to)
  }

  /** Removes segments that are old enough and wholly in the store. The last one stays: it carries the numbers on. */
  async #expire(): Promise<void> {
    if (performance.now() - this.#expiredAt < this.#options.flushMs) return
    this.#expiredAt = performance.now()
    const segments = listSegments(this.#options.spoolFolder)
    for (const [index, segment] of segments.entries()) {
      const next = segments[index + 1]
      if (!next || next.firstSeq - 1 > this.#status.storedSeq) break
      const modifiedMs = statSync(segment.path, { throwIfNoEntry: false })?.mtimeMs ?? 0
      if (Date.now() - modifiedMs < this.#options.keepMs) break
      const missing = await this.#missingOf(segment, next.firstSeq - 1)
      if (missing.count > 0) {
        this.#options.onProblem(
          `audit store: lost ${missing.count} rows that it had confirmed; they are sent again from ${segment.path}`,
        )
        await this.#insert(missing, { left: MAX_REFUSED })
        await this.#stored(missing)
        break
      }
      rmSync(segment.path, { force: true })
    }
    const spoolBytes = listSegments(this.#options.spoolFolder).reduce((sum, segment) => sum + sizeOf(segment.path), 0)
    if (spoolBytes !== this.#status.spoolBytes) this.#update({ spoolBytes })
  }

  /** Rows of a segment up to a number that the store does not have. What is behind it the next segment has too. */
  async #missingOf(segment: SegmentFile, to: number): Promise<Rows> {
    if (to < segment.firstSeq || (await this.#hasRange(segment.firstSeq, to))) return Rows.none
    return this.#missing(Rows.of(rowsOfSegment(segment.path).filter((row) => row.seq <= to)))
  }

  /** Repeats until it succeeds, or undefined when the shipper stops; each failure is told and followed by a longer pause. */
  async #persist<T>(action: () => Promise<T>): Promise<T | undefined> {
    while (!this.#stop.signal.aborted) {
      try {
        if (this.#failures > 0) await this.#store.settle()
        const value = await action()
        this.#failures = 0
        if (this.#status.state === 'unavailable') this.#update({ state: 'running', lastError: '' })
        return value
      } catch (error) {
        // At the start a person is there to mend it; later it is waited for, since the spool holds everything.
        if (this.#status.state === 'starting' && error instanceof StoreError && error.kind === 'unusable') throw error
        const message = error instanceof Error ? error.message : String(error)
        if (this.#failures === 0 || message !== this.#status.lastError)
          this.#options.onProblem(`audit store: ${message}`)
        this.#failures++
        this.#update({ state: 'unavailable', lastError: message })
        const longest = Math.min(this.#options.maxBackoffMs, RETRY_MS * 2 ** Math.min(this.#failures, 16))
        await this.#pause(longest * (0.5 + Math.random() / 2))
      }
    }
    return undefined
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined)
  }

  #settleWaiting(): void {
    const done = this.#waiting.filter((waiting) => waiting.isDone())
    this.#waiting = this.#waiting.filter((waiting) => !done.includes(waiting))
    for (const waiting of done) waiting.resolve()
  }

  #update(change: Partial<ShipperStatus>): void {
    this.#status = { ...this.#status, ...change }
    this.#options.onStatus(this.#status)
  }
}

/** The number in the cursor file; 0 when there is none to read, or it is another writer's. */
function readCursor(path: string, writerId: string): number {
  try {
    const { writer, seq } = JSON.parse(readFileSync(path, 'utf8')) as {
      readonly writer?: unknown
      readonly seq?: unknown
    }
    return writer === writerId && typeof seq === 'number' && Number.isSafeInteger(seq) && seq > 0 ? seq : 0
  } catch {
    return 0
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function halves(rows: readonly SpooledRow[]): readonly (readonly SpooledRow[])[] {
  const middle = Math.ceil(rows.length / 2)
  return [rows.slice(0, middle), rows.slice(middle)]
}

/** A row that the store takes for sure: the number, and of the rest what is certainly valid. */
function standIn(row: SpooledRow, writerId: string): SpooledRow {
  const given = parsed(row.payload)
  const ts =
    typeof given['ts'] === 'number' && given['ts'] > 0 && given['ts'] < 4_102_444_800_000 ? given['ts'] : Date.now()
  const id = typeof given['event_id'] === 'string' && isUuid(given['event_id']) ? given['event_id'] : uuidv7(ts)
  const line = JSON.stringify({
    event_id: id,
    writer_id: writerId,
    seq: row.seq,
    schema_v: 1,
    ts: Math.trunc(ts),
    kind: 'quarantined',
    tenant: typeof given['tenant'] === 'string' ? wellFormed(given['tenant']) : '',
    outcome: 'NONE',
    reason: 'the store refused this row; see dead_letter',
  })
  return { seq: row.seq, payload: Buffer.from(line) }
}

function parsed(payload: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function syncFile(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fdatasyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
