import { strict as assert } from 'node:assert'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { build, read as readDerivation } from '../../src/language/derivation.js'
import { tokenize } from '../../src/language/lexer.js'
import { ParseCache, parseFile, profileParse } from '../../src/language/parse.js'
import { printDeclaration } from '../../src/language/print.js'
import { readRule } from '../../src/language/rule-clauses.js'
import { type Segment, split } from '../../src/language/split.js'
import { declaration, withoutSpans } from './arbitrary.js'
import { derive } from './derive.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105), endOnFailure: true })

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const codes = (text: string): readonly string[] =>
  parseFile('p.policy', bytes(text)).diagnostics.map(({ code }) => code)

t.test('what is printed parses to the same tree, in one way only', (t) => {
  fc.assert(
    fc.property(declaration, (node) => {
      const text = printDeclaration(node)
      const { file, diagnostics } = parseFile('p.policy', bytes(text))
      const told = diagnostics.map(({ code, message }) => `${code} ${message}`)
      assert.deepEqual(told, [], text)
      assert.deepEqual(
        file.declarations.map((placed) => withoutSpans(placed.node)),
        [withoutSpans(node)],
        text,
      )
    }),
    { numRuns: 300, interruptAfterTimeLimit: 5_000 },
  )
  t.end()
})

t.test('no text that the grammar derives has two parses', (t) => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat(1_000_000)), (numbers) => {
      const text = derive(() => numbers.next().value as number)
      let parses = 0
      try {
        parses = profileParse(text).parses
      } catch {
        return true // the lexer reads the derived words differently, say a regular expression that does not follow `matches`
      }
      return parses <= 1
    }),
    { numRuns: 1_000, interruptAfterTimeLimit: 5_000 },
  )
  t.end()
})

/** One cache for all runs, so that pieces meet in every order. */
const WARM = new ParseCache()
/** Beginnings and ends that a cut could get wrong. */
const ROWS = [
  'rule A {',
  'rule A { deny }',
  'rule A { when x matches',
  'tags [a',
  'tags [',
  'list a = [x]',
  'list a',
  'tool t { a: string }',
  'tool t {} tags [a:b]',
  'policy p for tool list',
  'fleet',
  'policy q "x"',
  'import tools from',
  'use t(a) as B',
  'limit L { deny }',
  'after tool x',
  '}',
  ']',
  '"unclosed',
]
const byNumber = (a: number | undefined, b: number | undefined): number => (a ?? 0) - (b ?? 0)
const segmentAt = (segments: readonly Segment[], at: number): number | undefined =>
  segments.findLast(({ tokens }) => (tokens[0]?.offset ?? 0) <= at)?.tokens[0]?.offset

t.test('a file reads the same in pieces as its declarations do one by one', (t) => {
  const rows = fc.array(fc.oneof(declaration.map(printDeclaration), fc.constantFrom(...ROWS)), { maxLength: 6 })
  fc.assert(
    fc.property(rows, fc.constantFrom('\n', '\n\n', '\n# note\n', ' ', '\r\n'), (texts, between) => {
      const text = texts.join(between)
      const cached = parseFile('p.policy', bytes(text), WARM)
      const segments = split(text, tokenize(text).significant)
      const offsets = segments.map(({ tokens }) => tokens[0]?.offset)
      const found = [
        ...cached.file.declarations.map(({ offset }) => offset),
        ...cached.diagnostics.map(({ location }) => segmentAt(segments, location.start)),
      ]
      assert.deepEqual([...new Set(found)].sort(byNumber), offsets, text)
      const alone = segments.map(({ tokens }) => {
        const end = tokens.at(-1)
        return text.slice(tokens[0]?.offset, (end?.offset ?? 0) + (end?.text.length ?? 0))
      })
      const nodes = alone.flatMap((part) =>
        parseFile('p.policy', bytes(part)).file.declarations.map(({ node }) => node),
      )
      assert.deepEqual(
        cached.file.declarations.map(({ node }) => node),
        nodes,
        text,
      )
    }),
    { numRuns: 300, interruptAfterTimeLimit: 5_000 },
  )
  t.end()
})

t.test('a text that the grammar derives reads the same clause by clause as whole', (t) => {
  let read = 0
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat(1_000_000)), (numbers) => {
      const tokens = tokenize(`rule X { ${derive(() => numbers.next().value as number, 'clauses')} }`).significant
      const clauses = readRule(tokens)
      if (clauses === null) return
      read++
      const whole = readDerivation('declaration', tokens)
      assert.equal(whole.kind, 'read')
      if (whole.kind === 'read') assert.deepEqual(clauses, build(whole.derivation, tokens))
    }),
    { numRuns: 2_000, interruptAfterTimeLimit: 5_000 },
  )
  t.ok(read > 100, `${read} rules read`)
  t.end()
})

