import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'

// Verifies receipts offline: no server, no package, nothing of Portcullis but this file and its published keys. A tool server
// that does it lets nothing through that a policy decision point did not allow, with these very arguments.

/** A key as ApprovalService.ReceiptKeys publishes it. */
export interface ReceiptKey {
  readonly keyId: string
  /** Ed25519, raw, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Seconds since the epoch; what was issued later does not count. Null while the key signs. */
  readonly retiredAt?: number | null
  /** Whether nothing counts any more that this key signed, whenever it did. */
  readonly isWithdrawn?: boolean
}

/** What the tool server is about to do. What is left out is not compared; `tool` and `arguments` never should be. */
export interface ExpectedCall {
  readonly tool: string
  /** As they will be executed. */
  readonly arguments: Readonly<Record<string, unknown>>
  readonly tenant?: string
  readonly agent?: string
  readonly principal?: string
  readonly environment?: string
}

/** What a valid receipt says. Times in seconds since the epoch. */
export interface ReceiptPayload {
  readonly kid: string
  /** The decision's id: the key of its audit record. */
  readonly jti: string
  readonly tenant: string
  readonly agent: string
  readonly principal: string
  readonly session: string
  readonly tool: string
  readonly environment: string
  /** SHA-256, hex, over the RFC 8785 form of the arguments. */
  readonly arguments: string
  readonly policy: string
  readonly approval?: string
  /** The receipt is good for one execution: give `isUsed`. */
  readonly once?: boolean
  readonly iat: number
  readonly exp: number
}

export interface VerifyOptions {
  readonly keys: readonly ReceiptKey[]
  readonly expected: ExpectedCall
  /** Seconds since the epoch. @default the clock's */
  readonly now?: number
  /** How far clocks may differ, in seconds. @default 30 */
  readonly skew?: number
  /**
   * Asked once with the decision's id where the receipt is good for one execution, after all else is right: records the id and
   * says whether it was there before. Must be atomic. Without it such a receipt is refused.
   */
  readonly isUsed?: (decisionId: string) => boolean
}

export type RefusedBecause =
  | 'MALFORMED'
  | 'UNKNOWN_KEY'
  | 'WITHDRAWN_KEY'
  | 'BAD_SIGNATURE'
  | 'NOT_YET_VALID'
  | 'EXPIRED'
  | 'ANOTHER_CALL'
  | 'USED'

export class ReceiptRefused extends Error {
  override readonly name = 'ReceiptRefused'
  constructor(
    readonly because: RefusedBecause,
    message: string,
  ) {
    super(message)
  }
}

const PREFIX = 'prc1'
const CONTEXT = 'portcullis receipt v1\n'
const HASH_BYTES = 32
const SIGNATURE_BYTES = 64
const PLACE_BYTES = 8
const MOST_BYTES = 8_192
/** What an Ed25519 key begins with in DER (RFC 8410), before its 32 bytes. */
const ED25519_DER = Buffer.from('302a300506032b6570032100', 'hex')

/**
 * @returns what the receipt says, when it is one of this call, by one of these keys, and still good
 * @throws {ReceiptRefused} otherwise; the call must not be carried out then
 */
export function verifyReceipt(receipt: string, options: VerifyOptions): ReceiptPayload {
  const { payloadBytes, payload, index, size, path, signature } = parse(receipt)
  const key = options.keys.find(({ keyId }) => keyId === payload.kid)
  if (key === undefined) throw new ReceiptRefused('UNKNOWN_KEY', 'no published key has the id that the receipt names')
  if (key.isWithdrawn === true) throw new ReceiptRefused('WITHDRAWN_KEY', 'the key of the receipt was withdrawn')
  const root = rootOf(hashed(0, payloadBytes), index, size, path)
  if (root === null || !verify(null, signedBytes(root, size), publicKeyOf(key), signature)) {
    throw new ReceiptRefused('BAD_SIGNATURE', 'the signature of the receipt is not right')
  }
  checkTimes(payload, key, options)
  checkCall(payload, options.expected)
  if (payload.once === true) {
    if (options.isUsed === undefined) {
      throw new ReceiptRefused('USED', 'the receipt is good for one execution, and `isUsed` is not there to tell')
    }
    if (options.isUsed(payload.jti)) throw new ReceiptRefused('USED', 'the receipt was used before')
  }
  return payload
}

/** What a call's arguments are compared by: SHA-256, hex, over their RFC 8785 form. */
export function argumentsDigest(args: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(canonical(args)).digest('hex')
}

interface Parsed {
  readonly payloadBytes: Buffer
  readonly payload: ReceiptPayload
  readonly index: number
  readonly size: number
  readonly path: readonly Buffer[]
  readonly signature: Buffer
}

