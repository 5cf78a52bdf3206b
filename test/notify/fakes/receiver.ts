import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { Webhook } from 'standardwebhooks'
import type { Certificate } from './certificate.js'

export interface Received {
  readonly id: string
  readonly body: { readonly type: string; readonly data: Record<string, unknown> }
  readonly text: string
  readonly headers: IncomingMessage['headers']
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
}

/** A receiver of Standard Webhooks that keeps all it got and answers as it is told. */
export class Receiver {
  /** What verified under `secret`, in order, repetitions included. */
  readonly received: Received[] = []
  /** What did not verify, and why. */
  readonly refused: string[] = []
  secret: string
  /** Null leaves the request without an answer. */
  answer: (received: Received) => Answer | null = () => ({ status: 204 })
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(secret: string, certificate: Certificate | null) {
    this.secret = secret
    const take: RequestListener = (request, response) => void this.#take(request, response)
    this.#server = certificate ? createSecureServer(certificate, take) : createServer(take)
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(
    test: { teardown(close: () => Promise<void>): void },
    secret: string,
    certificate: Certificate | null = null,
  ): Promise<Receiver> {
    const receiver = new Receiver(secret, certificate)
    await new Promise<void>((listening) => receiver.#server.listen(0, '127.0.0.1', listening))
    test.teardown(() => receiver.stop())
    return receiver
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.port}/hook?key=URL-SECRET`)
  }

  /** How often each id came. */
  get counts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const { id } of this.received) counts.set(id, (counts.get(id) ?? 0) + 1)
    return counts
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((closed) => this.#server.close(closed))
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const text = Buffer.concat(chunks).toString()
    const headers = request.headers
    try {
      const body = new Webhook(this.secret).verify(text, headers as Record<string, string>) as Received['body']
      const received = { id: String(headers['webhook-id']), body, text, headers }
      this.received.push(received)
      const answer = this.answer(received)
      if (answer !== null) response.writeHead(answer.status, answer.headers).end('{"ok":true}')
    } catch (error) {
      this.refused.push((error as Error).message)
      response.writeHead(401).end()
    }
  }
}
