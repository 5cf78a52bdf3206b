import { join } from 'node:path'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { openAuditLog } from '../../src/audit/index.js'
import { NO_CONTROL } from '../../src/model/control.js'
import type { Identity } from '../../src/model/identity.js'
import { uuidv7 } from '../../src/model/uuid.js'
import { type Answer, Pdp } from '../../src/pdp.js'
import { AnsweredRequests } from '../../src/state/answered-requests.js'
import { LivePolicies } from '../../src/tenants/live-policies.js'
import { rereadQuestion } from '../../src/transport/grpc/codec/decide-request.js'
import { GrpcServer } from '../../src/transport/grpc/server.js'
import { TestLog, tempFolder } from './harness.js'

export interface Edge {
  readonly log: TestLog
  setClock(nowMs: number): void
  /** The bytes of Decide's answer; rejects with the gRPC error. */
  decide(request: Buffer, authorization: string): Promise<Buffer>
}

export interface Texts {
  readonly policies: ReadonlyMap<string, string>
  readonly attachments: ReadonlyMap<string, string>
}

/** Pipeline and transport with an identity and a clock of the test's choosing, over policies in memory. */
export async function startEdge(
  t: { teardown(work: () => unknown): void },
  texts: Texts,
  identity: Identity,
): Promise<Edge> {
  const bytes = (files: ReadonlyMap<string, string>): ReadonlyMap<string, Uint8Array> =>
    new Map([...files].map(([name, text]) => [name, new TextEncoder().encode(text)]))
  const bundle = { policies: bytes(texts.policies), attachments: bytes(texts.attachments) }
  const watch = { ready: Promise.resolve(), close: () => {} }
  const source = { name: 'memory', read: async () => bundle, watch: () => watch }
  const log = new TestLog()
  let nowMs = 0
  const clock = { nowMs: () => nowMs, monotonicNs: () => performance.now() * 1e6 }
  const policies = new LivePolicies({ source, log, nowMs: clock.nowMs })
  await policies.start()
  const audit = openAuditLog({ dataDir: join(tempFolder(t), 'data') })
  const answered = new AnsweredRequests<Answer>({ maxEntries: 10, ttlMs: 1_000 })
  const pdp = new Pdp({
    identity,
    policies,
    audit,
    control: NO_CONTROL,
    approvals: null,
    receipts: null,
    answered,
    readQuestion: rereadQuestion,
    clock,
    newId: uuidv7,
    log,
  })
  const none = (): Promise<never> => Promise.reject(new Error('this server stores nothing'))
  const queries = {
    totals: none,
    topViolations: none,
    riskiestAgents: none,
    get: none,
    list: none,
    since: none,
    controlEvents: none,
  }
  const limits = {
    tailPollMs: 1_000,
    streamInFlight: 16,
    maxConcurrentStreams: 16,
    maxConnections: 16,
    maxBufferedBytes: 2 ** 30,
  }
  const server = new GrpcServer({ control: null, pdp, queries, identity, log, nowMs: clock.nowMs, ...limits })
  const port = await server.listen('127.0.0.1', 0)
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  t.teardown(async () => {
    client.close()
    server.close()
    await audit.close()
    policies.close()
  })
  return {
    log,
    setClock: (at) => {
      nowMs = at
    },
    decide: (request, authorization) => {
      const metadata = new Metadata()
      metadata.set('authorization', authorization)
      const same = (bytes: Buffer): Buffer => bytes
      const path = '/portcullis.v1.DecisionService/Decide'
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, same, same, request, metadata, (error, response) => {
          if (error) reject(error)
          else resolve(response as Buffer)
        })
      })
    },
  }
}
