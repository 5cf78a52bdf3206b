import fc from 'fast-check'
import t from 'tap'
import { canonicalJson, digest } from '../../src/model/canonical-json.js'
import type { JsonValue } from '../../src/model/json.js'
import { JsonError } from '../../src/model/json-error.js'
import { parseJson, parseJsonObject } from '../../src/model/parse-json.js'
import { readPlainJson } from '../../src/model/plain-json.js'
import { decodeStruct, type StructMessage, type ValueMessage } from '../reference/struct.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

function refusal(read: () => unknown): { code: string; byteOffset: number; path: string } | 'accepted' {
  try {
    read()
    return 'accepted'
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    return { code: error.code, byteOffset: error.byteOffset, path: error.path }
  }
}

/** With prototypes, as JSON.parse makes them; bigints as their nearest double. */
function plain(value: JsonValue): unknown {
  return JSON.parse(JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? Number(item) : item)))
}

const hasProto = (text: string): boolean => text.includes('__proto__')

t.test('reads what JSON.parse reads', (t) => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6, stringUnit: 'grapheme' }), fc.constantFrom(0, 2), (text, indent) => {
      fc.pre(!hasProto(text))
      const spaced = JSON.stringify(JSON.parse(text), null, indent)
      t.strictSame(plain(parseJson(spaced)), JSON.parse(spaced))
      t.strictSame(parseJson(Buffer.from(spaced)), parseJson(spaced))
    }),
    { numRuns: 500 },
  )
  t.end()
})

t.test('accepts a mutated text only where JSON.parse does', (t) => {
  const noise = fc.constantFrom(...'{}[]",:\\0123456789.eE+-tfnul \n\u0001\ud800é', '\\u00', '""', '[[', 'null')
  const edits = fc.array(fc.tuple(fc.nat(60), fc.nat(3), noise), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(fc.json({ maxDepth: 3 }), edits, (json, changes) => {
      const text = changes.reduce((now, [at, cut, put]) => now.slice(0, at) + put + now.slice(at + cut), json)
      const ours = refusal(() => parseJson(text))
      let theirs: unknown
      try {
        theirs = JSON.parse(text)
      } catch {
        t.not(ours, 'accepted', text)
        return
      }
      if (ours === 'accepted') t.strictSame(plain(parseJson(text)), JSON.parse(JSON.stringify(theirs)))
      else
        t.ok(['duplicate-key', 'forbidden-key', 'encoding', 'number-range'].includes(ours.code), `${text} ${ours.code}`)
    }),
    { numRuns: 1_500 },
  )
  t.end()
})

