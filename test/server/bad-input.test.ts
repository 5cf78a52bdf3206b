import { status } from '@grpc/grpc-js'
import t from 'tap'
import { digest } from '../../src/model/canonical-json.js'
import { parseJsonObject } from '../../src/model/parse-json.js'
import { callRaw, decode, encode, startServer, toStruct } from './harness.js'

const DECIDE = '/portcullis.v1.DecisionService/Decide'
const REQUEST = 'portcullis.v1.DecideRequest'

const good = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod' }
const json = (text: string | Buffer): object => ({ argumentsJson: Buffer.from(text) })
const nested = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
const nestedStruct = (depth: number): Record<string, unknown> => (depth === 1 ? {} : { a: nestedStruct(depth - 1) })

/** Bytes of a request whose Struct nests so deep that no recursive encoder would write it. */
function deepStruct(depth: number): Buffer {
  const field = (number: number, body: Buffer): Buffer => {
    const length: number[] = []
    for (let rest = body.length; ; rest >>>= 7) {
      length.push(rest < 128 ? rest : (rest & 127) | 128)
      if (rest < 128) break
    }
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), body])
  }
  let struct: Buffer = Buffer.alloc(0)
  // Struct.fields { key: "a", value: Value.struct_value }
  for (let i = 0; i < depth; i++)
    struct = field(1, Buffer.concat([field(1, Buffer.from('a')), field(2, field(5, struct))]))
  // DecideRequest.arguments_struct
  return Buffer.concat([encode(REQUEST, good), field(8, struct)])
}

interface Refusal {
  /** Laid over a good request, or the bytes themselves. */
  readonly change: object | Buffer
  readonly reason: string
  readonly message: string
  readonly metadata?: Readonly<Record<string, string>>
}

