import type { StructMessage } from '../../model/struct.js'

/** Messages as the loader decodes them: camelCase, defaults filled in, absent messages null, oneofs by name. */
export interface SubjectMessage {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
}

export interface DecideRequestMessage {
  readonly requestId: string
  readonly agent: SubjectMessage | null
  readonly principal: SubjectMessage | null
  readonly sessionId: string
  readonly delegationChain: readonly string[]
  readonly tool: string
  readonly environment: string
  readonly argumentsStruct?: StructMessage | null
  readonly argumentsJson?: Uint8Array
  readonly contextStruct?: StructMessage | null
  readonly contextJson?: Uint8Array
  readonly expectedPolicyRevision: string
  readonly explain: boolean
  readonly dryRun: boolean
}

export interface DecideBatchRequestMessage {
  readonly requests: readonly DecideRequestMessage[]
}

export interface VisibleToolsRequestMessage {
  readonly agent: SubjectMessage | null
  readonly principal: SubjectMessage | null
  readonly sessionId: string
  readonly environment: string
}

/** Seconds and nanoseconds since the epoch. */
export interface TimestampMessage {
  readonly seconds: number
  readonly nanos: number
}

export interface AuditPeriodMessage {
  readonly from: TimestampMessage | null
  readonly until: TimestampMessage | null
  readonly limit: number
}

export interface QueryAuditRequestMessage {
  readonly period: AuditPeriodMessage | null
  readonly agent: string
  readonly tool: string
  readonly ruleId: string
  readonly outcome: string
  readonly sessionId: string
}
