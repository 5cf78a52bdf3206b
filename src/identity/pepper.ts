import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'

/**
 * The secret beside the database: without it, what the database holds of a key proves nothing. Every instance of an
 * installation has the same one.
 */
export interface Pepper {
  /** Eight hexadecimal digits by which a stored key says which pepper it was made with. */
  readonly id: string
  /** HMAC-SHA256. A slow hash would guard guessable secrets; these have 256 random bits. */
  digestOf(key: string): Buffer
  /** AES-256-GCM, for private keys that lie in the database. */
  seal(secret: Uint8Array): Buffer
  /** @throws {PepperError} for what another pepper sealed, or what was changed since */
  open(sealed: Uint8Array): Buffer
}

export class PepperError extends Error {
  override readonly name = 'PepperError'
}

const PEPPER_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Reads the file, or makes it, readable by its owner alone, when it is missing and `make` allows that. */
export function readPepper(path: string, make: boolean): Pepper {
  try {
    return pepperOf(Buffer.from(readFileSync(path, 'latin1').trim(), 'hex'), path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || !make) throw unreadable(path, error)
  }
  try {
    const descriptor = openSync(path, 'wx', 0o600)
    try {
      writeSync(descriptor, `${randomBytes(PEPPER_BYTES).toString('hex')}\n`)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    // Another process may have made it at this moment: what counts is what is read next.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unreadable(path, error)
  }
  return readPepper(path, false)
}

/** @param from where it came from, for the error */
export function pepperOf(secret: Buffer, from: string): Pepper {
  if (secret.length < PEPPER_BYTES) {
    throw new PepperError(
      `the key pepper in \`${from}\` is shorter than ${PEPPER_BYTES} bytes in hexadecimal; make one with: openssl rand -hex 32`,
    )
  }
  const id = createHash('sha256').update('portcullis pepper').update(secret).digest('hex').slice(0, 8)
  const sealingKey = Buffer.from(hkdfSync('sha256', secret, '', 'portcullis sealed keys', 32))
  return {
    id,
    digestOf: (key) => createHmac('sha256', secret).update(key).digest(),
    seal(plain) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', sealingKey, nonce)
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
    open(sealed) {
      const bytes = Buffer.from(sealed)
      const decipher = createDecipheriv('aes-256-gcm', sealingKey, bytes.subarray(0, NONCE_BYTES))
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
      try {
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
      } catch (cause) {
        throw new PepperError(
          'a key in the control store was sealed with another pepper, or was changed; every instance needs the pepper that made it',
          { cause },
        )
      }
    },
  }
}

function unreadable(path: string, cause: unknown): Error {
  if (cause instanceof PepperError) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  return new PepperError(
    `cannot read the key pepper \`${path}\`: ${why}; every instance needs the same file, made once with: openssl rand -hex 32`,
    { cause },
  )
}