const refusals: Readonly<Record<string, Refusal>> = {
  'no agent': {
    change: { agent: null },
    reason: 'FIELD_REQUIRED',
    message: 'agent is missing',
    metadata: { field: 'agent' },
  },
  'empty agent id': {
    change: { agent: { id: '' } },
    reason: 'FIELD_REQUIRED',
    message: 'agent.id is empty; it must name something',
    metadata: { field: 'agent.id' },
  },
  'empty tool': {
    change: { tool: '' },
    reason: 'FIELD_REQUIRED',
    message: 'tool is empty; it must name something',
    metadata: { field: 'tool' },
  },
  'empty environment': {
    change: { environment: '' },
    reason: 'FIELD_REQUIRED',
    message: 'environment is empty; it must name something',
  },
  'tool with a blank behind it, which no rule would know': {
    change: { tool: 'read_order ' },
    reason: 'FIELD_INVALID',
    message: 'tool begins or ends with white space',
    metadata: { field: 'tool' },
  },
  'environment with a zero-width space': {
    change: { environment: 'pr\u200bod' },
    reason: 'FIELD_INVALID',
    message: 'environment holds a control character or one that is not seen',
  },
  'environment in full-width letters': {
    change: { environment: 'ｐｒｏｄ' },
    reason: 'FIELD_INVALID',
    message: 'environment holds characters that stand for others (it differs from its NFKC form)',
  },
  'principal without id': {
    change: { principal: { id: '' } },
    reason: 'FIELD_REQUIRED',
    message: 'principal.id is empty; it must name something',
  },
  'tool one byte over its limit': {
    change: { tool: 'x'.repeat(257) },
    reason: 'LIMIT_EXCEEDED',
    message: 'tool has 257 bytes; the limit is 256 bytes',
    metadata: { field: 'tool', limit: '256 bytes' },
  },
  'agent id over its limit in bytes, not in characters': {
    change: { agent: { id: 'é'.repeat(129) } },
    reason: 'LIMIT_EXCEEDED',
    message: 'agent.id has 258 bytes; the limit is 256 bytes',
  },
  'request id over its limit': {
    change: { requestId: 'r'.repeat(129) },
    reason: 'LIMIT_EXCEEDED',
    message: 'request_id has 129 bytes; the limit is 128 bytes',
  },
  'too many labels': {
    change: { agent: { id: 'a', labels: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, 'v'])) } },
    reason: 'LIMIT_EXCEEDED',
    message: 'agent.labels has 33 entries; the limit is 32',
  },
  'label __proto__': {
    change: encode(REQUEST, { ...good, agent: { id: 'a', labels: { ['__proto__']: 'v' } } }),
    reason: 'FIELD_INVALID',
    message: 'agent.labels has the key `__proto__`, which is not accepted',
  },
  'label without value': {
    change: { agent: { id: 'a', labels: { 'te\u001bam': '' } } },
    reason: 'FIELD_REQUIRED',
    message: 'agent.labels["te\\u001bam"] is empty; it must name something',
  },
  'delegation chain too long': {
    change: { delegationChain: Array.from({ length: 17 }, () => 'a') },
    reason: 'LIMIT_EXCEEDED',
    message: 'delegation_chain has 17 entries; the limit is 16',
  },
  'nobody in the delegation chain': {
    change: { delegationChain: ['a', ''] },
    reason: 'FIELD_REQUIRED',
    message: 'delegation_chain[1] is empty; it must name something',
  },
  'arguments that are no JSON': {
    change: json('{order_id: 1}'),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: expected a key in double quotes, found "o" (at $, byte 1)',
    metadata: { field: 'arguments_json', path: '$', problem: 'syntax' },
  },
  'arguments that are empty text': {
    change: json(''),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: expected a value, found the end of the text (at $, byte 0)',
  },
  'arguments that are no object': {
    change: json('[1]'),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: expected a JSON object, found an array (at $, byte 0)',
    metadata: { field: 'arguments_json', path: '$', problem: 'not-an-object' },
  },
  'arguments over the limit': {
    change: json(`{"a":"${'x'.repeat(256 * 1024)}"}`),
    reason: 'LIMIT_EXCEEDED',
    message: 'arguments_json is too large; the limit is 262144 bytes',
    metadata: { field: 'arguments_json', limit: '262144 bytes' },
  },
  'arguments with a key twice': {
    change: json('{"amount":1,"amount":1000}'),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: the key "amount" is given twice (at $, byte 12)',
    metadata: { field: 'arguments_json', path: '$', problem: 'duplicate-key' },
  },
  'arguments with __proto__, escaped': {
    change: json('{"a":{"__pr\\u006fto__":{"admin":true}}}'),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: the key `__proto__` is not accepted (at $.a, byte 6)',
  },
  'arguments too deep': {
    change: json(nested(65)),
    reason: 'ARGUMENTS_INVALID',
    message: `arguments_json: nested deeper than the limit of 64 (at $.a${'[0]'.repeat(63)}, byte 68)`,
  },
  'arguments 10,000 levels deep': {
    change: json(nested(10_000)),
    reason: 'ARGUMENTS_INVALID',
    message: `arguments_json: nested deeper than the limit of 64 (at $.a${'[0]'.repeat(63)}, byte 68)`,
  },
  'a Struct 10,000 levels deep': {
    change: deepStruct(10_000),
    reason: 'ARGUMENTS_INVALID',
    message: `arguments_struct: nested deeper than the limit of 64 (at $${'.a'.repeat(64)})`,
  },
  'arguments with half of a character, escaped': {
    change: json('{"order_id":"\\ud800"}'),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: the string holds an escaped lone surrogate (at $.order_id, byte 13)',
  },
  'arguments with half of a character, as bytes': {
    change: json(Buffer.from([...Buffer.from('{"order_id":"'), 0xed, 0xa0, 0x80, ...Buffer.from('"}')])),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: the bytes are not UTF-8 (at $, byte 13)',
  },
  'arguments with NaN': {
    change: json('{"amount":NaN}'),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: expected a value, found "N" (at $.amount, byte 10)',
  },
  'arguments with a number past a double': {
    change: json('{"amount":1e400}'),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: the number is out of the range of a 64-bit float (at $.amount, byte 10)',
  },
  'tool of 1 MB': {
    change: { tool: 'x'.repeat(1024 ** 2) },
    reason: 'LIMIT_EXCEEDED',
    message: 'tool has 1048576 bytes; the limit is 256 bytes',
  },
  'session id of 1 MB': {
    change: { sessionId: 'x'.repeat(1024 ** 2) },
    reason: 'LIMIT_EXCEEDED',
    message: 'session_id has 1048576 bytes; the limit is 256 bytes',
  },
  'argument name of 1 MB': {
    change: json(`{"${'x'.repeat(1024 ** 2)}":1}`),
    reason: 'LIMIT_EXCEEDED',
    message: 'arguments_json is too large; the limit is 262144 bytes',
  },
  'arguments that are not UTF-8': {
    change: json(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_json: the bytes are not UTF-8 (at $, byte 2)',
  },
  'context that is no object': {
    change: { contextJson: Buffer.from('true') },
    reason: 'CONTEXT_INVALID',
    message: 'context_json: expected a JSON object, found a boolean (at $, byte 0)',
  },
  'Struct with a number that JSON has not': {
    change: { argumentsStruct: toStruct({ amount: Number.NaN }) },
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_struct: the number is not finite (at $.amount)',
  },
  'Struct with __proto__': {
    change: { argumentsStruct: { fields: { ['__proto__']: { stringValue: 'x' } } } },
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_struct: the key `__proto__` is not accepted (at $)',
  },
  'Struct with a value of no kind': {
    change: { argumentsStruct: { fields: { amount: {} } } },
    reason: 'ARGUMENTS_INVALID',
    message: 'arguments_struct: the value has no kind set; send null_value for null (at $.amount)',
  },
  'Struct over the limit': {
    change: { argumentsStruct: toStruct({ a: 'x'.repeat(256 * 1024) }) },
    reason: 'LIMIT_EXCEEDED',
    message: 'arguments_struct has 262152 bytes as JSON; the limit is 262144 bytes',
  },
  'bytes that are no message': {
    change: Buffer.from('{"tool":"read_order"}'),
    reason: 'MESSAGE_UNDECODABLE',
    message: "the request is no message of the method's type: a field of 116 bytes goes past the end (at byte 3)",
  },
}

