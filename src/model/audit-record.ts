import type { JsonObject } from './json.js'
import type { Effect, Outcome, ReasonCode } from './outcome.js'

/** What the audit keeps of a decision, before masking. Names are hostile text; whoever prints them escapes them. */
export interface AuditRecord {
  /** UUIDv7, made from `timeMs`. */
  readonly decisionId: string
  readonly timeMs: number
  readonly tenant: string
  readonly environment: string
  readonly agent: string
  readonly principal: string
  readonly sessionId: string
  readonly requestId: string
  readonly delegationChain: readonly string[]
  readonly tool: string
  readonly arguments: JsonObject
  /** SHA-256, hex, over the RFC 8785 form of the arguments before masking; null where the audit is to make it. */
  readonly argumentsDigest: string | null
  readonly decision: AuditedDecision
  readonly evaluationNs: number
}

/** The part of the answer that is kept. Equal answers are best one frozen object: what is written of it is made once. */
export interface AuditedDecision {
  readonly outcome: Outcome
  readonly reasonCode: ReasonCode
  readonly reason: string
  /** The deciding rule first. */
  readonly matched: readonly AuditedRule[]
  /** Rules in `mode monitor` that would have matched. */
  readonly monitored: readonly AuditedRule[]
  readonly policyRevision: string
  /** The request for approval that the call opened, or carried out. */
  readonly opened?: { readonly id: string }
}

export interface AuditedRule {
  readonly ruleId: string
  readonly policy: string
  readonly effect: Effect
  readonly description: string
  readonly indeterminate: boolean
}

/**
 * When an acknowledged record must be safe: `written` survives the death of the process (kill -9), `fsync` the death of
 * the machine. Everything that restricts is `fsync`.
 */
export type Durability = 'written' | 'fsync'

/** Told once: null when the record is as safe as was asked for, else why it is not and never will be. */
export type Recorded = (failure: Error | null) => void

/** Where the pipeline leaves its records. */
export interface AuditLog {
  /**
   * Never throws. `recorded` may be called before this returns, and in a later turn, so that the records of one turn can
   * share a write; a callback and no promise, for there is one a call.
   */
  record(record: AuditRecord, durability: Durability, recorded: Recorded): void
}

export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable'
}
