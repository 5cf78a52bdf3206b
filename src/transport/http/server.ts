import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { handleServerStreamingCall, handleUnaryCall, ServerWritableStream } from '@grpc/grpc-js'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type ConnectionLimits, Connections } from '../grpc/connections.js'
import { RpcError, toStatus } from '../grpc/errors.js'
import { InFlight } from '../grpc/in-flight.js'
import { LIMITS } from '../grpc/limits.js'
import { listen } from '../grpc/listen.js'
import { type ServiceDeps, servedServices } from '../grpc/services.js'
import { toRpcError } from '../grpc/unary.js'
import { type Failure, failureJson, failureOf, RequestFailed, refused } from './errors.js'
import { checkContentType, checkLoopbackHost, HEADERS } from './guards.js'
import { NdjsonStream } from './ndjson-stream.js'
import { type Route, routesOf } from './routes.js'
import { callUnary } from './unary-call.js'

export interface HttpServerOptions extends Omit<ServiceDeps, 'inFlight'>, ConnectionLimits {
  /** Whether it listens where only this machine calls: then Host must name it. */
  readonly isLoopback: boolean
}

/** To send the head of a request, and the whole of it. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const CHECK_EVERY_MS = 5_000
/** Without a byte either way. Longer than the longest wait for an approval, and than a stream is silent. */
const SILENCE_MS = 120_000
const KEEP_ALIVE_MS = 65_000
/** How long a drain waits for connections to close once every call is answered, milliseconds. */
const LINGER_MS = 1_000

