import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { sampleRecord } from '../../bench/fault/audit/record.js'
import { MAX_ARGUMENTS_BYTES, Masker, readOrMakeMaskKey } from '../../src/audit/mask.js'
import { RowEncoder } from '../../src/audit/row/row.js'
import { mayHoldSecret } from '../../src/audit/screen.js'
import type { AuditRecord } from '../../src/model/audit-record.js'
import { canonicalJson, digest } from '../../src/model/canonical-json.js'
import type { JsonObject, JsonValue } from '../../src/model/json.js'
import { temporaryFolder } from './support.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

const masker = new Masker(Buffer.alloc(32, 1))
const encoder = new RowEncoder(masker)
const bytes = Buffer.alloc(4_000_000)
const rowOf = (record: AuditRecord): string => bytes.toString('utf8', 0, encoder.write(record, 'writer', 1, bytes, 0))
const TAG = /\[masked:[0-9a-f]{12}\]/
const DIGEST = 'd'.repeat(64)
const jsonOf = (value: JsonObject): string => masker.arguments(value, DIGEST).json

t.test('a value under a key that names a secret is replaced', (t) => {
  const keys = [
    ...[
      'password',
      'PASSWORD',
      'userPassword',
      'db_password',
      'passwd',
      'pwd',
      'passphrase',
      'secret',
      'client_secret',
    ],
    ...[
      'clientSecret',
      'token',
      'accessToken',
      'refresh-token',
      'authorization',
      'Authorization',
      'api_key',
      'apiKey',
      'x-api-key',
    ],
    ...[
      'APIKEY',
      'aws_secret_access_key',
      'private_key',
      'cookie',
      'Set-Cookie',
      'credentials',
      'jwt',
      'otp',
      'cvv',
      'connection_string',
    ],
  ]
  for (const key of keys) {
    t.notMatch(jsonOf({ [key]: 'opensesame' }), 'opensesame', key)
    t.notMatch(jsonOf({ a: { [key]: { deep: ['opensesame', 417] } } }), /opensesame|417/, `${key}, nested`)
    t.equal(masker.arguments({ [key]: 'x' }, DIGEST).redactions, 1, `${key}, counted`)
  }
  for (const key of [
    'max_tokens',
    'tokens',
    'secretary',
    'passenger',
    'tokenize',
    'keyboard',
    'author',
    'description',
  ]) {
    t.equal(jsonOf({ [key]: 'kept' }), JSON.stringify({ [key]: 'kept' }), key)
  }
  t.equal(jsonOf({ password: null, token: true }), '{"password":null,"token":true}', 'nothing to hide')
  t.end()
})

t.test('a secret inside text is replaced, the rest stays', (t) => {
  const secrets: Record<string, string> = {
    jwt: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
    'aws key id': 'AKIAIOSFODNN7EXAMPLE',
    'github token': `ghp_${'aB3'.repeat(12)}`,
    'github fine-grained token': `github_pat_${'aB3_'.repeat(10)}`,
    'gitlab token': `glpat-${'aB3-'.repeat(6)}`,
    'slack token': 'xoxb-123456789012-abcdefABCDEF',
    'openai key': `sk-${'aB3'.repeat(16)}`,
    'anthropic key': `sk-ant-api03-${'aB3'.repeat(16)}`,
    'stripe key': `sk_live_${'aB3'.repeat(8)}`,
    'google key': `AIza${'aB3_-'.repeat(7)}`,
    'npm token': `npm_${'aB3'.repeat(12)}`,
    'private key': `-----BEGIN RSA PRIVATE KEY-----\n${'MIIEow'.repeat(20)}\n-----END RSA PRIVATE KEY-----`,
    'private key without end': `-----BEGIN PRIVATE KEY-----\n${'MIIEow'.repeat(20)}`,
    'card number': '4111 1111 1111 1111',
    'card number with dashes': '5500-0055-5555-5559',
    'amex number': '371449635398431',
  }
  for (const [name, secret] of Object.entries(secrets)) {
    const json = jsonOf({ note: `before ${secret}` })
    t.match(json, TAG, name)
    t.notOk(json.includes(secret.slice(-8)), `${name} is gone`)
    t.match(json, 'before ', name)
    t.notOk(jsonOf({ [secret]: 1 }).includes(secret.slice(-8)), `${name} as a key`)
    const reason = rowOf(sampleRecord(1, 0, { reason: secret, agent: secret, arguments: {} }))
    t.notOk(reason.includes(secret.slice(-8)), `${name} in a reason or a name`)
  }
  const contexts: Record<string, string> = {
    'Authorization: Bearer abc.DEF-123456789': 'Authorization: Bearer [masked]',
    'postgres://app:hunter2@db/x': 'postgres://app:[masked]@db/x',
    'https://host/?api_key=hunter2&page=2': 'https://host/?api_key=[masked]&page=2',
    "password = 'hunter2'": "password = '[masked]'",
  }
  for (const [text, expected] of Object.entries(contexts)) {
    t.equal(masker.text(text).replace(TAG, '[masked]'), expected)
  }
  const kept = [
    'basic understanding of things',
    'order 4111111111111112',
    'a password reset',
    '1234567890123',
    'task-force-of-the-north-of-england',
  ]
  for (const text of kept) t.equal(masker.text(text), text)
  t.equal(jsonOf({ card: 4111111111111111 }).replace(TAG, '[masked]'), '{"card":"[masked]"}', 'a card as a number')
  t.equal(jsonOf({ id: 12345678901234567890n }), '{"id":12345678901234567890}', 'a long integer keeps its digits')
  t.end()
})

