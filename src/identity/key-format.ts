import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/**
 * An API key as its holder has it: `pk_ENV_KEYID_SECRETCRC`.
 *
 * Underscores, so that a double click takes all of it; a fixed beginning, so that scanners find leaked ones; a checksum at
 * the end, so that they do not report what only looks alike (the form of GitHub's tokens, 2021). ENV is 1 to 16 lower-case
 * letters and digits and says which installation the key is of; KEYID is public, 16 characters; SECRET has 32 random
 * bytes in 43 characters and CRC the CRC-32 of all before it in 6, both in base 62. The checksum only saves work: nothing trusts it.
 */
export interface ParsedKey {
  readonly environment: string
  readonly keyId: string
}

export interface MintedKey extends ParsedKey {
  /** Whole. Shown once and never stored. */
  readonly text: string
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const KEY_ID_CHARACTERS = 16
const SECRET_BYTES = 32
const SECRET_CHARACTERS = 43
const CHECKSUM_CHARACTERS = 6
const FORM = /^pk_([a-z0-9]{1,16})_([0-9A-Za-z]{16})_[0-9A-Za-z]{49}$/

export function mintKey(environment: string): MintedKey {
  const keyId = base62(randomBytes(12), KEY_ID_CHARACTERS + 1).slice(-KEY_ID_CHARACTERS)
  const body = `pk_${environment}_${keyId}_${base62(randomBytes(SECRET_BYTES), SECRET_CHARACTERS)}`
  return { environment, keyId, text: body + checksum(body) }
}

/** Null for what is no key of ours, a mistyped one among them. */
export function parseKey(text: string): ParsedKey | null {
  const [, environment, keyId] = FORM.exec(text) ?? []
  if (environment === undefined || keyId === undefined) return null
  const body = text.slice(0, -CHECKSUM_CHARACTERS)
  return checksum(body) === text.slice(-CHECKSUM_CHARACTERS) ? { environment, keyId } : null
}

function checksum(body: string): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32(body))
  return base62(bytes, CHECKSUM_CHARACTERS)
}

/** Big-endian, padded with zeros to `length`, which must hold all of it. */
function base62(bytes: Uint8Array, length: number): string {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  let text = ''
  while (value > 0n) {
    text = ALPHABET[Number(value % 62n)] + text
    value /= 62n
  }
  return text.padStart(length, '0')
}
