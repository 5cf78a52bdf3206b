import { createHmac, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditRecord } from '../model/audit-record.js'
import { digest, sha256Hex } from '../model/canonical-json.js'
import type { JsonObject, JsonValue } from '../model/json.js'
import { wellFormed } from './well-formed.js'

/** Longer arguments are replaced by their digest and length. In bytes of canonical JSON. */
export const MAX_ARGUMENTS_BYTES = 16 * 1024
/** Deeper arguments are replaced likewise. */
const MAX_DEPTH = 64
/** Free text (a reason, a name) is cut to this many UTF-16 units. */
const MAX_TEXT = 4_096
const MAX_LIST = 256

/** Key names, split into words at case changes and punctuation, one of which makes the value a secret. */
const SECRET_WORDS = new Set(
  'password passwd pwd passphrase passcode secret secrets token authorization credential credentials cookie jwt bearer otp cvv cvc'.split(
    ' ',
  ),
)
/** Key names, letters and digits only, that contain one of these. */
const SECRET_COMPOUNDS =
  /apikey|accesskey|privatekey|secretkey|signingkey|encryptionkey|accountkey|clientsecret|connectionstring|cardnumber/

/**
 * Secrets inside text. Each alternative begins with a fixed word or has a bounded length, so that hostile text costs linear
 * time. `keep` is what stays readable in front of the secret.
 */
const SECRET_TEXT = new RegExp(
  [
    '-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\\s\\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)',
    '(?<![\\w-])eyJ[\\w-]{8,}\\.[\\w-]{8,}\\.[\\w-]*',
    '(?<![A-Z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Z0-9])',
    'gh[pousr]_[A-Za-z0-9]{36,255}',
    'github_pat_\\w{22,255}',
    'glpat-[\\w-]{20,255}',
    'xox[abeoprs]-[A-Za-z0-9-]{10,255}',
    '(?<![\\w-])sk-[\\w-]{20,255}',
    '(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9_]{16,255}',
    'AIza[\\w-]{35}',
    'npm_[A-Za-z0-9]{36}',
    'hooks\\.slack\\.com/services/[\\w/]{20,255}',
    // With a digit or a sign in it: "basic understanding" is no credential.
    '(?<keep>\\b(?:bearer|basic)\\s{1,4})(?=[a-z]{0,256}[\\d.~+/=_-])[\\w.~+/=-]{12,4096}',
    '(?<keep2>[a-z][a-z0-9+.-]{1,20}://[^\\s/:@]{0,256}:)[^\\s/@]{1,256}(?=@)',
    '(?<keep3>\\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token)["\']?\\s{0,4}[=:]\\s{0,4}["\']?)[^\\s"\'&;,]{1,512}',
  ].join('|'),
  'gi',
)
/** Nothing of {@link SECRET_TEXT} matches a text without one of these; most texts end here. */
const MAYBE_SECRET =
  /eyJ|A(?:KIA|SIA|ROA|IDA|Iza)|gh[pousr]_|github_pat|glpat-|xox|sk[-_]|[rp]k_|npm_|hooks\.slack|-----BEGIN|bearer|basic|:\/\/|passw|pwd|secret|api[_-]?key|access[_-]?token/i

const MAYBE_CARD = /(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)/g

export interface MaskedArguments {
  /** Canonical JSON: keys sorted by UTF-16 units, no white space, integers as digits. */
  readonly json: string
  /** Bytes of the canonical JSON before masking; 0 when the arguments were too deep to tell. */
  readonly bytes: number
  readonly redactions: number
  /** SHA-256, hex, over the canonical JSON before masking. */
  readonly digest: string
}

/** Replaces secrets by tags; the same secret has the same tag under one key, so that uses of it can be told together. */
export class Masker {
  readonly #key: Buffer
  #redactions = 0

  /** @param key Secret of the installation, 32 bytes; see {@link readOrMakeMaskKey}. */
  constructor(key: Buffer) {
    this.#key = key
  }