t.test('the look before the patterns never says no to a secret', (t) => {
  const words = [
    ...[
      'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N',
      'AKIAIOSFODNN7EXAMPLE',
      'ASIAIOSFODNN7EXAMPLE',
    ],
    ...['AROAIOSFODNN7EXAMPLE', 'AIDAIOSFODNN7EXAMPLE', `sk-${'aB3'.repeat(9)}`, `rk_live_${'aB3'.repeat(8)}`],
    ...['p', 'o', 'u', 's', 'r'].map((kind) => `gh${kind}_${'aB3'.repeat(12)}`),
    ...[`github_pat_${'aB3_'.repeat(10)}`, `glpat-${'aB3-'.repeat(6)}`, 'xoxb-123456789012-abcdefABCDEF'],
    ...[
      `pk_test_${'aB3'.repeat(8)}`,
      `sk_live_${'aB3'.repeat(8)}`,
      `AIza${'aB3_-'.repeat(7)}`,
      `npm_${'aB3'.repeat(12)}`,
    ],
    ...['hooks.slack.com/services/T000/B000/XXXXXXXXXXXXXXXX', '-----BEGIN EC PRIVATE KEY-----\nMII'],
    ...[
      'bearer abc.def-123456789',
      'Basic dXNlcjpwYXNzd29yZA==',
      '://u:hunter2@',
      'password=hunter2',
      'passwd: x',
      'pwd=x',
    ],
    ...['secret=x', 'api_key=x', 'apikey=x', 'api-key: x', 'access_token=x', 'access-token=x', 'accesstoken=x'],
    ...['4222222222222', '4111 1111 1111 1111', '5500-0055-5555-5559', '3 7 1 4 4 9 6 3 5 3 9 8 4 3 1'],
  ]
  for (const word of words) {
    t.not(masker.text(` ${word} `), ` ${word} `, `${word} is a secret`)
    for (const text of [word, word.toUpperCase(), word.toLowerCase()]) t.ok(mayHoldSecret(text), text)
  }
  fc.assert(
    fc.property(
      fc.constantFrom(...words),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }),
      (word, a, b) => {
        const text = `${a} ${word} ${b}`
        return mayHoldSecret(text) && mayHoldSecret(JSON.stringify(JSON.stringify({ text }))) && mayHoldSecret(word + b)
      },
    ),
    { numRuns: 2_000 },
  )
  const harmless = [
    ...['', 'weekly report', 'SELECT id FROM orders WHERE id = 4711', '2026-11-22', 'x'.repeat(10_000)],
    ...['the secret token of a password', 'https://example.com/a?b=c', 'mail@example.com: at ten'],
  ]
  for (const text of harmless) {
    t.notOk(mayHoldSecret(text), text.slice(0, 40))
  }
  t.end()
})

