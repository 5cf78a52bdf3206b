import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { status } from '@grpc/grpc-js'
import t from 'tap'
import { connect } from '../../sdk/typescript/client.js'
import { startServer } from '../server/harness.js'

const SQL = 'policy sql default allow\nrule USERS { on tool sql when sql(args.text).tables intersects [users] deny }\n'
/** Nine hundred words and signs, all different from call to call: milliseconds for the parser. */
const heavy = (i: number): string =>
  `select ${Array.from({ length: 380 }, (_, j) => `a${i}_${j}`).join('+')} from t${i}`

t.test('a batch of costly calls does not hold up the calls of others', async (t) => {
  const { app, client } = await startServer(t, { policies: { 'sql.policy': SQL } })
  const other = connect(app.address)
  t.teardown(() => other.close())
  const call = (text: string) => ({ agent: { id: 'a' }, tool: 'sql', environment: 'prod', arguments: { text } })
  await other.decide(call('select 1'))
  const order: string[] = []
  const batch = client.decideBatch(Array.from({ length: 150 }, (_, i) => call(heavy(i)))).then((results) => {
    order.push('batch')
    return results
  })
  await other.decide(call('select id from users'))
  order.push('small')
  const results = await batch
  t.same(order, ['small', 'batch'])
  t.equal(results.filter(({ response }) => response?.outcome === 'ALLOW').length, 150, 'and is answered whole')
})

t.test('near misses are told up to a hundred', async (t) => {
  const rules = Array.from({ length: 150 }, (_, i) => `rule R${i} { on tool x when args.n == ${i + 1} deny }`)
  const { client } = await startServer(t, {
    policies: { 'many.policy': `policy many default allow\n${rules.join('\n')}\n` },
  })
  const call = { agent: { id: 'a' }, tool: 'x', environment: 'prod', arguments: { n: 0 }, explain: true }
  const { outcome, nearMisses } = await client.decide(call)
  t.equal(outcome, 'ALLOW')
  t.equal(nearMisses.length, 100)
})

t.test('a ClickHouse that answers nonsense, 500, or nothing: decisions go on and are kept', async (t) => {
  const kinds: Readonly<Record<string, (response: ServerResponse) => void>> = {
    nonsense: (response) => response.end('<html>\u0000 not what you asked for'),
    500: (response) => response.writeHead(500).end('Code: 241. DB::Exception: Memory limit exceeded'),
    nothing: () => {},
  }
  let answer = kinds['nonsense']!
  const store = createServer((request, response) => {
    request.resume()
    answer(response)
  })
  store.listen(0, '127.0.0.1')
  await once(store, 'listening')
  const url = `http://127.0.0.1:${(store.address() as AddressInfo).port}/audit`
  const { app, client } = await startServer(t, { argv: ['--audit-store', 'clickhouse', '--clickhouse-url', url] })
  const call = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod', arguments: { order_id: 'A1' } }
  let recorded = 0
  for (const [name, kind] of Object.entries(kinds)) {
    answer = kind
    t.equal((await client.decide(call)).outcome, 'ALLOW', `${name}: allowed`)
    t.equal((await client.decide({ ...call, tool: 'delete_customer' })).outcome, 'DENY', `${name}: denied`)
    recorded += 2
    t.match(app.auditStatus, { lastSeq: recorded }, `${name}: both are in the spool`)
    t.match(app.storeStatus, { engine: 'clickhouse', storedSeq: 0 }, `${name}: none is taken for stored`)
    const asking = connect(app.address, { deadlineMs: name === 'nothing' ? 500 : 10_000 })
    const code = name === 'nothing' ? status.DEADLINE_EXCEEDED : status.UNAVAILABLE
    await t.rejects(asking.auditTotals(), { code }, `${name}: a question gets no false answer`)
    asking.close()
  }
  store.closeAllConnections()
  store.close()
})
