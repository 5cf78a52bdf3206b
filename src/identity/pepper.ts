import { createHash, createHmac, randomBytes } from 'node:crypto'
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
}

export class PepperError extends Error {
  override readonly name = 'PepperError'
}

const PEPPER_BYTES = 32

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
  return { id, digestOf: (key) => createHmac('sha256', secret).update(key).digest() }
}

function unreadable(path: string, cause: unknown): Error {
  if (cause instanceof PepperError) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  return new PepperError(
    `cannot read the key pepper \`${path}\`: ${why}; every instance needs the same file, made once with: openssl rand -hex 32`,
    { cause },
  )
}
