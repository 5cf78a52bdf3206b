import fc from 'fast-check'
import t from 'tap'
import type { Decision } from '../../src/model/decision.js'
import type { Answer, Question } from '../../src/pdp.js'
import { Refusal, readDecideBatchRequest, readDecideRequest } from '../../src/transport/grpc/codec/decide-request.js'
import { ReplyEncoder, type Result } from '../../src/transport/grpc/codec/decide-response.js'
import { RpcError, toErrorMessage } from '../../src/transport/grpc/errors.js'
import { packageDefinition } from '../../src/transport/grpc/proto.js'
import { toDecideResponse } from '../../src/transport/grpc/to-response.js'
import { decode, encode, toStruct } from './harness.js'
import { type DecideRequestMessage, type PlainQuestion, toQuestion } from './oracle.js'
import { plainDecode } from './plain-decode.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

const REQUEST = 'portcullis.v1.DecideRequest'
const BATCH = 'portcullis.v1.DecideBatchRequest'

/** What a question says, in one text; numbers that are not doubles told apart. */
function textOf({
  call,
  expectedPolicyRevision,
  explain,
  dryRun,
  approvalId,
  wantReceipt,
}: PlainQuestion | Question): string {
  const tell = (_: string, item: unknown): unknown =>
    typeof item === 'bigint' ? `${item}n` : Object.is(item, -0) ? '-0' : item
  return JSON.stringify({ call, expectedPolicyRevision, explain, dryRun, approvalId, wantReceipt }, tell)
}

function ours(bytes: Buffer): string {
  const question = readDecideRequest(bytes)
  return question instanceof Refusal ? 'refused' : textOf(question)
}

function orRefused(read: () => PlainQuestion): string {
  try {
    return textOf(read())
  } catch {
    return 'refused'
  }
}

const name = fc.oneof(
  fc.constantFrom(
    'prod',
    'read_order',
    'support-1',
    'team',
    '',
    'x'.repeat(257),
    'ä',
    '日本',
    '__proto__',
    'pr\u200bod',
  ),
  fc.string({ maxLength: 12, unit: 'grapheme' }),
)
const scalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double(),
  fc.integer(),
  fc.string({ maxLength: 40, unit: 'grapheme' }),
)
const objectsOf = (
  scalar: fc.Arbitrary<unknown>,
  keys: fc.Arbitrary<string>,
): fc.Arbitrary<Record<string, unknown>> => {
  const { object } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, scalar, fc.array(tie('value'), { maxLength: 3 }), tie('object')),
    object: fc.dictionary(keys, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  }))
  return object
}
const anyObject = objectsOf(scalar, fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('amount', '__proto__', '7')))
const goodScalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.string({ maxLength: 40, unit: 'grapheme' }),
)
const goodObject = objectsOf(
  goodScalar,
  fc.constantFrom('amount', 'é', '7', 'to', 'a longer key than those that are kept'),
)
const asStruct = (field: string, value: Record<string, unknown>): object => ({ [`${field}Struct`]: toStruct(value) })
const asJson = (field: string, value: unknown): object => ({ [`${field}Json`]: Buffer.from(JSON.stringify(value)) })
const form = (field: string): fc.Arbitrary<object> =>
  fc.oneof(
    anyObject.map((value) => asStruct(field, value)),
    anyObject.map((value) => asJson(field, value)),
    fc.string({ maxLength: 9 }).map((text) => ({ [`${field}Json`]: Buffer.from(text) })),
    fc.constant({}),
  )
const goodForm = (field: string): fc.Arbitrary<object> =>
  fc.oneof(
    goodObject.map((value) => asStruct(field, value)),
    goodObject.map((value) => asJson(field, value)),
    fc.constant({}),
  )
const subject = fc.record({ id: name, labels: fc.dictionary(name, name, { maxKeys: 3, noNullPrototype: true }) })
const message = fc
  .tuple(
    fc.record(
      {
        requestId: name,
        agent: subject,
        principal: subject,
        sessionId: name,
        delegationChain: fc.array(name, { maxLength: 3 }),
        tool: name,
        environment: name,
        expectedPolicyRevision: name,
        explain: fc.boolean(),
        dryRun: fc.boolean(),
        approvalId: fc.oneof(fc.constant(''), fc.uuid(), name),
        wantReceipt: fc.boolean(),
      },
      { requiredKeys: ['agent', 'tool', 'environment'] },
    ),
    form('arguments'),
    form('context'),
  )
  .map((parts) => Object.assign({}, ...parts) as object)
