import { readFileSync } from 'node:fs'
import { status } from '@grpc/grpc-js'
import t from 'tap'
import { ERROR_REASONS } from '../../src/transport/grpc/errors.js'

t.test('docs/errors.md lists the reasons of ErrorInfo, and no others', (t) => {
  const [, section = ''] = readFileSync('docs/errors.md', 'utf8').split('## gRPC errors')
  const rows = [...section.matchAll(/^\| `([A-Z_]+)` \| ([A-Z_]+) \| .+ \| .+ \|$/gm)]
  const documented = rows.map(([, reason, code]) => [reason, code])
  const known = Object.entries(ERROR_REASONS).map(([reason, code]) => [reason, status[code]])
  t.strictSame(documented.sort(), known.sort())
  t.end()
})
