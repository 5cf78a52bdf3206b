import { randomUUID } from 'node:crypto'
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { AuditUnavailable, type Durability } from '../../model/audit-record.js'
import { isUuid } from '../../model/uuid.js'
import { makeFolder } from '../folders.js'
import { encodeFrame, encodeHeader, HEADER_BYTES } from './format.js'
import { listSegments, quarantine, type Scan, scanSegment, segmentName } from './segments.js'

export interface SpoolOptions {
  /** Folder of the segments; made when it is missing. One writer at a time: the data folder's lock sees to that. */
  readonly folder: string
  /** A segment is closed when it is this long. @default 16 MiB, at most an eighth of `maxBytes` */
  readonly segmentBytes?: number
  /** A segment is closed when it is this old and gets another record. @default 60_000 */
  readonly segmentMs?: number
  /** All segments together; a record that would exceed it is refused. @default 10 GiB */
  readonly maxBytes?: number
  /** How long a record of level `written` may wait for the disk. @default 5 */
  readonly lazySyncMs?: number
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Told about damage and failing disks, in one sentence each. */
  readonly onProblem: (problem: string) => void
}

export interface SpoolStatus {
  readonly writerId: string
  /** Sequence number of the last record; 0 when there was none yet. */
  readonly lastSeq: number
  readonly bytes: number
  readonly maxBytes: number
  /** Why records are refused right now; null when they are taken. */
  readonly refusing: string | null
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface Segment {
  readonly fd: number
  readonly path: string
  readonly openedMs: number
  /** Bytes of whole frames; what lies beyond is the rest of a failed write. */
  size: number
}

/** How often a full spool looks whether the shipper made room. */
const RECHECK_MS = 100

/**
 * The write-ahead log of the audit: numbered records in segment files, each safe before `append` says so.
 *
 * INVARIANT: a sequence number is used up only by a record that is wholly in a segment, so numbers are contiguous, and a
 * frame that the disk may not hold yet stays in `unsynced` until a sync covered it, so a failed sync can write it again.
 */
export class Spool {
  readonly writerId: string
  readonly #folder: string
  readonly #segmentBytes: number
  readonly #segmentMs: number
  readonly #maxBytes: number
  readonly #lazySyncMs: number
  readonly #clock: () => number
  readonly #onProblem: (problem: string) => void

  #segment: Segment | null = null
  #epoch: number
  #nextSeq: number
  #totalBytes: number
  #checkedAt = Number.NEGATIVE_INFINITY
  #refusing: string | null = null
  #closed = false

  /** Frames since the last good sync, oldest first, with the number of the first. */
  #unsynced: Buffer[] = []
  #unsyncedFrom = 0
  #waiters: Waiter[] = []
  #syncing = false
  #timer: NodeJS.Timeout | null = null
  #immediate: NodeJS.Immediate | null = null
  #idle: (() => void)[] = []

