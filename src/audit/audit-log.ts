import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { type AuditLog, type AuditRecord, AuditUnavailable, type Durability } from '../model/audit-record.js'
import type { ControlEvent, ControlEventLog } from '../model/control-event.js'
import { auditFolders, makeFolder } from './folders.js'
import { Masker, readOrMakeMaskKey } from './mask.js'
import { EventRowEncoder } from './row/event-row.js'
import { RowEncoder } from './row/row.js'
import { Spool, type SpoolOptions, type SpoolStatus } from './spool/spool.js'

/** What the spool takes. */
type Entry = AuditRecord | ControlEvent

export interface AuditLogOptions
  extends Partial<Pick<SpoolOptions<Entry>, 'segmentBytes' | 'segmentMs' | 'maxBytes' | 'lazySyncMs'>> {
  /** The server's data folder; the audit keeps to `audit/` in it. The caller holds the folder's lock. */
  readonly dataDir: string
  /** Number of the process among those that share the folder, from 1; null for a server of one process. @default null */
  readonly worker?: number | null
  /** Milliseconds since the epoch. @default Date.now */
  readonly clock?: () => number
  /** Told about damage, a full or failing disk, in one sentence each. @default writes to standard error */
  readonly onProblem?: (problem: string) => void
}

/** The audit log of a running server. */
export interface OpenAuditLog extends AuditLog, ControlEventLog {
  /** For who waits anyway: rejects with {@link AuditUnavailable} when the record is not safe. */
  append(record: AuditRecord, durability: Durability): Promise<void>
  /** Also tells whether records are refused right now, and why. */
  status(): SpoolStatus
  /** Resolves when all that was appended is on the disk. */
  flush(): Promise<void>
  /** Flushes and closes; later records are refused with {@link AuditUnavailable}. */
  close(): Promise<void>
}

/**
 * Opens the spool of a data folder and recovers what an earlier process left in it. Throws {@link AuditUnavailable}, with
 * the folder and the way out, when it cannot be written.
 */
export function openAuditLog(options: AuditLogOptions): OpenAuditLog {
  const folders = auditFolders(options.dataDir, options.worker)
  const spool = open(options, folders.audit, folders.spool)
  const record: AuditLog['record'] = (entry, durability, recorded) => spool.append(entry, durability, recorded)
  return {
    record,
    recordEvent: (event, durability, recorded) => spool.append(event, durability, recorded),
    append: (entry, durability) =>
      new Promise((resolve, reject) => {
        record(entry, durability, (failure) => (failure === null ? resolve() : reject(failure)))
      }),
    status: () => spool.status(),
    flush: () => spool.flush(),
    close: () => spool.close(),
  }
}

function open(options: AuditLogOptions, auditFolder: string, spoolFolder: string): Spool<Entry> {
  const { segmentBytes, segmentMs, maxBytes, lazySyncMs } = options
  try {
    makeFolder(auditFolder)
    accessSync(auditFolder, constants.W_OK)
    const masker = new Masker(readOrMakeMaskKey(auditFolder))
    const rows = new RowEncoder(masker)
    const events = new EventRowEncoder(masker)
    return new Spool<Entry>({
      folder: spoolFolder,
      encode: (entry, writerId, seq, bytes, at) =>
        'eventId' in entry
          ? events.write(entry, writerId, seq, bytes, at)
          : rows.write(entry, writerId, seq, bytes, at),
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
      ...(segmentMs === undefined ? {} : { segmentMs }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(lazySyncMs === undefined ? {} : { lazySyncMs }),
      clock: options.clock ?? Date.now,
      onProblem: options.onProblem ?? toStandardError,
    })
  } catch (error) {
    if (error instanceof AuditUnavailable) throw error
    throw new AuditUnavailable(
      `the audit cannot be written in ${describe(options.dataDir)}: ${messageOf(error)}. ${hintFor(error)}`,
      {
        cause: error,
      },
    )
  }
}

function describe(dataDir: string): string {
  return isFile(dataDir) ? `${dataDir} (which is a file)` : join(dataDir, 'audit')
}

function isFile(path: string): boolean {
  try {
    return !statSync(path).isDirectory()
  } catch {
    return false
  }
}

function hintFor(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'Free space on that disk, or set another data folder'
  return 'No call can be allowed without its audit record: make the folder writable, or set another data folder'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Control characters of hostile names must not reach a terminal. */
export function toStandardError(problem: string): void {
  const safe = problem.replace(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  process.stderr.write(`audit: ${safe}\n`)
}