t.test('each refusal names what, where and how to mend it, and leaves no trace', async (t) => {
  const { app, client } = await startServer(t)
  for (const [name, { change, reason, message, metadata }] of Object.entries(refusals)) {
    const before = app.auditStatus.lastSeq
    const bytes = Buffer.isBuffer(change) ? change : encode(REQUEST, { ...good, ...change })
    const { error } = await callRaw(app.address, DECIDE, bytes)
    t.equal(error?.details, message, name)
    t.equal(error?.code, status.INVALID_ARGUMENT, `${name}: status`)
    const [details] = error?.metadata.get('grpc-status-details-bin') ?? []
    const { code, details: any } = decode<{ code: number; details: { type_url: string; value: Buffer }[] }>(
      'google.rpc.Status',
      details as Buffer,
    )
    t.equal(code, status.INVALID_ARGUMENT, `${name}: status in the details`)
    t.equal(any[0]?.type_url, 'type.googleapis.com/google.rpc.ErrorInfo')
    const info = decode<{ reason: string; domain: string; metadata: object }>('google.rpc.ErrorInfo', any[0]!.value)
    t.equal(info.reason, reason, `${name}: reason`)
    t.equal(info.domain, 'portcullis')
    if (metadata) t.strictSame(info.metadata, metadata, `${name}: metadata`)
    t.equal(app.auditStatus.lastSeq, before, `${name}: nothing is recorded`)
  }
  t.equal((await client.decide({ ...good, arguments: { order_id: 'A1' } })).outcome, 'ALLOW', 'the server answers on')
  t.strictSame(app.underWay, { calls: 0, streams: 0 })
})

t.test('numbers past 2^53 are judged and recorded as they were sent', async (t) => {
  const { app } = await startServer(t, {
    policies: {
      'exact.policy':
        'policy exact default deny\nrule ONE { on tool pay when args.amount == 9007199254740991 allow }\n',
    },
  })
  const outcomeOf = async (text: string): Promise<string> => {
    const bytes = encode(REQUEST, { ...good, tool: 'pay', ...json(text) })
    const { response } = await callRaw(app.address, DECIDE, bytes)
    return decode<{ outcome: string }>('portcullis.v1.DecideResponse', response!).outcome
  }
  t.equal(await outcomeOf('{"amount":9007199254740991}'), 'ALLOW')
  t.equal(await outcomeOf('{"amount":9007199254740991.4}'), 'ALLOW', 'what a double cannot tell apart')
  const digests = new Set<string>()
  for (const amount of ['9007199254740992', '9007199254740993', '90071992547409930000000000000000']) {
    t.equal(await outcomeOf(`{"amount":${amount}}`), 'DENY', amount)
    digests.add(digest(parseJsonObject(`{"amount":${amount}}`)))
  }
  t.equal(digests.size, 3, 'three numbers, three digests')
  t.equal(app.auditStatus.lastSeq, 5)
})

