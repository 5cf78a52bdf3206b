import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import t from 'tap'
import { startServer } from '../../bench/demo/server.js'
import { inProcess, MAIN, ROOT } from './process.js'

/** Asks until the answer satisfies; the audit stores a moment after the reply. Tap's timeout ends what never does. */
async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (holds(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

t.test('decide and audit against a running server', async (t) => {
  const server = await startServer(ROOT, `${ROOT}policies`, ['--control-store', 'none'])
  t.teardown(() => server.stop())
  const ask = (args: readonly string[], stdin = '') => inProcess([...args, '--server', server.address], stdin)
  const json = async (args: readonly string[]): Promise<unknown> =>
    JSON.parse((await ask([...args, '--json'])).out) as unknown

  const refund = ['--agent', 'support-1', '--tool', 'issue_refund', '--args', '{"order_id":"A1","amount":450}']
  t.match(await ask(['decide', ...refund]), { code: 0, out: /^REQUIRE_APPROVAL {2}.*APPROVE_LARGE_REFUND/ })
  const hostile = 'support-\u001b[2J'
  const requests = [
    {
      request_id: '1',
      agent: 'support-1',
      tool: 'delete_customer',
      environment: 'prod',
      arguments: { customer_id: '9007199254740993' },
    },
    { request_id: '2', tool: 'x', environment: 'prod' },
    { request_id: '3', agent: hostile, tool: 'delete_customer', environment: 'prod' },
    { request_id: '4', agent: 'support-1', tool: 'get_order', environment: 'prod', arguments: { order_id: 'A1' } },
  ]
  const answered = await ask(['decide'], requests.map((request) => JSON.stringify(request)).join('\n'))
  t.equal(answered.code, 1)
  const answers = answered.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { decision_id: string })
  t.match(answers, [
    {
      request_id: '1',
      outcome: 'DENY',
      matched_rules: [{ rule_id: 'DENY_DELETE_CUSTOMER', effect: 'EFFECT_DENY' }],
      decision_id: /^[0-9a-f-]{36}$/,
    },
    { request_id: '2', error: { line: 2, message: '`agent` is missing' } },
    { request_id: '3', outcome: 'DENY' },
    { request_id: '4', outcome: 'ALLOW' },
  ])

  const totals = await until(
    () => json(['audit', 'totals']),
    (answer) => (answer as { total: number }).total >= 4,
  )
  t.same(totals, { total: 4, allowed: 1, require_approval: 1, denied: 2 })
  t.match(await json(['audit', 'violations']), [
    { rule_id: 'DENY_DELETE_CUSTOMER', policy: 'support', count: 2, agents: 2 },
  ])
  t.match(await json(['audit', 'agents']), [{ violations: 1 }, { violations: 1 }])
  t.match(await json(['audit', 'overview']), { from: /Z$/, totals: { total: 4 }, top_violations: [{ count: 2 }] })
  t.match(await json(['audit', 'get', answers[0]!.decision_id]), {
    decision_id: answers[0]!.decision_id,
    outcome: 'DENY',
    rule_ids: ['DENY_DELETE_CUSTOMER'],
    arguments: { customer_id: String },
  })
  t.match(await ask(['audit', 'get', '00000000-0000-7000-8000-000000000000']), {
    code: 1,
    out: '',
    err: /is stored, or not yet/,
  })

  const pretty = await Promise.all([
    ask(['audit', 'overview']),
    ask(['audit', 'totals']),
    ask(['audit', 'violations']),
    ask(['audit', 'agents']),
    ask(['audit', 'get', answers[2]!.decision_id]),
    ask(['audit', 'tail', '--no-follow']),
  ])
  for (const run of pretty) {
    t.match(run, { code: 0, err: '' })
    t.notMatch(run.out, /\u001b/, 'what an agent calls itself does not reach the terminal raw')
  }
  t.match(pretty[0]?.out, /Total Actions: 4 .*Never allow customer data deletion: 2/s)
  t.match(pretty[1]?.out, /ALLOW +1 +25%\nREQUIRE_APPROVAL +1 +25%\nDENY +2 +50%\ntotal +4 +100%\n$/)
  t.match(pretty[3]?.out, String.raw`support-\x1b[2J`)
  t.equal(pretty[5]?.out.trimEnd().split('\n').length, 4)
  const tail = spawn(process.execPath, [MAIN, 'audit', 'tail', '-n', '1', '--json', '--server', server.address])
  const ended = new Promise<number | null>((resolve) => tail.once('exit', resolve))
  const seen: string[] = []
  for await (const line of createInterface({ input: tail.stdout })) {
    seen.push((JSON.parse(line) as { tool: string }).tool)
    if (seen.length === 1)
      await ask(['decide', '--agent', 'support-1', '--tool', 'get_customer', '--arg', 'customer_id=1'])
    else tail.kill('SIGINT')
  }
  t.same(seen, ['get_order', 'get_customer'], 'the tail begins with the past and goes on with what comes')
  t.equal(await ended, 0, 'and Ctrl-C is its ordinary end')

  const empty = await ask(['audit', 'totals', '--until', '2020-01-01T00:00Z'])
  t.match(empty, { code: 0, out: /total +0 +–\n$/ })
})
