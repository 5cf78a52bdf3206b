import { readFileSync } from 'node:fs'
import { domainToASCII } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { domain, ipInCidr, parseView, underPath } from '../../src/compiler/views/index.js'
import { compileCidr } from '../../src/compiler/views/ip.js'
import { parsePath } from '../../src/compiler/views/path.js'
import type { ViewName } from '../../src/language/vocabulary.js'
import { VIEWS } from '../../src/language/vocabulary.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

/** A line of `test/views/<view>.cases.jsonl`: a text, what it hides, and the fields that must come out; null is unknown. */
interface Case {
  readonly text: string
  readonly hides: string
  readonly expect: Readonly<Record<string, unknown>> | null
}

const WITH_CASES = ['sql', 'url', 'email', 'path', 'ip', 'shell'] as const

function casesOf(view: ViewName): Case[] {
  const file = new URL(`../../../test/views/${view}.cases.jsonl`, import.meta.url)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Case)
}

for (const view of WITH_CASES) {
  t.test(`${view}: texts that hide something`, (t) => {
    const cases = casesOf(view)
    t.ok(cases.length >= 40)
    for (const { text, hides, expect } of cases) {
      const value = parseView(view, text)
      const name = `${JSON.stringify(text)} hides ${hides}`
      if (expect === null || value === undefined) t.same(value ?? null, expect, name)
      else {
        const fields = value as Readonly<Record<string, unknown>>
        const found = Object.fromEntries(Object.keys(expect).map((field) => [field, fields[field] ?? null]))
        t.strictSame(JSON.parse(JSON.stringify(found)), expect, name)
      }
    }
    t.end()
  })

  t.test(`${view}: shows the fields of the vocabulary`, (t) => {
    const shown = casesOf(view).find((one) => one.expect !== null)
    const fields = Object.keys(parseView(view, shown?.text ?? '') as object).filter((field) => field !== 'readings')
    t.strictSame(fields.sort(), Object.keys(VIEWS[view]).sort())
    t.end()
  })
}

/** Texts that are nearly right: a case with characters put in, taken out and repeated. */
function mutated(view: ViewName): fc.Arbitrary<string> {
  const seeds = casesOf(view).map((one) => one.text)
  const piece = fc.constantFrom(
    ...' \t\n\\\'"`$(){}[];|&<>#%@:/.,*?=-_0aZ\u0000\u00a0\u200b\u202e\ud800é。',
    '/*',
    '--',
    '$(',
    '<<E\n',
  )
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat(4),
    put: fc.array(piece, { maxLength: 4 }),
  })
  return fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 6 })).map(([seed, edits]) =>
    edits.reduce((text, { at, cut, put }) => {
      const start = Math.floor(at * text.length)
      return text.slice(0, start) + put.join('') + text.slice(start + cut)
    }, seed),
  )
}

for (const view of WITH_CASES) {
  t.test(`${view}: any text is answered, the same each time`, (t) => {
    const anyText = fc.oneof(
      mutated(view),
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.string({ maxLength: 200 }),
    )
    fc.assert(
      fc.property(anyText, (text) => {
        const value = parseView(view, text)
        const isRecord = value === undefined || (typeof value === 'object' && value !== null)
        return isRecord && isDeepStrictEqual(parseView(view, text), value)
      }),
      { numRuns: 400 },
    )
    t.end()
  })
}

t.test('texts over the limits are unknown', (t) => {
  const long = 'a'.repeat(100_000)
  const over: readonly (readonly [ViewName, string])[] = [
    ['sql', `select '${long}'`],
    ['sql', `select ${'1+'.repeat(401)}1`],
    ['sql', `${'/**/'.repeat(33)}select 1`],
    ['url', `https://example.com/${long}`],
    ['email', `${long}@example.com`],
    ['path', `/${long}`],
    ['ip', '1'.repeat(65)],
    ['shell', `echo ${long}`],
    ['shell', `${'('.repeat(25)}ls${')'.repeat(25)}`],
    ['shell', `${'sudo '.repeat(17)}ls`],
    ['json', `"${long}"`],
    ['json', `${'['.repeat(65)}${']'.repeat(65)}`],
  ]
  for (const [view, text] of over) t.equal(parseView(view, text), undefined, `${view} ${text.slice(0, 20)}`)
  t.not(parseView('sql', `insert into a values ('${'word '.repeat(5_000)}')`), undefined, 'long literals are read')
  t.not(parseView('sql', `select ${'1+'.repeat(390)}1`), undefined)
  t.end()
})

