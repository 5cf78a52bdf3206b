import type { handleUnaryCall, UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Caller } from '../../model/identity.js'
import type { Answer, Pdp, Question } from '../../pdp.js'
import { Refusal } from './codec/decide-request.js'
import type { Result } from './codec/decide-response.js'
import { type BatchStream, inBatches, type SingleStream, serveDecideStream, singly } from './decide-stream.js'
import { toStatus } from './errors.js'
import { inSlices } from './slices.js'
import { toVisibleToolsCall } from './to-call.js'
import { admitted, type EdgeDeps, toRpcError, unary } from './unary.js'
import type { VisibleToolsRequestMessage } from './wire.js'

export interface DecisionServiceDeps extends EdgeDeps {
  readonly pdp: Pdp
  /** Calls of one stream that may wait for their records at a time. */
  readonly streamInFlight: number
}

export function decisionHandlers(deps: DecisionServiceDeps): UntypedServiceImplementation {
  const { pdp } = deps

  const decide = (question: Question, caller: Caller, reply: (answer: Answer) => void): void =>
    pdp.decide(question, caller, pdp.live(), reply)

  const decideBatch = (
    calls: readonly (Question | Refusal)[],
    caller: Caller,
    reply: (results: readonly Result[]) => void,
  ): void => {
    const live = pdp.live()
    const results = new Array<Result>(calls.length)
    // One more than there are calls, for the loop: no reply before every call was taken on.
    let missing = calls.length + 1
    const settled = (): void => {
      if (--missing === 0) reply(results)
    }
    const take = (i: number, call: Question | Refusal): void => {
      const settle = (result: Result): void => {
        results[i] = result
        settled()
      }
      if (call instanceof Refusal) {
        settle(call.error)
        return
      }
      try {
        pdp.decide(call, caller, live, settle)
      } catch (error) {
        settle(toRpcError(error, deps.log))
      }
    }
    inSlices(calls.length, (i) => take(i, calls[i]!), settled)
  }

  return {
    decide: answering(deps, decide),
    decideBatch: answering(deps, decideBatch),
    decideStream: (stream: SingleStream) => serveDecideStream(deps, singly(stream)),
    decideBatchStream: (stream: BatchStream) => serveDecideStream(deps, inBatches(stream)),
    explain: answering(deps, (question: Question, caller: Caller, reply: (answer: Answer) => void) =>
      reply(pdp.explain(question, caller)),
    ),
    visibleTools: unary(deps, (message: VisibleToolsRequestMessage, caller) =>
      pdp.visibleTools(toVisibleToolsCall(message), caller),
    ),
  }
}

/** A handler of a message that our own codec read. `work` throws or replies once, now or later. */
function answering<Request, Reply>(
  deps: EdgeDeps,
  work: (request: Request, caller: Caller, reply: (reply: Reply) => void) => void,
): handleUnaryCall<Request | Refusal, Reply> {
  const { inFlight } = deps
  return (call, respond) => {
    inFlight.enter('call')
    try {
      const { request } = call
      if (request instanceof Refusal) throw request.error
      work(request, admitted(deps, call), (reply) => {
        inFlight.leave('call')
        respond(null, reply)
      })
    } catch (error) {
      inFlight.leave('call')
      respond(toStatus(toRpcError(error, deps.log)))
    }
  }
}
