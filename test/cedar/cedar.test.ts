import { readFileSync } from 'node:fs'
import path from 'node:path'
import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import t from 'tap'
import { readTree } from './archive.js'
import { runCedar } from './run.js'

const CASES = path.resolve('test/cedar/cases')
const files = readTree(CASES)

t.test('cases in the format of the public corpus decide as in Cedar', (t) => {
  const { tests, translated, withConditions, compared, mismatches, inexpressible } = runCedar(files)
  t.same(mismatches, [])
  t.same([tests, translated, withConditions], [4, 3, 3])
  t.equal(compared, 25, 'every request of what was translated')
  t.same([...inexpressible], [['the extension function lessThan', 1]], 'the rest is counted by its reason')
  t.end()
})

t.test('what the cases expect is what Cedar says', (t) => {
  const text = (name: string) => readFileSync(path.join(CASES, name), 'utf8')
  const entities = JSON.parse(text('photos.entities.json')) as cedar.EntityJson[]
  for (const name of ['overlapping', 'errors', 'values', 'decimal']) {
    const { requests } = JSON.parse(text(`${name}.json`)) as { requests: (cedar.AuthorizationCall & Expected)[] }
    for (const { description, decision, reason, errors, ...request } of requests) {
      const policies = { staticPolicies: text(`${name}.cedar`) }
      const answer = cedar.isAuthorized({ ...request, policies, entities, schema: text('photos.cedarschema') })
      const said = answer.type === 'success' ? answer.response : answer
      t.match(
        said,
        { decision, diagnostics: { reason: { length: reason.length }, errors: { length: errors.length } } },
        description,
      )
    }
  }
  t.end()
})
interface Expected {
  readonly description: string
  readonly decision: string
  readonly reason: readonly string[]
  readonly errors: readonly string[]
}

t.test('a decision that differs is told', (t) => {
  const changed = new Map(files)
  changed.set('overlapping.json', files.get('overlapping.json')!.replace('"decision": "allow"', '"decision": "deny"'))
  const [mismatch, ...more] = runCedar(changed).mismatches
  t.same(mismatch, { test: 'overlapping.json', request: 0, expected: 'DENY by policy0', actual: 'ALLOW by policy0' })
  t.same(more, [])
  changed.delete('photos.cedarschema')
  t.throws(() => runCedar(changed), /there is no photos.cedarschema beside the test/)
  t.end()
})
