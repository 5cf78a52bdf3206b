import { randomUUID } from 'node:crypto'
import {
  close,
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  open,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { AuditUnavailable, type Durability, type Recorded } from '../../model/audit-record.js'
import { isUuid } from '../../model/uuid.js'
import { makeFolder } from '../folders.js'
import { encodeHeader, FRAME_HEADER_BYTES, HEADER_BYTES, LINE_BREAK, MAX_PAYLOAD_BYTES, sealFrame } from './format.js'
import { listSegments, quarantine, type Scan, scanSegment, segmentName } from './segments.js'

/**
 * Writes a record as one line of JSON, without its line break, at `at`.
 *
 * @returns the offset behind it; negative when `bytes` has no room
 */
export type Encode<T> = (record: T, writerId: string, seq: number, bytes: Buffer, at: number) => number

export interface SpoolOptions<T> {
  readonly encode: Encode<T>
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

/** Memory that frames are made in. It is used again when all of them are on the disk. */
interface Chunk {
  readonly bytes: Buffer
  used: number
  /** Frames in it that may still have to be written. */
  frames: number
}

/** Records with the numbers from `firstSeq` on, where they lie in memory. */
interface Frame {
  readonly chunk: Chunk
  readonly start: number
  end: number
  readonly firstSeq: number
  count: number
  /** Who waits for which level. */
  readonly written: Recorded[]
  readonly durable: Recorded[]
}

interface Segment {
  readonly fd: number
  readonly path: string
  readonly openedMs: number
  /** Bytes of whole frames; what lies beyond is the rest of a failed write. */
  size: number
  /** Whether the folder's entry of it is on the disk. */
  isNamed: boolean
}

/** How often a full spool looks whether the shipper made room. */
const RECHECK_MS = 100
/**
 * Under load a sync begins at most so often, and those that wait share it: each costs the main thread 5 µs and the core a
 * change of threads.
 */
const SYNC_EVERY_MS = 2
/** A frame that is this long takes no further record: what one damaged sector can cost stays small. */
const FRAME_BYTES = 64 * 1024
const CHUNK_BYTES = FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES
/** Chunks that are kept for later; while the disk stalls there are more. */
const SPARE_CHUNKS = 2

/**
 * The write-ahead log of the audit: numbered records in segment files, each safe before its caller is told so. The records
 * of one turn of the event loop share a frame, a write, and where they ask for it a sync.
 *
 * INVARIANT: a sequence number is used up only by a record that is wholly in a segment, so numbers are contiguous, and frames
 * that the disk may not hold yet stay in `unsynced` until a sync covered them, so a failed sync can write them again.
 */
export class Spool<T> {
  readonly writerId: string
  readonly #folder: string
  readonly #segmentBytes: number
  readonly #segmentMs: number
  readonly #maxBytes: number
  readonly #lazySyncMs: number
  readonly #clock: () => number
  readonly #onProblem: (problem: string) => void
  readonly #encode: Encode<T>

  #segment: Segment | null = null
  #epoch: number
  /** Number of the next record that is appended, and of the last one that is in a segment. */
  #nextSeq: number
  #writtenSeq: number
  #totalBytes: number
  #checkedAt = Number.NEGATIVE_INFINITY
  #refusing: string | null = null
  #closed = false

  /** Where records go, and what lies ready for later. */
  #chunk: Chunk = newChunk()
  readonly #spare: Chunk[] = []
  /** What was appended in this turn, and the end of the turn. */
  #pending: Frame[] = []
  #turn: NodeJS.Immediate | null = null
  /** Frames since the last good sync, oldest first, and who waits for the next one. */
  #unsynced: Frame[] = []
  #waiters: Recorded[] = []
  #syncing = false
  #timer: NodeJS.Timeout | null = null
  /** When the timer is due, and when the last sync began. */
  #dueAt = 0
  #syncedAt = Number.NEGATIVE_INFINITY
  #idle: (() => void)[] = []

  constructor(options: SpoolOptions<T>) {
    this.#encode = options.encode
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
    this.#writtenSeq = found.lastSeq
    this.#epoch = found.epoch
    this.#totalBytes = found.bytes
    // Opened now and not with the first record, so that a folder that cannot be written stops the start.
    this.#segment = this.#openSynced()
  }

  status(): SpoolStatus {
    return {
      writerId: this.writerId,
      lastSeq: this.#writtenSeq,
      bytes: bytesOf(this.#folder),
      maxBytes: this.#maxBytes,
      refusing: this.#refusing,
    }
  }

  /**
   * Numbers a record and writes it at the end of this turn of the event loop. Never throws; `recorded` is called once, in a
   * later turn, with {@link AuditUnavailable} when the record is not safe; see {@link Durability} for what safe means.
   */
  append(record: T, durability: Durability, recorded: Recorded): void {
    if (this.#closed) {
      setImmediate(recorded, new AuditUnavailable('the audit log is closed'))
      return
    }
    let frame: Frame | null
    try {
      frame = this.#add(record)
    } catch (error) {
      setImmediate(recorded, error instanceof Error ? error : new Error(String(error)))
      return
    }
    if (durability === 'written') frame.written.push(recorded)
    else frame.durable.push(recorded)
    // After all that this turn reads from its sockets, and before the process waits for more.
    this.#turn ??= setImmediate(() => this.#endTurn())
  }

  /** Resolves when all that was appended is on the disk; rejects when the disk refuses. */
  async flush(): Promise<void> {
    this.#endTurn()
    if (this.#unsynced.length === 0 && !this.#syncing) return
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push((failure) => (failure === null ? resolve() : reject(failure)))
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
      if (this.#syncing) await new Promise<void>((resolve) => this.#idle.push(resolve))
      if (this.#segment) closeSync(this.#segment.fd)
      this.#segment = null
    }
  }

  /** Puts a record into the frame of this turn, or into a new one. */
  #add(record: T): Frame {
    const last = this.#pending.at(-1)
    if (last !== undefined && last.end - last.start < FRAME_BYTES && this.#addTo(last, record)) return last
    const fresh = this.#newFrame()
    if (this.#addTo(fresh, record)) return this.#keep(fresh)
    // The chunk had no room; an empty one has.
    this.#chunk = this.#nextChunk()
    const first = this.#newFrame()
    if (this.#addTo(first, record)) return this.#keep(first)
    this.#chunk.used = 0
    throw new AuditUnavailable(`the record is too large for the audit: a frame holds ${MAX_PAYLOAD_BYTES} bytes`)
  }

  #newFrame(): Frame {
    const chunk = this.#chunk
    const start = chunk.used
    return {
      chunk,
      start,
      end: start + FRAME_HEADER_BYTES,
      firstSeq: this.#nextSeq,
      count: 0,
      written: [],
      durable: [],
    }
  }

  #keep(frame: Frame): Frame {
    frame.chunk.frames++
    this.#pending.push(frame)
    return frame
  }

  #addTo(frame: Frame, record: T): boolean {
    const { bytes } = frame.chunk
    const end = this.#encode(record, this.writerId, this.#nextSeq, bytes, frame.end)
    if (end < 0 || end >= bytes.length) return false
    bytes[end] = LINE_BREAK
    frame.end = end + 1
    frame.chunk.used = end + 1
    frame.count++
    this.#nextSeq++
    return true
  }

  #nextChunk(): Chunk {
    return this.#spare.pop() ?? newChunk()
  }

  /** A frame that need not be written again gives its memory back. */
  #release(frame: Frame): void {
    const { chunk } = frame
    if (--chunk.frames > 0) return
    chunk.used = 0
    if (chunk !== this.#chunk && this.#spare.length < SPARE_CHUNKS) this.#spare.push(chunk)
  }

  #endTurn(): void {
    if (this.#turn) clearImmediate(this.#turn)
    this.#turn = null
    const frames = this.#pending
    if (frames.length === 0) return
    this.#pending = []
    let taken = 0
    let failure: Error | null = null
    try {
      while (taken < frames.length) taken += this.#writeFrames(frames, taken)
      this.#refusing = null
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
      this.#nextSeq = this.#writtenSeq + 1
    }
    for (let i = 0; i < taken; i++) for (const recorded of frames[i]!.durable) this.#waiters.push(recorded)
    // Begun before the answers are made, so that the disk works meanwhile.
    if (this.#waiters.length > 0) this.#syncSoon()
    else if (taken > 0) this.#syncBy(performance.now() + this.#lazySyncMs)
    for (let i = 0; i < taken; i++) for (const recorded of frames[i]!.written) recorded(null)
    if (failure === null) return
    for (const frame of frames.slice(taken)) {
      this.#release(frame)
      for (const recorded of frame.written) recorded(failure)
      for (const recorded of frame.durable) recorded(failure)
    }
  }

  /** Writes the frames from one on that lie in one chunk, and returns how many. */
  #writeFrames(frames: readonly Frame[], from: number): number {
    const first = frames[from]!
    let last = first
    let to = from
    for (; to < frames.length && frames[to]!.chunk === first.chunk; to++) {
      last = frames[to]!
      sealFrame(last.chunk.bytes, last.start, last.end, last.firstSeq)
    }
    this.#makeRoom(last.end - first.start)
    this.#write(this.#segment ?? this.#reopen(), first.chunk.bytes, first.start, last.end)
    for (let i = from; i < to; i++) this.#unsynced.push(frames[i]!)
    this.#writtenSeq = last.firstSeq + last.count - 1
    return to - from
  }

  /** Closes a segment that is due and refuses what would exceed the cap. */
  #makeRoom(bytes: number): void {
    if (this.#isDue()) this.#rotate()
    if (this.#totalBytes + bytes <= this.#maxBytes) return
    const now = performance.now()
    if (now - this.#checkedAt >= RECHECK_MS) {
      this.#checkedAt = now
      this.#totalBytes = bytesOf(this.#folder)
    }
    if (this.#totalBytes + bytes <= this.#maxBytes) return
    // The shipper never removes the last segment: an empty one behind it lets it remove what it has stored.
    if (this.#segment && this.#segment.size > HEADER_BYTES) this.#rotate()
    this.#refuse(
      `the audit spool is full (${this.#totalBytes} of ${this.#maxBytes} bytes in ${this.#folder}); it empties when the audit store takes its records`,
    )
  }

  #isDue(): boolean {
    const segment = this.#segment
    if (segment === null || segment.size <= HEADER_BYTES) return false
    return segment.size >= this.#segmentBytes || this.#clock() - segment.openedMs >= this.#segmentMs
  }

  /**
   * Goes on in a new segment, without waiting for the disk. While a sync runs its descriptor must stay open: then the segment
   * grows a little past its length, and the end of the sync comes here again.
   */
  #rotate(): void {
    const segment = this.#segment
    if (segment === null || this.#syncing) return
    try {
      // What is not synced is written again, so that the old segment need not be synced either.
      this.#segment = this.#openSegment()
    } catch (error) {
      // On a full disk the old one is as good as any; a folder that is gone must not swallow records.
      if (isNodeError(error) && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) return
      this.#segment = null
      this.#onProblem(`audit spool: no segment follows ${segment.path}: ${messageOf(error)}`)
    }
    this.#close(segment)
  }

  #write(segment: Segment, bytes: Buffer, start: number, end: number): void {
    let done = 0
    const length = end - start
    try {
      // A full disk gives a short write first and the error with the next one.
      while (done < length) {
        const count = writeSync(segment.fd, bytes, start + done, length - done, segment.size + done)
        if (count === 0) throw Object.assign(new Error('the disk took no bytes'), { code: 'EIO' })
        done += count
      }
    } catch (error) {
      this.#undo(segment, done, error)
      this.#refuse(`the audit spool cannot be written (${messageOf(error)} in ${this.#folder})`)
    }
    segment.size += length
    this.#totalBytes += length
  }

  /** Takes back the part that was written; a segment that does not even allow that is left for a new one. */
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

  #reopen(): Segment {
    try {
      this.#segment = this.#openSynced()
      return this.#segment
    } catch (error) {
      return this.#refuse(`the audit spool cannot be written (${messageOf(error)} in ${this.#folder})`)
    }
  }

  /** A new segment that begins with the frames that its predecessor may not hold. */
  #openSegment(): Segment {
    const firstSeq = this.#unsynced[0]?.firstSeq ?? this.#writtenSeq + 1
    this.#epoch++
    const path = join(this.#folder, segmentName(firstSeq, this.#epoch))
    const fd = openSync(path, 'wx', 0o600)
    try {
      const head = Buffer.concat([
        encodeHeader({ writerId: this.writerId, epoch: this.#epoch, firstSeq }),
        ...this.#unsynced.map(({ chunk, start, end }) => chunk.bytes.subarray(start, end)),
      ])
      let done = 0
      while (done < head.length) done += writeSync(fd, head, done, head.length - done, done)
      this.#totalBytes += head.length
      return { fd, path, openedMs: this.#clock(), size: head.length, isNamed: false }
    } catch (error) {
      closeSync(fd)
      rmSync(path, { force: true })
      throw error
    }
  }

  /** Waits for the disk: at the start, and after a failure. All that was not synced is then. */
  #openSynced(): Segment {
    const segment = this.#openSegment()
    try {
      fdatasyncSync(segment.fd)
      syncFolder(this.#folder)
    } catch (error) {
      closeSync(segment.fd)
      rmSync(segment.path, { force: true })
      throw error
    }
    segment.isNamed = true
    this.#synced(this.#unsynced.length, this.#waiters.length)
    return segment
  }

  /** At once where the last sync is a while ago: one that waits alone waits for the disk only. */
  #syncSoon(): void {
    const dueAt = this.#syncedAt + SYNC_EVERY_MS
    if (performance.now() >= dueAt) this.#startSync()
    else this.#syncBy(dueAt)
  }

  #syncBy(dueAt: number): void {
    if (this.#timer !== null) {
      if (this.#dueAt <= dueAt) return
      clearTimeout(this.#timer)
    }
    this.#dueAt = dueAt
    this.#timer = setTimeout(() => this.#startSync(), dueAt - performance.now())
  }

  #startSync(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const segment = this.#segment
    if (this.#syncing || this.#unsynced.length + this.#waiters.length === 0) return
    if (!segment) {
      this.#recoverUnsynced()
      return
    }
    this.#syncing = true
    this.#syncedAt = performance.now()
    const frames = this.#unsynced.length
    const waiters = this.#waiters.length
    const done = (error: Error | null): void => {
      this.#syncing = false
      if (error) this.#abandon(segment, error)
      else {
        this.#synced(frames, waiters)
        if (this.#isDue()) this.#rotate()
      }
      for (const resolve of this.#idle.splice(0)) resolve()
      if (this.#waiters.length > 0) this.#syncSoon()
      else if (this.#unsynced.length > 0) this.#syncBy(performance.now() + this.#lazySyncMs)
    }
    fdatasync(segment.fd, (error) => {
      if (error || segment.isNamed) done(error)
      else syncName(this.#folder, segment, done)
    })
  }

  #synced(frames: number, waiters: number): void {
    for (const frame of this.#unsynced.splice(0, frames)) this.#release(frame)
    for (const recorded of this.#waiters.splice(0, waiters)) recorded(null)
  }

  /**
   * A failed sync is final for its file: the kernel may have dropped the pages and will not say so again. What was not
   * synced goes into a new segment under the same numbers; readers skip a number that they have seen.
   */
  #abandon(segment: Segment, cause: unknown): void {
    this.#onProblem(`audit spool: ${segment.path} is left for a new segment: ${messageOf(cause)}`)
    this.#close(segment)
    this.#segment = null
    this.#recoverUnsynced()
  }

  #close(segment: Segment): void {
    try {
      closeSync(segment.fd)
    } catch (error) {
      this.#onProblem(`audit spool: ${segment.path}: ${messageOf(error)}`)
    }
  }

  #recoverUnsynced(): void {
    try {
      this.#segment = this.#openSynced()
    } catch (error) {
      const reason = `the audit spool cannot be written (${messageOf(error)} in ${this.#folder})`
      this.#refusing = reason
      for (const recorded of this.#waiters.splice(0)) recorded(new AuditUnavailable(reason))
    }
  }
}

function newChunk(): Chunk {
  return { bytes: Buffer.allocUnsafeSlow(CHUNK_BYTES), used: 0, frames: 0 }
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

/** Puts the folder's entry of a new segment on the disk. */
function syncName(folder: string, segment: Segment, done: (error: Error | null) => void): void {
  open(folder, 'r', (openError, fd) => {
    if (openError) return done(openError)
    fsync(fd, (syncError) => {
      close(fd, (closeError) => {
        const error = syncError ?? closeError
        if (!error) segment.isNamed = true
        done(error)
      })
    })
  })
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
