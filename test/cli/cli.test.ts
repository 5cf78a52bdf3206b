import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { startServer } from '../server/harness.js'
import { inProcess, MAIN, portcullis, ROOT } from './process.js'

const GOOD = `policy support
default deny

tool issue_refund { order_id: string, amount: number } tags [money]

rule ALLOW_REFUND "Refunds" {
  on   tool issue_refund
  allow with notify "desk"
}

rule LARGE "Large ones wait" {
  on   tool issue_refund, env prod
  when args.amount > 100
  require approval from manager within 5m
}
`
const TESTS = `test "small" {
  given tool issue_refund, args { order_id: "A", amount: 5 }
  expect allow by ALLOW_REFUND
}
test "wrong on purpose" {
  given tool issue_refund, args { order_id: "A", amount: 5 }
  expect require approval from manager by LARGE
}
`

t.test('wrong use ends with 2 and says how to call', async (t) => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['nonsense'], /unknown command 'nonsense'/],
    [['check', '--nope'], /unknown option '--nope'/],
    [['check', 'no/such/folder'], /`no\/such\/folder` does not exist/],
    [['decide', '--tool', 'x', '--args', '[1]'], /--args: .*expected a JSON object/],
    [['decide', '--tool', 'x', '--arg', 'novalue'], /--arg must look like key=value/],
    [['decide', '--tool', 'x', '--now', '2026-01-05T12:00'], /write it like 2026-01-05T12:00Z/],
    [['decide', '--tool', 'x', '--tenant', 'nobody'], /no tenant `nobody`; the folder has `default`/],
    [['explain'], /--tool is missing/],
    [['convert', 'no-such.json'], /no-such\.json: cannot be read \(ENOENT\)/],
    [['audit', 'nonsense'], /unknown command/],
  ]
  for (const [args, message] of cases) {
    const run = await inProcess(args)
    t.match(run, { code: 2, out: '' }, args.join(' '))
    t.match(run.err, message, args.join(' '))
  }
})

t.test('help and version end with 0', async (t) => {
  const all = /serve.*check.*fmt.*test.*explain.*explain-index.*decide.*convert.*audit/s
  t.match(await inProcess(['--help']), { code: 0, out: all })
  t.match(await inProcess(['decide', '--help']), { code: 0, out: /--exit-code/ })
  t.match(await inProcess(['serve', '--help']), { code: 0, out: /--policies PATH\n.*\n +PORTCULLIS_POLICIES\n/ })
  t.match(await inProcess(['--version']), { code: 0, out: /^\d+\.\d+\.\d+\n$/ })
})

/** Three loops, each in the next. */
const COSTLY = 'any x in args.xs: any y in args.xs: any z in args.xs: x == z'

t.test('check: a good folder, a bad one, JSON', async (t) => {
  const dir = t.testdir({
    good: { 'a.policy': GOOD },
    bad: { 'a.policy': GOOD.replace('args.amount', 'args.amout') },
    odd: { 'a.policy': `${GOOD}\nrule ODD {\n  when args.nowhere == 1\n  deny\n}\n` },
    costly: { 'a.policy': `fleet policy f\ndefault allow\n\nrule DEEP {\n  when ${COSTLY}\n  deny\n}\n` },
  })
  const good = await inProcess(['check', `${dir}/good`])
  t.equal(good.code, 0)
  t.match(good.out, /ready: 1 policy with 2 rules, 1 tool, 0 lists, 0 tests; 0 errors, \d+ warnings?\n$/)
  t.notMatch(good.out, /\x1b/, 'no colours without a terminal')
  const odd = ['check', `${dir}/odd`]
  t.match(await inProcess(odd), { code: 0, out: /warning POL\d{4}: .*ready: .*0 errors, [1-9]\d* warnings?\n$/s })
  t.match(await inProcess([...odd, '--strict']), { code: 1, out: /not ready: .*0 errors, [1-9]/ })
  const bad = await inProcess(['check', `${dir}/bad`])
  t.equal(bad.code, 1)
  t.match(bad.out, /a\.policy:13:\d+: error POL\d{4}: .*amout/)
  t.match(bad.out, /hint: .*amount/)
  t.match(bad.out, /not ready: /)
  const costly = { code: 1, out: /a\.policy:4:\d+: error POL4001: .*`DEEP`.*not ready: /s }
  t.match(await inProcess(['check', `${dir}/costly`]), costly, 'what only the compiler finds')
  const refused = ['explain-index', `${dir}/costly`]
  t.match(await inProcess(refused), { code: 1, err: /POL4001/ })
  const json = await inProcess(['check', `${dir}/bad`, '--json'])
  t.equal(json.code, 1)
  t.match(JSON.parse(json.out), {
    ok: false,
    revision: /^sha256:[0-9a-f]{64}$/,
    counts: { rules: 2 },
    diagnostics: [{ severity: 'error', location: { file: 'a.policy', line: 13 } }],
  })
})

