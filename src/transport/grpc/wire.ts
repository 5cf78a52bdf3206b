/** Messages as the loader decodes them: camelCase, defaults filled in, absent messages null. Those of the hot path have a codec of their own. */
export interface SubjectMessage {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
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

export interface ControlEventsRequestMessage {
  readonly period: AuditPeriodMessage | null
  readonly kind: string
  readonly subject: string
}

export interface CreateKeyRequestMessage {
  readonly subject: string
  readonly roles: readonly string[]
  readonly approverRoles: readonly string[]
  readonly attributes: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly owner: string
  readonly days: number
}
