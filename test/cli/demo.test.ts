import { spawn } from 'node:child_process'
import t from 'tap'
import { ROOT } from './process.js'

t.test('the demo tells its incidents, and what it answered is what was recorded', async (t) => {
  const child = spawn(process.execPath, [
    `${ROOT}dist/bench/demo/main.js`,
    '--json',
    '--sessions',
    `${ROOT}bench/demo/sessions.jsonl`,
  ])
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  t.equal(err, '')
  t.equal(code, 0)
  t.match(out, /support +500 +485 +12 +3\nanalytics +200 +190 +2 +8\nmarketing +80 +71 +4 +5\n/)
  for (const rule of ['DENY_DELETE_CUSTOMER', 'DENY_WRITE_OPERATIONS', 'APPROVE_BULK_EMAIL']) t.match(out, rule)
  t.match(out, /Total Actions: 798 /)
  t.match(out, /\d\. analytics-bot-3: 4 of 4 /)
  t.same(JSON.parse(out.trimEnd().split('\n').at(-1)!), { decisions: 798, stored: 798, mismatches: 0 })
})
