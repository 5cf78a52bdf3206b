import type { ServerResponse } from 'node:http'
import { Writable } from 'node:stream'
import { type Failure, failureJson, failureOf } from './errors.js'
import { metadataOf } from './unary-call.js'

/** Until when a stream that says nothing shows by its headers that it was taken on, milliseconds. */
const HEAD_AFTER_MS = 1_000
/** An empty line after so long without a message: it tells apart a quiet stream and a dead one. */
const IDLE_MS = 15_000

const INTERNAL: Failure = {
  httpStatus: 500,
  code: 'INTERNAL',
  reason: 'INTERNAL',
  message: 'the server failed; its log has the cause',
  details: {},
}

export interface NdjsonOptions {
  readonly request: object
  readonly authorization: string
  /** As gRPC writes it. */
  readonly method: string
  readonly print: (message: object) => string
  readonly headers: Readonly<Record<string, string>>
  /** Of what no caller is told. */
  readonly onFault: (fault: Error) => void
}

/**
 * The server's side of a stream, as a handler for gRPC uses it, over a response of HTTP: each message a line. A handler fails
 * it by emitting `error` with a status; that is the answer's status where nothing was sent yet, else the last line. Emits
 * `cancelled` when the client goes. A slow client is waited for as any slow stream.
 */
export class NdjsonStream extends Writable {
  readonly request: object
  readonly metadata
  readonly #options: NdjsonOptions
  readonly #response: ServerResponse
  readonly #head: NodeJS.Timeout
  readonly #idle: NodeJS.Timeout
  #failure: Failure | null = null
  #isOver = false

  constructor(response: ServerResponse, options: NdjsonOptions) {
    super({ objectMode: true })
    this.request = options.request
    this.metadata = metadataOf(options.authorization)
    this.#options = options
    this.#response = response
    this.#head = setTimeout(() => this.#begin(), HEAD_AFTER_MS)
    this.#idle = setInterval(() => {
      if (!response.writableNeedDrain) this.#line('')
    }, IDLE_MS)
    this.on('error', (error) => this.#fail(error))
    response.once('close', () => this.#closed())
  }

  getPath(): string {
    return this.#options.method
  }

  override _write(message: object, _encoding: string, done: (error?: Error) => void): void {
    let text: string
    try {
      text = this.#options.print(message)
    } catch (fault) {
      done(fault as Error)
      return
    }
    if (this.#isOver || this.#line(text)) {
      done()
      return
    }
    const go = (): void => {
      this.#response.off('drain', go)
      this.#response.off('close', go)
      done()
    }
    this.#response.once('drain', go)
    this.#response.once('close', go)
  }

  override _final(done: () => void): void {
    this.#finish()
    done()
  }

  /** @returns false when the client has to catch up */
  #line(text: string): boolean {
    this.#begin()
    this.#idle.refresh()
    return this.#response.write(`${text}\n`)
  }

  #begin(): void {
    clearTimeout(this.#head)
    if (this.#response.headersSent) return
    this.#response.writeHead(200, { ...this.#options.headers, 'content-type': 'application/x-ndjson' })
    this.#response.flushHeaders()
  }

  /** After what was written before; at once where the stream itself is broken. */
  #fail(error: Error): void {
    if (this.#failure !== null || this.#isOver) return
    if (isStatus(error)) this.#failure = failureOf(error)
    else {
      this.#options.onFault(error)
      this.#failure = INTERNAL
    }
    if (this.destroyed) this.#finish()
    else this.end()
  }

  #finish(): void {
    if (this.#isOver) return
    this.#stop()
    if (this.#response.headersSent) this.#response.end(this.#failure === null ? '' : `${failureJson(this.#failure)}\n`)
    else if (this.#failure === null) {
      this.#begin()
      this.#response.end()
    } else {
      this.#response.writeHead(this.#failure.httpStatus, {
        ...this.#options.headers,
        'content-type': 'application/json',
      })
      this.#response.end(failureJson(this.#failure))
    }
  }

  #closed(): void {
    if (this.#isOver) return
    this.#stop()
    this.emit('cancelled')
  }

  #stop(): void {
    this.#isOver = true
    clearTimeout(this.#head)
    clearInterval(this.#idle)
  }
}

function isStatus(error: Error | Parameters<typeof failureOf>[0]): error is Error & Parameters<typeof failureOf>[0] {
  return 'code' in error && 'metadata' in error && 'details' in error
}
