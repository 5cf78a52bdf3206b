import t from 'tap'
import type { LogFields } from '../../src/model/log.js'
import { escapeUnseen } from '../../src/model/unseen.js'
import { createLog } from '../../src/telemetry/log.js'

const TIME = Date.UTC(2026, 0, 5, 10, 0, 0, 7)

function written(format: 'json' | 'text', fields: LogFields): string {
  let out = ''
  const write = (line: string): void => {
    out += line
  }
  createLog({ format, nowMs: () => TIME, write }).warn('happened', fields)
  return out
}

t.test('JSON: one object a line, hostile values escaped', (t) => {
  const hostile = 'a\n{"level":"error"}\u001b[2J\u202e\u0085'
  const line = written('json', { agent: hostile, count: 2, time: 'forged' })
  t.equal(
    line,
    '{"time":"2026-01-05T10:00:00.007Z","level":"warn","event":"happened",' +
      '"agent":"a\\n{\\"level\\":\\"error\\"}\\u001b[2J\\u202e\\u0085","count":2,"time_":"forged"}\n',
  )
  t.equal(JSON.parse(line).agent, hostile, 'nothing is lost')
  t.end()
})

t.test('text: no value leaves its place', (t) => {
  const fields = { a: 1, b: 'x y', c: '\u001b[31mred', d: undefined }
  t.equal(written('text', fields), '10:00:00.007 WARN  happened a=1 b="x y" c=\\u001b[31mred\n')
  t.equal(
    written('text', { found: 'one\n\u001btwo' }),
    '10:00:00.007 WARN  happened\n  found:\n    one\n    \\u001btwo\n',
  )
  t.end()
})

t.test('errors keep stack and causes', (t) => {
  const error = new Error('outer', { cause: new Error('inner') })
  const { cause } = JSON.parse(written('json', { cause: error }))
  t.match(cause, /^Error: outer\n {4}at [\s\S]*caused by Error: inner\n/)
  t.end()
})

t.test('long values are cut, lesser levels dropped', (t) => {
  t.match(JSON.parse(written('json', { text: 'x'.repeat(9_000) })).text, /^x{8192}… \(9000 characters\)$/)
  const lines: string[] = []
  const log = createLog({ level: 'error', format: 'json', nowMs: () => TIME, write: (line) => void lines.push(line) })
  log.warn('quiet')
  log.error('loud')
  t.match(lines, [/"loud"/])
  t.equal(lines.length, 1)
  t.equal(escapeUnseen('a\u200bb\ufeff'), 'a\\u200bb\\ufeff')
  t.end()
})
