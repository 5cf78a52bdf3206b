import { randomUUID } from 'node:crypto'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { Client, credentials, loadPackageDefinition, status } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { protoPath } from 'grpc-health-check'
import t from 'tap'
import type { DecideRequest, StreamResult } from '../../sdk/typescript/client.js'
import { developmentIdentity } from '../../src/identity/development.js'
import { uuidv7TimeMs } from '../../src/model/uuid.js'
import { startEdge } from './edge.js'
import { callRaw, decode, encode, POLICY, startServer, toStruct } from './harness.js'

const DECIDE = '/portcullis.v1.DecisionService/Decide'
const REQUEST = 'portcullis.v1.DecideRequest'

const allowed = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod', arguments: { order_id: 'A1' } }
const denied = { ...allowed, tool: 'delete_customer', arguments: { customer_id: 'C1' } }
const refund = { ...allowed, tool: 'issue_refund', arguments: { order_id: 'A1', amount: 450 } }

t.test('the three outcomes', async (t) => {
  const { client, app } = await startServer(t)
  const before = Date.now()
  const allow = await client.decide({ ...allowed, requestId: 'r1' })
  t.match(allow, { outcome: 'ALLOW', reasonCode: 'DEFAULT_ALLOW', requestId: 'r1', approval: null, matchedRules: [] })
  t.equal(allow.policyRevision, app.live.revision)
  t.ok(allow.evaluationNs > 0)
  t.ok(Math.abs((uuidv7TimeMs(allow.decisionId) ?? 0) - before) < 60_000, 'the id holds the time')

  const deny = await client.decide(denied)
  t.match(deny, { outcome: 'DENY', reasonCode: 'RULE_DENY', approval: null })
  t.match(deny.reason, 'Customer deletion is not available to agents')
  t.match(deny.matchedRules, [
    {
      ruleId: 'DENY_DELETE',
      policy: 'support',
      effect: 'EFFECT_DENY',
      description: 'Customer data is never deleted',
      indeterminate: false,
      source: { file: 'support.policy', line: 9 },
    },
  ])
  t.ok(deny.decisionId > allow.decisionId, 'ids are ordered by time')

  const approve = await client.decide(refund)
  t.match(approve, {
    outcome: 'REQUIRE_APPROVAL',
    reasonCode: 'RULE_APPROVAL',
    approval: {
      approvalId: '',
      requirements: [
        {
          ruleIds: ['APPROVE_LARGE_REFUND'],
          stages: [{ from: [{ count: 1, role: 'support-manager' }] }],
          withinMs: 300_000,
          isException: false,
        },
      ],
    },
  })
})

t.test('all that an approval clause says is on the wire', async (t) => {
  const policy = `policy p authors [zoe, adam]
rule R {
  require approval from 2 of lead (region = args.region, level = "senior", floor = args.floor) then from cfo if args.amount > 5
    within 1h else escalate to ceo escalate to head after 5m valid for 2h not by requester not by author
    reason required on rejection may edit args.amount, args.to.name may remember exact for 1h
    may remember args.amount for 8h at most 10 times break glass by incident
}`
  const { client } = await startServer(t, { argv: [], policies: { 'p.policy': policy } })
  const answer = await client.decide({ ...refund, arguments: { region: 'eu', amount: 5 } })
  t.strictSame(answer.approval?.requirements, [
    {
      ruleIds: ['R'],
      stages: [
        {
          from: [
            {
              count: 2,
              role: 'lead',
              where: [
                { attribute: 'region', valueJson: '"eu"' },
                { attribute: 'level', valueJson: '"senior"' },
                { attribute: 'floor', valueJson: 'null' },
              ],
            },
          ],
        },
      ],
      withinMs: 3_600_000,
      onTimeoutEscalateTo: 'ceo',
      escalations: [{ role: 'head', afterMs: 300_000 }],
      validForMs: 7_200_000,
      notByRequester: true,
      isException: false,
      barred: ['adam', 'zoe'],
      reasonOnApproval: false,
      reasonOnRejection: true,
      mayEdit: [{ steps: ['amount'] }, { steps: ['to', 'name'] }],
      mayRemember: [
        { scope: 'exact', paths: [], forMs: 3_600_000, mostUses: 0 },
        { scope: 'fields', paths: [{ steps: ['amount'] }], forMs: 28_800_000, mostUses: 10 },
      ],
      breakGlass: 'incident',
    },
  ])
})

