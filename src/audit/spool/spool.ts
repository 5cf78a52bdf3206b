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
import { encodeFrame, encodeHeader, FRAME_HEADER_BYTES, HEADER_BYTES, MAX_PAYLOAD_BYTES, writeFrame } from './format.js'
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

/** Records with the numbers from `firstSeq` on, as JSON lines. */
interface Lines {
  readonly firstSeq: number
  text: string
}

/** A frame of the turn at hand, and who waits for its records. */
interface PendingFrame extends Lines {
  count: number
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
/** A frame takes no further record beyond this, in UTF-16 units: what one damaged sector can cost stays small. */
const FRAME_UNITS = 64 * 1024
const MAX_BYTES_PER_UNIT = 3

/**
 * The write-ahead log of the audit: numbered records in segment files, each safe before its caller is told so. The records
 * of one turn of the event loop share a frame, a write, and where they ask for it a sync.
 *
 * INVARIANT: a sequence number is used up only by a record that is wholly in a segment, so numbers are contiguous, and lines
 * that the disk may not hold yet stay in `unsynced` until a sync covered them, so a failed sync can write them again.
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
  readonly #linePrefix: string
  readonly #buffer = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES)

  #segment: Segment | null = null
  #epoch: number
  /** Number of the next record that is appended, and of the last one that is in a segment. */
  #nextSeq: number
  #writtenSeq: number
  #totalBytes: number
  #checkedAt = Number.NEGATIVE_INFINITY
  #refusing: string | null = null
  #closed = false

  /** What was appended in this turn, and the end of the turn. */
  #pending: PendingFrame[] = []
  #turn: NodeJS.Immediate | null = null
  /** Lines since the last good sync, oldest first, and who waits for the next one. */
  #unsynced: Lines[] = []
  #waiters: Recorded[] = []
  #syncing = false
  #timer: NodeJS.Timeout | null = null
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
    this.#linePrefix = `{"writer_id":"${this.writerId}","seq":`
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
   *
   * @param members of the row's JSON object behind `writer_id` and `seq`, without the closing brace and line breaks
   */
  append(members: string, durability: Durability, recorded: Recorded): void {
    if (this.#closed) {
      setImmediate(recorded, new AuditUnavailable('the audit log is closed'))
      return
    }
    const line = `${this.#linePrefix}${this.#nextSeq},${members}}\n`
    if (line.length * MAX_BYTES_PER_UNIT > MAX_PAYLOAD_BYTES && Buffer.byteLength(line) > MAX_PAYLOAD_BYTES) {
      const reason = `the record is too large for the audit: a frame holds ${MAX_PAYLOAD_BYTES} bytes`
      setImmediate(recorded, new AuditUnavailable(reason))
      return
    }
    const frame = this.#frameFor(line.length)
    frame.text += line
    frame.count++
    if (durability === 'written') frame.written.push(recorded)
    else frame.durable.push(recorded)
    this.#nextSeq++
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

  #frameFor(units: number): PendingFrame {
    const last = this.#pending.at(-1)
    if (last !== undefined && last.text.length + units <= FRAME_UNITS) return last
    const frame: PendingFrame = { firstSeq: this.#nextSeq, text: '', count: 0, written: [], durable: [] }
    this.#pending.push(frame)
    return frame
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
    if (this.#waiters.length > 0) this.#startSync()
    else if (taken > 0) this.#syncLater()
    for (let i = 0; i < taken; i++) for (const recorded of frames[i]!.written) recorded(null)
    if (failure === null) return
    for (const { written, durable } of frames.slice(taken)) {
      for (const recorded of written) recorded(failure)
      for (const recorded of durable) recorded(failure)
    }
  }

  /** Writes as many of the frames as the buffer holds, at least one, and returns how many. */
  #writeFrames(frames: readonly PendingFrame[], from: number): number {
    let bytes = 0
    let to = from
    for (; to < frames.length; to++) {
      const { firstSeq, text } = frames[to]!
      const room = FRAME_HEADER_BYTES + Math.min(MAX_PAYLOAD_BYTES, text.length * MAX_BYTES_PER_UNIT)
      if (to > from && bytes + room > this.#buffer.length) break
      bytes = writeFrame(this.#buffer, bytes, firstSeq, text)
    }
    this.#makeRoom(bytes)
    this.#write(this.#segment ?? this.#reopen(), bytes)
    for (let i = from; i < to; i++) {
      const { firstSeq, text, count } = frames[i]!
      this.#unsynced.push({ firstSeq, text })
      this.#writtenSeq = firstSeq + count - 1
    }
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

  /** Writes the first `length` bytes of the buffer. */
  #write(segment: Segment, length: number): void {
    let done = 0
    try {
      // A full disk gives a short write first and the error with the next one.
      while (done < length) {
        const count = writeSync(segment.fd, this.#buffer, done, length - done, segment.size + done)
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

  /** A new segment that begins with the lines that its predecessor may not hold. */
  #openSegment(): Segment {
    const firstSeq = this.#unsynced[0]?.firstSeq ?? this.#writtenSeq + 1
    this.#epoch++
    const path = join(this.#folder, segmentName(firstSeq, this.#epoch))
    const fd = openSync(path, 'wx', 0o600)
    try {
      const head = Buffer.concat([
        encodeHeader({ writerId: this.writerId, epoch: this.#epoch, firstSeq }),
        ...this.#unsynced.map((lines) => encodeFrame(lines.firstSeq, lines.text)),
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

  #syncLater(): void {
    this.#timer ??= setTimeout(() => this.#startSync(), this.#lazySyncMs)
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
    const lines = this.#unsynced.length
    const waiters = this.#waiters.length
    const done = (error: Error | null): void => {
      this.#syncing = false
      if (error) this.#abandon(segment, error)
      else {
        this.#synced(lines, waiters)
        if (this.#isDue()) this.#rotate()
      }
      for (const resolve of this.#idle.splice(0)) resolve()
      if (this.#waiters.length > 0) this.#startSync()
      else if (this.#unsynced.length > 0) this.#syncLater()
    }
    fdatasync(segment.fd, (error) => {
      if (error || segment.isNamed) done(error)
      else syncName(this.#folder, segment, done)
    })
  }

  #synced(lines: number, waiters: number): void {
    this.#unsynced.splice(0, lines)
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
