import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { openAuditLog } from '../../src/audit/index.js'
import { developmentIdentity } from '../../src/identity/development.js'
import type { AuditLog } from '../../src/model/audit-record.js'
import { NO_CONTROL } from '../../src/model/control.js'
import { uuidv7 } from '../../src/model/uuid.js'
import { type Answer, Pdp } from '../../src/pdp.js'
import { AnsweredRequests } from '../../src/state/answered-requests.js'
import { createLog } from '../../src/telemetry/log.js'
import { LivePolicies } from '../../src/tenants/live-policies.js'
import { rereadQuestion } from '../../src/transport/grpc/codec/decide-request.js'
import { GrpcServer } from '../../src/transport/grpc/server.js'
import { workload } from './workload.js'

// One server under test, in a process of its own: the parts of src/app.ts, put together as there, over policies in memory and
// with an audit that can be off; or, with `bare`, a server of the same library that answers fixed bytes. Tells its port to its
// parent and ends with it.

export interface ServerSpec {
  /** null for the bare server. */
  readonly rules: number | null
  /** Data folder of the audit, on a disk, which the parent removes; null: no audit. */
  readonly audit: string | null
  /** What the bare server answers, base64. */
  readonly answer: string
}

const noAudit: AuditLog = { record: (_record, _durability, recorded) => recorded(null) }

async function startPdp(rules: number, auditFolder: string | null): Promise<number> {
  const clock = { nowMs: () => Date.now(), monotonicNs: () => performance.now() * 1e6 }
  const log = createLog({
    level: 'error',
    format: 'text',
    write: (line) => process.stderr.write(line),
    nowMs: clock.nowMs,
  })
  const { sources } = workload(rules)
  const watch = { ready: Promise.resolve(), close: () => {} }
  const source = { name: 'memory', read: async () => sources, watch: () => watch }
  const policies = new LivePolicies({ source, log, nowMs: clock.nowMs })
  await policies.start()
  const pdp = new Pdp({
    identity: developmentIdentity,
    policies,
    audit: auditFolder === null ? noAudit : openAudit(auditFolder),
    control: NO_CONTROL,
    approvals: null,
    receipts: null,
    answered: new AnsweredRequests<Answer>({ maxEntries: 50_000, ttlMs: 600_000 }),
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
    tailPollMs: 500,
    streamInFlight: 256,
    maxConcurrentStreams: 1_000,
    maxConnections: 2_000,
    maxBufferedBytes: 2 ** 29,
  }
  const server = new GrpcServer({
    control: null,
    pdp,
    queries,
    identity: developmentIdentity,
    log,
    nowMs: clock.nowMs,
    ...limits,
  })
  return server.listen('127.0.0.1', 0)
}

function openAudit(folder: string): AuditLog {
  setInterval(() => dropSegments(join(folder, 'audit', 'spool')), 2_000).unref()
  return openAuditLog({ dataDir: folder, maxBytes: 2 ** 40 })
}

/** Stands in for the shipper, which is a process of its own, and removes segments once their records are stored. */
function dropSegments(spool: string): void {
  const segments = readdirSync(spool)
    .filter((name) => name !== 'writer')
    .sort()
  for (const name of segments.slice(0, -2)) rmSync(join(spool, name), { force: true })
}

function startBare(answer: Buffer): Promise<number> {
  const same = (bytes: Buffer): Buffer => bytes
  const method = {
    path: '/portcullis.v1.DecisionService/Decide',
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  } as const
  const server = new Server({ 'grpc.enable_channelz': 0, 'grpc.max_concurrent_streams': 1_000 })
  server.addService(
    { decide: method },
    { decide: (_call: unknown, respond: (error: null, bytes: Buffer) => void) => respond(null, answer) },
  )
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error)
      else resolve(port)
    })
  })
}

const spec = JSON.parse(process.argv[2]!) as ServerSpec
const port =
  spec.rules === null ? await startBare(Buffer.from(spec.answer, 'base64')) : await startPdp(spec.rules, spec.audit)
process.on('disconnect', () => process.exit(0))
process.send?.({ port })
