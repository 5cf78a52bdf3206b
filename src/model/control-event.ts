import type { Durability, Recorded } from './audit-record.js'

/**
 * Something that a person, an agent or the clock did to what calls are decided by: approvals, kill switches, keys, grants and
 * lent seats. What was decided of calls is an AuditRecord.
 *
 * All texts may be hostile; whoever prints them escapes them.
 */
export interface ControlEvent {
  /** A UUID of this event and of no other, so that one which was handed over twice is known. */
  readonly eventId: string
  /** Of the transaction that brought it about, by the control store's clock. Milliseconds since the epoch. */
  readonly timeMs: number
  readonly tenant: string
  /** What it happened to, a point, and what: `approval.voted`, `kill.engaged`, `key.revoked`, `grant.revoked`, `seat.lent`. */
  readonly kind: string
  /** Id of the approval, switch, key, grant or delegation. */
  readonly subject: string
  /** A person's or agent's id, `clock`, `policy` or `kill:SWITCH`. */
  readonly actor: string
  readonly why: string
  /** Of an approval, what it became; of a key whose it is, of a switch what it stops, of a seat to whom it is lent. */
  readonly state: string
  /** SHA-256, hex, of what people were shown of an approval; else empty. */
  readonly shownDigest: string
  /** Whose call, and of which tool, it was about; else empty. */
  readonly agent: string
  readonly tool: string
}

/** Where control events are left for good. */
export interface ControlEventLog {
  /** Never throws; `recorded` is told once, as by an AuditLog. */
  recordEvent(event: ControlEvent, durability: Durability, recorded: Recorded): void
}
