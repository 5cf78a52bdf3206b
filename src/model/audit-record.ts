import type { JsonObject } from './json.js'
import type { Effect, Outcome, ReasonCode } from './outcome.js'

/** What the audit keeps of a decision, before masking. Names are hostile text; whoever prints them escapes them. */
export interface AuditRecord {
  readonly kind: 'decision'
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
  /** SHA-256, hex, over the RFC 8785 form of the arguments before masking. */
  readonly argumentsDigest: string
  readonly outcome: Outcome
  readonly reasonCode: ReasonCode
  readonly reason: string
  /** Matched rules, the deciding one first. */
  readonly rules: readonly AuditedRule[]
  readonly monitored: readonly AuditedRule[]
  readonly policyRevision: string
  readonly evaluationNs: number
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

/** Where the pipeline leaves its records. Throws or rejects with {@link AuditUnavailable} when the record is not safe. */
export interface AuditLog {
  /** Returns nothing when the record is already safe, so that the hot path need not wait a turn. */
  append(record: AuditRecord, durability: Durability): Promise<void> | undefined
}

export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable'
}