t.test('the SQL parser survives the deepest texts it is given', (t) => {
  const deep = ['- '.repeat(750), 'not '.repeat(750), '('.repeat(390), 'f('.repeat(240), 'case when '.repeat(350)]
  for (const text of deep) {
    parseView('sql', `select ${text} 1`)
    t.match(parseView('sql', 'select a from b'), { tables: ['b'] }, text.slice(0, 10))
  }
  t.end()
})

t.test('json', (t) => {
  t.strictSame(
    parseView('json', '{"a":[1,12345678901234567890,null]}'),
    Object.assign(Object.create(null), { a: [1, 12345678901234567890n, null] }),
  )
  t.equal(parseView('json', 'null'), null)
  for (const text of ['', '{', '{"a":1,"a":2}', '{"__proto__":1}', "{'a':1}", '[1,]', 'NaN', '"\\ud800"', '1e999']) {
    t.equal(parseView('json', text), undefined, text)
  }
  t.end()
})

t.test('domain', (t) => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['Example.COM', 'example.com'],
    ['example.com:8080', 'example.com'],
    ['https://Evil.example/x', 'evil.example'],
    ['https://user@Evil.example/x', undefined],
    ['https://good.example/@evil.example', undefined],
    ['Ann <a@Example.com>', 'example.com'],
    ['a@evil.example, b@good.example', undefined],
    ['[::1]:80', '::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['0x7f.1', '127.0.0.1'],
    ['example.com/path', undefined],
    ['javascript:alert(1)', undefined],
    ['data://x', 'x'],
    ['exam ple.com', undefined],
    ['example.com\n', undefined],
    ['', undefined],
  ]
  for (const [text, expected] of cases) t.equal(domain(text), expected, text)
  t.end()
})

t.test('ip in a range', (t) => {
  const cases: readonly (readonly [string, string, boolean | undefined])[] = [
    ['10.1.2.3', '10.0.0.0/8', true],
    ['11.1.2.3', '10.0.0.0/8', false],
    ['::ffff:10.1.2.3', '10.0.0.0/8', true],
    ['10.1.2.3', '::ffff:10.0.0.0/104', true],
    ['10.1.2.3', '::/0', false],
    ['fe80::1', 'fe80::/10', true],
    ['fe80::1', '10.0.0.0/8', false],
    ['2002:a01:203::', '10.0.0.0/8', undefined],
    ['64:ff9b:1::1', '10.0.0.0/8', undefined],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '0.0.0.0/0', true],
    ['x', '10.0.0.0/8', undefined],
    ['10.0.0.1', '10.0.0.0/33', undefined],
    ['10.0.0.1', '10.0.0.0/8/8', undefined],
    ['010.0.0.1', '10.0.0.0/8', undefined],
  ]
  for (const [ip, cidr, expected] of cases) {
    t.equal(ipInCidr(ip, cidr), expected, `${ip} in ${cidr}`)
    t.equal(compileCidr(cidr)?.(ip), expected)
  }
  t.end()
})

t.test('path under a folder', (t) => {
  const cases: readonly (readonly [string, string, boolean | undefined])[] = [
    ['/srv/data/x', '/srv/data', true],
    ['/srv/data', '/srv/data/', true],
    ['/srv/data2', '/srv/data', false],
    ['/srv/data/../x', '/srv/data', false],
    ['/SRV/data/x', '/srv/data', false],
    ['/etc/passwd', '/', true],
    ['x', '/srv/data', undefined],
    ['../../etc/passwd', '/etc', undefined],
    ['data/x', 'data', true],
    ['other/x', 'data', false],
    ['../data/x', 'data', undefined],
    ['../shared/x', '../shared', true],
    ['x', '.', true],
    ['/srv/x', 'srv', undefined],
    // Whether the program decodes or not decides, so nothing is said.
    ['/srv/data/%2e%2e/x', '/srv/data', undefined],
    ['/etc/%2e%2e/srv/data/x', '/srv/data', undefined],
    ['/srv/data\\..\\..\\etc', '/srv/data', false],
    ['/srv/data/x\\..\\..\\..\\etc', '/srv/data', undefined],
    ['/srv/data/%41', '/srv/data', true],
  ]
  for (const [path, base, expected] of cases) {
    const view = parsePath(path)
    t.equal(view && underPath(view, base), expected, `${path} under ${base}`)
  }
  t.end()
})

t.test('a plain host name is what the mapping would make of it', (t) => {
  const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?$/)
  const name = fc.tuple(fc.array(label, { maxLength: 4 }), fc.stringMatching(/^[a-z][a-z0-9]{0,4}$/))
  fc.assert(
    fc.property(name, ([labels, last]) => {
      const host = [...labels, last].join('.')
      return host.includes('--') || domainToASCII(host) === host
    }),
  )
  t.equal(domain('a.0x7f'), undefined)
  t.equal(domain('1.2.3.4a'), '1.2.3.4a')
  t.end()
})