t.test('both forms of arguments, one decision and one digest', async (t) => {
  const { client } = await startServer(t, { argv: [] })
  const plain = { order_id: 'Ä\u0000"', amount: 450.5, extra: [null, true, { b: -0, a: '' }] }
  const { arguments: _, ...call } = refund
  const same = { ...call, requestId: 'same' }
  const first = await client.decide({ ...same, arguments: plain })
  const { app, client: other } = { app: first, client }
  t.equal(app.outcome, 'REQUIRE_APPROVAL')
  // The same request id with the other form is the same call: canonical digests are equal, so the answer is the first one.
  const asText = await other.decide({ ...same, arguments: ` ${JSON.stringify(plain, null, 2)} ` })
  t.strictSame(asText, first)
})

t.test('Struct and JSON are the same call', async (t) => {
  const { app } = await startServer(t)
  const plain = { order_id: 'A1', amount: 450.5, extra: [null, true, { b: 0, a: '' }] }
  const { arguments: _, ...call } = { ...refund, requestId: 'same' }
  const json = encode(REQUEST, { ...call, argumentsJson: Buffer.from(JSON.stringify(plain)) })
  const struct = encode(REQUEST, { ...call, argumentsStruct: toStruct(plain) })
  const first = await callRaw(app.address, DECIDE, json)
  const second = await callRaw(app.address, DECIDE, struct)
  t.equal(first.error, null)
  t.ok(second.response?.equals(first.response as Buffer), 'the same answer, byte for byte')
})

t.test('a request id that comes again', async (t) => {
  const { app, client } = await startServer(t)
  for (const [name, call] of Object.entries({ allowed, denied, refund })) {
    const requestId = `r-${name}`
    const bytes = encode(REQUEST, { ...call, arguments: undefined, requestId })
    const before = app.auditStatus.lastSeq
    const first = await callRaw(app.address, DECIDE, bytes)
    const again = await callRaw(app.address, DECIDE, bytes)
    t.ok(again.response?.equals(first.response as Buffer), `${name}: the same bytes`)
    t.equal(app.auditStatus.lastSeq, before + 1, `${name}: one record`)

    await t.rejects(
      client.decide({ ...call, requestId, environment: 'staging' }),
      {
        code: status.ALREADY_EXISTS,
        reason: 'REQUEST_ID_REUSED',
        details: { field: 'request_id' },
        message: 'request_id was used for another call within the last ten minutes; choose a fresh one for every call',
      },
      `${name}: another call`,
    )
    t.equal(app.auditStatus.lastSeq, before + 1, `${name}: a refused repetition leaves no record`)
  }
  const [mine, theirs] = [
    await client.decide({ ...allowed, requestId: 'shared' }),
    await client.decide({ ...allowed, requestId: 'shared', agent: { id: 'support-2' } }),
  ]
  t.not(mine.decisionId, theirs.decisionId, "another agent's ids are its own")
})

t.test('a request id that comes again while the first is under way', async (t) => {
  const { app, client } = await startServer(t)
  const before = app.auditStatus.lastSeq
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.decide({ ...denied, requestId: 'once' })))
  t.equal(new Set(answers.map((answer) => answer.decisionId)).size, 1)
  const batch = await client.decideBatch(Array.from({ length: 20 }, () => ({ ...denied, requestId: 'once more' })))
  t.equal(new Set(batch.map((result) => result.response?.decisionId)).size, 1)
  t.equal(app.auditStatus.lastSeq, before + 2)
})

t.test('an id that was pushed out is as good as new', async (t) => {
  const { client } = await startServer(t, { argv: ['--remembered-requests', '2'] })
  const first = await client.decide({ ...allowed, requestId: 'r1' })
  await client.decide({ ...allowed, requestId: 'r2' })
  await client.decide({ ...allowed, requestId: 'r3' })
  const again = await client.decide({ ...allowed, requestId: 'r1' })
  t.not(again.decisionId, first.decisionId)
})

