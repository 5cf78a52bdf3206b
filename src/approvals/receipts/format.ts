import { canonicalJson, digest } from '../../model/canonical-json.js'
import type { ReceiptClaims } from '../../model/control.js'

/**
 * A receipt: `prc1.PAYLOAD.PROOF`, both in base64url without padding.
 *
 * PAYLOAD is JSON, {@link payloadOf}. PROOF is the place of the payload among those that were signed together (4 bytes,
 * big-endian), how many there were (4 bytes), the hashes of its Merkle path (32 bytes each, nearest first) and the Ed25519
 * signature (64 bytes) over {@link signedBytes}. docs/receipts.md is the whole format; sdk/typescript/receipt.ts reads it and
 * shares no code with this side.
 */
export const RECEIPT_PREFIX = 'prc1'
/** Most receipts under one signature: a path of 12 hashes. */
export const MOST_IN_A_BATCH = 4_096

const CONTEXT = 'portcullis receipt v1\n'
const BASE64URL = 'base64url'

/** The texts of a payload; times in seconds since the epoch. */
export function payloadOf(claims: ReceiptClaims, keyId: string, lifetimeMs: number): Buffer {
  const { call, decisionId, policyRevision, approvalId, issuedMs } = claims
  const issued = Math.floor(issuedMs / 1_000)
  const text = canonicalJson({
    kid: keyId,
    jti: decisionId,
    tenant: call.tenant,
    agent: call.agent.id,
    principal: call.principal?.id ?? '',
    session: call.sessionId,
    tool: call.tool,
    environment: call.environment,
    arguments: digest(call.arguments),
    policy: policyRevision,
    ...(approvalId !== '' && { approval: approvalId, once: true }),
    iat: issued,
    exp: issued + Math.ceil(lifetimeMs / 1_000),
  })
  return Buffer.from(text)
}

/** What is signed for a whole tree. */
export function signedBytes(root: Uint8Array, size: number): Buffer {
  const bytes = Buffer.alloc(CONTEXT.length + 4 + root.length)
  bytes.write(CONTEXT, 0, 'latin1')
  bytes.writeUInt32BE(size, CONTEXT.length)
  bytes.set(root, CONTEXT.length + 4)
  return bytes
}

export function receiptText(
  payload: Buffer,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  signature: Uint8Array,
): string {
  const place = Buffer.alloc(8)
  place.writeUInt32BE(index, 0)
  place.writeUInt32BE(size, 4)
  const proof = Buffer.concat([place, ...path, signature])
  return `${RECEIPT_PREFIX}.${payload.toString(BASE64URL)}.${proof.toString(BASE64URL)}`
}