  /** One row of `audit.events` as JSON, without `seq` and `writer_id`, which the spool puts in front. */
  record(record: AuditRecord): string {
    const masked = this.arguments(record.arguments, record.argumentsDigest)
    this.#redactions = masked.redactions
    const deciding = record.rules[0]
    const row = {
      event_id: record.decisionId,
      schema_v: 1,
      ts: clamp(record.timeMs, 0, MAX_TIME_MS),
      kind: record.kind,
      tenant: this.text(record.tenant),
      environment: this.text(record.environment),
      agent_id: this.text(record.agent),
      principal: this.text(record.principal),
      session_id: this.text(record.sessionId),
      request_id: this.text(record.requestId),
      delegation_chain: record.delegationChain.slice(0, MAX_LIST).map((agent) => this.text(agent)),
      tool: this.text(record.tool),
      outcome: record.outcome,
      reason_code: record.reasonCode,
      reason: this.text(record.reason),
      rule_id: this.text(deciding?.ruleId ?? ''),
      policy: this.text(deciding?.policy ?? ''),
      rule_description: this.text(deciding?.description ?? ''),
      rule_ids: record.rules.slice(0, MAX_LIST).map((rule) => this.text(rule.ruleId)),
      policies: record.rules.slice(0, MAX_LIST).map((rule) => this.text(rule.policy)),
      effects: record.rules.slice(0, MAX_LIST).map((rule) => rule.effect),
      indeterminate: record.rules.some((rule) => rule.indeterminate),
      monitored_rule_ids: record.monitored.slice(0, MAX_LIST).map((rule) => this.text(rule.ruleId)),
      violation: isViolation(record),
      policy_revision: this.text(record.policyRevision),
      arguments: masked.json,
      arguments_bytes: clamp(masked.bytes, 0, 0xffff_ffff),
      arguments_hash: this.text(masked.digest),
      evaluation_ns: clamp(record.evaluationNs, 0, 0xffff_ffff),
      redactions: 0,
    }
    row.redactions = Math.min(this.#redactions, 0xffff)
    return JSON.stringify(row)
  }

  /** @param known Digest of the arguments, where it is known; stands in for arguments that are too long to keep. */
  arguments(value: JsonObject, known: string | null): MaskedArguments {
    this.#redactions = 0
    // Most arguments are far below the limit and hold no secret: then one walk and one pass of JSON are enough.
    const isSmall = textUnits(value) * MAX_BYTES_PER_UNIT <= MAX_ARGUMENTS_BYTES
    const length = isSmall ? null : canonicalBytes(value)
    if (length !== null && (length === 0 || length > MAX_ARGUMENTS_BYTES)) {
      const sha256 = known ?? digest(value)
      return { json: omitted(length, sha256), bytes: length, redactions: 0, digest: sha256 }
    }
    const json = this.#json(value)
    const redactions = this.#redactions
    // What nothing was masked in is the canonical form.
    const bytes = length ?? (redactions === 0 ? Buffer.byteLength(json) : canonicalBytes(value))
    return { json, bytes, redactions, digest: known ?? (redactions === 0 ? sha256Hex(json) : digest(value)) }
  }

  /** Well-formed text of bounded length without secrets in it. */
  text(value: string): string {
    const text = wellFormed(value.length > MAX_TEXT ? value.slice(0, MAX_TEXT) : value)
    return this.#withoutCards(MAYBE_SECRET.test(text) ? this.#withoutSecrets(text) : text)
  }

  #json(value: JsonValue): string {
    switch (typeof value) {
      case 'string':
        return JSON.stringify(this.#argumentText(value))
      case 'bigint':
        return this.#number(value.toString())
      case 'number':
        return this.#number(Number.isFinite(value) ? JSON.stringify(value) : 'null')
      case 'boolean':
        return value ? 'true' : 'false'
      default:
        if (value === null) return 'null'
        return isArray(value) ? `[${value.map((item) => this.#json(item)).join(',')}]` : this.#object(value)
    }
  }

  #object(value: JsonObject): string {
    const members = Object.keys(value)
      .sort()
      .map((key) => {
        const member = value[key] as JsonValue
        const text = isSecretKey(key) ? this.#secretMember(member) : this.#json(member)
        return `${JSON.stringify(this.#argumentText(key))}:${text}`
      })
    return `{${members.join(',')}}`
  }

  /** All that hangs below a key that names a secret. */
  #secretMember(value: JsonValue): string {
    if (value === null || typeof value === 'boolean') return String(value)
    if (isArray(value)) return `[${value.map((item) => this.#secretMember(item)).join(',')}]`
    if (typeof value === 'object') {
      const members = Object.keys(value).sort()
      return `{${members.map((key) => `${JSON.stringify(this.#argumentText(key))}:${this.#secretMember(value[key] as JsonValue)}`).join(',')}}`
    }
    return JSON.stringify(this.#tag(String(value)))
  }

  #argumentText(value: string): string {
    const text = wellFormed(value)
    return this.#withoutCards(MAYBE_SECRET.test(text) ? this.#withoutSecrets(text) : text)
  }

  #number(digits: string): string {
    return isCard(digits) ? JSON.stringify(this.#tag(digits)) : digits
  }

  #withoutSecrets(text: string): string {
    return text.replace(SECRET_TEXT, (...match: unknown[]) => {
      const groups = match.at(-1) as Record<'keep' | 'keep2' | 'keep3', string | undefined>
      const whole = match[0] as string
      const keep = groups.keep ?? groups.keep2 ?? groups.keep3 ?? ''
      const secret = whole.slice(keep.length)
      return secret.startsWith('[masked:') ? whole : keep + this.#tag(secret)
    })
  }

