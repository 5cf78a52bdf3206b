import { join } from 'node:path'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import t from 'tap'
import { openAuditLog } from '../../src/audit/index.js'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { decide } from '../../src/engine/decide.js'
import type { Call } from '../../src/model/call.js'
import { canonicalJson } from '../../src/model/canonical-json.js'
import type { Identity } from '../../src/model/identity.js'
import { uuidv7 } from '../../src/model/uuid.js'
import { type Answer, Pdp } from '../../src/pdp.js'
import { AnsweredRequests } from '../../src/state/answered-requests.js'
import { LivePolicies } from '../../src/tenants/live-policies.js'
import { GrpcServer } from '../../src/transport/grpc/server.js'
import { toDecideResponse } from '../../src/transport/grpc/to-response.js'
import { type CorpusFile, checkCorpusFile, loadCorpus } from '../corpus/load.js'
import { decode, encode, TestLog, tempFolder, toStruct } from './harness.js'

const REQUEST = 'portcullis.v1.DecideRequest'
const RESPONSE = 'portcullis.v1.DecideResponse'

/** The corpus speaks of several tenants, so here the credential is a tenant's name. */
const tenantByCredential: Identity = {
  tenantOf: ({ authorization }) => authorization,
  identify: (call, { authorization }) => ({ ...call, tenant: authorization }),
}

for (const file of loadCorpus()) {
  t.test(`${file.file}: ${file.about}`, async (t) => {
    const server = await serve(t, file)
    const bundle = checkCorpusFile(file)
    for (const { name, call, nowMs } of file.cases) {
      server.setClock(nowMs)
      const decision = decide(call, { nowMs }, compilePolicySet(bundle, call.tenant), { explain: true })
      const inProcess = encode(RESPONSE, toDecideResponse({ decisionId: '', requestId: '', decision, evaluationNs: 0 }))
      const expected = withoutRun(inProcess)
      for (const [form, message] of Object.entries(formsOf(call))) {
        const answer = await server.ask(call.tenant, message)
        t.strictSame(withoutRun(answer), expected, `${name}: ${form}`)
      }
    }
  })
}

interface TestServer {
  setClock(nowMs: number): void
  ask(tenant: string, message: object): Promise<Buffer>
}

async function serve(t: { teardown(work: () => unknown): void }, file: CorpusFile): Promise<TestServer> {
  const bytes = (texts: ReadonlyMap<string, string>): ReadonlyMap<string, Uint8Array> =>
    new Map([...texts].map(([name, text]) => [name, new TextEncoder().encode(text)]))
  const log = new TestLog()
  let nowMs = 0
  const clock = { nowMs: () => nowMs, monotonicNs: () => performance.now() * 1e6 }
  const texts = { policies: bytes(file.policies), attachments: bytes(file.attachments) }
  const source = { name: file.file, read: async () => texts, watch: () => ({ close: () => {} }) }
  const policies = new LivePolicies({ source, log, nowMs: clock.nowMs })
  await policies.start()
  const audit = openAuditLog({ dataDir: join(tempFolder(t), 'data') })
  const pdp = new Pdp({
    identity: tenantByCredential,
    policies,
    audit,
    answered: new AnsweredRequests<Answer>({ maxEntries: 10, ttlMs: 1_000 }),
    clock,
    newId: uuidv7,
    log,
  })
  const never = (): Promise<never> => Promise.reject(new Error('the corpus asks no audit questions'))
  const queries = { totals: never, topViolations: never, riskiestAgents: never, get: never, list: never, since: never }
  const server = new GrpcServer({
    pdp,
    queries,
    identity: tenantByCredential,
    log,
    nowMs: clock.nowMs,
    tailPollMs: 1_000,
    streamInFlight: 16,
    maxConcurrentStreams: 16,
  })
  const port = await server.listen('127.0.0.1', 0)
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  t.teardown(async () => {
    client.close()
    server.close()
    await audit.close()
    policies.close()
  })
  return {
    setClock: (at) => {
      nowMs = at
    },
    ask: (tenant, message) => {
      const metadata = new Metadata()
      metadata.set('authorization', tenant)
      const same = (bytes: Buffer): Buffer => bytes
      const path = '/portcullis.v1.DecisionService/Decide'
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, same, same, encode(REQUEST, message), metadata, (error, response) => {
          if (error) reject(error)
          else resolve(response as Buffer)
        })
      })
    },
  }
}

/** The call with its arguments as JSON, and as Struct where a double holds every number. */
function formsOf(call: Call): Readonly<Record<string, object>> {
  const message = {
    agent: call.agent,
    principal: call.principal ?? undefined,
    sessionId: call.sessionId,
    tool: call.tool,
    environment: call.environment,
    explain: true,
  }
  const [args, context] = [canonicalJson(call.arguments), canonicalJson(call.context)]
  const json = { ...message, argumentsJson: Buffer.from(args), contextJson: Buffer.from(context) }
  try {
    const [argumentsStruct, contextStruct] = [toStruct(call.arguments), toStruct(call.context)]
    return { json, struct: { ...message, argumentsStruct, contextStruct } }
  } catch {
    return { json }
  }
}

/** The answer but for what differs from run to run. */
function withoutRun(bytes: Buffer): object {
  const { decisionId: _, evaluationNs: __, ...rest } = decode<Record<string, unknown>>(RESPONSE, bytes)
  return rest
}