t.test('tags correlate under one key and not under another', (t) => {
  const tagOf = (masker: Masker, secret: string): string =>
    TAG.exec(masker.arguments({ token: secret }, '').json)?.[0] ?? ''
  t.equal(tagOf(masker, 'a'), tagOf(masker, 'a'))
  t.not(tagOf(masker, 'a'), tagOf(masker, 'b'))
  t.not(tagOf(masker, 'a'), tagOf(new Masker(Buffer.alloc(32, 2)), 'a'))
  const folder = temporaryFolder(t)
  const key = readOrMakeMaskKey(folder)
  t.same(readOrMakeMaskKey(folder), key, 'the key is made once')
  t.equal(statSync(join(folder, 'mask.key')).mode & 0o777, 0o600)
  t.equal(readFileSync(join(folder, 'mask.key'), 'latin1').length, 65)
  const broken = join(folder, 'broken')
  mkdirSync(broken)
  writeFileSync(join(broken, 'mask.key'), 'short')
  t.throws(() => readOrMakeMaskKey(broken), /mask\.key holds no key of 32 bytes/)
  t.end()
})

t.test('arguments that are too long or too deep leave their digest and length', (t) => {
  const exact = { text: 'x'.repeat(MAX_ARGUMENTS_BYTES - '{"text":""}'.length) }
  t.equal(jsonOf(exact).length, MAX_ARGUMENTS_BYTES, 'limit reached exactly')
  const over = { text: `${exact.text}x` }
  t.same(JSON.parse(jsonOf(over)), { $omitted: { bytes: MAX_ARGUMENTS_BYTES + 1, sha256: DIGEST } })
  t.match(jsonOf({ text: 'é'.repeat(MAX_ARGUMENTS_BYTES / 2) }), 'omitted', 'bytes count, not characters')
  for (const args of [
    { password: 'x', é: 1 },
    { a: [1, 'é', null, true], card: '4111111111111111' },
  ]) {
    const bytes = Buffer.byteLength(JSON.stringify(args))
    t.equal(masker.arguments(args, DIGEST).original?.bytes, bytes, 'the length is that before masking')
  }
  let deep: JsonObject = { end: 1 }
  for (let i = 0; i < 20_000; i++) deep = { a: deep }
  t.same(JSON.parse(jsonOf(deep)), { $omitted: { bytes: 0, sha256: DIGEST } })
  t.end()
})

t.test('the digest is over the canonical form before masking', (t) => {
  const big = { text: 'x'.repeat(MAX_ARGUMENTS_BYTES) }
  for (const args of [{ password: 'hunter2' }, { b: { card: 4111111111111111n } }, big] as JsonObject[]) {
    t.equal(masker.arguments(args).original?.digest, digest(args))
    t.equal(masker.arguments(args, DIGEST).original?.digest, DIGEST, 'a digest that is known is taken')
  }
  for (const args of [{ b: 1, a: 'é' }, { n: 9_007_199_254_740_993n }] as JsonObject[]) {
    t.same(
      masker.arguments(args),
      { json: canonicalJson(args), original: null, redactions: 0 },
      'or the kept JSON tells',
    )
  }
  t.end()
})

t.test('every row is one line of valid JSON within its types', (t) => {
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\ud800', 'a\udc00b', '\n', '\u2028', '\0'),
      fc.double(),
      fc.bigInt(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('any')),
      fc.dictionary(fc.string(), tie('any')),
    ),
  })).any
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), fc.string({ unit: 'binary' }), fc.double(), (args, name, number) => {
      const line = rowOf(
        sampleRecord(1, 0, {
          arguments: args as JsonObject,
          agent: `${name}\ud800`,
          timeMs: number,
          evaluationNs: number,
        }),
      )
      const row = JSON.parse(line) as Record<string, unknown>
      return (
        !line.includes('\n') &&
        !/\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])/.test(line) &&
        Number.isInteger(row['ts']) &&
        (row['ts'] as number) >= 0 &&
        (row['evaluation_ns'] as number) <= 0xffff_ffff &&
        typeof row['arguments'] === 'object' &&
        Buffer.byteLength(JSON.stringify(row['arguments'])) <= MAX_ARGUMENTS_BYTES * 4
      )
    }),
    { numRuns: 500 },
  )
  t.equal(jsonOf({ b: 1, a: { d: 2, c: 3 } }), '{"a":{"c":3,"d":2},"b":1}', 'keys are sorted')
  t.equal(JSON.parse(rowOf(sampleRecord(0, 0, { reason: 'x'.repeat(10_000) }))).reason.length, 4_096)
  t.end()
})