t.test('fmt: --check tells, without it the file is in form, what does not parse is left alone', async (t) => {
  const odd = GOOD.replace('  on   tool issue_refund\n', 'on tool   issue_refund # why\n')
  const dir = t.testdir({ 'a.policy': odd, 'bad.policy': 'rule {' })
  const bad = await inProcess(['fmt', '--check', dir])
  t.equal(bad.code, 1)
  t.match(bad.out, 'a.policy\n')
  t.match(bad.err, /bad\.policy:1:\d+: error POL/)
  t.equal(readFileSync(`${dir}/a.policy`, 'utf8'), odd, '--check writes nothing')
  await inProcess(['fmt', `${dir}/a.policy`])
  t.match(readFileSync(`${dir}/a.policy`, 'utf8'), /\n {2}on +tool issue_refund +# why\n/)
  t.match(await inProcess(['fmt', '--check', `${dir}/a.policy`]), { code: 0, out: '' })
  t.equal(readFileSync(`${dir}/bad.policy`, 'utf8'), 'rule {')
})

t.test('test: failures say what was expected, what came and what nearly matched', async (t) => {
  const dir = t.testdir({ 'a.policy': GOOD, 'a.test.policy': TESTS })
  const run = await inProcess(['test', dir])
  t.equal(run.code, 1)
  t.match(run.out, /FAIL wrong on purpose {2}a\.test\.policy:5/)
  t.match(run.out, /expected REQUIRE_APPROVAL, got ALLOW/)
  t.match(run.out, /expected approval from manager, asked for none/)
  t.match(
    run.out,
    /LARGE {2}REQUIRE_APPROVAL {2}a\.policy:11:\d+\n\s+args\.amount > 100 {2}did not hold {2}a\.policy:13:8/,
  )
  t.match(run.out, /\n1 passed, 1 failed\n$/)
  const json = await inProcess(['test', dir, '--json'])
  t.match(JSON.parse(json.out), {
    passed: 1,
    failed: 1,
    tests: [
      { name: 'small', passed: true },
      { name: 'wrong on purpose', passed: false, decision: { outcome: 'ALLOW' } },
    ],
  })
})

t.test('decide: one call by flags', async (t) => {
  const dir = t.testdir({ 'a.policy': GOOD })
  const call = ['decide', '-p', dir, '--tool', 'issue_refund', '--arg', 'order_id=A1']
  t.match(await inProcess([...call, '--arg', 'amount=5']), { code: 0, out: /^ALLOW {2}.+\n$/ })
  t.match(await inProcess([...call, '--args', '{"amount":450}', '--exit-code']), {
    code: 1,
    out: /^REQUIRE_APPROVAL {2}/,
  })
  const json = JSON.parse((await inProcess([...call, '--arg', 'amount=450', '--json'])).out) as unknown
  t.match(json, {
    outcome: 'REQUIRE_APPROVAL',
    reason_code: 'RULE_APPROVAL',
    matched_rules: [
      {
        rule_id: 'LARGE',
        policy: 'support',
        effect: 'EFFECT_REQUIRE_APPROVAL',
        source: { file: 'a.policy', line: 11 },
      },
    ],
    approval: {
      requirements: [{ rule_ids: ['LARGE'], stages: [{ from: [{ count: 1, role: 'manager' }] }], within_ms: 300_000 }],
    },
    policy_revision: /^sha256:/,
  })
})

t.test('decide: flags say no more than a request can', async (t) => {
  const dir = t.testdir({ 'a.policy': GOOD })
  const wrong: readonly (readonly [flags: readonly string[], message: string])[] = [
    [['--arg', 'amount=1', '--arg', 'amount=1000'], '--arg: the key `amount` is given twice'],
    [['--args', '{"amount":1}', '--arg', 'amount=1000'], '--arg: the key `amount` is given twice'],
    [['--args', '{"amount":1,"amount":1000}'], '--args: the key "amount" is given twice (at $, byte 12)'],
    [['--arg', '__proto__=1'], '--arg: the key `__proto__` is not accepted'],
    [['--args', '{"__proto__":1}'], '--args: the key `__proto__` is not accepted (at $, byte 1)'],
    [['--label', '__proto__=a'], '--label: the key `__proto__` is not accepted'],
    [['--label', 'team=a', '--label', 'team=b'], '--label: the key `team` is given twice'],
    [['--arg', 'amount'], '--arg must look like key=value, not `amount`'],
    [['--args', '[1]'], '--args: expected a JSON object, found an array (at $, byte 0)'],
    [['--args', '{'], '--args: expected a key in double quotes, found the end of the text (at $, byte 1)'],
    [['--agent', ''], '`agent.id` is empty'],
    [['--env', ''], '`environment` is empty'],
  ]
  for (const [flags, message] of wrong) {
    const run = await inProcess(['decide', '-p', dir, '--tool', 'issue_refund', ...flags])
    t.same(run, { code: 2, out: '', err: `portcullis: ${message}\n` }, flags.join(' '))
  }
  for (const now of ['2026-02-30', '2026-01-05T25:00Z', '2026-01-05T10:00', 'yesterday', '2026-01-05T10:00+25:00']) {
    const run = await inProcess(['decide', '-p', dir, '--tool', 'issue_refund', '--now', now])
    t.match(run, { code: 2, out: '', err: /write it like 2026-01-05T12:00Z/ }, now)
  }
})

t.test('decide: NDJSON in order, a bad line an error in its place', async (t) => {
  const dir = t.testdir({ 'a.policy': GOOD })
  const call = (id: string, amount: number, more: object = {}): string =>
    JSON.stringify({
      request_id: id,
      agent: { id: 'a' },
      tool: 'issue_refund',
      environment: 'prod',
      arguments: { order_id: 'x', amount },
      ...more,
    })
  const input = [
    call('1', 5),
    '{"broken',
    '',
    call('4', 500),
    call('5', 1, { colour: 'red' }),
    '{"request_id":"6","agent":"a","environment":"prod"}',
    '{"request_id":"7","request_id":"8"}',
    '{"request_id":"8","agent":"a","tool":"t","environment":"prod","arguments":{"__proto__":1}}',
    `{"request_id":"9","agent":"a","tool":"${'x'.repeat(300)}","environment":"prod"}`,
    `{"big":"${'x'.repeat(1_100_000)}"}`,
    '[]',
    call('12', 7, { expected_policy_revision: 'sha256:other' }),
    '\u0000',
    call('14', 9, { explain: true }),
    call('15', 9, { arguments_struct: {} }),
    call('16', 9, { arguments: undefined, arguments_struct: { order_id: 'x', amount: 500 } }),
    call('17', 9, { context: { big: 'x'.repeat(300_000) } }),
  ].join('\n')
  const run = await inProcess(['decide', '-p', dir, '--now', '2026-01-05T12:00Z'], input)
  t.equal(run.code, 1, 'since lines were bad')
  const answers = run.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { outcome?: string; request_id?: string; error?: { line: number } })
  t.same(
    answers.map((answer) => answer.error?.line ?? `${answer.request_id} ${answer.outcome}`),
    [
      '1 ALLOW',
      2,
      '4 REQUIRE_APPROVAL',
      5,
      6,
      7,
      8,
      9,
      10,
      11,
      '12 DENY',
      13,
      '14 ALLOW',
      15,
      '16 REQUIRE_APPROVAL',
      17,
    ],
  )
  t.match(answers[3], { request_id: '5', error: { message: /`colour` is no field of a request/ } })
  t.match(answers[4], { request_id: '6', error: { message: '`tool` is missing' } })
  t.match(answers[7], { error: { message: '`tool` is longer than 256 bytes' } })
  t.match(answers[8], { error: { message: /the line is longer than/ } })
  t.match(answers[10], { reason_code: 'POLICY_REVISION_MISMATCH' })
  t.match(answers[12], {
    near_misses: [{ rule_id: 'LARGE', failed: [{ text: 'args.amount > 100', unknown: false }] }],
  })
  const again = await inProcess(['decide', '-p', dir, '--now', '2026-01-05T12:00Z'], input)
  t.equal(again.out, run.out, 'the same input gives the same bytes')
  t.match(await inProcess(['decide', '-p', dir, '--exit-code'], call('1', 5)), { code: 0 })
  t.match(await inProcess(['decide', '-p', dir, '--exit-code'], call('1', 500)), { code: 1 })
})

