import type { AuditedDecision, AuditedRule, AuditRecord } from '../../model/audit-record.js'
import type { JsonObject } from '../../model/json.js'
import { MAX_TEXT, type Masker } from '../mask.js'
import { Cursor, FULL, ODD, PLAIN } from './cursor.js'
import { PlainArguments } from './plain-arguments.js'

/** Longer lists are cut. */
const MAX_LIST = 256
/** 2299-12-31, the end of what DateTime64(3) holds. */
export const MAX_TIME_MS = 10_413_705_600_000
const MAX_UINT16 = 0xffff
const MAX_UINT32 = 0xffff_ffff

/** Several members of a row. */
interface Masked {
  readonly json: Buffer
  readonly redactions: number
}

/**
 * Records as rows of `audit.events`: JSON as UTF-8, masked, without line breaks. Columns that have their default are left
 * out: they cost time and space in the spool and in the store's parser.
 *
 * This is on the path of every call, so each text is written once, straight into the bytes that the spool will write, and
 * what an answer looks like is printed once for all calls that got it.
 */
export class RowEncoder {
  readonly #masker: Masker
  readonly #cursor = new Cursor()
  readonly #plain = new PlainArguments()
  /** Answers are frozen and shared by the calls that got them; one that may change is printed each time. */
  readonly #decisions = new WeakMap<AuditedDecision, Masked>()
  #redactions = 0

  constructor(masker: Masker) {
    this.#masker = masker
  }

  /**
   * Writes the row at `at`.
   *
   * @param seq the number of the record among those of its writer
   * @returns the offset behind it; -1 when there is no room in `bytes`
   */
  write(record: AuditRecord, writerId: string, seq: number, bytes: Buffer, at: number): number {
    const cursor = this.#cursor
    cursor.reset(bytes, at)
    this.#redactions = 0
    const { principal, sessionId, requestId, delegationChain } = record
    cursor.ascii('{"writer_id":"')
    cursor.ascii(writerId)
    cursor.ascii('","seq":')
    cursor.integer(seq)
    cursor.ascii(',"event_id":"')
    cursor.ascii(record.decisionId)
    cursor.ascii('","ts":')
    cursor.integer(clamp(record.timeMs, MAX_TIME_MS))
    this.#member(',"tenant":', record.tenant)
    this.#member(',"environment":', record.environment)
    this.#member(',"agent_id":', record.agent)
    if (principal !== '') this.#member(',"principal":', principal)
    if (sessionId !== '') this.#member(',"session_id":', sessionId)
    if (requestId !== '') this.#member(',"request_id":', requestId)
    if (delegationChain.length > 0) this.#list(',"delegation_chain":', delegationChain)
    this.#member(',"tool":', record.tool)
    this.#decision(record.decision)
    this.#arguments(record.arguments, record.argumentsDigest)
    if (this.#redactions > 0) {
      cursor.ascii(',"redactions":')
      cursor.integer(Math.min(this.#redactions, MAX_UINT16))
    }
    cursor.ascii(',"evaluation_ns":')
    cursor.integer(clamp(record.evaluationNs, MAX_UINT32))
    cursor.ascii('}')
    return cursor.isFull ? FULL : cursor.at
  }

  #member(name: string, value: string): void {
    this.#cursor.ascii(name)
    this.#text(value)
  }

  #text(value: string): void {
    const found = value.length > MAX_TEXT ? ODD : this.#cursor.plain(value)
    if (found === PLAIN || found === FULL) return
    const before = this.#masker.redactions
    this.#cursor.json(JSON.stringify(this.#masker.text(value)))
    this.#redactions += this.#masker.redactions - before
  }

  #list(name: string, values: readonly string[]): void {
    this.#cursor.ascii(name)
    for (let i = 0; i < Math.min(values.length, MAX_LIST); i++) {
      this.#cursor.ascii(i === 0 ? '[' : ',')
      this.#text(values[i]!)
    }
    this.#cursor.ascii(']')
  }

  #arguments(value: JsonObject, known: string | null): void {
    const cursor = this.#cursor
    cursor.ascii(',"arguments":')
    const start = cursor.at
    if (this.#plain.write(value, cursor) || cursor.isFull) return
    cursor.at = start
    const { json, original, redactions } = this.#masker.arguments(value, known)
    cursor.json(json)
    this.#redactions += redactions
    if (original === null) return
    cursor.ascii(',"arguments_bytes":')
    cursor.integer(clamp(original.bytes, MAX_UINT32))
    // Digests are no text of anybody's: a run of digits in one may look like a card, and must stay.
    cursor.ascii(',"arguments_hash":"')
    cursor.ascii(original.digest)
    cursor.ascii('"')
  }

  #decision(decision: AuditedDecision): void {
    let masked = this.#decisions.get(decision)
    if (masked === undefined) {
      const before = this.#masker.redactions
      const json = Buffer.from(this.#decisionMembers(decision))
      masked = { json, redactions: this.#masker.redactions - before }
      if (Object.isFrozen(decision)) this.#decisions.set(decision, masked)
    }
    this.#redactions += masked.redactions
    this.#cursor.raw(masked.json)
  }

  #decisionMembers(decision: AuditedDecision): string {
    const { outcome, reasonCode, reason, matched, monitored, policyRevision, opened } = decision
    const deciding = matched[0]
    const text = (value: string): string => JSON.stringify(this.#masker.text(value))
    const list = (rules: readonly AuditedRule[], field: 'ruleId' | 'policy' | 'effect'): string =>
      `[${rules
        .slice(0, MAX_LIST)
        .map((rule) => text(rule[field]))
        .join(',')}]`
    let json = `,"outcome":"${outcome}","reason_code":"${reasonCode}","reason":${text(reason)}`
    if (deciding) {
      json +=
        `,"rule_id":${text(deciding.ruleId)},"policy":${text(deciding.policy)},"rule_description":${text(deciding.description)}` +
        `,"rule_ids":${list(matched, 'ruleId')},"policies":${list(matched, 'policy')},"effects":${list(matched, 'effect')}`
    }
    if (monitored.length > 0) json += `,"monitored_rule_ids":${list(monitored, 'ruleId')}`
    if (matched.some((rule) => rule.indeterminate)) json += ',"indeterminate":true'
    if (isViolation(decision)) json += ',"violation":true'
    if (opened !== undefined) json += `,"attrs":{"approval_id":${JSON.stringify(opened.id)}}`
    return `${json},"policy_revision":${JSON.stringify(policyRevision)}`
  }
}

/** A decision that ended in DENY, or in REQUIRE_APPROVAL by `deny except approval`. */
function isViolation({ outcome, matched }: AuditedDecision): boolean {
  if (outcome === 'DENY') return true
  return outcome === 'REQUIRE_APPROVAL' && matched.some((rule) => rule.effect === 'DENY_EXCEPT_APPROVAL')
}

/** @returns an integer from 0 to `max` */
export function clamp(value: number, max: number): number {
  return Number.isFinite(value) ? Math.min(max, Math.max(0, Math.trunc(value))) : 0
}