  #withoutCards(text: string): string {
    if (text.length < 13) return text
    return text.replace(MAYBE_CARD, (digits) => (isCard(digits) ? this.#tag(digits.replace(/[ -]/g, '')) : digits))
  }

  #tag(secret: string): string {
    this.#redactions++
    return `[masked:${createHmac('sha256', this.#key).update(secret).digest('hex').slice(0, 12)}]`
  }
}

/** Reads the key that tags are made with; makes it, 32 random bytes, when the folder has none. */
export function readOrMakeMaskKey(folder: string): Buffer {
  const file = join(folder, 'mask.key')
  try {
    const key = Buffer.from(readFileSync(file, 'latin1').trim(), 'hex')
    if (key.length === 32) return key
    throw new Error(`${file} holds no key of 32 bytes in hex; restore it, or remove it to have a new one made`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const key = randomBytes(32)
  const fd = openSync(`${file}.new`, 'w', 0o600)
  writeSync(fd, `${key.toString('hex')}\n`)
  fsyncSync(fd)
  closeSync(fd)
  renameSync(`${file}.new`, file)
  return key
}

/** 2299-12-31, the end of what DateTime64(3) holds. */
const MAX_TIME_MS = 10_413_705_600_000

/** A decision that ended in DENY, or in REQUIRE_APPROVAL by `deny except approval`. */
function isViolation(record: AuditRecord): boolean {
  if (record.outcome === 'DENY') return true
  return record.outcome === 'REQUIRE_APPROVAL' && record.rules.some((rule) => rule.effect === 'DENY_EXCEPT_APPROVAL')
}

/** Keys repeat from call to call; the bound keeps hostile ones from filling the memory. */
const knownKeys = new Map<string, boolean>()
const MAX_KNOWN_KEYS = 4_096

function isSecretKey(key: string): boolean {
  const known = knownKeys.get(key)
  if (known !== undefined) return known
  const isSecret = namesSecret(key)
  if (knownKeys.size >= MAX_KNOWN_KEYS) knownKeys.clear()
  if (key.length <= 64) knownKeys.set(key, isSecret)
  return isSecret
}

function namesSecret(key: string): boolean {
  const words = key
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
  return words.some((word) => SECRET_WORDS.has(word)) || SECRET_COMPOUNDS.test(words.join(''))
}

/** Starts like a card of the large issuers, is as long as one, and passes the Luhn check. */
function isCard(text: string): boolean {
  const digits = text.replace(/[ -]/g, '')
  if (
    !/^(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}|6(?:011|5\d\d|4[4-9]\d)\d{12,15})$/.test(
      digits,
    )
  ) {
    return false
  }
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48
    const doubled = i % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

function omitted(bytes: number, digest: string): string {
  return JSON.stringify({ $omitted: { bytes, sha256: wellFormed(digest) } })
}

/** A control character is one unit and `\\u0000` in JSON; a unit in UTF-8 has at most three bytes. */
const MAX_BYTES_PER_UNIT = 6

/** Units of text with room for the punctuation, a bound of the JSON's length; infinite when it nests too deep. */
function textUnits(value: JsonValue, depth = 0): number {
  if (depth > MAX_DEPTH) return Number.POSITIVE_INFINITY
  if (typeof value === 'string') return value.length + 3
  if (typeof value === 'bigint') return value.toString().length + 1
  if (typeof value !== 'object' || value === null) return 26
  let units = 2
  if (isArray(value)) for (const item of value) units += textUnits(item, depth + 1)
  else for (const key of Object.keys(value)) units += key.length + 4 + textUnits(value[key] as JsonValue, depth + 1)
  return units
}

/** Length of the canonical JSON in bytes; 0 when it nests deeper than {@link MAX_DEPTH}. */
function canonicalBytes(value: JsonValue): number {
  let bytes = 0
  const pending: { readonly value: JsonValue; readonly depth: number }[] = [{ value, depth: 0 }]
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { value, depth } = next
    if (depth > MAX_DEPTH) return 0
    if (typeof value === 'string') bytes += Buffer.byteLength(JSON.stringify(wellFormed(value)))
    else if (typeof value !== 'object' || value === null) bytes += String(value).length
    else {
      const keys = isArray(value) ? [] : Object.keys(value)
      const members = isArray(value) ? value : keys.map((key) => value[key] as JsonValue)
      bytes += 2 + Math.max(0, members.length - 1)
      for (const key of keys) bytes += Buffer.byteLength(JSON.stringify(wellFormed(key))) + 1
      for (const member of members) pending.push({ value: member, depth: depth + 1 })
    }
  }
  return bytes
}

/** `Array.isArray` does not narrow readonly arrays. */
function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}

function clamp(value: number, min: number, max: number): number {
  return Number.isFinite(value) ? Math.min(max, Math.max(min, Math.trunc(value))) : min
}
