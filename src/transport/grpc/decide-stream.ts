import type { ServerDuplexStream } from '@grpc/grpc-js'
import type { Caller } from '../../model/identity.js'
import type { Pdp, Question } from '../../pdp.js'
import type { Snapshot } from '../../tenants/live-policies.js'
import { Refusal } from './codec/decide-request.js'
import type { Result, StreamResult } from './codec/decide-response.js'
import { RpcError, toStatus } from './errors.js'
import { LIMITS } from './limits.js'
import { inSlices } from './slices.js'
import { admitted, type EdgeDeps, toRpcError } from './unary.js'

export interface DecideStreamDeps extends EdgeDeps {
  readonly pdp: Pdp
  /** Calls of one stream that may wait for their records at a time; at least 1. */
  readonly streamInFlight: number
}

type Call = Question | Refusal
export type SingleStream = ServerDuplexStream<Call, StreamResult>
export type BatchStream = ServerDuplexStream<readonly Call[] | Refusal, readonly StreamResult[]>
type AnyStream = ServerDuplexStream<Call | readonly Call[], StreamResult | readonly StreamResult[]>

/** One of the two kinds of stream: how calls come out of a message, and how results go into one. */
export interface Conversation {
  readonly stream: AnyStream
  readonly callsOf: (message: Call | readonly Call[]) => readonly Call[]
  /** Results that are ready leave together, at most so many in a message; 1 means that each leaves at once. */
  readonly most: number
}

/** DecideStream: a call a message, a result a message. */
export function singly(stream: SingleStream): Conversation {
  return { stream: stream as AnyStream, callsOf: (message) => [message as Call], most: 1 }
}

/** DecideBatchStream: calls in every message, and in every answer what is ready. */
export function inBatches(stream: BatchStream): Conversation {
  const callsOf = (message: Call | readonly Call[]): readonly Call[] =>
    message instanceof Refusal ? [message] : (message as readonly Call[])
  return { stream: stream as AnyStream, callsOf, most: LIMITS.batchCalls }
}

/**
 * One stream from its first message to its end. It stops reading while as many answers as may wait for their records or
 * the client does not take answers, so that one stream holds a bounded part of the server's memory.
 */
export function serveDecideStream(deps: DecideStreamDeps, conversation: Conversation): void {
  let caller: Caller
  try {
    caller = admitted(deps, conversation.stream)
  } catch (error) {
    conversation.stream.emit('error', toStatus(toRpcError(error, deps.log)))
    return
  }
  new DecideStreamCall(deps, conversation, caller).serve()
}

class DecideStreamCall {
  readonly #deps: DecideStreamDeps
  readonly #conversation: Conversation
  readonly #stream: AnyStream
  readonly #caller: Caller
  /** Calls that wait for their answers. */
  #waiting = 0
  /** Results that leave together, at the end of this turn of the event loop. */
  #ready: StreamResult[] = []
  /** The calls of the last message are still being taken on. */
  #isTaking = false
  /** The client does not take answers. */
  #blocked = false
  /** No more calls come. */
  #finished = false
  #over = false

  constructor(deps: DecideStreamDeps, conversation: Conversation, caller: Caller) {
    this.#deps = deps
    this.#conversation = conversation
    this.#stream = conversation.stream
    this.#caller = caller
  }

  serve(): void {
    const stream = this.#stream
    const { inFlight, pdp } = this.#deps
    inFlight.enter('stream')
    stream.on('data', (message: Call | readonly Call[]) => {
      // One message is answered by one state of the policies.
      const live = pdp.live()
      this.#takeAll(this.#conversation.callsOf(message), live)
      if (this.#isTaking || this.#waiting >= this.#deps.streamInFlight) stream.pause()
    })
    stream.on('drain', () => {
      this.#blocked = false
      this.#readOn()
    })
    stream.on('end', () => {
      this.#finished = true
      this.#endWhenAnswered()
    })
    // The client went, or its deadline passed: what was decided is on record, and there is nobody to tell.
    stream.on('cancelled', () => {
      this.#leave()
      stream.destroy()
    })
    if (inFlight.draining.aborted) this.#drain()
    else inFlight.draining.addEventListener('abort', this.#drain)
  }

  #takeAll(calls: readonly Call[], live: Snapshot): void {
    this.#isTaking = true
    const take = (i: number): void => {
      if (!this.#over) this.#take(calls[i]!, live)
    }
    inSlices(calls.length, take, () => {
      this.#isTaking = false
      this.#readOn()
      this.#endWhenAnswered()
    })
  }

  #take(call: Call, live: Snapshot): void {
    const { requestId } = call instanceof Refusal ? call : call.call
    if (requestId === '' && !(call instanceof Refusal && call.isWhole)) this.#put('', noRequestId())
    else if (call instanceof Refusal) this.#put(requestId, call.error)
    else this.#decide(requestId, call, live)
  }

  #decide(requestId: string, question: Question, live: Snapshot): void {
    this.#waiting++
    try {
      this.#deps.pdp.decide(question, this.#caller, live, (answer) => {
        this.#waiting--
        this.#put(requestId, answer)
        this.#readOn()
        this.#endWhenAnswered()
      })
    } catch (error) {
      this.#waiting--
      this.#put(requestId, toRpcError(error, this.#deps.log))
    }
  }

  #put(requestId: string, result: Result): void {
    if (this.#over) return
    const { most } = this.#conversation
    if (most === 1) this.#send({ requestId, result })
    else if (this.#ready.push({ requestId, result }) === 1) setImmediate(this.#flush)
    else if (this.#ready.length === most) this.#flush()
  }

  readonly #flush = (): void => {
    if (this.#ready.length === 0) return
    const results = this.#ready
    this.#ready = []
    this.#send(results)
    this.#endWhenAnswered()
  }

  #send(message: StreamResult | readonly StreamResult[]): void {
    if (this.#over || this.#stream.write(message)) return
    this.#blocked = true
    this.#stream.pause()
  }

  #readOn(): void {
    if (!this.#blocked && !this.#isTaking && this.#waiting < this.#deps.streamInFlight && !this.#finished)
      this.#stream.resume()
  }

  /** Ends once everything that was read is answered. */
  #endWhenAnswered(): void {
    if (!this.#finished || this.#isTaking || this.#waiting > 0 || this.#ready.length > 0 || this.#over) return
    this.#leave()
    if (!this.#deps.inFlight.draining.aborted) this.#stream.end()
    else {
      const text = 'the server is shutting down; open the stream again elsewhere or later'
      this.#stream.emit('error', toStatus(new RpcError('SERVER_DRAINING', text)))
    }
  }

  readonly #drain = (): void => {
    this.#stream.pause()
    this.#finished = true
    this.#endWhenAnswered()
  }

  #leave(): void {
    if (this.#over) return
    this.#over = true
    this.#deps.inFlight.draining.removeEventListener('abort', this.#drain)
    this.#deps.inFlight.leave('stream')
  }
}

function noRequestId(): RpcError {
  const text = 'request_id is empty; a stream needs it to match answers with requests'
  return new RpcError('FIELD_REQUIRED', text, { field: 'request_id' })
}