/** Most of these are accepted, so that what is accepted is compared and not only that both refuse. */
const goodMessage = fc
  .tuple(
    goodForm('arguments'),
    goodForm('context'),
    fc.dictionary(fc.constantFrom('team', 'tier', 'é'), fc.constantFrom('a', 'ß'), { noNullPrototype: true }),
  )
  .map(([args, context, labels]) => ({
    agent: { id: 'support-1', labels },
    tool: 'read_order',
    environment: 'prod',
    requestId: 'r1',
    ...args,
    ...context,
  }))

t.test('requests: the codec reads what proto-loader reads', (t) => {
  let accepted = 0
  fc.assert(
    fc.property(fc.oneof(message, goodMessage), (message) => {
      const bytes = encode(REQUEST, message)
      const theirs = orRefused(() => toQuestion(decode<DecideRequestMessage>(REQUEST, bytes)))
      t.equal(ours(bytes), theirs)
      t.equal(
        orRefused(() => toQuestion(plainDecode(bytes))),
        theirs,
        'and so does the plain decoder',
      )
      if (theirs !== 'refused') accepted++
    }),
    { numRuns: 1_500, seed: 20261122 },
  )
  t.ok(accepted > 300, `${accepted} were accepted`)
  t.end()
})

/** Changes that keep some sense: fields of all kinds put in, pieces taken twice, bytes flipped, the end cut off. */
const piece = fc.oneof(
  fc.uint8Array({ maxLength: 6 }),
  fc.constantFrom(
    [0x0a, 0x01, 0x78],
    [0x08, 0x01],
    [0x12, 0x03, 0x0a, 0x01, 0x78],
    [0x12, 0x06, 0x12, 0x04, 0x0a, 0x00, 0x12, 0x00],
    [0x42, 0x00],
    [0x42, 0x09, 0x0a, 0x07, 0x0a, 0x01, 0x61, 0x12, 0x02, 0x20, 0x01],
    [0x4a, 0x02, 0x7b, 0x7d],
    [0x68, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    [0x68, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    [0x70, 0x80, 0x80, 0x80, 0x80, 0x10],
    [0x8a, 0x80, 0x80, 0x80, 0x00, 0x01, 0x61],
    [0x8a, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01, 0x61],
    [0x6b, 0x08, 0x01, 0x6c],
    [0x6b, 0x73, 0x74, 0x6c],
    [0x6c],
    [0x6e],
    [0x32, 0x02, 0xc3, 0x28],
    [0x00, 0x00],
    [0x61, 1, 2, 3, 4, 5, 6, 7, 8],
    [0x65, 1, 2, 3, 4],
  ),
)
const change = fc.tuple(fc.constantFrom('put', 'flip', 'cut', 'again', 'head'), fc.nat(400), fc.nat(40), piece)

function changed(bytes: Buffer, [kind, at, count, put]: [string, number, number, ArrayLike<number>]): Buffer {
  const from = at % (bytes.length + 1)
  const to = Math.min(bytes.length, from + count)
  const inserted = Buffer.from(Array.from(put))
  switch (kind) {
    case 'put':
      return Buffer.concat([bytes.subarray(0, from), inserted, bytes.subarray(from)])
    case 'head':
      return Buffer.concat([inserted, bytes])
    case 'flip': {
      const flipped = Buffer.from(bytes)
      if (from < flipped.length) flipped[from]! ^= 1 << (count % 8)
      return flipped
    }
    case 'cut':
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])
    default:
      return Buffer.concat([bytes, bytes.subarray(from, to)])
  }
}

t.test('requests: of changed bytes the codec reads what protobuf demands, or refuses', (t) => {
  let accepted = 0
  fc.assert(
    fc.property(
      goodMessage,
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      (message, changes, twice) => {
        const whole = encode(REQUEST, message)
        const bytes = changes.reduce(changed, twice ? Buffer.concat([whole, whole]) : whole)
        const expected = orRefused(() => toQuestion(plainDecode(bytes)))
        const found = ours(bytes)
        t.equal(found, expected, bytes.toString('hex'))
        if (found !== 'refused') accepted++
      },
    ),
    { numRuns: 4_000, seed: 20261122 },
  )
  t.ok(accepted > 150, `${accepted} were accepted`)
  t.end()
})