/** The services over JSON: `POST /v1/SERVICE/METHOD`, by the handlers, permissions and limits of the gRPC listener. */
export class HttpServer {
  readonly #options: HttpServerOptions
  readonly #inFlight = new InFlight()
  readonly #connections: Connections
  readonly #fastify: FastifyInstance
  readonly #server: Server
  readonly #routes: ReadonlyMap<string, Route>
  #isServing = false

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.#connections = new Connections(options, options.log)
    const routes = routesOf(servedServices({ ...options, inFlight: this.#inFlight }))
    this.#routes = new Map(routes.map((route) => [route.url, route]))
    this.#fastify = Fastify({
      logger: false,
      bodyLimit: LIMITS.messageBytes,
      connectionTimeout: SILENCE_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      return503OnClosing: false,
      http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: CHECK_EVERY_MS, keepAlive: true },
      frameworkErrors: (_error, _request, reply) => {
        // Its own message repeats what the client sent.
        fail(reply, refused('REQUEST_MALFORMED', 'the path is no well-formed one').failure)
      },
      clientErrorHandler: (error, socket) => answerMalformed(error, socket),
    })
    this.#server = this.#fastify.server
    this.#server.on('connection', (socket) => this.#connections.add(socket))
    this.#addGuards()
    for (const route of routes) this.#add(route)
  }

  /** Calls and streams under way, for tests and status. */
  get underWay(): { readonly calls: number; readonly streams: number } {
    return { calls: this.#inFlight.calls, streams: this.#inFlight.streams }
  }

  /**
   * @param port 0 lets the system choose
   * @returns the port
   * @throws when the address is taken or not this machine's
   */
  async listen(host: string, port: number): Promise<number> {
    await this.#fastify.ready()
    return listen(this.#server, host, port, '--http')
  }

  setServing(serving: boolean): void {
    this.#isServing = serving
  }

  /**
   * Takes no new connections, lets what is under way finish, then ends. Clients that hold on are cut off after `graceMs`.
   * @returns true when everything finished by itself
   */
  async drain(graceMs: number): Promise<boolean> {
    this.setServing(false)
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    const timers: NodeJS.Timeout[] = []
    const after = <T>(ms: number, what: T): Promise<T> =>
      new Promise((resolve) => timers.push(setTimeout(() => resolve(what), ms)))
    const finished = this.#inFlight.drain().then(() => {
      setImmediate(() => this.#server.closeIdleConnections())
      return Promise.race([closed, after(LINGER_MS, undefined)])
    })
    const outcome = await Promise.race([finished, after(graceMs, 'late' as const)])
    for (const timer of timers) clearTimeout(timer)
    await this.close()
    return outcome !== 'late'
  }

  /** Cuts every connection. */
  async close(): Promise<void> {
    if (this.#server.listening) this.#server.close()
    this.#connections.close()
    await this.#fastify.close()
  }

  #addGuards(): void {
    const fastify = this.#fastify
    // The bytes themselves: our own reader refuses what JSON.parse lets through.
    fastify.removeAllContentTypeParsers()
    fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    fastify.addHook('onRequest', async (request, reply) => {
      reply.headers(HEADERS)
      if (this.#options.isLoopback) checkLoopbackHost(request.headers.host)
    })
    fastify.setErrorHandler((error, _request, reply) => fail(reply, this.#toFailure(error)))
    fastify.setNotFoundHandler((request, reply) => {
      const [path = ''] = request.url.split('?')
      if (!this.#routes.has(path)) {
        return fail(
          reply,
          refused('ROUTE_NOT_FOUND', 'there is no such path; methods are at /v1/SERVICE/METHOD').failure,
        )
      }
      reply.header('allow', 'POST')
      return fail(reply, refused('METHOD_NOT_ALLOWED', 'methods are called with POST').failure)
    })
    fastify.get('/healthz', (_request, reply) => json(reply, 200, '{"status":"ok"}'))
    fastify.get('/readyz', (_request, reply) =>
      this.#isServing ? json(reply, 200, '{"status":"ok"}') : json(reply, 503, '{"status":"not serving"}'),
    )
  }

  #add(route: Route): void {
    const { handler } = route
    // Before the body is read: strangers have no business sending four megabytes.
    const onRequest = async (request: FastifyRequest): Promise<void> => {
      checkContentType(request.headers['content-type'])
      if (this.#inFlight.draining.aborted) {
        throw new RpcError('SERVER_DRAINING', 'the server is shutting down; ask another one or later')
      }
      this.#options.identity.admit(route.method, { authorization: authorizationOf(request) })
      if (handler === null)
        throw refused('NOT_SERVED', 'this server does not serve the method; some need --control-store')
    }
    this.#fastify.post(route.url, { onRequest }, async (request, reply) => {
      const authorization = authorizationOf(request)
      const message = route.read(bodyOf(request))
      if (!route.isStream) {
        const unary = handler as handleUnaryCall<object, object>
        return json(reply, 200, await callUnary(route, unary, authorization, message))
      }
      reply.hijack()
      const stream = new NdjsonStream(reply.raw, {
        request: message,
        authorization,
        method: route.method,
        print: route.print,
        headers: HEADERS,
        onFault: (cause) => this.#options.log.error('call failed', { reason: 'INTERNAL', cause }),
      })
      const serve = handler as handleServerStreamingCall<object, object>
      serve(stream as unknown as ServerWritableStream<object, object>)
      return reply
    })
  }

  #toFailure(error: unknown): Failure {
    if (error instanceof RequestFailed) return error.failure
    const { code } = error as { readonly code?: unknown }
    if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
      return refused('BODY_TOO_LARGE', `the body is larger than ${LIMITS.messageBytes} bytes`).failure
    }
    if (typeof code === 'string' && code.startsWith('FST_ERR_CTP_')) {
      return refused('REQUEST_MALFORMED', 'the body is not what its headers say').failure
    }
    return failureOf(toStatus(toRpcError(error, this.#options.log)))
  }
}

function authorizationOf(request: FastifyRequest): string {
  return request.headers.authorization ?? ''
}

function bodyOf({ body }: FastifyRequest): Uint8Array {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}

function json(reply: FastifyReply, httpStatus: number, text: string): FastifyReply {
  return reply.code(httpStatus).headers(HEADERS).type('application/json').send(text)
}

function fail(reply: FastifyReply, failure: Failure): FastifyReply {
  if (failure.httpStatus === 401) reply.header('www-authenticate', 'Bearer')
  return json(reply, failure.httpStatus, failureJson(failure))
}

/** What is no HTTP, or comes too slowly. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const body = failureJson(
    refused('REQUEST_MALFORMED', 'the request is no well-formed HTTP, or came too slowly').failure,
  )
  const headers = { ...HEADERS, 'content-type': 'application/json', 'content-length': body.length, connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 400 Bad Request\r\n${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