t.test('what is not recorded', async (t) => {
  const { app, client } = await startServer(t)
  const before = app.auditStatus.lastSeq
  const dry = await client.decide({ ...refund, requestId: 'r1', dryRun: true })
  t.match(dry, { outcome: 'REQUIRE_APPROVAL', decisionId: '', requestId: 'r1', nearMisses: [] })
  const explained = await client.explain({ ...refund, arguments: { order_id: 'A1', amount: 5 } })
  t.match(explained, {
    outcome: 'ALLOW',
    decisionId: '',
    nearMisses: [{ ruleId: 'APPROVE_LARGE_REFUND', failed: [{ text: 'args.amount > 100', unknown: false }] }],
  })
  t.equal(app.auditStatus.lastSeq, before)
  const recorded = await client.decide({ ...refund, requestId: 'r1', arguments: { amount: 5 }, explain: true })
  t.equal(recorded.nearMisses.length, 1, 'explain on Decide adds near misses to a recorded answer')
  t.equal(app.auditStatus.lastSeq, before + 1)
})

t.test('an expected revision', async (t) => {
  const { app, client } = await startServer(t)
  const { revision } = app.live
  t.equal((await client.decide({ ...allowed, expectedPolicyRevision: revision })).outcome, 'ALLOW')
  const other = await client.decide({ ...allowed, expectedPolicyRevision: 'sha256:0' })
  t.match(other, { outcome: 'DENY', reasonCode: 'POLICY_REVISION_MISMATCH', policyRevision: revision })
  t.ok(other.decisionId, 'it is on record')
})

t.test('visible tools', async (t) => {
  const { app, client } = await startServer(t)
  const { tools, policyRevision } = await client.visibleTools({ agent: { id: 'support-1' }, environment: 'prod' })
  t.strictSame(tools, [
    { name: 'issue_refund', tags: ['money'] },
    { name: 'read_order', tags: [] },
  ])
  t.equal(policyRevision, app.live.revision)
  t.strictSame((await client.visibleTools({ agent: { id: 'nobody' }, environment: 'prod' })).tools, [])
})

t.test('a stream answers every call, faulty ones too, and more than may wait at a time', async (t) => {
  const { app, client } = await startServer(t, { argv: ['--stream-in-flight', '4'] })
  const calls: (DecideRequest & { requestId: string })[] = Array.from({ length: 300 }, (_, i) => ({
    ...(i % 3 === 0 ? denied : i % 3 === 1 ? allowed : { ...allowed, tool: '' }),
    requestId: `r${i}`,
  }))
  const stream = client.decideStream()
  const sent = (async () => {
    for (const call of calls) await stream.write(call)
    await stream.write({ ...allowed, requestId: '' })
    stream.end()
  })()
  const results = new Map<string, StreamResult>()
  for await (const result of stream) results.set(result.requestId, result)
  await sent
  t.equal(results.size, 301)
  t.match(results.get(''), { error: { reason: 'FIELD_REQUIRED', message: /^request_id is empty/ } })
  for (const [i, call] of calls.entries()) {
    const result = results.get(call.requestId)
    if (i % 3 === 2) t.match(result?.error, { code: status.INVALID_ARGUMENT, reason: 'FIELD_REQUIRED' })
    else t.equal(result?.response?.outcome, i % 3 === 0 ? 'DENY' : 'ALLOW')
  }
  t.strictSame(app.underWay, { calls: 0, streams: 0 })
})

