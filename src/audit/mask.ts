import { createHmac, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { canonicalJson, sha256Hex } from '../model/canonical-json.js'
import type { JsonObject, JsonValue } from '../model/json.js'
import { mayHoldSecret } from './screen.js'
import { wellFormed } from './well-formed.js'

/** Longer arguments are replaced by their digest and length. In bytes of canonical JSON. */
export const MAX_ARGUMENTS_BYTES = 16 * 1024
/** Deeper arguments are replaced likewise. */
export const MAX_DEPTH = 64
/** Free text (a reason, a name) is cut to this many UTF-16 units. */
export const MAX_TEXT = 4_096

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
    '(?<keep2>://[^\\s/:@]{0,256}:)[^\\s/@]{1,256}(?=@)',
    '(?<keep3>\\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token)["\']?\\s{0,4}[=:]\\s{0,4}["\']?)[^\\s"\'&;,]{1,512}',
  ].join('|'),
  'gi',
)
const ANY_SECRET_TEXT = new RegExp(SECRET_TEXT.source, 'i')
const MAYBE_CARD = /(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)/g

/** Arguments as they are kept. */
export interface MaskedArguments {
  /** Canonical JSON: keys sorted by UTF-16 units, no white space, integers as digits. */
  readonly json: string
  /** What to know of the arguments before masking; null where nothing was masked, so that `json` tells. */
  readonly original: {
    /** Of the canonical JSON; 0 when the arguments were too deep to tell. */
    readonly bytes: number
    /** SHA-256, hex, over the canonical JSON. */
    readonly digest: string
  } | null
  readonly redactions: number
}

/** Replaces secrets by tags; the same secret has the same tag under one key, so that uses of it can be told together. */
export class Masker {
  readonly #key: Buffer
  #redactions = 0

  /** @param key Secret of the installation, 32 bytes; see {@link readOrMakeMaskKey}. */
  constructor(key: Buffer) {
    this.#key = key
  }

  /** Secrets masked so far, in all texts; the difference is what one of them held. */
  get redactions(): number {
    return this.#redactions
  }

  /** @param digest Of the arguments, where it is known; else it is made where it is needed. */
  arguments(value: JsonObject, digest: string | null = null): MaskedArguments {
    const names = lookAtNames(value, 0)
    if (names === 'too-deep') return omitted(0, digest ?? '')
    const canonical = tryCanonical(value)
    if (canonical !== null && names === 'harmless' && isWithin(canonical) && !mayHoldSecret(canonical)) {
      return { json: canonical, original: null, redactions: 0 }
    }
    const bytes = canonical === null ? canonicalBytes(value) : Buffer.byteLength(canonical)
    if (bytes > MAX_ARGUMENTS_BYTES) return omitted(bytes, digest ?? digestOf(canonical))
    const before = this.#redactions
    const json = this.#json(value)
    const redactions = this.#redactions - before
    if (json === canonical) return { json, original: null, redactions }
    return { json, original: { bytes, digest: digest ?? digestOf(canonical) }, redactions }
  }

  /** Well-formed text of bounded length without secrets in it. */
  text(value: string): string {
    return this.#argumentText(value.length > MAX_TEXT ? value.slice(0, MAX_TEXT) : value)
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
    return mayHoldSecret(text) ? this.#withoutCards(this.#withoutSecrets(text)) : text
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

/** Keys repeat from call to call; the bound keeps hostile ones from filling the memory. */
const knownKeys = new Map<string, boolean>()
const MAX_KNOWN_KEYS = 4_096

/** Whether the name of a key says that its value is a secret. */
export function isSecretKey(key: string): boolean {
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

/** Whether {@link Masker} would replace something in this well-formed text. */
export function holdsSecret(text: string): boolean {
  return mayHoldSecret(text) && (ANY_SECRET_TEXT.test(text) || (text.match(MAYBE_CARD) ?? []).some(isCard))
}

/** Starts like a card of the large issuers, is as long as one, and passes the Luhn check. */
export function isCard(text: string): boolean {
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

function omitted(bytes: number, digest: string): MaskedArguments {
  const json = JSON.stringify({ $omitted: { bytes, sha256: wellFormed(digest) } })
  return { json, original: { bytes, digest }, redactions: 0 }
}

/** Null for what has no canonical form: lone surrogates, numbers that are not finite. No call that was decoded has them. */
function tryCanonical(value: JsonObject): string | null {
  try {
    return canonicalJson(value)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

function digestOf(canonical: string | null): string {
  return canonical === null ? '' : sha256Hex(canonical)
}

/** Bytes are counted only where the length in units leaves it open. */
function isWithin(canonical: string): boolean {
  return (
    canonical.length * MAX_BYTES_PER_UNIT <= MAX_ARGUMENTS_BYTES || Buffer.byteLength(canonical) <= MAX_ARGUMENTS_BYTES
  )
}

const MAX_BYTES_PER_UNIT = 3

type Names = 'harmless' | 'secret' | 'too-deep'

/** Whether a key below the value names a secret. */
function lookAtNames(value: JsonObject | readonly JsonValue[], depth: number): Names {
  if (depth > MAX_DEPTH) return 'too-deep'
  let names: Names = 'harmless'
  const keys = isArray(value) ? null : Object.keys(value)
  const members = isArray(value) ? value : keys!
  for (let i = 0; i < members.length; i++) {
    const key = keys === null ? null : keys[i]!
    const member = key === null ? (members[i] as JsonValue) : (value as JsonObject)[key]!
    if (key !== null && isSecretKey(key)) names = 'secret'
    if (typeof member !== 'object' || member === null) continue
    const below = lookAtNames(member as JsonObject | readonly JsonValue[], depth + 1)
    if (below === 'too-deep') return below
    if (below === 'secret') names = below
  }
  return names
}

/** Length of the JSON in bytes, of values that have no canonical form. */
function canonicalBytes(value: JsonValue): number {
  if (typeof value === 'string') return Buffer.byteLength(JSON.stringify(wellFormed(value)))
  if (typeof value !== 'object' || value === null) return String(value).length
  let bytes = 2
  if (isArray(value)) for (const item of value) bytes += canonicalBytes(item) + 1
  else {
    for (const key of Object.keys(value)) bytes += canonicalBytes(key) + 2 + canonicalBytes(value[key] as JsonValue)
  }
  return bytes - (bytes > 2 ? 1 : 0)
}

/** `Array.isArray` does not narrow readonly arrays. */
function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}
