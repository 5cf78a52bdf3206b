import t from 'tap'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { decide } from '../../src/engine/decide.js'
import { developmentIdentity } from '../../src/identity/development.js'
import type { Call } from '../../src/model/call.js'
import { canonicalJson } from '../../src/model/canonical-json.js'
import type { Identity } from '../../src/model/identity.js'
import { toDecideResponse } from '../../src/transport/grpc/to-response.js'
import { checkCorpusFile, loadCorpus } from '../corpus/load.js'
import { startEdge } from './edge.js'
import { decode, encode, toStruct } from './harness.js'

const REQUEST = 'portcullis.v1.DecideRequest'
const RESPONSE = 'portcullis.v1.DecideResponse'

/** The corpus speaks of several tenants, so here the credential is a tenant's name. */
const tenantByCredential: Identity = {
  admit: (method, credential) => ({
    ...developmentIdentity.admit(method, credential),
    tenant: credential.authorization,
  }),
  identify: developmentIdentity.identify,
}

for (const file of loadCorpus()) {
  t.test(`${file.file}: ${file.about}`, async (t) => {
    const server = await startEdge(t, file, tenantByCredential)
    const bundle = checkCorpusFile(file)
    for (const { name, call, nowMs } of file.cases) {
      server.setClock(nowMs)
      const decision = decide(call, { nowMs }, compilePolicySet(bundle, call.tenant), { explain: true })
      const inProcess = encode(
        RESPONSE,
        toDecideResponse({ decisionId: '', requestId: '', decision, evaluationNs: 0, receipt: '' }),
      )
      const expected = withoutRun(inProcess)
      for (const [form, message] of Object.entries(formsOf(call))) {
        const answer = await server.decide(encode(REQUEST, message), call.tenant)
        t.strictSame(withoutRun(answer), expected, `${name}: ${form}`)
      }
    }
  })
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
