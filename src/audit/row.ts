import type { AuditedDecision, AuditedRule, AuditRecord } from '../model/audit-record.js'
import type { Masker } from './mask.js'

/** Longer lists are cut. */
const MAX_LIST = 256
/** 2299-12-31, the end of what DateTime64(3) holds. */
const MAX_TIME_MS = 10_413_705_600_000
const MAX_UINT16 = 0xffff
const MAX_UINT32 = 0xffff_ffff

/** Names come again and again; the bounds keep hostile ones from filling the memory. */
const MAX_KNOWN_NAMES = 4_096
const MAX_KNOWN_LENGTH = 256

/** JSON of a masked text, or of several members of a row. */
interface Masked {
  readonly json: string
  readonly redactions: number
}

/**
 * Records as rows of `audit.events`, in JSON. Columns that have their default are left out: they cost time and space in the
 * spool and in the store's parser. What does not differ from call to call (an answer, a name) is masked and printed once.
 */
export class RowEncoder {
  readonly #masker: Masker
  readonly #names = new Map<string, Masked>()
  /** Answers are frozen and shared by the calls that got them; one that may change is printed each time. */
  readonly #decisions = new WeakMap<AuditedDecision, Masked>()
  #redactions = 0

  constructor(masker: Masker) {
    this.#masker = masker
  }

  /** The members of the row's JSON object, without braces, and without `writer_id` and `seq`, which the spool puts in front. */
  members(record: AuditRecord): string {
    this.#redactions = 0
    const { principal, sessionId, requestId, delegationChain } = record
    const decision = this.#decision(record.decision)
    const args = this.#masker.arguments(record.arguments, record.argumentsDigest)
    this.#redactions += args.redactions
    let text =
      `"event_id":"${record.decisionId}","ts":${clamp(record.timeMs, MAX_TIME_MS)},"tenant":${this.#name(record.tenant)}` +
      `,"environment":${this.#name(record.environment)},"agent_id":${this.#name(record.agent)}`
    if (principal !== '') text += `,"principal":${this.#name(principal)}`
    if (sessionId !== '') text += `,"session_id":${this.#text(sessionId)}`
    if (requestId !== '') text += `,"request_id":${this.#text(requestId)}`
    if (delegationChain.length > 0) text += `,"delegation_chain":${this.#list(delegationChain)}`
    text += `,"tool":${this.#name(record.tool)}${decision},"arguments":${args.json}`
    if (args.original !== null) {
      const { bytes, digest } = args.original
      text += `,"arguments_bytes":${clamp(bytes, MAX_UINT32)},"arguments_hash":${this.#text(digest)}`
    }
    if (this.#redactions > 0) text += `,"redactions":${Math.min(this.#redactions, MAX_UINT16)}`
    return `${text},"evaluation_ns":${clamp(record.evaluationNs, MAX_UINT32)}`
  }

  #decision(decision: AuditedDecision): string {
    let masked = this.#decisions.get(decision)
    if (masked === undefined) {
      masked = this.#counted(() => this.#decisionMembers(decision))
      if (Object.isFrozen(decision)) this.#decisions.set(decision, masked)
    }
    this.#redactions += masked.redactions
    return masked.json
  }

  #decisionMembers(decision: AuditedDecision): string {
    const { outcome, reasonCode, reason, matched, monitored, policyRevision } = decision
    const deciding = matched[0]
    const text = (value: string): string => JSON.stringify(this.#masker.text(value))
    const ids = (rules: readonly AuditedRule[], field: 'ruleId' | 'policy' | 'effect'): string =>
      `[${rules
        .slice(0, MAX_LIST)
        .map((rule) => text(rule[field]))
        .join(',')}]`
    let json = `,"outcome":"${outcome}","reason_code":"${reasonCode}","reason":${text(reason)}`
    if (deciding) {
      json +=
        `,"rule_id":${text(deciding.ruleId)},"policy":${text(deciding.policy)},"rule_description":${text(deciding.description)}` +
        `,"rule_ids":${ids(matched, 'ruleId')},"policies":${ids(matched, 'policy')},"effects":${ids(matched, 'effect')}`
    }
    if (monitored.length > 0) json += `,"monitored_rule_ids":${ids(monitored, 'ruleId')}`
    if (matched.some((rule) => rule.indeterminate)) json += ',"indeterminate":true'
    if (isViolation(decision)) json += ',"violation":true'
    return `${json},"policy_revision":${text(policyRevision)}`
  }

  #name(value: string): string {
    let masked = this.#names.get(value)
    if (masked === undefined) {
      masked = this.#counted(() => JSON.stringify(this.#masker.text(value)))
      if (this.#names.size >= MAX_KNOWN_NAMES) this.#names.clear()
      if (value.length <= MAX_KNOWN_LENGTH) this.#names.set(value, masked)
    }
    this.#redactions += masked.redactions
    return masked.json
  }

  #list(values: readonly string[]): string {
    return `[${values
      .slice(0, MAX_LIST)
      .map((value) => this.#name(value))
      .join(',')}]`
  }

  #text(value: string): string {
    const before = this.#masker.redactions
    const json = JSON.stringify(this.#masker.text(value))
    this.#redactions += this.#masker.redactions - before
    return json
  }

  #counted(make: () => string): Masked {
    const before = this.#masker.redactions
    const json = make()
    return { json, redactions: this.#masker.redactions - before }
  }
}

/** A decision that ended in DENY, or in REQUIRE_APPROVAL by `deny except approval`. */
function isViolation({ outcome, matched }: AuditedDecision): boolean {
  if (outcome === 'DENY') return true
  return outcome === 'REQUIRE_APPROVAL' && matched.some((rule) => rule.effect === 'DENY_EXCEPT_APPROVAL')
}

function clamp(value: number, max: number): number {
  return Number.isFinite(value) ? Math.min(max, Math.max(0, Math.trunc(value))) : 0
}