t.test('decide: policies with errors decide nothing', async (t) => {
  const dir = t.testdir({ 'a.policy': GOOD.replace('default deny', 'default perhaps') })
  const run = await inProcess(['decide', '-p', dir], '{}')
  t.match(run, { code: 1, out: '' })
  t.match(run.err, /error POL\d{4}.*nothing was decided/s)
})

t.test('explain: golden output without colour', async (t) => {
  const dir = t.testdir({ 'a.policy': GOOD })
  const run = await inProcess([
    'explain',
    '-p',
    dir,
    '--tool',
    'issue_refund',
    '--args',
    '{"order_id":"A1","amount":5}',
  ])
  t.equal(run.code, 0)
  t.equal(
    run.out
      .replace(/sha256:[0-9a-f]{64}/, 'sha256:…')
      .replace(/^ALLOW {2}.*\(RULE_ALLOW\)$/m, 'ALLOW  …  (RULE_ALLOW)'),
    `ALLOW  …  (RULE_ALLOW)

matched:
  ALLOW_REFUND  ALLOW  a.policy:6:6
    Refunds

obligations:
  notify desk  by ALLOW_REFUND

nearly matched:
  LARGE  REQUIRE_APPROVAL  a.policy:11:6
    args.amount > 100  did not hold  a.policy:13:8

policies sha256:…
`,
  )
})