  constructor(options: SpoolOptions) {
    this.#folder = options.folder
    this.#maxBytes = options.maxBytes ?? 10 * 1024 ** 3
    this.#segmentBytes = options.segmentBytes ?? Math.min(16 * 1024 * 1024, Math.ceil(this.#maxBytes / 8))
    this.#segmentMs = options.segmentMs ?? 60_000
    this.#lazySyncMs = options.lazySyncMs ?? 5
    this.#clock = options.clock
    this.#onProblem = options.onProblem
    makeFolder(this.#folder)
    const found = recover(this.#folder, this.#onProblem)
    this.writerId = writerIdOf(this.#folder, found.segments > 0)
    this.#nextSeq = found.lastSeq + 1
    this.#epoch = found.epoch
    this.#totalBytes = found.bytes
    // Opened now and not with the first record, so that a folder that cannot be written stops the start.
    this.#openSegment()
  }

  status(): SpoolStatus {
    return {
      writerId: this.writerId,
      lastSeq: this.#nextSeq - 1,
      bytes: bytesOf(this.#folder),
      maxBytes: this.#maxBytes,
      refusing: this.#refusing,
    }
  }

  /**
   * Writes the line that `lineOf` makes for the next sequence number. Throws or rejects with {@link AuditUnavailable} when
   * it is not safe; see {@link Durability} for what safe means.
   */
  append(lineOf: (seq: number, writerId: string) => string, durability: Durability): Promise<void> | undefined {
    if (this.#closed) throw new AuditUnavailable('the audit log is closed')
    const frame = this.#encode(lineOf(this.#nextSeq, this.writerId))
    this.#makeRoom(frame.length)
    const segment = this.#segment ?? this.#reopen()
    this.#write(segment, frame)
    if (this.#unsynced.length === 0) this.#unsyncedFrom = this.#nextSeq
    this.#unsynced.push(frame)
    this.#nextSeq++
    this.#refusing = null
    if (durability === 'written') {
      this.#timer ??= setTimeout(() => this.#startSync(), this.#lazySyncMs)
      return undefined
    }
    return new Promise<void>((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      // One turn later, so that the records of one burst share one sync.
      this.#immediate ??= setImmediate(() => this.#startSync())
    })
  }

  /** Resolves when all that was appended is on the disk; rejects when the disk refuses. */
  async flush(): Promise<void> {
    if (this.#unsynced.length === 0 && !this.#syncing) return
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.#startSync()
    })
  }

  /** Flushes and closes; later records are refused. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.flush()
    } finally {
      if (this.#timer) clearTimeout(this.#timer)
      if (this.#immediate) clearImmediate(this.#immediate)
      if (this.#syncing) await new Promise<void>((resolve) => this.#idle.push(resolve))
      if (this.#segment) closeSync(this.#segment.fd)
      this.#segment = null
    }
  }

  #encode(line: string): Buffer {
    try {
      return encodeFrame(this.#nextSeq, line)
    } catch (error) {
      throw new AuditUnavailable(`the record is too large for the audit: ${messageOf(error)}`)
    }
  }

  /** Closes a segment that is due and refuses what would exceed the cap. */
  #makeRoom(bytes: number): void {
    const segment = this.#segment
    const due = segment && (segment.size >= this.#segmentBytes || this.#clock() - segment.openedMs >= this.#segmentMs)
    // While a sync runs its descriptor must stay open; the segment grows a little past its length instead.
    if (segment && due && segment.size > HEADER_BYTES && !this.#syncing) this.#rotate(segment)
    if (this.#totalBytes + bytes <= this.#maxBytes) return
    const now = performance.now()
    if (now - this.#checkedAt >= RECHECK_MS) {
      this.#checkedAt = now
      this.#totalBytes = bytesOf(this.#folder)
    }
    if (this.#totalBytes + bytes <= this.#maxBytes) return
    // The shipper never removes the last segment: an empty one behind it lets it remove what it has stored.
    if (this.#segment && this.#segment.size > HEADER_BYTES && !this.#syncing) {
      this.#rotate(this.#segment)
      if (!this.#segment) this.#reopen()
    }
    this.#refuse(
      `the audit spool is full (${this.#totalBytes} of ${this.#maxBytes} bytes in ${this.#folder}); it empties when the audit store takes its records`,
    )
  }

  #rotate(segment: Segment): void {
    if (this.#unsynced.length > 0) {
      try {
        fdatasyncSync(segment.fd)
        this.#synced(this.#unsynced.length, this.#waiters.length)
      } catch (error) {
        this.#abandon(segment, error)
        return
      }
    }
    closeSync(segment.fd)
    this.#segment = null
  }

  #write(segment: Segment, frame: Buffer): void {
    let done = 0
    try {
      // A full disk gives a short write first and the error with the next one.
      while (done < frame.length) {
        const count = writeSync(segment.fd, frame, done, frame.length - done, segment.size + done)
        if (count === 0) throw Object.assign(new Error('the disk took no bytes'), { code: 'EIO' })
        done += count
      }
    } catch (error) {
      this.#undo(segment, done, error)
      this.#refuse(`the audit spool cannot be written (${messageOf(error)} in ${this.#folder})`)
    }
    segment.size += frame.length
    this.#totalBytes += frame.length
  }

  /** Takes back the part of a frame that was written; a segment that does not even allow that is left for a new one. */
  #undo(segment: Segment, done: number, error: unknown): void {
    try {
      if (done > 0) ftruncateSync(segment.fd, segment.size)
      if (isNodeError(error) && error.code === 'ENOSPC') return
    } catch (undoError) {
      this.#onProblem(`audit spool: ${segment.path}: a partial record stays at its end: ${messageOf(undoError)}`)
    }
    if (!this.#syncing) this.#abandon(segment, error)
  }

  #refuse(reason: string): never {
    if (this.#refusing === null) this.#onProblem(reason)
    this.#refusing = reason
    throw new AuditUnavailable(reason)
  }

  /** After a failure: a new segment that begins with the records that the old one may not hold. */
  #reopen(): Segment {
    try {
      return this.#openSegment()
    } catch (error) {
      return this.#refuse(`the audit spool cannot be written (${messageOf(error)} in ${this.#folder})`)
    }
  }

  #openSegment(): Segment {
    const firstSeq = this.#unsynced.length > 0 ? this.#unsyncedFrom : this.#nextSeq
    this.#epoch++
    const path = join(this.#folder, segmentName(firstSeq, this.#epoch))
    const fd = openSync(path, 'wx', 0o600)
    try {
      const head = Buffer.concat([
        encodeHeader({ writerId: this.writerId, epoch: this.#epoch, firstSeq }),
        ...this.#unsynced,
      ])
      let done = 0
      while (done < head.length) done += writeSync(fd, head, done, head.length - done, done)
      fdatasyncSync(fd)
      syncFolder(this.#folder)
      this.#totalBytes += head.length
      this.#synced(this.#unsynced.length, this.#waiters.length)
      this.#segment = { fd, path, openedMs: this.#clock(), size: head.length }
      return this.#segment
    } catch (error) {
      closeSync(fd)
      rmSync(path, { force: true })
      throw error
    }
  }

  #startSync(): void {
    if (this.#timer) clearTimeout(this.#timer)
    if (this.#immediate) clearImmediate(this.#immediate)
    this.#timer = null
    this.#immediate = null
    const segment = this.#segment
    if (this.#syncing || this.#unsynced.length + this.#waiters.length === 0) return
    if (!segment) {
      this.#recoverUnsynced()
      return
    }
    this.#syncing = true
    const frames = this.#unsynced.length
    const waiters = this.#waiters.length
    fdatasync(segment.fd, (error) => {
      this.#syncing = false
      if (error) this.#abandon(segment, error)
      else this.#synced(frames, waiters)
      for (const resolve of this.#idle.splice(0)) resolve()
      if (this.#waiters.length > 0) this.#startSync()
      else if (this.#unsynced.length > 0) this.#timer ??= setTimeout(() => this.#startSync(), this.#lazySyncMs)
    })
  }

  #synced(frames: number, waiters: number): void {
    this.#unsynced.splice(0, frames)
    this.#unsyncedFrom += frames
    for (const waiter of this.#waiters.splice(0, waiters)) waiter.resolve()
  }

  /**
   * A failed sync is final for its file: the kernel may have dropped the pages and will not say so again. What was not
   * synced goes into a new segment under the same numbers; readers skip a number that they have seen.
   */
  #abandon(segment: Segment, cause: unknown): void {
    this.#onProblem(`audit spool: ${segment.path} is left for a new segment: ${messageOf(cause)}`)
    try {
      closeSync(segment.fd)
    } catch (error) {
      this.#onProblem(`audit spool: ${segment.path}: ${messageOf(error)}`)
    }
    this.#segment = null
    this.#recoverUnsynced()
  }

  #recoverUnsynced(): void {
    try {
      this.#openSegment()
    } catch (error) {
      const reason = `the audit spool cannot be written (${messageOf(error)} in ${this.#folder})`
      this.#refusing = reason
      for (const waiter of this.#waiters.splice(0)) waiter.reject(new AuditUnavailable(reason))
    }
  }
}

interface Recovered {
  readonly segments: number
  readonly lastSeq: number
  readonly epoch: number
  readonly bytes: number
}

/** Looks at what an earlier process left: cuts a torn end of the last segment, never anything before a valid frame. */
function recover(folder: string, onProblem: (problem: string) => void): Recovered {
  const segments = listSegments(folder)
  const epoch = segments.reduce((max, segment) => Math.max(max, segment.epoch), 0)
  let lastSeq = 0
  let oldestFirst = Number.POSITIVE_INFINITY
  for (const [index, segment] of segments.toReversed().entries()) {
    const scan = scanSegment(segment.path)
    if (index === 0) mendEnd(segment.path, scan, onProblem)
    lastSeq = Math.max(lastSeq, scan.lastSeq, segment.firstSeq - 1)
    // A segment that repeats the end of its predecessor begins at or before it, so the first that begins earlier is the last to look at.
    if (segment.firstSeq < oldestFirst && oldestFirst !== Number.POSITIVE_INFINITY) break
    oldestFirst = segment.firstSeq
  }
  return { segments: segments.length, lastSeq, epoch, bytes: bytesOf(folder) }
}

function mendEnd(path: string, scan: Scan, onProblem: (problem: string) => void): void {
  if (scan.damaged) {
    const copy = quarantine(path)
    onProblem(
      `audit spool: ${path} is damaged: valid records follow bytes that are none. It is kept whole, with a copy in ${copy}`,
    )
    return
  }
  if (scan.validBytes === scan.size) return
  onProblem(`audit spool: ${path}: cut ${scan.size - scan.validBytes} bytes of an unfinished record at its end`)
  if (scan.header) truncateSync(path, scan.validBytes)
  else rmSync(path)
}

/** The id of this spool, made with it. A spool that lost its segments has lost its numbers, so it becomes another writer. */
function writerIdOf(folder: string, hasSegments: boolean): string {
  const file = join(folder, 'writer')
  try {
    const id = readFileSync(file, 'latin1').trim()
    if (hasSegments && isUuid(id)) return id
    if (hasSegments)
      throw new AuditUnavailable(`${file} holds no writer id; restore it, or move the folder ${folder} away`)
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ENOENT' || hasSegments) throw error
  }
  const id = randomUUID()
  const temporary = `${file}.new`
  const fd = openSync(temporary, 'w', 0o600)
  writeSync(fd, `${id}\n`)
  fsyncSync(fd)
  closeSync(fd)
  renameSync(temporary, file)
  syncFolder(folder)
  return id
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function bytesOf(folder: string): number {
  return listSegments(folder).reduce((sum, segment) => sum + sizeOf(segment.path), 0)
}

/** 0 for a segment that the shipper removed meanwhile. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function isNodeError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
