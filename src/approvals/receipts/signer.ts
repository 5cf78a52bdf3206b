import { type KeyObject, sign } from 'node:crypto'
import type { ReceiptClaims, ReceiptSigner } from '../../model/control.js'
import { MOST_IN_A_BATCH, payloadOf, receiptText, signedBytes } from './format.js'
import { leafHash, merkleTree } from './merkle.js'

/** The key that signs now. */
export interface SigningKey {
  readonly keyId: string
  /** Ed25519. */
  readonly privateKey: KeyObject
}

export class ReceiptUnavailable extends Error {
  override readonly name = 'ReceiptUnavailable'
}

/** How long a tool server accepts a receipt: as long as a call may take to get there, and no longer. */
export const RECEIPT_LIFETIME_MS = 5 * 60_000

interface Waiting {
  readonly claims: ReceiptClaims
  readonly resolve: (receipt: string) => void
  readonly reject: (cause: unknown) => void
}

/**
 * Signs off the thread that decides, and once for all that ask while a signature is being made: an Ed25519 signature costs as
 * much as a whole call, a leaf of a Merkle tree a few percent of one. Under no load a receipt waits for nobody.
 */
export class BatchSigner implements ReceiptSigner {
  /** Null while no key is known. */
  readonly #key: () => SigningKey | null
  readonly #lifetimeMs: number
  #waiting: Waiting[] = []
  #isSigning = false

  constructor(key: () => SigningKey | null, lifetimeMs = RECEIPT_LIFETIME_MS) {
    this.#key = key
    this.#lifetimeMs = lifetimeMs
  }

  sign(claims: ReceiptClaims): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ claims, resolve, reject })
      // At the end of the turn, so that the calls of one turn share a signature.
      if (!this.#isSigning && this.#waiting.length === 1) setImmediate(() => this.#signWaiting())
    })
  }

  #signWaiting(): void {
    const key = this.#key()
    const batch = this.#waiting.splice(0, key === null ? Number.POSITIVE_INFINITY : MOST_IN_A_BATCH)
    if (batch.length === 0) return
    if (key === null) {
      const cause = new ReceiptUnavailable('there is no key to sign receipts with')
      for (const { reject } of batch) reject(cause)
      return
    }
    this.#isSigning = true
    const payloads = batch.map(({ claims }) => payloadOf(claims, key.keyId, this.#lifetimeMs))
    const { root, paths } = merkleTree(payloads.map(leafHash))
    sign(null, signedBytes(root, batch.length), key.privateKey, (cause, signature) => {
      this.#isSigning = false
      batch.forEach(({ resolve, reject }, i) => {
        if (cause) reject(cause)
        else resolve(receiptText(payloads[i]!, i, batch.length, paths[i]!, signature))
      })
      this.#signWaiting()
    })
  }
}
