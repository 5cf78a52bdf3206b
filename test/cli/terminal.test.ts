import t from 'tap'
import { lines, MAX_LINE_BYTES } from '../../src/cli/ndjson.js'
import { overviewBox } from '../../src/cli/overview.js'
import { clean, cut, displayWidth, pad, type Terminal, table } from '../../src/cli/terminal.js'

const plain: Terminal = {
  width: 80,
  interactive: false,
  colours: false,
  write: async () => {},
  paint: (_, text) => text,
}

t.test('clean shows what a terminal would act on or hide', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['plain text, ünïcode, 漢字, 👍', 'plain text, ünïcode, 漢字, 👍'],
    ['\u001b[31mred', String.raw`\x1b[31mred`],
    ['a\nb\r\tc', String.raw`a\nb\r\tc`],
    ['\u009b31m', String.raw`\x9b31m`],
    ['safe\u202etxt.exe', String.raw`safe\u{202e}txt.exe`],
    ['a\u200bb\ufeffc\u2066d', String.raw`a\u{200b}b\u{feff}c\u{2066}d`],
    ['tag\u{e0041}', String.raw`tag\u{e0041}`],
    ['lone \ud800 surrogate', String.raw`lone \u{d800} surrogate`],
    ['\u2028', String.raw`\u{2028}`],
  ]
  for (const [text, shown] of cases) t.equal(clean(text), shown)
})

t.test('widths', async (t) => {
  t.equal(displayWidth('漢字'), 4)
  t.equal(displayWidth('e\u0301'), 1)
  t.equal(displayWidth('\u001b[31mred\u001b[0m'), 3)
  t.equal(cut('abcdef', 4), 'abc…')
  t.equal(cut('漢字漢', 5), '漢字…')
  t.equal(pad('ab', 4, 'right'), '  ab')
})

t.test('a table fits the terminal by cutting the column that may be cut', async (t) => {
  const columns = [
    { title: 'n', align: 'right' as const },
    { title: 'what', flexible: true },
  ]
  const [head, first, second] = table(
    columns,
    [
      ['1', 'x'.repeat(200)],
      ['22', 'y'],
    ],
    plain,
  ).split('\n')
  t.equal(head, ' n  what')
  t.equal(displayWidth(first!), 80)
  t.equal(second, '22  y')
})

t.test('the overview is a box', async (t) => {
  const box = overviewBox(
    {
      from: new Date(0),
      until: new Date(1),
      totals: { total: 17_500, allowed: 16_450, requireApproval: 875, denied: 175 },
      topViolations: [{ ruleId: 'R', policy: 'p', description: 'Block large data exports', count: 89, agents: 3 }],
      riskiestAgents: [
        { agent: `bot\u001b[2J${'x'.repeat(80)}`, violations: 47, decisions: 1_000, violationRate: 0.047 },
      ],
    },
    'Last 7 Days',
    plain,
  )
  t.equal(
    box,
    `┌─────────────────────────────────────────────────────────┐
│ Agent Security Overview                     Last 7 Days │
├─────────────────────────────────────────────────────────┤
│ Total Actions: 17,500                                   │
│ ✅ Allowed: 16,450 (94%)                                │
│ ⏳ Approval: 875 (5.0%)                                 │
│ ⛔ Blocked: 175 (1.0%)                                  │
│                                                         │
│ Top Violations:                                         │
│ 1. Block large data exports: 89                         │
│                                                         │
│ Riskiest Agents:                                        │
│ 1. bot\\x1b[2J${'x'.repeat(28)}…: 47 of 1,000 │
└─────────────────────────────────────────────────────────┘`,
  )
})

t.test('lines of any length and of any chunks, one in memory', async (t) => {
  const split = async (chunks: readonly string[]): Promise<unknown[]> => {
    const found: unknown[] = []
    const source = (async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk)
    })()
    for await (const { number, bytes } of lines(source)) {
      found.push([number, bytes === null ? null : Buffer.from(bytes).toString()])
    }
    return found
  }
  t.same(await split(['a\nb', 'b\n', '\n \r\n', 'last']), [
    [1, 'a'],
    [2, 'bb'],
    [5, 'last'],
  ])
  t.same(await split(['x'.repeat(MAX_LINE_BYTES), 'x\n', 'ok\n']), [
    [1, null],
    [2, 'ok'],
  ])
  t.same(await split(['x'.repeat(MAX_LINE_BYTES - 1), 'x']), [[1, 'x'.repeat(MAX_LINE_BYTES)]])
  t.same(await split([]), [])
})
