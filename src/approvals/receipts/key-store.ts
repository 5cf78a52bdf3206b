import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { Database, Transaction } from '../../store/database.js'
import { advanceEpoch } from '../../store/epoch.js'
import type { SigningKey } from './signer.js'

/** A key as it is published: what receipts are verified with. */
export interface PublishedKey {
  readonly keyId: string
  /** Ed25519, raw, 32 bytes. */
  readonly publicKey: Buffer
  readonly createdMs: number
  /** Signs nothing after this, and what it signed before still counts. */
  readonly retiredMs: number | null
  /** Nothing counts any more that it signed. */
  readonly withdrawnMs: number | null
}

/** How private keys lie in the database. */
export interface Seal {
  readonly id: string
  seal(secret: Uint8Array): Buffer
  open(sealed: Uint8Array): Buffer
}

/** What instances know by heart. */
export interface ReceiptKeys {
  readonly published: readonly PublishedKey[]
  /** Null until the first key is made. */
  readonly signing: SigningKey | null
}

const PUBLISHED = `key_id AS "keyId", public_key AS "publicKey", created_at AS "createdMs", retired_at AS "retiredMs",
  withdrawn_at AS "withdrawnMs"`

export class ReceiptKeyStore {
  readonly #database: Database
  readonly #seal: Seal

  constructor(database: Database, seal: Seal) {
    this.#database = database
    this.#seal = seal
  }

  /** Makes the first key where there is none that signs. */
  ensure(): Promise<void> {
    return this.#database.transaction(async (tx) => {
      const signing = 'SELECT 1 FROM receipt_keys WHERE retired_at IS NULL AND withdrawn_at IS NULL'
      if ((await tx.query(signing)).length > 0) return
      // The epoch's lock, then once more: two instances that start together make one key.
      await advanceEpoch(tx)
      if ((await tx.query(signing)).length === 0) await this.#insert(tx)
    })
  }

  /** A new key signs from now on; what the old ones signed stays valid until it expires. */
  rotate(): Promise<string> {
    return this.#database.transaction(async (tx) => {
      await advanceEpoch(tx)
      await tx.execute('UPDATE receipt_keys SET retired_at = clock_timestamp() WHERE retired_at IS NULL')
      return this.#insert(tx)
    })
  }

  /** Nothing that the key signed counts any more. A new one is made where it was the one that signs. */
  withdraw(keyId: string): Promise<boolean> {
    return this.#database.transaction(async (tx) => {
      await advanceEpoch(tx)
      const withdrawn = await tx.execute(
        `UPDATE receipt_keys SET withdrawn_at = clock_timestamp(), retired_at = coalesce(retired_at, clock_timestamp())
         WHERE key_id = $1 AND withdrawn_at IS NULL`,
        [keyId],
      )
      const signing = await tx.query('SELECT 1 FROM receipt_keys WHERE retired_at IS NULL')
      if (signing.length === 0) await this.#insert(tx)
      return withdrawn > 0
    })
  }

  /** Part of what every instance reads: the published keys and the one that signs. */
  read(put: (keys: ReceiptKeys) => void): (tx: Transaction) => Promise<() => void> {
    return async (tx) => {
      const published = await tx.query<PublishedKey>(
        `SELECT ${PUBLISHED} FROM receipt_keys ORDER BY created_at, key_id`,
      )
      const [newest] = await tx.query<{ keyId: string; sealed: Buffer }>(
        `SELECT key_id AS "keyId", sealed_key AS "sealed" FROM receipt_keys
         WHERE retired_at IS NULL AND withdrawn_at IS NULL ORDER BY created_at DESC, key_id LIMIT 1`,
      )
      const keys = { published, signing: newest === undefined ? null : this.#openKey(newest.keyId, newest.sealed) }
      return () => put(keys)
    }
  }

  async #insert(tx: Transaction): Promise<string> {
    const keyId = randomBytes(6).toString('hex')
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
    const sealed = this.#seal.seal(privateKey.export({ format: 'der', type: 'pkcs8' }))
    await tx.execute('INSERT INTO receipt_keys (key_id, public_key, sealed_key, pepper_id) VALUES ($1, $2, $3, $4)', [
      keyId,
      raw,
      sealed,
      this.#seal.id,
    ])
    return keyId
  }

  #openKey(keyId: string, sealed: Buffer): SigningKey {
    return { keyId, privateKey: createPrivateKey({ key: this.#seal.open(sealed), format: 'der', type: 'pkcs8' }) }
  }
}