t.test('explain: who is asked, and what they may do', async (t) => {
  const policy = `policy p authors [zoe]
rule R {
  require approval from 2 of lead (region = args.region, floor = args.floor) then from cfo within 5m not by author
    reason required may edit args.amount may remember exact for 1h may remember args.to, args.cc for 1h break glass by boss
}`
  const dir = t.testdir({ 'a.policy': policy })
  const run = await inProcess(['explain', '-p', dir, '--tool', 'x', '--args', '{"region":"\\u001b[31meu"}'])
  t.equal(run.code, 0)
  t.match(
    run.out,
    '  2 of lead (region = "\\u001b[31meu", floor that nobody has), then cfo within 300 s (not by zoe; approval and rejection ' +
      'with a reason; may edit args.amount; may remember exact for 3600 s; may remember args.to, args.cc for 3600 s; ' +
      'boss may break the glass)\n',
  )
})

t.test('explain-index: a table, and --no-scan', async (t) => {
  const every = `${GOOD}\nrule EVERY {\n  when exists args.sql and lower(args.sql) contains "drop"\n  deny\n}\n`
  const dir = t.testdir({ indexed: { 'a.policy': GOOD }, scanning: { 'a.policy': every } })
  const run = await inProcess(['explain-index', `${dir}/indexed`, '--no-scan'])
  t.equal(run.code, 0)
  t.match(run.out, /LARGE +tenant +literal .*tool issue_refund/)
  t.match(run.out, /2 rules, 0 scanned for every call/)
  const scanned = await inProcess(['explain-index', `${dir}/scanning`, '--no-scan', '--json'])
  t.equal(scanned.code, 1)
  const { rules } = JSON.parse(scanned.out) as { rules: readonly { rule_id: string }[] }
  t.match(
    rules.find((rule) => rule.rule_id === 'EVERY'),
    { access: 'scan', why_scan: /names no tool/ },
  )
})

t.test('convert: text out, problems with their paths', async (t) => {
  const bundle = 'test/fixtures/bundles/marketing.json'
  const run = await inProcess(['convert', bundle, '--list', 'customer_domains=customer-domains.txt'])
  t.same(run, { code: 0, out: readFileSync(`${ROOT}test/fixtures/bundles/marketing.policy`, 'utf8'), err: '' })
  const bare = await inProcess(['convert', bundle])
  t.match(bare, {
    code: 0,
    out: /list customer_domains = \[\]/,
    err: /customer_domains is empty, so every domain is refused/,
  })
  const bad = await portcullis(
    ['convert', '-'],
    '{"rules":[{"id":"R","outcome":"DENY","when":{"amount_over":5}}],"v":1}',
  )
  t.match(bad, {
    code: 1,
    out: '',
    err: /-: \$\.v is not known.*-: \$\.rules\[0\]\.when\.amount_over is not known.*2 problems; nothing was converted/s,
  })
  t.match(await inProcess(['convert', '-'], '{"rules":[],"rules":[]}'), { code: 2, err: /-: .*rules/ })
})