function parse(receipt: string): Parsed {
  const [prefix, first = '', second = '', ...rest] = receipt.length <= MOST_BYTES ? receipt.split('.') : []
  const payloadBytes = decoded(first)
  const proof = decoded(second)
  if (prefix !== PREFIX || rest.length > 0 || payloadBytes === null || proof === null) throw malformed()
  const pathBytes = proof.length - PLACE_BYTES - SIGNATURE_BYTES
  if (pathBytes < 0 || pathBytes % HASH_BYTES !== 0) throw malformed()
  const path: Buffer[] = []
  for (let at = PLACE_BYTES; at < PLACE_BYTES + pathBytes; at += HASH_BYTES)
    path.push(proof.subarray(at, at + HASH_BYTES))
  return {
    payloadBytes,
    payload: readPayload(payloadBytes),
    index: proof.readUInt32BE(0),
    size: proof.readUInt32BE(4),
    path,
    signature: proof.subarray(PLACE_BYTES + pathBytes),
  }
}

/** Null for text that is not the one way to write its bytes: a receipt must have one form. */
function decoded(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url')
  return text !== '' && bytes.toString('base64url') === text ? bytes : null
}

const TEXTS = [
  'kid',
  'jti',
  'tenant',
  'agent',
  'principal',
  'session',
  'tool',
  'environment',
  'arguments',
  'policy',
] as const

function readPayload(bytes: Buffer): ReceiptPayload {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw malformed()
  }
  if (typeof value !== 'object' || value === null) throw malformed()
  const fields = value as Record<string, unknown>
  const isWhole =
    TEXTS.every((name) => typeof fields[name] === 'string') &&
    Number.isSafeInteger(fields['iat']) &&
    Number.isSafeInteger(fields['exp']) &&
    (fields['once'] === undefined || fields['once'] === true)
  if (!isWhole) throw malformed()
  return value as ReceiptPayload
}

function checkTimes({ iat, exp }: ReceiptPayload, { retiredAt }: ReceiptKey, options: VerifyOptions): void {
  const now = options.now ?? Date.now() / 1_000
  const skew = options.skew ?? 30
  if (iat > now + skew) throw new ReceiptRefused('NOT_YET_VALID', 'the receipt is from the future; compare the clocks')
  if (exp <= now - skew) throw new ReceiptRefused('EXPIRED', 'the time of the receipt is over; ask for the call again')
  if (typeof retiredAt === 'number' && iat > retiredAt + skew) {
    throw new ReceiptRefused('WITHDRAWN_KEY', 'the receipt was signed after its key was retired')
  }
}

function checkCall(payload: ReceiptPayload, expected: ExpectedCall): void {
  for (const name of ['tool', 'tenant', 'agent', 'principal', 'environment'] as const) {
    const wanted = expected[name]
    if (wanted !== undefined && wanted !== payload[name]) {
      throw new ReceiptRefused('ANOTHER_CALL', `the receipt is of another ${name}`)
    }
  }
  if (argumentsDigest(expected.arguments) !== payload.arguments) {
    throw new ReceiptRefused('ANOTHER_CALL', 'the receipt is of other arguments')
  }
}

/** The root that a leaf's path leads to, by RFC 9162, 2.1.3.2; null where the path has not the length that the place asks for. */
function rootOf(leaf: Buffer, index: number, size: number, path: readonly Buffer[]): Buffer | null {
  if (index >= size) return null
  let at = index
  let last = size - 1
  let hash = leaf
  for (const sibling of path) {
    if (last === 0) return null
    if (at % 2 === 1 || at === last) {
      hash = hashed(1, sibling, hash)
      while (at % 2 === 0 && at !== 0) {
        at = Math.floor(at / 2)
        last = Math.floor(last / 2)
      }
    } else hash = hashed(1, hash, sibling)
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 ? hash : null
}

function hashed(first: number, ...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256').update(Buffer.of(first))
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function signedBytes(root: Buffer, size: number): Buffer {
  const sizeBytes = Buffer.alloc(4)
  sizeBytes.writeUInt32BE(size)
  return Buffer.concat([Buffer.from(CONTEXT, 'latin1'), sizeBytes, root])
}

function publicKeyOf({ publicKey }: ReceiptKey): KeyObject {
  if (publicKey.length !== HASH_BYTES) throw new ReceiptRefused('UNKNOWN_KEY', 'a published key must have 32 bytes')
  return createPublicKey({ key: Buffer.concat([ED25519_DER, publicKey]), format: 'der', type: 'spki' })
}

/** RFC 8785, and a bigint as its digits. */
function canonical(value: unknown): string {
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value).sort()
    const entries = keys.map((key) => `${canonical(key)}:${canonical((value as Record<string, unknown>)[key])}`)
    return `{${entries.join(',')}}`
  }
  const isPlain = value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
  if (!isPlain) throw new ReceiptRefused('ANOTHER_CALL', 'the arguments hold something that JSON has not')
  if (typeof value === 'string' && !value.isWellFormed()) {
    throw new ReceiptRefused('ANOTHER_CALL', 'the arguments hold text that is no Unicode')
  }
  return JSON.stringify(value)
}

function malformed(): ReceiptRefused {
  return new ReceiptRefused('MALFORMED', 'this is no receipt')
}
