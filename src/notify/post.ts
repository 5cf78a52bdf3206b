import { lookup as systemLookup } from 'node:dns/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { addressFault, isAllowed, type Network } from './addresses.js'
import { SendFailed } from './channel.js'
import { retryAfterMs } from './schedule.js'

/** All addresses of a name. */
export type Resolve = (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>

export interface PostOptions {
  /** Addresses that are not public and may be sent to all the same; only these may be sent to without TLS. */
  readonly allowed: readonly Network[]
  /** For the whole of it: name, connection, answer. @default 10,000 */
  readonly timeoutMs?: number
  /** PEM, in place of the system's authorities. */
  readonly ca?: string | undefined
  readonly resolve?: Resolve
  readonly nowMs?: () => number
}

const MOST_ANSWERED_BYTES = 64 * 1024

/**
 * Posts once: no redirect is followed, and the connection goes to an address that was looked at, so that a name which
 * answers differently the second time changes nothing.
 *
 * @throws {SendFailed} unless the answer is 2xx. Names the host alone: the rest of the URL may be a secret.
 */
export async function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  options: PostOptions,
): Promise<void> {
  const { timeoutMs = 10_000, nowMs = Date.now } = options
  const signal = AbortSignal.timeout(timeoutMs)
  let answer: IncomingMessage
  try {
    const address = await within(signal, pin(url, options))
    answer = await exchange(url, headers, body, address, options.ca, signal)
  } catch (error) {
    if (error instanceof SendFailed) throw error
    const what = signal.aborted ? `gave no answer within ${timeoutMs} ms` : `cannot be reached: ${codeOf(error)}`
    throw new SendFailed(`${url.host} ${what}`, { isRetryable: true, isHostIll: true })
  }
  const { statusCode = 0, headers: answered } = answer
  if (statusCode >= 200 && statusCode < 300) return
  throw new SendFailed(whyRefused(url.host, statusCode), {
    isRetryable: statusCode !== 410,
    isGone: statusCode === 410,
    isHostIll: statusCode >= 500 || statusCode === 429,
    retryAfterMs: retryAfterMs(answered['retry-after'], nowMs()),
  })
}

function whyRefused(host: string, status: number): string {
  if (status === 410) return `${host} answered 410: it wants nothing more`
  if (status >= 300 && status < 400)
    return `${host} answered ${status}: redirects are not followed, configure where it leads`
  return `${host} answered ${status}`
}

interface Pinned {
  readonly address: string
  readonly family: number
}

/** The address that is connected to. One bad address among good ones spoils the name. */
async function pin(url: URL, { allowed, resolve = resolveAll }: PostOptions): Promise<Pinned> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const addresses = await resolve(host)
  const [first] = addresses
  if (first === undefined) throw new SendFailed(`${url.host} has no address`, { isRetryable: true, isHostIll: true })
  for (const { address } of addresses) {
    const fault = addressFault(address, allowed)
    // A name may be mended, so that it is tried again; nothing was sent, so the host is not ill.
    if (fault !== null) throw new SendFailed(`${url.host} is not sent to: ${address} ${fault}`, { isRetryable: true })
    if (url.protocol !== 'https:' && !isAllowed(address, allowed)) {
      throw new SendFailed(`${url.host} is not sent to without TLS: ${address} is not among the allowed networks`, {
        isRetryable: true,
      })
    }
  }
  return first
}

const resolveAll: Resolve = (host) => systemLookup(host, { all: true })

function exchange(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  pinned: Pinned,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const request = send(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
        // A connection of its own each time: a kept one would go where an earlier look-up led.
        agent: false,
        signal,
        // Node asks for a name's addresses here; for an address in the URL itself it does not ask, and pin() looked at that.
        lookup: (_host, options, done) =>
          options.all
            ? done(null, [{ address: pinned.address, family: pinned.family }])
            : done(null, pinned.address, pinned.family),
        ...(ca !== undefined && { ca }),
      },
      (answer) => {
        // The answer's status is all we want; the rest is read so far that the other side is not cut off, and no further.
        let bytes = 0
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > MOST_ANSWERED_BYTES) done()
        })
        const done = (): void => {
          resolve(answer)
          request.destroy()
        }
        answer.on('end', done)
        answer.on('error', done)
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let stop: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Messages of the system hold no secrets of ours, but codes are enough and always the same. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  if (typeof error === 'object' && error !== null && 'code' in error) return String(error.code)
  return error instanceof Error ? error.name : 'unknown'
}