t.test('a digest that looks like a card is a digest', (t) => {
  const looksLikeCard = `ab4111111111111111${'c'.repeat(46)}`
  const sample = sampleRecord(0, 0, { arguments: { token: 'x' }, argumentsDigest: looksLikeCard })
  const decision = { ...sample.decision, policyRevision: `sha256:${looksLikeCard}` }
  const row = JSON.parse(rowOf({ ...sample, decision })) as Record<string, unknown>
  t.equal(row['arguments_hash'], looksLikeCard)
  t.equal(row['policy_revision'], `sha256:${looksLikeCard}`)
  t.end()
})

t.test('the row that is written at once says what the masker says', (t) => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '',
      'plain',
      'a "quoted" \\ text',
      'tab\t',
      'é',
      '🦊',
      'password=hunter2',
      '4111 1111 1111 1111',
      'AKIAIOSFODNN7EXAMPLE',
      'the "secret": a\ttoken',
      'é secret=x',
      'Asia, https://a.example/@b',
      'https://u:p@a.example/',
      '1763848574123',
    ),
  )
  const key = fc.oneof(fc.string(), fc.constantFrom('b', 'a', 'é', 'api_key', 'token', 'sk-1', '__proto'))
  const number = fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(0, -0, 1e12, 1e21, 1763848574123, 4111111111111111, -4111111111111111, 0.1),
  )
  const { json } = fc.letrec<{ json: JsonValue }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 4 },
      text.filter((value) => value.isWellFormed()),
      number,
      fc.oneof(fc.bigInt(), fc.constantFrom(4111111111111111n, 9007199254740993n)),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('json')),
      fc.dictionary(
        key.filter((name) => name.isWellFormed()),
        tie('json'),
      ),
    ),
  }))
  fc.assert(
    fc.property(
      fc.dictionary(
        key.filter((name) => name.isWellFormed()),
        json,
      ),
      text,
      (args, name) => {
        const { decision, ...record } = sampleRecord(0, 1_700_000_000_000, {
          arguments: args,
          agent: name,
          requestId: name,
          delegationChain: [name],
        })
        const line = rowOf({ ...record, decision })
        const masked = masker.arguments(args)
        const row = JSON.parse(line) as Record<string, unknown>
        return (
          line.includes(`,"arguments":${masked.json},`) &&
          row['agent_id'] === masker.text(name) &&
          (row['request_id'] ?? '') === masker.text(name) &&
          row['arguments_hash'] === masked.original?.digest &&
          (masked.original !== null || masked.json === canonicalJson(args))
        )
      },
    ),
    { numRuns: 2_000 },
  )
  const whole = rowOf(sampleRecord(1, 0))
  for (let length = 0; length < Buffer.byteLength(whole); length++) {
    t.equal(encoder.write(sampleRecord(1, 0), 'writer', 1, Buffer.alloc(length), 0), -1, 'no room')
  }
  t.end()
})

t.test('an answer that is shared is printed once, with what was masked in it', (t) => {
  const { decision, ...record } = sampleRecord(1, 0, { reason: 'bearer abc.def-123456789', arguments: {} })
  Object.freeze(decision)
  const first = rowOf({ ...record, decision })
  t.match(JSON.parse(first), { redactions: 1, reason: TAG })
  t.equal(rowOf({ ...record, decision }), first)
  const open = { ...decision }
  t.match(JSON.parse(rowOf({ ...record, decision: open })).outcome, decision.outcome)
  open.outcome = 'ALLOW'
  t.equal(JSON.parse(rowOf({ ...record, decision: open })).outcome, 'ALLOW', 'one that may change is not remembered')
  t.end()
})

t.test('hostile text costs linear time', (t) => {
  // Quadratic patterns would take minutes on these; the test's own time limit is the assertion.
  const shapes = [
    'eyJ',
    `${'eyJ'.repeat(3)}.`,
    'sk-',
    'a:',
    '1 ',
    '-----BEGIN PRIVATE KEY-----',
    'bearer ',
    'password=',
    'http://a:',
    'xoxb-',
    '- ',
    '4 ',
    '://',
  ]
  for (const shape of shapes) {
    const text = shape.repeat(Math.ceil(16_000 / shape.length))
    t.equal(typeof masker.arguments({ text }, '').json, 'string', shape)
  }
  t.end()
})
