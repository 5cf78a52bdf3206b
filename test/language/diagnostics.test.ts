import { strict as assert } from 'node:assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { inspect } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { COMPILE_CODES } from '../../src/compiler/compile-error.js'
import { BundleCache, checkBundle } from '../../src/language/check.js'
import type { CheckedBundle } from '../../src/language/checked.js'
import { CODES } from '../../src/language/codes.js'
import { renderDiagnostic } from '../../src/language/render-diagnostic.js'

/**
 * Bundles and what the checker says about them. `UPDATE_GOLDEN=1` writes the answers anew; read the difference as code.
 * A case is `=== name`, then files as `--- path`, then `--- expect` and the rendered diagnostics.
 */
const GOLDEN = 'test/fixtures/language/diagnostics.txt'

interface Case {
  readonly name: string
  readonly files: ReadonlyMap<string, string>
  readonly expected: string
}

function readCases(): readonly Case[] {
  const [, ...blocks] = readFileSync(GOLDEN, 'utf8').split(/^=== /m)
  return blocks.map((block) => {
    const [head = '', ...parts] = block.split(/^--- /m)
    const sections = parts.map((part) => {
      const end = part.indexOf('\n')
      return [part.slice(0, end), part.slice(end + 1)] as const
    })
    const expected = sections.find(([path]) => path === 'expect')?.[1] ?? ''
    return {
      name: head.trim(),
      files: new Map(sections.filter(([path]) => path !== 'expect')),
      expected: expected.trimEnd(),
    }
  })
}

fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105), endOnFailure: true })

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

function check(files: ReadonlyMap<string, string>, cache?: BundleCache): CheckedBundle {
  const entries = [...files].map(([path, text]) => [path, encode(text)] as const)
  return checkBundle(
    {
      policies: new Map(entries.filter(([path]) => path.endsWith('.policy'))),
      attachments: new Map(entries.filter(([path]) => !path.endsWith('.policy'))),
    },
    cache,
  )
}

const seen = new Set<string>()

t.test('what the checker says', (t) => {
  const cases = readCases()
  const cache = new BundleCache()
  const answers = cases.map((one) => {
    const { diagnostics } = check(one.files, cache)
    for (const { code } of diagnostics) seen.add(code)
    const rendered = diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n')
    if (process.env['UPDATE_GOLDEN'] === undefined) t.equal(rendered, one.expected, one.name)
    return rendered
  })
  if (process.env['UPDATE_GOLDEN'] !== undefined) {
    const text = cases.map(({ name, files }, at) => {
      const parts = [...files].map(([path, content]) => `--- ${path}\n${content}`).join('')
      return `=== ${name}\n${parts}--- expect\n${answers[at]}\n\n`
    })
    writeFileSync(GOLDEN, text.join(''))
  }
  t.ok(cases.length > 40)
  t.end()
})

/** Given by inputs that a text file cannot hold, or by a fault of the grammar; parse.test.ts has those. */
const ELSEWHERE = new Set(['POL1001', 'POL1002', 'POL1007', 'POL1008', 'POL1099', 'POL3000'])

const DEEP = { depth: 20, maxArrayLength: null } as const

t.test('a list file that is no list file is one clear finding', (t) => {
  const cases: Record<string, readonly [bytes: Uint8Array | null, code: string, says: RegExp]> = {
    missing: [null, 'POL1014', /^the file `l\.txt` does not exist in this bundle$/],
    'five million lines': [
      Buffer.alloc(10_000_000, 'a\n'),
      'POL1016',
      /has 10000000 bytes; the limit is 8388608 \(8 MiB\)$/,
    ],
    binary: [
      Uint8Array.from({ length: 4_096 }, (_, at) => (at * 37) % 256),
      'POL1016',
      /is not UTF-8: the byte at offset \d+/,
    ],
  }
  const policies = new Map([['a.policy', encode('policy p\nlist l from "l.txt"\nrule A { when args.x in l deny }')]])
  for (const [name, [bytes, code, says]] of Object.entries(cases)) {
    const attachments = new Map(bytes === null ? [] : [['l.txt', bytes]])
    const [finding, ...others] = checkBundle({ policies, attachments }).diagnostics
    t.match(finding, { code, severity: 'error', message: says, location: { file: 'a.policy', line: 2 } }, name)
    t.equal(others.length, 0, `${name}: told once`)
  }
  t.end()
})

