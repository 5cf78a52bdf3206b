import { readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { Call, Subject } from '../../src/model/call.js'
import type { JsonObject, JsonValue } from '../../src/model/json.js'
import type { Effect, Outcome, ReasonCode, RuleSeverity } from '../../src/model/outcome.js'
import { parseJson } from '../../src/model/parse-json.js'

/** The format of docs/conflict-corpus.md: one policy set a line, with requests and what each is answered. */
export interface ConflictSet {
  /** `CLASS/NUMBER`, or the name of a pattern. */
  readonly id: string
  readonly class: string
  /** One sentence; patterns have it. */
  readonly about?: string
  /** Policy texts by path. */
  readonly policies: Readonly<Record<string, string>>
  /** List files by path. */
  readonly attachments: Readonly<Record<string, string>>
  /** Every rule by its id; left out in patterns. */
  readonly rules?: Readonly<Record<string, RuleFacts>>
  readonly requests: readonly ConflictRequest[]
}

export interface RuleFacts {
  readonly policy: string
  readonly effect: Effect
  readonly severity: RuleSeverity | null
  readonly tags: readonly string[]
}

export interface ConflictRequest {
  readonly name?: string
  readonly tenant: string
  readonly agent: Subject
  readonly principal: Subject | null
  readonly session: string
  readonly tool: string
  readonly env: string
  readonly args: JsonObject
  readonly context: JsonObject
  /** ISO 8601, UTC. */
  readonly now: string
  readonly expect: Answer
}

/** What a request is answered. Of these only `outcome` is needed to take part; what an answer leaves out is not compared. */
export interface Answer {
  readonly outcome: Outcome
  readonly code?: ReasonCode
  /** Id of the rule that the reason names, `default of POLICY`, or null where no policy speaks. */
  readonly deciding?: string | null
  /** Ids of every matching rule in order, the strictest effect first, then by policy and id; `?` after an unknown one. */
  readonly matched?: readonly string[]
  /** The same for rules in monitor mode. */
  readonly monitored?: readonly string[]
  readonly obligations?: readonly ExpectedObligation[]
  readonly approvals?: readonly ExpectedApproval[]
}
export const ANSWER_FIELDS = [
  'outcome',
  'code',
  'deciding',
  'matched',
  'monitored',
  'obligations',
  'approvals',
] as const satisfies readonly (keyof Answer)[]

export interface ExpectedObligation {
  readonly rule: string
  readonly kind: 'redact' | 'mask' | 'max_rows' | 'notify'
  /** Empty for max_rows. */
  readonly target: string
  /** 0 for all but max_rows. */
  readonly rows: number
}

/** What is left out is as the comments say. */
export interface ExpectedApproval {
  /** Rules, or `default of POLICY`, that ask for this. */
  readonly rules: readonly string[]
  /** Stages in order, each with its groups: `manager`, `2 of security`. */
  readonly stages: readonly (readonly string[])[]
  /** Left out: the server's own. */
  readonly within_ms?: number
  /** The role that is asked when time runs out; left out: a denial. */
  readonly else?: string
  readonly escalations?: readonly { readonly role: string; readonly after_ms: number }[]
  /** Left out: the server's own. */
  readonly valid_for_ms?: number
  readonly not_by_requester?: true
  /** The approval lifts a denial. */
  readonly exception?: true
}

/** One line of an engine's answers. */
export interface AnswerLine extends Answer {
  readonly set: string
  /** Counts from 0. */
  readonly request: number
}

/** As JSON, with integers of any size. */
export function stringify(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(stringify).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${stringify(item)}`).join(',')}}`
}

const LIMITS = { maxBytes: 4 * 1024 * 1024, maxDepth: 64 }

/** Exactly, integers of any size included; throws for a line that is no JSON object. */
export function parseLine<T>(line: string): T {
  const value: JsonValue = parseJson(line, LIMITS)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('a line is no JSON object')
  return value as unknown as T
}

/** Non-empty lines of a file; of its content where the name ends in `.gz`. */
export function readLines(file: string): string[] {
  const bytes = readFileSync(file)
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
  return text.split('\n').filter((line) => line.trim() !== '')
}

export function writeLines(file: string, lines: readonly string[]): void {
  const text = `${lines.join('\n')}\n`
  writeFileSync(file, file.endsWith('.gz') ? gzipSync(text, { level: 9 }) : text)
}

export function toCall(request: ConflictRequest): Call {
  const { tenant, agent, principal, session, tool, env, args, context } = request
  const names = { requestId: '', tenant, agent, principal, sessionId: session, delegationChain: [] }
  return { ...names, tool, environment: env, arguments: args, context }
}