t.test('nesting to the limit is taken', async (t) => {
  const { app } = await startServer(t)
  const take = async (name: string, args: object): Promise<void> => {
    const { error } = await callRaw(app.address, DECIDE, encode(REQUEST, { ...good, ...args }))
    t.equal(error, null, name)
  }
  await take('JSON, 64 levels', json(nested(64)))
  await take('Struct, 48 levels', { argumentsStruct: toStruct(nestedStruct(48)) })
})

t.test('what nobody declared is decided, not refused', async (t) => {
  const { app, client } = await startServer(t)
  const unknownTool = await client.decide({ ...good, tool: 'launch_missiles' })
  t.equal(unknownTool.outcome, 'ALLOW', 'the policy of the tests allows by default')
  t.equal(unknownTool.reasonCode, 'DEFAULT_ALLOW')
  t.equal(
    unknownTool.reason,
    'No rule matches, and policy support allows by default; no policy declares this tool.',
    'and the reason says that the tool is not declared',
  )
  const unknownAgent = await client.decide({ ...good, agent: { id: 'nobody' } })
  t.equal(unknownAgent.outcome, 'DENY')
  t.equal(unknownAgent.reasonCode, 'NO_POLICY')
  t.equal(unknownAgent.reason, 'No policy of the tenant speaks for this call, so it is denied.')
  t.equal(app.auditStatus.lastSeq, 2, 'both are on record')
})

t.test('batches', async (t) => {
  const { client, app } = await startServer(t)
  t.strictSame(await client.decideBatch([]), [], 'an empty one is an empty answer')
  await t.rejects(client.decideBatch(Array.from({ length: 1_001 }, () => good)), {
    message: 'requests has 1001 calls; the limit is 1000',
    code: status.INVALID_ARGUMENT,
    reason: 'LIMIT_EXCEEDED',
    details: { field: 'requests', limit: '1000' },
  })
  const before = app.auditStatus.lastSeq
  const results = await client.decideBatch([good, { ...good, tool: '' }, { ...good, tool: 'delete_customer' }])
  t.equal(results[0]?.response?.outcome, 'ALLOW')
  t.match(results[1]?.error, {
    code: status.INVALID_ARGUMENT,
    reason: 'FIELD_REQUIRED',
    message: 'tool is empty; it must name something',
  })
  t.equal(results[2]?.response?.outcome, 'DENY')
  t.equal(app.auditStatus.lastSeq, before + 2, 'one record a decision, none for the faulty call')
  const whole = await client.decideBatch(Array.from({ length: 1_000 }, () => good))
  t.equal(whole.filter((result) => result.response?.outcome === 'ALLOW').length, 1_000)
})

t.test('a message over 4 MiB', async (t) => {
  const { app } = await startServer(t)
  const { error } = await callRaw(app.address, DECIDE, Buffer.alloc(4 * 1024 * 1024 + 1))
  t.equal(error?.code, status.RESOURCE_EXHAUSTED)
})

t.test('audit questions', async (t) => {
  const { client, log } = await startServer(t)
  const refused = async (asked: Promise<unknown>, reason: string, message: string): Promise<void> => {
    await t.rejects(asked, { code: status.INVALID_ARGUMENT, reason, message }, message)
  }
  const at = new Date('2026-01-05T10:00:00Z')
  await refused(client.auditTotals({ limit: 101 }), 'LIMIT_EXCEEDED', 'limit is 101; the limit is 100')
  await refused(client.auditTotals({ from: at, until: at }), 'FIELD_INVALID', 'from is not before until')
  const outcome = 'MAYBE' as 'DENY'
  await refused(client.auditQuery({ outcome }), 'FIELD_INVALID', 'outcome is none of ALLOW, DENY, REQUIRE_APPROVAL')
  await refused(client.auditGet(''), 'FIELD_REQUIRED', 'decision_id is empty; it must name something')
  await refused(client.auditTail(1_001).next(), 'LIMIT_EXCEEDED', 'last is 1001; the limit is 1000')

  const nowhere = {
    code: status.UNAVAILABLE,
    reason: 'AUDIT_STORE_UNAVAILABLE',
    message: 'this server runs with --audit-store none: its records wait in the spool and cannot be searched',
  }
  await t.rejects(client.auditTotals(), nowhere)
  await t.rejects(client.auditTail(1).next(), nowhere)
  t.notOk(
    log.lines.some(({ level }) => level === 'error'),
    'what was configured is no failure of the server',
  )
})