t.test('a stream of batches answers every call, with faulty ones and whole faulty messages between', async (t) => {
  const { app, client } = await startServer(t, { argv: ['--stream-in-flight', '4'] })
  const stream = client.decideBatchStream()
  const sizes = [1, 0, 100, 3, 1_000, 1_001, 7]
  const kinds = [denied, allowed, { ...allowed, tool: '' }]
  const batches = sizes.map((size, b) =>
    Array.from({ length: size }, (_, i) => ({ ...kinds[i % 3]!, requestId: i === 5 ? '' : `b${b}-${i}` })),
  )
  const sent = (async () => {
    for (const batch of batches) await stream.write(batch)
    stream.end()
  })()
  const results = new Map<string, StreamResult>()
  const nameless: StreamResult[] = []
  for await (const result of stream) {
    if (result.requestId === '') nameless.push(result)
    else results.set(result.requestId, result)
  }
  await sent
  const [tooMany, ...unnamed] = nameless.sort(
    (a, b) => Number(b.error?.reason === 'LIMIT_EXCEEDED') - Number(a.error?.reason === 'LIMIT_EXCEEDED'),
  )
  t.match(tooMany?.error, { reason: 'LIMIT_EXCEEDED', message: 'requests has 1001 calls; the limit is 1000' })
  t.equal(unnamed.length, 3, 'a call without an id in each of three batches')
  t.ok(unnamed.every(({ error }) => error?.reason === 'FIELD_REQUIRED'))
  t.equal(results.size, 1 + 99 + 3 + 999 + 6)
  for (const [requestId, result] of results) {
    const kind = Number(requestId.split('-')[1]) % 3
    if (kind === 2) t.equal(result.error?.reason, 'FIELD_REQUIRED')
    else t.equal(result.response?.outcome, kind === 0 ? 'DENY' : 'ALLOW')
  }
  t.strictSame(app.underWay, { calls: 0, streams: 0 })
})

t.test('what is ready in one turn leaves in one answer', async (t) => {
  const { app } = await startServer(t)
  const client = new Client(app.address, credentials.createInsecure())
  t.teardown(() => client.close())
  const same = (bytes: Buffer): Buffer => bytes
  const stream = client.makeBidiStreamRequest('/portcullis.v1.DecisionService/DecideBatchStream', same, same)
  const requests = Array.from({ length: 200 }, (_, i) => ({ ...allowed, arguments: undefined, requestId: `r${i}` }))
  stream.write(encode('portcullis.v1.DecideBatchRequest', { requests }))
  stream.end()
  const answers: Buffer[] = []
  for await (const bytes of stream) answers.push(bytes as Buffer)
  const results = answers.flatMap(
    (bytes) => decode<{ results: readonly StreamResult[] }>('portcullis.v1.DecideBatchStreamResponse', bytes).results,
  )
  t.strictSame(new Set(results.map(({ requestId }) => requestId)), new Set(requests.map(({ requestId }) => requestId)))
  t.ok(answers.length < 20, `${answers.length} messages`)
})

t.test('a request that comes again in other bytes', async (t) => {
  const { app } = await startServer(t)
  const labels = { team: 'billing', tier: 'gold', region: 'eu' }
  const backwards = Object.fromEntries(Object.entries(labels).reverse())
  const call = { ...refund, arguments: undefined, requestId: 'again' }
  const args = { order_id: 'A1', amount: 450, note: 'x'.repeat(40) }
  for (const [name, size] of [
    ['short', 0],
    ['longer than what is kept', 5_000],
  ] as const) {
    const padded = { ...args, text: 'y'.repeat(size) }
    const swapped = Object.fromEntries(Object.entries(padded).reverse())
    const ask = (agent: object, struct: Record<string, unknown>) =>
      callRaw(
        app.address,
        DECIDE,
        encode(REQUEST, { ...call, requestId: name, agent, argumentsStruct: toStruct(struct) }),
      )
    const first = await ask({ id: 'support-1', labels }, padded)
    const again = await ask({ id: 'support-1', labels: backwards }, swapped)
    t.ok(again.response?.equals(first.response as Buffer), `${name}: maps in another order are the same call`)
    const other = await ask({ id: 'support-1', labels }, { ...padded, amount: 451 })
    t.equal(other.error?.code, status.ALREADY_EXISTS, `${name}: another value is another call`)
    const relabelled = await ask({ id: 'support-1', labels: { ...labels, tier: 'silver' } }, padded)
    t.equal(relabelled.error?.code, status.ALREADY_EXISTS, `${name}: and so is another label`)
  }
})