t.test('no policy of the repository has two parses', (t) => {
  let seen = 0
  for (const path of policyFiles('policies')) {
    for (const { node } of parseFile(path, readFileSync(path)).file.declarations) {
      t.equal(profileParse(printDeclaration(node)).parses, 1, `${path}: ${node.kind}`)
      seen++
    }
  }
  t.ok(seen > 20)
  t.end()
})

t.test('the parser works in steps that grow with the text, not faster', (t) => {
  const texts: Record<string, (n: number) => string> = {
    'a long conjunction': (n) => `rule X { when ${Array(n).fill('args.a == 1').join(' and ')} deny }`,
    'a long list': (n) => `list l = [${Array(n).fill('a').join(', ')}]`,
    'a long sum': (n) => `rule X { when ${Array(n).fill('1').join(' + ')} == 2 deny }`,
    'many clauses': (n) => `rule X { ${'when a == 1 '.repeat(n)} deny }`,
    'many parameters': (n) => `tool x { ${Array.from({ length: n }, (_, i) => `p${i}: string`).join(', ')} }`,
    'many calls of a test': (n) => `test "x" { ${'given tool a '.repeat(n)} expect deny }`,
    'many voters': (n) => `rule X { require approval from ${Array(n).fill('a').join(' and ')} }`,
    'nested parentheses': (n) => `rule X { when ${'('.repeat(n)}a${')'.repeat(n)} deny }`,
  }
  for (const [name, text] of Object.entries(texts)) {
    const short = profileParse(text(30))
    const long = profileParse(text(60))
    const growth = long.steps / short.steps
    t.ok(growth < 2.3, `${name}: ${short.steps} steps for ${short.tokens} tokens, ${long.steps} for ${long.tokens}`)
  }
  t.end()
})

t.test('an unchanged declaration is the same node again, wherever it moved', (t) => {
  const cache = new ParseCache()
  const rule = 'rule A "x" {\n  on tool send # note\n  when args.a > 1\n  deny\n}'
  const first = parseFile('a.policy', bytes(`policy p\n${rule}\nrule B { deny }\n`), cache)
  const moved = parseFile('a.policy', bytes(`policy p\n# more\n\nrule B { allow }\n\n${rule}\n`), cache)
  const node = (parsed: typeof first, at: number) => parsed.file.declarations[at]?.node
  t.equal(node(moved, 2), node(first, 1), 'the moved rule')
  t.equal(node(moved, 0), node(first, 0), 'the header')
  t.not(node(moved, 1), node(first, 2), 'the changed rule')
  t.equal(
    parseFile('a.policy', bytes(`policy p\n${rule}\nrule B { deny }\n`), cache).file.declarations[1]?.node,
    node(first, 1),
  )
  t.end()
})

t.test('a role may be called like the beginning of a declaration', (t) => {
  const cases: Readonly<Record<string, readonly string[]>> = {
    'policy p\ndefault require approval from 6 of list then from 2 of tool\nlist l from "l.txt"\n': ['policy', 'list'],
    'policy p\ndefault require approval from a then from use if (args.x == 1)\nuse t(1) as R\n': ['policy', 'use'],
    'policy p\ndefault require approval from a and 2 of rule if "a" == args.x\nrule R "" { deny }\n': [
      'policy',
      'rule',
    ],
    'policy p\ndefault require approval from a may remember\ntool for 1h\ntool x {}\n': ['policy', 'tool'],
    'rule R { require approval from a then from template if (env == "x") }\nlist l = []\n': ['rule', 'list'],
  }
  for (const [text, kinds] of Object.entries(cases)) {
    const { file, diagnostics } = parseFile('p.policy', bytes(text))
    t.strictSame(diagnostics, [], text)
    t.strictSame(
      file.declarations.map(({ node }) => node.kind),
      kinds,
      text,
    )
  }
  t.end()
})

t.test('a fault that moved is told at its new place', (t) => {
  const cache = new ParseCache()
  const fault = 'rule A { when args.a >> 1 deny }'
  const places = ['', '# one\n\n  '].map((before) => {
    const [diagnostic] = parseFile('a.policy', bytes(`policy p\n${before}${fault}`), cache).diagnostics
    return [diagnostic?.location.line, diagnostic?.location.column, diagnostic?.excerpt]
  })
  t.strictSame(places, [
    [2, 23, fault],
    [4, 25, `  ${fault}`],
  ])
  t.end()
})

