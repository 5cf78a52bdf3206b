import { createHmac } from 'node:crypto'

const PREFIX = 'whsec_'

/** A key out of `whsec_` and base64, of 24 to 64 bytes; what is wrong with it never repeats it. @throws {TypeError} */
export function readWebhookSecret(text: string): Buffer {
  const encoded = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : ''
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) throw new TypeError('must be whsec_ and then base64')
  const key = Buffer.from(encoded, 'base64')
  if (key.toString('base64') !== encoded.padEnd(Math.ceil(encoded.length / 4) * 4, '=')) {
    throw new TypeError('must be whsec_ and then base64, and its base64 is broken')
  }
  if (key.length < 24 || key.length > 64) {
    throw new TypeError(`must hold 24 to 64 bytes after whsec_, and holds ${key.length}`)
  }
  return key
}

/**
 * The headers of Standard Webhooks 1.0 (https://www.standardwebhooks.com), symmetric.
 *
 * @param id without a full stop, which separates the parts of what is signed
 * @param keys one signature each, so that a receiver may know either while the secret is changed
 */
export function webhookHeaders(
  id: string,
  atMs: number,
  body: string,
  keys: readonly Buffer[],
): Readonly<Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>> {
  const timestamp = String(Math.floor(atMs / 1_000))
  const signed = `${id}.${timestamp}.${body}`
  const signatures = keys.map((key) => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`)
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}