t.test('a stream whose client does not read stops being read', async (t) => {
  const { app, client } = await startServer(t)
  const session = connectHttp2(`http://${app.address}`)
  t.teardown(() => session.destroy())
  const stream = session.request({
    ':method': 'POST',
    ':path': '/portcullis.v1.DecisionService/DecideStream',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  // Node reads what it is not asked for only up to the window, so the answers pile up at the server, and then the calls here.
  let written = 0
  const before = app.auditStatus.lastSeq
  while (written < 200_000 && stream.write(frame(`v${written}`))) written++
  const blockedAt = written
  await new Promise<void>((resolve) => {
    const settle = async (): Promise<void> => {
      const seen = app.auditStatus.lastSeq
      await client.decide(allowed)
      if (app.auditStatus.lastSeq === seen + 1) resolve()
      else setImmediate(() => void settle())
    }
    void settle()
  })
  t.ok(app.auditStatus.lastSeq - before < blockedAt + 20_000, 'a bounded number of calls was decided')
  t.equal((await client.decide(allowed)).outcome, 'ALLOW', 'others are answered meanwhile')
})

t.test('a client that vanishes in mid-stream leaves nothing behind', async (t) => {
  const { app, client } = await startServer(t)
  const socket = connectTcp(Number(app.address.split(':')[1]), '127.0.0.1')
  const session = connectHttp2(`http://${app.address}`, { createConnection: () => socket })
  session.on('error', () => {})
  const stream = session.request({
    ':method': 'POST',
    ':path': '/portcullis.v1.DecisionService/DecideStream',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  stream.on('error', () => {})
  const before = app.auditStatus.lastSeq
  const answered = new Promise((resolve) => stream.once('data', resolve))
  for (let i = 0; i < 50; i++) stream.write(frame(`r${i}`))
  await answered
  t.equal(app.underWay.streams, 1)
  socket.resetAndDestroy()
  while (app.underWay.streams > 0) await client.decide({ ...allowed, dryRun: true })
  t.strictSame(app.underWay, { calls: 0, streams: 0 })
  t.ok(app.auditStatus.lastSeq > before, 'what was decided is on record')
  t.equal((await client.decide(allowed)).outcome, 'ALLOW')
})

/** A gRPC frame with a denied call, which waits for the disk. */
function frame(requestId: string): Buffer {
  const message = encode(REQUEST, { ...denied, arguments: undefined, requestId: `${requestId}-${randomUUID()}` })
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

t.test('a connection that is old enough is told to go, and its client opens the next one', async (t) => {
  const { app, client } = await startServer(t, { argv: ['--max-connection-age-ms', '1000'] })
  t.equal((await client.decide(allowed)).outcome, 'ALLOW')
  const session = connectHttp2(`http://${app.address}`)
  t.teardown(() => session.destroy())
  const told = new Promise<number>((resolve) => session.once('goaway', (code) => resolve(code)))
  let isTold = false
  void told.then(() => {
    isTold = true
  })
  // The client's connection is older than this one: by the time this one is told, the client's was.
  const outcomes = new Set<string>()
  while (!isTold) outcomes.add((await client.decide(allowed)).outcome)
  t.strictSame([...outcomes], ['ALLOW'], 'no call is lost')
  t.equal(await told, 0, 'without a fault')
  t.equal((await client.decide(allowed)).outcome, 'ALLOW')
})

t.test('a deadline that passed', async (t) => {
  const { app } = await startServer(t)
  const client = new Client(app.address, credentials.createInsecure())
  t.teardown(() => client.close())
  const same = (bytes: Buffer): Buffer => bytes
  const code = await new Promise((resolve) => {
    const options = { deadline: Date.now() - 1 }
    client.makeUnaryRequest(DECIDE, same, same, encode(REQUEST, {}), options, (error) => resolve(error?.code))
  })
  t.equal(code, status.DEADLINE_EXCEEDED)
})

t.test('health and reflection', async (t) => {
  const { app } = await startServer(t)
  const health = loadPackageDefinition(loadSync(protoPath, { enums: String, defaults: true })) as unknown as {
    grpc: { health: { v1: { Health: new (address: string, c: unknown) => HealthStub } } }
  }
  const stub = new health.grpc.health.v1.Health(app.address, credentials.createInsecure())
  t.teardown(() => stub.close())
  for (const service of ['', 'portcullis.v1.DecisionService', 'portcullis.v1.AuditService', 'portcullis.policies']) {
    t.equal(await check(stub, service), 'SERVING', service || 'the server')
  }
  t.equal(await check(stub, 'nobody'), status.NOT_FOUND)
  const { error, response } = await callReflection(app.address)
  t.equal(error, null)
  for (const service of ['portcullis.v1.DecisionService', 'portcullis.v1.AuditService', 'grpc.health.v1.Health']) {
    t.ok(response.includes(service), `reflection lists ${service}`)
  }
})

t.test('a health watch is told of the end, and does not hold it up', async (t) => {
  const { app } = await startServer(t, { argv: ['--drain-ms', '600000'] })
  const client = new Client(app.address, credentials.createInsecure())
  t.teardown(() => client.close())
  const same = (bytes: Buffer): Buffer => bytes
  const watch = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', same, same, Buffer.alloc(0))
  const seen: number[] = []
  const first = new Promise<void>((resolve) => {
    watch.on('data', (bytes: Buffer) => {
      seen.push(bytes[1] ?? 0)
      resolve()
    })
  })
  const ended = new Promise((resolve) => watch.on('end', resolve))
  await first
  t.equal(await app.close(), true, 'everything finished by itself')
  await ended
  t.strictSame(seen, [1, 2], 'SERVING, then NOT_SERVING')
  t.equal(await app.close(), true, 'closing twice is closing once')
})

t.test('many streams at once', async (t) => {
  const { app, client } = await startServer(t)
  const warnings: Error[] = []
  const listen = (warning: Error): void => void warnings.push(warning)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const streams = Array.from({ length: 50 }, () => client.decideStream())
  const answers = await Promise.all(
    streams.map(async (stream, i) => {
      await stream.write({ ...allowed, requestId: `r${i}` })
      for await (const result of stream) return result.response?.outcome
      return undefined
    }),
  )
  t.ok(answers.every((outcome) => outcome === 'ALLOW'))
  while (app.underWay.streams > 0) await client.decide(allowed)
  t.strictSame(warnings, [])
})

t.test('a fault of ours is INTERNAL, its cause is logged and not sent', async (t) => {
  const identify = (): never => {
    throw new Error('secret of the server')
  }
  const texts = { policies: new Map([['support.policy', POLICY]]), attachments: new Map<string, string>() }
  const edge = await startEdge(t, texts, { admit: developmentIdentity.admit, identify })
  await t.rejects(edge.decide(encode(REQUEST, { ...allowed, arguments: undefined }), ''), {
    code: status.INTERNAL,
    details: 'the server failed; its log has the cause',
  })
  t.match(edge.log.lines, [{ level: 'error', event: 'call failed', fields: { cause: /secret of the server/ } }])
})

interface HealthStub {
  check(
    request: { service: string },
    done: (error: { code: number } | null, response?: { status: string }) => void,
  ): void
  close(): void
}

function check(stub: HealthStub, service: string): Promise<string | number | undefined> {
  return new Promise((resolve) => {
    stub.check({ service }, (error, response) => resolve(error?.code ?? response?.status))
  })
}

/** `list_services` of the reflection protocol: field 7, a string. */
function callReflection(address: string): Promise<{ error: Error | null; response: string }> {
  const client = new Client(address, credentials.createInsecure())
  const same = (bytes: Buffer): Buffer => bytes
  const stream = client.makeBidiStreamRequest('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', same, same)
  return new Promise((resolve) => {
    let response = ''
    stream.on('data', (bytes: Buffer) => {
      response += bytes.toString('latin1')
    })
    stream.on('end', () => resolve({ error: null, response }))
    stream.on('error', (error) => resolve({ error, response }))
    stream.on('close', () => client.close())
    stream.write(Buffer.from([0x3a, 0x01, 0x2a]))
    stream.end()
  })
}