t.test('requests: what the plain decoder cannot ask for', (t) => {
  const twice = (tag: number, entry: Buffer): Buffer => {
    const piece = Buffer.concat([Buffer.from([tag, entry.length]), entry])
    return Buffer.concat([encode(REQUEST, { tool: 't', environment: 'e', agent: { id: 'a' } }), piece, piece])
  }
  const field = Buffer.from([0x0a, 0x07, 0x0a, 0x01, 0x61, 0x12, 0x02, 0x20, 0x01])
  const label = Buffer.from([0x12, 0x06, 0x0a, 0x01, 0x61, 0x12, 0x01, 0x62])
  const cases: [string, Buffer, string][] = [
    ['a key of a Struct', twice(0x42, field), 'arguments_struct: the key "a" is given twice (at $)'],
    ['a label', twice(0x12, label), 'agent.labels has the key "a" twice'],
  ]
  for (const [name, bytes, text] of cases) {
    t.throws(() => plainDecode(bytes), { message: 'twice' })
    const refusal = readDecideRequest(bytes) as Refusal
    t.equal(refusal.error.message, text, `${name} given twice`)
  }
  const delimited = (tag: number, bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from([tag, (bytes.length & 0x7f) | 0x80, bytes.length >> 7]), bytes])
  const key = Buffer.from([0x0a, 0x01, 0x61])
  const nested = (depth: number): Buffer => {
    if (depth === 1) return Buffer.alloc(0)
    return delimited(0x0a, Buffer.concat([key, delimited(0x12, delimited(0x2a, nested(depth - 1)))]))
  }
  const deep = (depth: number): Buffer =>
    Buffer.concat([
      encode(REQUEST, { tool: 't', environment: 'e', agent: { id: 'a' } }),
      delimited(0x42, nested(depth)),
    ])
  t.notOk(readDecideRequest(deep(64)) instanceof Refusal, 'a Struct of 64 levels')
  t.match((readDecideRequest(deep(65)) as Refusal).error.message, /nested deeper than the limit of 64/)
  t.end()
})

t.test('batches: each call is read as it would be alone', (t) => {
  fc.assert(
    fc.property(fc.array(fc.oneof(message, goodMessage), { maxLength: 5 }), (messages) => {
      const bytes = encode(BATCH, { requests: messages })
      const calls = readDecideBatchRequest(bytes)
      if (calls instanceof Refusal) return t.fail(calls.error.message)
      const found = calls.map((call) => (call instanceof Refusal ? call.error.message : textOf(call)))
      const alone = messages.map((message) => {
        const call = readDecideRequest(encode(REQUEST, message))
        if (call instanceof Refusal) return call.error.message
        return textOf(call)
      })
      t.strictSame(found, alone)
      for (const [i, call] of calls.entries()) {
        if (call instanceof Refusal) t.equal(call.requestId, (messages[i] as { requestId?: string }).requestId ?? '')
        else t.ok(call.bytes.subarray(call.from, call.to).equals(encode(REQUEST, messages[i]!)), 'and knows its bytes')
      }
    }),
    { numRuns: 300, seed: 20261122 },
  )
  const spoiled = readDecideBatchRequest(
    Buffer.concat([encode(BATCH, { requests: [{ tool: 't' }] }), Buffer.from([0x0a, 0x05])]),
  )
  t.equal((spoiled as Refusal).error.reason, 'MESSAGE_UNDECODABLE', 'bytes that are no message spoil all of it')
  t.end()
})