const VIEWS = `policy views "Rules on text that has to be parsed"
for agent like "restricted-*"
default allow
rule DENY_SQL   { on tool sql   when sql(args.text).tables intersects [users]              deny }
rule DENY_URL   { on tool url   when url(args.text).host == "evil.example"                 deny }
rule DENY_PATH  { on tool path  when not (path(args.text) under "/srv")                    deny }
rule DENY_SHELL { on tool shell when shell(args.text).programs contains any of [rm]        deny }
rule ASK_EMAIL  { on tool email when email(args.text).domain == "evil.example"             require approval from mail }
rule ASK_IP     { on tool ip    when ip(args.text) in 10.0.0.0/8                           require approval from net }
rule DENY_JSON  { on tool json  when json(args.text).admin == true                         deny }
`
const OPENINGS = `policy openings "The same views in rules that allow"
for agent like "allowed-*"
default deny
rule ALLOW_SQL   { on tool sql   when not (sql(args.text).tables intersects [users])       allow }
rule ALLOW_URL   { on tool url   when url(args.text).host != "evil.example"                allow }
rule ALLOW_PATH  { on tool path  when path(args.text) under "/srv"                         allow }
rule ALLOW_SHELL { on tool shell when not (shell(args.text).programs contains any of [rm]) allow }
rule ALLOW_EMAIL { on tool email when email(args.text).domain != "evil.example"            allow }
rule ALLOW_IP    { on tool ip    when not (ip(args.text) in 10.0.0.0/8)                    allow }
rule ALLOW_JSON  { on tool json  when json(args.text).admin != true                        allow }
`

/** What parses and is harmless, and what nobody can read for certain. */
const texts: Readonly<
  Record<string, { readonly good: string; readonly bad: readonly string[]; readonly rule: string }>
> = {
  sql: { good: 'SELECT a FROM orders', bad: ['SELEC a FROM', '', "SELECT '", 'SELECT 1 /*!, 2 */'], rule: 'DENY_SQL' },
  url: {
    good: 'https://good.example/',
    bad: ['not a url', '', 'https://a@b@c/', 'https:good.example'],
    rule: 'DENY_URL',
  },
  path: { good: '/srv/a', bad: ['/srv/a\u0000b', '', '~/a', '/srv/%u002e/a'], rule: 'DENY_PATH' },
  shell: { good: 'ls -l', bad: ['ls "', '$x y', 'ls )', 'if true'], rule: 'DENY_SHELL' },
  email: { good: 'a@good.example', bad: ['nobody', '', 'a@b@c', 'a@b.example, c@d.example'], rule: 'ASK_EMAIL' },
  ip: { good: '192.0.2.1', bad: ['300.1.1.1', '', '010.0.0.1', 'localhost'], rule: 'ASK_IP' },
  json: { good: '{"admin":false}', bad: ['{', '', '{"admin":false,"admin":true}', '[1'], rule: 'DENY_JSON' },
}

t.test(
  'text that does not parse is unknown: what restricts matches, what allows does not, and both are on record',
  async (t) => {
    const { app, client } = await startServer(t, { policies: { 'views.policy': VIEWS, 'openings.policy': OPENINGS } })
    let decisions = 0
    const ask = (agent: string, tool: string, args: object) => {
      decisions++
      return client.decide({ agent: { id: agent }, tool, environment: 'prod', arguments: args })
    }
    for (const [tool, { good, bad, rule }] of Object.entries(texts)) {
      t.match(
        await ask('restricted-1', tool, { text: good }),
        { outcome: 'ALLOW', matchedRules: [] },
        `${tool}: ${good}`,
      )
      t.equal((await ask('allowed-1', tool, { text: good })).outcome, 'ALLOW', `${tool}: ${good}`)
      // Missing and of another type is as unknown as what does not parse.
      for (const args of [...bad.map((text) => ({ text })), {}, { text: 7 }, { text: null }]) {
        const name = `${tool}: ${JSON.stringify(args)}`
        const restricted = await ask('restricted-1', tool, args)
        const outcome = rule.startsWith('DENY') ? 'DENY' : 'REQUIRE_APPROVAL'
        t.match(restricted, { outcome, reasonCode: 'INDETERMINATE' }, name)
        t.match(restricted.matchedRules, [{ ruleId: rule, indeterminate: true }], name)
        t.match(restricted.reason, /could not be evaluated/, name)
        const allowing = await ask('allowed-1', tool, args)
        t.match(allowing, { outcome: 'DENY', reasonCode: 'DEFAULT_DENY', matchedRules: [] }, name)
      }
    }
    t.equal(app.auditStatus.lastSeq, decisions)
  },
)