t.test('every faulty declaration of a file is reported, the others are kept', (t) => {
  const parsed = parseFile(
    'a.policy',
    bytes(
      'policy p\nrule A { deny\nrule B { when > deny }\nrule C { deny }\nrul D { deny }\nlist x = [1\nrule E { deny }',
    ),
  )
  t.strictSame(
    parsed.diagnostics.map(({ code, location }) => `${location.line} ${code}`),
    ['2 POL1013', '3 POL1009', '5 POL1011', '6 POL1013'],
  )
  t.strictSame(
    parsed.file.declarations.map(({ node }) => node.kind),
    ['policy', 'rule', 'rule'],
  )
  t.end()
})

t.test('declarations are told apart by their words, not by the layout', (t) => {
  const kinds = (text: string) => parseFile('a.policy', bytes(text)).file.declarations.map(({ node }) => node.kind)
  t.strictSame(
    kinds(
      'policy p default deny rule A { deny } rule B { deny } list a = [x] list b = [rule] tool t {} tool u {} tags [a]',
    ),
    ['policy', 'rule', 'rule', 'list', 'list', 'tool', 'tool'],
  )
  t.strictSame(
    kinds(
      'policy rule\nfor\n  tool list,\n  agent test\ndefault require approval from policy\nlist list = [list, tool]',
    ),
    ['policy', 'list'],
  )
  t.strictSame(codes('policy rule\nfor\n  tool list,\n  agent test\ndefault require approval from policy'), [])
  t.end()
})

t.test('input that is no policy gets one clear diagnostic, at once', (t) => {
  const deep = (open: string, close: string) => `rule X { when ${open.repeat(10_000)}a${close.repeat(10_000)} deny }`
  const cases: Record<string, readonly [text: string | Uint8Array, code: string]> = {
    'ten megabytes': ['a '.repeat(5_000_000), 'POL1001'],
    'ten thousand parentheses': [deep('(', ')'), 'POL1007'],
    'ten thousand brackets': [deep('[', ']'), 'POL1007'],
    'ten thousand nots': [deep('not ', ''), 'POL1008'],
    'four thousand nots': [`rule X { when ${'not '.repeat(4_000)}a deny }`, 'POL2306'],
    'four thousand minuses in a test': [
      `test "x" { given tool a, args { b: ${'- '.repeat(4_000)}c } expect deny }`,
      'POL2306',
    ],
    'four thousand fields': [`use t(f(a)${'.a'.repeat(2_000)}) as X`, 'POL2306'],
    'ten thousand minuses': [deep('- ', ''), 'POL1008'],
    'ten thousand conditions': [`rule X { ${'when a '.repeat(10_000)} deny }`, 'POL1008'],
    'a list of a hundred thousand entries': [`list l = [${'a,'.repeat(100_000)}]`, 'POL1008'],
    'a megabyte of one text': [`rule X { deny "${'a'.repeat(1_000_000)} }`, 'POL1003'],
    'a megabyte of stars': [`rule X { on tool ${'*'.repeat(1_000_000)} deny }`, ''],
    'a megabyte of digits': [`rule X { when ${'1'.repeat(1_000_000)} deny }`, 'POL1003'],
    'a megabyte of colons': [`rule X { when ${':'.repeat(1_000_000)} deny }`, 'POL1008'],
    'a megabyte of slashes': [`rule X { when a matches ${'/'.repeat(1_000_000)} deny }`, 'POL1008'],
    'bytes that are no UTF-8': [Uint8Array.of(0x23, 0xc3, 0xa9, 0xef, 0xbf, 0xbd, 0x0a, 0xc3, 0x28), 'POL1002'],
    'a binary file': [Uint8Array.from({ length: 4096 }, (_, i) => (i * 7) % 128), 'POL1003'],
    'an empty file': ['', ''],
    'comments alone': ['# nothing\n\n# here', ''],
  }
  for (const [name, [input, code]] of Object.entries(cases)) {
    const { diagnostics } = parseFile('p.policy', typeof input === 'string' ? bytes(input) : input)
    t.equal(diagnostics[0]?.code ?? '', code, name)
    t.ok(
      diagnostics.every(({ message }) => message.length < 300),
      `${name}: short message`,
    )
  }
  const [notUtf8] = parseFile(
    'p.policy',
    Uint8Array.of(0x23, 0xc3, 0xa9, 0xef, 0xbf, 0xbd, 0x0a, 0xc3, 0x28),
  ).diagnostics
  t.match(notUtf8?.message, /offset 7\b/)
  t.end()
})

function policyFiles(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((entry) => {
    const path = join(folder, entry)
    return statSync(path).isDirectory() ? policyFiles(path) : path.endsWith('.policy') ? [path] : []
  })
}