/** Declarations that change what others mean, and some that such a change is seen in. */
const CHANGES: Readonly<Record<string, readonly string[]>> = {
  'fleet.policy': [
    'fleet policy base',
    'fleet policy base for tool send default allow',
    'list l = [a, b]',
    'list l = []',
    'list m from "m.txt"',
    'tool send { x: string, y: number } tags [egress]',
    'tool send { x: number } tags [money]',
    'template t(p, n) { on tool p when args.x == n deny }',
    'template t(p, n) { on tool p when args.y > n and lower(args.x) == "A" allow }',
    'rule F { on tool tag egress when args.x in l deny }',
    'rule G { on tool undeclared deny }',
    'rule H { on tool send require approval from a then from b (r = args.y) if args.x in l and [list l] contains args.x may edit args.x }',
  ],
  'tenants/a/a.policy': [
    'policy a',
    'policy a authors [zoe] for tool send default require approval from a then from b if args.x in l not by author',
    'policy a for tool [send, pay]',
    'tool pay { amount: number, to?: string }',
    'rule A { on tool send when args.x in m and args.y > 1 deny }',
    'rule A { on tool send deny }',
    'rule B { on tool pay when args.to == "x" allow }',
    'rule B { on tool send when args.y > 1 allow }',
    'rule C { when any r in args.x: r in [l] deny }',
    'rule I { on tool pay require approval from a not by author may remember args.to for 1h }',
    'use t(send, 1) as D',
    'use t(pay, "x") as D',
    'rule F { deny }',
    'test "x" { given tool send, args { x: 1 } expect deny by D }',
  ],
  'tenants/b/b.policy': ['policy b', 'rule A { on tool send deny }', 'tool send { x: string } tags [egress]'],
  'm.txt': ['a', 'b c,', '\u200b'],
}

t.test('a check after others finds what a first one finds', (t) => {
  const file = (lines: readonly string[]) => fc.subarray([...lines]).map((chosen) => `${chosen.join('\n')}\n`)
  const bundle = fc.record(Object.fromEntries(Object.entries(CHANGES).map(([path, lines]) => [path, file(lines)])))
  const told = ({ diagnostics, fleet, tenants, revision }: CheckedBundle): string =>
    JSON.stringify([revision, diagnostics, inspect(fleet, DEEP), inspect(tenants, DEEP)])
  const cache = new BundleCache()
  fc.assert(
    fc.property(bundle, (texts) => {
      const files = new Map(Object.entries(texts).filter(([, text]) => text !== '\n'))
      assert.equal(told(check(files, cache)), told(check(files)))
    }),
    { numRuns: 400, interruptAfterTimeLimit: 8_000 },
  )
  t.end()
})

t.test('every code has a case, and a row in the table of errors', (t) => {
  const codes = Object.keys(CODES)
  t.strictSame(
    codes.filter((code) => !seen.has(code) && !ELSEWHERE.has(code)),
    [],
    'codes without a case',
  )
  const rows = [...readFileSync('docs/errors.md', 'utf8').matchAll(/^\| `(POL\d{4})` \| (\w+) \|/gm)]
  const ofCompiler = Object.values(COMPILE_CODES)
  t.strictSame(rows.map(([, code]) => code).sort(), [...codes, ...ofCompiler].sort(), 'rows of docs/errors.md')
  for (const [, code, severity] of rows) {
    const expected = CODES[code as keyof typeof CODES]?.severity ?? 'error'
    t.equal(severity, expected, `${code} is an ${severity}`)
  }
  t.end()
})

t.test('a bundle with very many findings shows the worst of them, and how many there are', (t) => {
  const rules = Array.from(
    { length: 300 },
    (_, at) => `rule R${at} { when args.a == nothing${at} deny unknown means no match }\n`,
  )
  const { diagnostics } = check(new Map([['a.policy', `policy p\n${rules.join('')}`]]))
  t.equal(diagnostics.length, 201)
  t.strictSame([...new Set(diagnostics.slice(0, 200).map(({ severity }) => severity))], ['error'])
  t.match(diagnostics.at(-1), { code: 'POL3000', message: '400 more findings are not shown' })
  t.end()
})