t.test('hostile names cannot act on the terminal', async (t) => {
  const name = 'x\u001b[2Jy\u202ez\nw'
  // Rules' texts may hold such characters as escapes; calls bring them raw.
  const text = JSON.stringify(name).replaceAll('\u202e', '\\u202e')
  const dir = t.testdir({ 'a.policy': `${GOOD}\nrule R ${text} {\n  on   tool x*\n  deny ${text}\n}\n` })
  const run = await inProcess(['explain', '-p', dir, '--tool', name, '--agent', name])
  t.equal(run.code, 0)
  t.match(run.out, String.raw`x\x1b[2Jy\u{202e}z\nw`)
  const answer = await inProcess(
    ['decide', '-p', dir],
    JSON.stringify({ request_id: '\u009b31m\u202e', agent: name, tool: name, environment: 'prod' }),
  )
  mkdirSync(path.join(dir, 'sub'))
  writeFileSync(path.join(dir, 'sub', 'a\u001b[31m.policy'), 'rule {')
  const check = await inProcess(['check', dir])
  t.equal(check.code, 1)
  const asJson = await inProcess(['check', dir, '--json'])
  for (const { out, err } of [run, check, asJson, answer]) t.notMatch(out + err, /[\u001b\u009b\u202e]/)
  t.match(JSON.parse(answer.out), { request_id: '\u009b31m\u202e' }, 'and JSON says the same as before')
  t.match(JSON.parse(asJson.out), { diagnostics: [{ location: { file: 'sub/a\u001b[31m.policy' } }] })
})

t.test('as a process: exit codes, both streams, standard input', async (t) => {
  const dir = t.testdir({ good: { 'a.policy': GOOD }, bad: { 'a.policy': 'rule {' } })
  const call = JSON.stringify({ agent: 'a', tool: 'issue_refund', environment: 'prod', arguments: { amount: 1 } })
  const [version, wrong, check, bad, decided, refused] = await Promise.all([
    portcullis(['--version']),
    portcullis(['check', 'no/such/folder']),
    portcullis(['check', `${dir}/good`]),
    portcullis(['check', `${dir}/bad`]),
    portcullis(['decide', '-p', `${dir}/good`], `${call}\n`.repeat(1_000)),
    portcullis(['decide', '-p', `${dir}/good`, '--tool', 'other', '--exit-code']),
  ])
  t.match(version, { code: 0, out: /^\d/, err: '' })
  t.match(wrong, { code: 2, out: '', err: /does not exist/ })
  t.match(check, { code: 0, out: /^ready: /, err: '' })
  t.match(bad, { code: 1, out: /not ready: / })
  t.match(decided, { code: 0, err: '' })
  t.same(
    decided?.out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { outcome: string }).outcome),
    Array(1_000).fill('ALLOW'),
  )
  t.match(refused, { code: 1, out: /^DENY / })
})

t.test('a reader that goes away is no failure', async (t) => {
  const dir = t.testdir({ 'a.policy': GOOD })
  const line = JSON.stringify({ agent: 'a', tool: 'issue_refund', environment: 'prod', arguments: { amount: 1 } })
  const child = spawn(process.execPath, [MAIN, 'decide', '-p', dir])
  let err = ''
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  child.stdin.on('error', () => {})
  child.stdout.once('data', () => child.stdout.destroy())
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const feed = (): void => {
    while (child.exitCode === null && child.stdin.writable) {
      if (!child.stdin.write(`${line}\n`)) return void child.stdin.once('drain', feed)
    }
  }
  feed()
  t.equal(await ended, 0)
  t.equal(err, '')
})

t.test('audit: a server that is not there', async (t) => {
  const run = await inProcess(['audit', 'totals', '--server', '127.0.0.1:1'])
  t.same(run, {
    code: 1,
    out: '',
    err:
      'portcullis: the server at 127.0.0.1:1 did not answer: connect ECONNREFUSED 127.0.0.1:1. ' +
      'Is it running? `portcullis serve` starts one\n',
  })
  for (const address of ['foo', '127.0.0.1:0', '127.0.0.1:99999', 'http://127.0.0.1:1', '::1:1', ':1']) {
    const wrong = await inProcess(['audit', 'totals', '--server', address])
    t.match(wrong, { code: 2, out: '', err: /write it like 127\.0\.0\.1:50051 or \[::1\]:50051/ }, address)
  }
})

t.test('audit: a server that stores nothing', async (t) => {
  const { app } = await startServer(t)
  t.same(await inProcess(['audit', 'totals', '--server', app.address]), {
    code: 1,
    out: '',
    err:
      `portcullis: the server at ${app.address} cannot answer: this server runs with --audit-store none: ` +
      'its records wait in the spool and cannot be searched\n',
  })
})