t.test('refuses, with code, byte and path', (t) => {
  const deep = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
  const cases: readonly (readonly [string | Uint8Array, string, number, string])[] = [
    ['', 'syntax', 0, '$'],
    ['  ', 'syntax', 2, '$'],
    ['[1]', 'not-an-object', 0, '$'],
    ['null', 'not-an-object', 0, '$'],
    ['12345678901234567890', 'not-an-object', 0, '$'],
    ['{"a":1,}', 'syntax', 7, '$'],
    ['{"a":1 "b":2}', 'syntax', 7, '$.a'],
    ['{"a" 1}', 'syntax', 5, '$.a'],
    ['{a:1}', 'syntax', 1, '$'],
    ['{"a":1} x', 'syntax', 8, '$'],
    ['{"a":[1,2,tru]}', 'syntax', 10, '$.a[2]'],
    ['{"a":01}', 'syntax', 6, '$.a'],
    ['{"a":+1}', 'syntax', 5, '$.a'],
    ['{"a":.5}', 'syntax', 5, '$.a'],
    ['{"a":1.}', 'syntax', 6, '$.a'],
    ['{"a":-}', 'syntax', 5, '$.a'],
    ['{"a":NaN}', 'syntax', 5, '$.a'],
    ["{'a':1}", 'syntax', 1, '$'],
    ['{"a":"\n"}', 'syntax', 6, '$.a'],
    ['{"a":"\\x"}', 'syntax', 6, '$.a'],
    ['{"a":"\\u12g4"}', 'syntax', 6, '$.a'],
    ['{"a":"b', 'syntax', 7, '$.a'],
    ['{"a":/**/1}', 'syntax', 5, '$.a'],
    ['\ufeff{}', 'syntax', 0, '$'],
    ['{\u00a0}', 'syntax', 1, '$'],
    ['{"é":1,"é":2}', 'duplicate-key', 8, '$'],
    ['{"a":{"b":1,"\\u0062":2}}', 'duplicate-key', 12, '$.a'],
    ['{"x":[{"__proto__":1}]}', 'forbidden-key', 7, '$.x[0]'],
    ['{"\\u005f_proto__":1}', 'forbidden-key', 1, '$'],
    ['{"a":1e400}', 'number-range', 5, '$.a'],
    [`{"a":-1${'0'.repeat(400)}}`, 'number-range', 5, '$.a'],
    ['{"a":"\\ud800"}', 'encoding', 6, '$.a'],
    ['{"a":"\\udc00\\ud800"}', 'encoding', 6, '$.a'],
    ['{"a":"é\ud800"}', 'encoding', 8, '$'],
    [Buffer.from('7b2261223a22ff227d', 'hex'), 'encoding', 6, '$'],
    [Buffer.from('7b2261223a22efbfbdc0af227d', 'hex'), 'encoding', 9, '$'],
    [Buffer.from('7b2261223a22eda080227d', 'hex'), 'encoding', 6, '$'],
    [deep(65), 'too-deep', 64 * 5, `$${'.a'.repeat(64)}`],
    [`{"a":"${'x'.repeat(256 * 1024)}"}`, 'too-large', 256 * 1024, '$'],
    [`{"a":"${'é'.repeat(128 * 1024)}"}`, 'too-large', 256 * 1024, '$'],
    ['{"odd key":[{}, x]}', 'syntax', 16, '$["odd key"][1]'],
  ]
  for (const [text, code, byteOffset, path] of cases) {
    t.strictSame(
      refusal(() => parseJsonObject(text)),
      { code, byteOffset, path },
      String(text).slice(0, 40),
    )
  }
  t.equal(
    refusal(() => parseJsonObject(deep(64))),
    'accepted',
  )
  t.end()
})

t.test('messages hold no control characters', (t) => {
  t.throws(() => parseJson('{"\\u001b[2J":1,"\\u001b[2J":2}'), {
    message: 'the key "\\u001b[2J" is given twice (at $, byte 15)',
  })
  t.throws(() => parseJson('\u0007'), { message: 'expected a value, found "\\u0007" (at $, byte 0)' })
  t.end()
})

t.test('numbers', (t) => {
  const cases: readonly (readonly [string, number | bigint])[] = [
    ['0', 0],
    ['-0', 0],
    ['-0.0', 0],
    ['1e2', 100],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992],
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    ['1234567890123456789', 1234567890123456789n],
    ['1000000000000000000000', 1e21],
    ['1000000000000000000001', 1000000000000000000001n],
    ['0.1', 0.1],
    ['9007199254740993.0', 9007199254740992],
    ['1e-400', 0],
    ['1.7976931348623157e308', Number.MAX_VALUE],
  ]
  for (const [text, value] of cases) t.ok(Object.is(parseJson(text), value), text)
  t.end()
})