t.test('a rendered diagnostic cannot act on the terminal', (t) => {
  const { diagnostics } = check(
    new Map([['a\u001b[2J.policy', 'policy p\nrule A { when args.\u202ex == \u001b[31m deny }']]),
  )
  const rendered = diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n')
  t.notMatch(rendered, /[\u0000-\u0009\u000b-\u001f\u202e]/)
  t.match(rendered, /\\u001b/)
  const colored = renderDiagnostic(diagnostics[0] as (typeof diagnostics)[0], { color: true })
  t.match(colored, /\u001b\[31m +\^+\u001b\[0m/)
  t.end()
})

t.test('what a bundle means', (t) => {
  const bundle = check(
    new Map([
      [
        'fleet.policy',
        'fleet policy base\nlist hosts = [a, b]\ntool send { x: string, i: string, n: { m: number }, h: list<number> } tags [egress]\nrule F { on tenant acme deny }',
      ],
      [
        'main.policy',
        'policy main\nlist mine = [c, list hosts]\nrule A { when args.x in [d, list mine] unless ip(args.i) in nets deny }\nlist nets from "lists/nets.txt"',
      ],
      ['lists/nets.txt', '# private\n10.0.0.0/8\n\nfe80::/10 # link-local\n'],
      ['lists/unused.txt', 'x'],
      [
        'tenants/acme/acme.policy',
        'policy acme\ntemplate t(tl, what, role) "said" { on tool tl when what > 1 and any hosts2 in args.h: hosts2 == what require approval from role }\nuse t(send, args.n.m, "big boss") as B\nimport tools from "tools.json" tags [x]',
      ],
      [
        'tenants/acme/tools.json',
        JSON.stringify({
          tools: [
            {
              name: 'b.c',
              inputSchema: {
                type: 'object',
                properties: { x: {}, i: {}, n: { anyOf: [{ type: 'integer' }, { type: 'null' }] } },
                required: ['n', 'x', 'i'],
              },
            },
          ],
        }),
      ],
    ]),
  )
  t.strictSame(
    bundle.diagnostics.map(({ code }) => code),
    [],
    'nothing to complain about',
  )
  t.strictSame([...bundle.tenants.keys()], ['acme', 'default'])
  t.strictSame(
    bundle.fleet.policies.map(({ name }) => name),
    ['base'],
  )
  const main = bundle.tenants.get('default')
  t.strictSame(main?.lists.get('mine'), ['c', 'a', 'b'], 'lists are spliced, the fleet is seen')
  t.strictSame(main?.lists.get('nets'), ['10.0.0.0/8', 'fe80::/10'])
  const [rule] = main?.policies[0]?.rules ?? []
  t.match(rule?.conditions, [
    { kind: 'relation', op: 'in', right: { items: ['d', 'c', 'a', 'b'].map((value) => ({ kind: 'literal', value })) } },
    {
      kind: 'not',
      operand: {
        right: {
          items: [
            { kind: 'cidr', text: '10.0.0.0/8' },
            { kind: 'cidr', text: 'fe80::/10' },
          ],
        },
      },
    },
  ])
  t.equal(
    rule?.excerpt((rule.conditions[0] as { span: { start: number; end: number } }).span),
    'args.x in [d, list mine]',
  )
  const acme = bundle.tenants.get('acme')
  t.match(acme?.tools.get('b.c'), { tags: ['x'] })
  t.strictSame(acme?.tools.get('b.c')?.parameters.get('n'), { type: { kind: 'number' }, optional: false })
  const [made] = acme?.policies[0]?.rules ?? []
  t.match(made, {
    id: 'B',
    description: 'said',
    scope: [{ patterns: [{ text: 'send' }] }],
    effect: { approval: { stages: [{ from: [{ role: { name: 'big boss' } }] }] } },
  })
  t.match(made?.location, { file: 'tenants/acme/acme.policy', line: 3 })
  t.end()
})

t.test('the revision follows what was read, and nothing else', (t) => {
  const files = new Map([
    ['a.policy', 'policy p\nlist l from "l.txt"'],
    ['l.txt', 'x'],
    ['other.txt', 'y'],
  ])
  const { revision } = check(files)
  t.match(revision, /^sha256:[0-9a-f]{64}$/)
  t.equal(check(new Map([...files].reverse())).revision, revision, 'the order of the files')
  t.equal(check(new Map([...files, ['other.txt', 'z']])).revision, revision, 'a file that nothing names')
  t.not(check(new Map([...files, ['l.txt', 'z']])).revision, revision, 'a list file')
  t.not(check(new Map([...files, ['b.policy', '']])).revision, revision, 'a new policy file')
  t.end()
})

t.test('every policy in the documentation checks', (t) => {
  const blocks = [...readFileSync('docs/language.md', 'utf8').matchAll(/^```policy\n([\s\S]*?)^```$/gm)].map(
    ([, text]) => text as string,
  )
  t.ok(blocks.length >= 3)
  for (const text of blocks) {
    const { diagnostics } = check(new Map([['docs.policy', text]]))
    t.strictSame(
      diagnostics.filter(({ severity }) => severity !== 'info').map((found) => renderDiagnostic(found)),
      [],
      text.slice(0, 40),
    )
  }
  t.end()
})

t.test('what may be a list may contain more than texts', (t) => {
  const answer = (condition: string) =>
    check(new Map([['a.policy', `policy p\nrule A { on tool q when ${condition} deny }`]])).diagnostics.map(
      (d) => d.code,
    )
  t.strictSame(answer('args.items contains 99'), [], 'an argument that nobody declared')
  t.strictSame(answer('args.flags contains true'), [])
  t.strictSame(answer('"a text" contains 99'), ['POL2108'])
  t.strictSame(answer('args.items contains [99]'), ['POL2108'], 'which means `contains any of`')
  t.end()
})

t.test('more words than the engine can look for in a text are refused', (t) => {
  const words = Array.from({ length: 2_001 }, (_, at) => `w${at}`)
  const policy =
    'policy p\ntool q { sql: string, l: list<string> }\nlist many from "m.txt"\nrule A { on tool q when args.FIELD contains any of many deny }'
  const answer = (field: string, count: number) =>
    check(
      new Map([
        ['a.policy', policy.replace('FIELD', field)],
        ['m.txt', words.slice(0, count).join('\n')],
      ]),
    ).diagnostics.map((d) => d.code)
  t.strictSame(answer('sql', 2_001), ['POL2306'])
  t.strictSame(answer('sql', 2_000), [])
  t.strictSame(answer('l', 2_001), [], 'a list is looked up, not scanned')
  t.end()
})
