import type { ServerDuplexStream } from '@grpc/grpc-js'
import type { Credential } from '../../model/identity.js'
import { RpcError, toErrorMessage, toStatus } from './errors.js'
import type { Undecodable } from './proto.js'
import { credentialOf, decoded, type EdgeDeps, toRpcError } from './unary.js'
import type { DecideRequestMessage } from './wire.js'

export interface DecideStreamDeps extends EdgeDeps {
  /** Answers a message with a DecideResponse, or fails with an RpcError. */
  readonly decide: (message: DecideRequestMessage, credential: Credential) => object | Promise<object>
  /** Calls of one stream that may wait for their records at a time; at least 1. */
  readonly maxInFlight: number
}

type Stream = ServerDuplexStream<DecideRequestMessage | Undecodable, object>

/**
 * One DecideStream from its first message to its end. It stops reading while `maxInFlight` answers wait for their records
 * or the client does not take answers, so that one stream holds a bounded part of the server's memory.
 */
export function serveDecideStream(deps: DecideStreamDeps, stream: Stream): void {
  const { inFlight } = deps
  const credential = credentialOf(stream.metadata)
  let waiting = 0
  let blocked = false
  let finished = false
  let over = false

  inFlight.enter('stream')
  const leave = (): void => {
    if (over) return
    over = true
    inFlight.draining.removeEventListener('abort', drain)
    inFlight.leave('stream')
  }
  /** Ends once everything that was read is answered. */
  const endWhenAnswered = (): void => {
    if (!finished || waiting > 0 || over) return
    leave()
    if (inFlight.draining.aborted) {
      const text = 'the server is shutting down; open the stream again elsewhere or later'
      stream.emit('error', toStatus(new RpcError('SERVER_DRAINING', text)))
    } else stream.end()
  }
  const drain = (): void => {
    stream.pause()
    finished = true
    endWhenAnswered()
  }
  const send = (message: object): void => {
    if (over) return
    if (!stream.write(message)) {
      blocked = true
      stream.pause()
    }
  }
  const readOn = (): void => {
    if (!blocked && waiting < deps.maxInFlight && !finished) stream.resume()
  }
  const answerLater = (requestId: string, response: Promise<object>): void => {
    if (++waiting >= deps.maxInFlight) stream.pause()
    response
      .then(
        (message) => send({ requestId, response: message }),
        (error: unknown) => send({ requestId, error: toErrorMessage(toRpcError(error, deps.log)) }),
      )
      .finally(() => {
        waiting--
        readOn()
        endWhenAnswered()
      })
  }

  stream.on('data', (request: DecideRequestMessage | Undecodable) => {
    let requestId = ''
    try {
      const message = decoded(request)
      requestId = message.requestId
      if (requestId === '') {
        throw new RpcError('FIELD_REQUIRED', 'request_id is empty; a stream needs it to match answers with requests', {
          field: 'request_id',
        })
      }
      const response = deps.decide(message, credential)
      if (response instanceof Promise) answerLater(requestId, response)
      else send({ requestId, response })
    } catch (error) {
      send({ requestId, error: toErrorMessage(toRpcError(error, deps.log)) })
    }
  })
  stream.on('drain', () => {
    blocked = false
    readOn()
  })
  stream.on('end', () => {
    finished = true
    endWhenAnswered()
  })
  // The client went, or its deadline passed: what was decided is on record, and there is nobody to tell.
  stream.on('cancelled', () => {
    leave()
    stream.destroy()
  })
  if (inFlight.draining.aborted) drain()
  else inFlight.draining.addEventListener('abort', drain)
}