t.test('what the plain reader reads, the strict one reads the same; it reads what people send', (t) => {
  const limits = { maxBytes: 1_000, maxDepth: 4 }
  const bothWays = (text: string): boolean => {
    // Among other bytes, as in a request: nothing of them may be seen.
    const whole = Buffer.concat([Buffer.from('1"'), Buffer.from(text), Buffer.from('"}]1 ')])
    const read = readPlainJson(whole, 2, whole.length - 5, limits.maxDepth)
    if (read === null) return false
    t.equal(exactText(read), exactText(parseJsonObject(text, limits)), text)
    return true
  }
  const noise = fc.constantFrom(...'{}[]",:\\0123456789.eE+-tfnul \n\u0001é', '\\u00e9', '\\ud800', '""', '[[', 'null')
  const edits = fc.array(fc.tuple(fc.nat(60), fc.nat(3), noise), { maxLength: 3 })
  const cents = fc.integer({ min: -1_000_000, max: 1_000_000 }).map((amount) => amount / 100)
  const item = fc.oneof(
    fc.string({ maxLength: 12, unit: 'grapheme' }),
    fc.integer(),
    cents,
    fc.boolean(),
    fc.constant(null),
  )
  const objects = fc.dictionary(
    fc.string({ maxLength: 4 }),
    fc.oneof(item, fc.array(item), fc.jsonValue({ maxDepth: 2 })),
  )
  let read = 0
  fc.assert(
    fc.property(objects, fc.oneof(fc.constant([]), edits), fc.constantFrom(0, 1), (object, changes, indent) => {
      const json = JSON.stringify(object, null, indent)
      const text = changes.reduce((now, [at, cut, put]) => now.slice(0, at) + put + now.slice(at + cut), json)
      fc.pre(text.isWellFormed())
      if (bothWays(text)) read++
    }),
    { numRuns: 3_000, seed: 20261122 },
  )
  t.ok(read > 500, `${read} were read`)
  for (const text of [
    '{}',
    ' { "a" : [ 1 , -0 , 0.25, -12.5e0 ] } ',
    '{"é":"ü\\n\\"x\\u00e9","b":{"c":null,"d":[true,false]}}',
  ]) {
    t.equal(bothWays(text), !text.includes('e0'), text)
  }
  const left = [
    '{"a":1,"a":2}',
    '{"__proto__":1}',
    '{"a":12345678901234567890}',
    '{"a":1e400}',
    '{"a":"\\ud800"}',
    '{"a":01}',
  ]
  for (const text of [
    ...left,
    '[]',
    '1',
    '',
    '{"a":[[[[1]]]]}',
    '{"a":"x',
    '{"a":1}}',
    '{"a":.5}',
    '{"a":1.}',
    '{"a":-}',
  ]) {
    t.notOk(bothWays(text), `left to the strict reader: ${text}`)
  }
  const invalid = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
  t.equal(readPlainJson(invalid, 0, invalid.length, 4), null, 'bytes that are no UTF-8')
  t.end()
})

/** Tells apart what JSON does not: minus zero, and integers that a double cannot hold. */
function exactText(value: JsonValue): string {
  const tell = (_: string, item: unknown): unknown =>
    typeof item === 'bigint' ? `${item}n` : Object.is(item, -0) ? '-0' : item
  return JSON.stringify(value, tell)
}

t.test('objects have no prototype', (t) => {
  const object = parseJsonObject('{"toString":1,"constructor":{"a":[{}]}}')
  t.equal(Object.getPrototypeOf(object), null)
  t.equal(object['hasOwnProperty'], undefined)
  t.equal(object['toString'], 1)
  const bytes = Buffer.from('{"a":1}')
  const plain = readPlainJson(bytes, 0, bytes.length, 4) ?? {}
  t.equal(plain['toString'], undefined, 'the plain reader has them inherit nothing')
  t.equal('__proto__' in plain, false)
  t.end()
})

t.test('RFC 8785', (t) => {
  // Section 3.2.2 and 3.2.3 of the RFC.
  const example = `{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\"\\/",
    "literals": [null, true, false]
  }`
  t.equal(
    canonicalJson(parseJson(example)),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  )
  const sorting = `{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
    "\\ud83d\\ude00":"Emoji: Grinning Face","\\u0080":"Control","\\u00f6":"Latin Small Letter O With Diaeresis"}`
  t.strictSame(Object.keys(JSON.parse(canonicalJson(parseJson(sorting)).replace('"1"', '"one"'))), [
    '\r',
    'one',
    '\u0080',
    '\u00f6',
    '\u20ac',
    '\u{1f600}',
    '\ufb33',
  ])
  // Appendix B: IEEE 754 bits and their text.
  const numbers: readonly (readonly [string, string])[] = [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555554', '333333333.33333325'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ]
  for (const [bits, text] of numbers) t.equal(canonicalJson(Buffer.from(bits, 'hex').readDoubleBE()), text)
  t.equal(canonicalJson(9007199254740993n), '9007199254740993')
  t.throws(() => canonicalJson(Number.NaN), RangeError)
  t.throws(() => canonicalJson('\ud800'), RangeError)
  t.end()
})

t.test('one value has one digest, whatever its spelling', (t) => {
  t.equal(digest(parseJson('{}')), '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
  t.equal(digest(parseJson('{"b":1.0,"a":"\\u0041"}')), digest(parseJson(' { "a" : "A", "b" : 1e0 }')))
  t.not(digest(parseJson('{"a":9007199254740993}')), digest(parseJson('{"a":9007199254740992}')))
  t.not(digest(parseJson('{"a":"1"}')), digest(parseJson('{"a":1}')))
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), (text) => {
      fc.pre(!hasProto(text))
      const canonical = canonicalJson(parseJson(text))
      t.equal(canonicalJson(parseJson(canonical)), canonical)
    }),
    { numRuns: 200 },
  )
  t.end()
})