const text = fc.string({ maxLength: 140, unit: 'grapheme' })
const location = fc.record({ file: text, line: fc.nat(), column: fc.nat(), start: fc.nat(), end: fc.nat() })
const effect = fc.constantFrom('ALLOW', 'DENY', 'DENY_EXCEPT_APPROVAL', 'REQUIRE_APPROVAL')
const rule = fc.record({
  ruleId: text,
  policy: text,
  effect,
  description: text,
  why: text,
  severity: fc.constantFrom(null, 'low', 'critical'),
  tags: fc.array(text, { maxLength: 2 }),
  indeterminate: fc.boolean(),
  location,
})
const attribute = fc.record({
  attribute: text,
  value: fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null)),
})
const group = fc.record({ count: fc.nat(), role: text, where: fc.array(attribute, { maxLength: 2 }) })
const paths = fc.array(fc.array(text, { minLength: 1, maxLength: 2 }), { maxLength: 2 })
const approval = fc.record({
  ruleIds: fc.array(text, { maxLength: 2 }),
  stages: fc.array(fc.record({ from: fc.array(group, { maxLength: 2 }) }), { maxLength: 2 }),
  withinMs: fc.option(fc.nat()),
  onTimeout: fc.oneof(
    fc.constant({ kind: 'deny' }),
    text.map((role) => ({ kind: 'escalate', role })),
  ),
  escalations: fc.array(fc.record({ role: text, afterMs: fc.nat() }), { maxLength: 2 }),
  validForMs: fc.option(fc.nat()),
  notByRequester: fc.boolean(),
  isException: fc.boolean(),
  barred: fc.array(text, { maxLength: 2 }),
  reasonOnApproval: fc.boolean(),
  reasonOnRejection: fc.boolean(),
  mayEdit: paths,
  mayRemember: fc.array(
    fc.record({
      scope: fc.constantFrom('exact', 'tool', 'fields'),
      paths,
      forMs: fc.nat(),
      mostUses: fc.option(fc.nat()),
    }),
    { maxLength: 2 },
  ),
  breakGlass: fc.option(text),
})
const nearMiss = fc.record({
  ruleId: text,
  policy: text,
  effect,
  location,
  failed: fc.array(fc.record({ text, value: fc.constantFrom('false', 'unknown'), location }), { maxLength: 2 }),
})
const decision = fc.record({
  outcome: fc.constantFrom('ALLOW', 'DENY', 'REQUIRE_APPROVAL'),
  reasonCode: fc.constantFrom('RULE_DENY', 'DEFAULT_ALLOW', 'AUDIT_UNAVAILABLE'),
  reason: text,
  matched: fc.array(rule, { maxLength: 3 }),
  monitored: fc.array(rule, { maxLength: 2 }),
  obligations: fc.array(
    fc.record({ kind: fc.constantFrom('redact', 'max_rows'), target: text, value: fc.nat(), ruleId: text }),
    { maxLength: 2 },
  ),
  approvals: fc.array(approval, { maxLength: 2 }),
  nearMisses: fc.array(nearMiss, { maxLength: 2 }),
  policyRevision: text,
  opened: fc.option(fc.record({ id: fc.uuid(), expiresMs: fc.maxSafeNat() }), { nil: undefined }),
}) as fc.Arbitrary<Decision>
const answer: fc.Arbitrary<Answer> = fc.record({
  decisionId: fc.oneof(fc.constant(''), fc.uuid()),
  requestId: text,
  decision,
  evaluationNs: fc.oneof(fc.nat(200), fc.maxSafeNat()),
  receipt: fc.oneof(fc.constant(''), text),
})
const result: fc.Arbitrary<Result> = fc.oneof(
  answer,
  text.map((message) => new RpcError('FIELD_INVALID', message)),
)

t.test('replies: the bytes are those of proto-loader', (t) => {
  const type = (name: string): never => packageDefinition[`portcullis.v1.${name}`] as never
  const replies = new ReplyEncoder({ response: type('DecideResponse'), error: type('Error') })
  const message = (result: Result): object =>
    result instanceof RpcError ? { error: toErrorMessage(result) } : { response: toDecideResponse(result) }
  const same = (name: string, bytes: Buffer, expected: object): void => {
    t.equal(bytes.toString('hex'), encode(`portcullis.v1.${name}`, expected).toString('hex'), name)
  }
  fc.assert(
    fc.property(answer, fc.array(fc.tuple(text, result), { maxLength: 4 }), (answer, tagged) => {
      same('DecideResponse', replies.response(answer), toDecideResponse(answer))
      const again = { ...answer, requestId: 'another', evaluationNs: 1 }
      same('DecideResponse', replies.response(again), toDecideResponse(again))
      same('ExplainResponse', replies.explained(answer), { decision: toDecideResponse(answer) })
      const results = tagged.map(([, result]) => result)
      same('DecideBatchResponse', replies.batch(results), { results: results.map(message) })
      const streamed = tagged.map(([requestId, result]) => ({ requestId, result }))
      const messages = streamed.map(({ requestId, result }) => ({ requestId, ...message(result) }))
      same('DecideBatchStreamResponse', replies.streamedBatch(streamed), { results: messages })
      for (const [i, one] of streamed.entries()) same('DecideStreamResponse', replies.streamed(one), messages[i]!)
    }),
    { numRuns: 200, seed: 20261122 },
  )
  t.end()
})
