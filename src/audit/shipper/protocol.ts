import type { SpoolFolders } from '../folders.js'
import type { QueryLimits, QueryParams, Row, StoreErrorKind } from '../store/audit-store.js'
import type { ShipperOptions, ShipperStatus } from './shipper.js'

/** What the server and its shipper process say to each other over the IPC channel of `child_process`. */
export interface ShipperConfig {
  /** At least one. */
  readonly spools: readonly SpoolFolders[]
  readonly chdbFolder: string
  /** Null for the embedded engine. May hold a password, hence neither an argument nor a variable of the process. */
  readonly clickhouseUrl: string | null
  readonly chdbMemoryBytes?: number
  readonly tuning: ShipperTuning
}

/** What tests and benchmarks shorten. */
export type ShipperTuning = Partial<
  Pick<ShipperOptions, 'maxRows' | 'maxBytes' | 'flushMs' | 'pollMs' | 'keepMs' | 'closeMs' | 'maxBackoffMs'>
>

export type ToShipper =
  | { readonly type: 'start'; readonly config: ShipperConfig }
  | {
      readonly type: 'query'
      readonly id: number
      readonly sql: string
      readonly params: QueryParams
      readonly limits: QueryLimits
    }
  | { readonly type: 'drain'; readonly id: number }
  /** Ships what is there for at most `drainMs`, then exits. */
  | { readonly type: 'stop'; readonly drainMs: number }

export type FromShipper =
  | { readonly type: 'status'; readonly status: ShipperStatus }
  | { readonly type: 'problem'; readonly message: string }
  /** The store cannot be used and no retry will help; the process exits after this. */
  | { readonly type: 'unusable'; readonly message: string }
  | { readonly type: 'rows'; readonly id: number; readonly rows: readonly Row[] }
  | {
      readonly type: 'failed'
      readonly id: number
      readonly kind: StoreErrorKind
      readonly message: string
      readonly isPassing: boolean
    }
  | { readonly type: 'drained'; readonly id: number }