/** As `@grpc/proto-loader` shows a value with `oneofs: true`. */
function message(value: unknown): ValueMessage {
  if (value === null) return { kind: 'nullValue', nullValue: 'NULL_VALUE' }
  if (typeof value === 'number') return { kind: 'numberValue', numberValue: value }
  if (typeof value === 'string') return { kind: 'stringValue', stringValue: value }
  if (typeof value === 'boolean') return { kind: 'boolValue', boolValue: value }
  if (Array.isArray(value)) return { kind: 'listValue', listValue: { values: value.map(message) } }
  return { kind: 'structValue', structValue: struct(value as object) }
}
function struct(object: object): StructMessage {
  return { fields: Object.fromEntries(Object.entries(object).map(([key, value]) => [key, message(value)])) }
}

t.test('a Struct holds the same values as its JSON', (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), (object) => {
      const text = JSON.stringify(object)
      fc.pre(!hasProto(text))
      const doubles = JSON.parse(text)
      t.strictSame(plain(decodeStruct(struct(doubles))), doubles)
    }),
    { numRuns: 300 },
  )
  t.strictSame(Object.keys(decodeStruct({})), [])
  t.equal(Object.getPrototypeOf(decodeStruct({ fields: null })), null)
  t.end()
})

t.test('a Struct is refused where its JSON would be', (t) => {
  const nested = (depth: number): StructMessage =>
    depth === 1 ? {} : { fields: { a: { kind: 'structValue', structValue: nested(depth - 1) } } }
  const proto = JSON.parse('{"__proto__":{"kind":"nullValue"}}')
  const assigned: Record<string, ValueMessage> = {}
  Reflect.set(assigned, '__proto__', { kind: 'nullValue' })
  const cases: readonly (readonly [StructMessage, string, string])[] = [
    [{ fields: { a: message(Number.NaN) } }, 'number-range', '$.a'],
    [{ fields: { a: message([1, Number.POSITIVE_INFINITY]) } }, 'number-range', '$.a[1]'],
    [{ fields: { a: message('\ud800') } }, 'encoding', '$.a'],
    [{ fields: { '\ud800': message(1) } }, 'encoding', '$["\\ud800"]'],
    [{ fields: { a: {} } }, 'bad-value', '$.a'],
    [{ fields: { a: { kind: 'mapValue' } } }, 'bad-value', '$.a'],
    [{ fields: { a: { kind: 'numberValue' } } }, 'bad-value', '$.a'],
    [{ fields: proto }, 'forbidden-key', '$'],
    [{ fields: assigned }, 'forbidden-key', '$'],
    [{ fields: { a: { kind: 'structValue', structValue: { fields: proto } } } }, 'forbidden-key', '$.a'],
    [nested(65), 'too-deep', `$${'.a'.repeat(64)}`],
  ]
  for (const [value, code, path] of cases) {
    t.strictSame(
      refusal(() => decodeStruct(value)),
      { code, byteOffset: -1, path },
      `${code} ${path.slice(0, 20)}`,
    )
  }
  t.equal(
    refusal(() => decodeStruct(nested(64))),
    'accepted',
  )
  t.end()
})
