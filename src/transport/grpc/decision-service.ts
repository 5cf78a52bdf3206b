import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Credential } from '../../model/identity.js'
import type { Answer, Pdp } from '../../pdp.js'
import type { Snapshot } from '../../tenants/live-policies.js'
import { serveDecideStream } from './decide-stream.js'
import { toErrorMessage } from './errors.js'
import { LIMITS } from './limits.js'
import { overLimit, toQuestion, toVisibleToolsCall } from './to-call.js'
import { toDecideResponse } from './to-response.js'
import { type EdgeDeps, toRpcError, unary } from './unary.js'
import type { DecideBatchRequestMessage, DecideRequestMessage, VisibleToolsRequestMessage } from './wire.js'

export interface DecisionServiceDeps extends EdgeDeps {
  readonly pdp: Pdp
  /** Calls of one DecideStream that may wait for their records at a time. */
  readonly streamInFlight: number
}

export function decisionHandlers(deps: DecisionServiceDeps): UntypedServiceImplementation {
  const { pdp } = deps

  const decide = (message: DecideRequestMessage, credential: Credential, live?: Snapshot): object | Promise<object> => {
    const answer: Answer | Promise<Answer> = pdp.decide(toQuestion(message), credential, live)
    return answer instanceof Promise ? answer.then(toDecideResponse) : toDecideResponse(answer)
  }

  const decideBatch = async (batch: DecideBatchRequestMessage, credential: Credential): Promise<object> => {
    const { requests } = batch
    if (requests.length > LIMITS.batchCalls) {
      throw overLimit('requests', `has ${requests.length} calls`, `${LIMITS.batchCalls}`)
    }
    const live = pdp.live()
    const decideOne = async (message: DecideRequestMessage): Promise<object> => {
      try {
        return { response: await decide(message, credential, live) }
      } catch (error) {
        return { error: toErrorMessage(toRpcError(error, deps.log)) }
      }
    }
    return { results: await Promise.all(requests.map(decideOne)) }
  }

  return {
    decide: unary(deps, (message: DecideRequestMessage, credential) => decide(message, credential)),
    decideBatch: unary(deps, decideBatch),
    decideStream: (stream: Parameters<typeof serveDecideStream>[1]) =>
      serveDecideStream({ ...deps, decide, maxInFlight: deps.streamInFlight }, stream),
    explain: unary(deps, (message: DecideRequestMessage, credential) => ({
      decision: toDecideResponse(pdp.explain(toQuestion(message), credential)),
    })),
    visibleTools: unary(deps, (message: VisibleToolsRequestMessage, credential) =>
      pdp.visibleTools(toVisibleToolsCall(message), credential),
    ),
  }
}
