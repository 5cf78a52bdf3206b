import { once } from 'node:events'
import { connect, createServer } from 'node:http2'
import { type AddressInfo, createServer as listen } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { OpenStreams, renewStreamTable } from '../../src/transport/grpc/open-streams.js'

fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

t.test('the table of open streams holds what a map holds', (t) => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant('open' as const) },
    { weight: 5, arbitrary: fc.nat({ max: 2_000 }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 3_000, size: 'max' }), (steps) => {
      const map = new Map<number, object>()
      const streams = new OpenStreams()
      let id = -1
      for (const what of steps) {
        if (what === 'open') {
          id += 2
          const stream = { id }
          map.set(id, stream)
          streams.set(id, stream)
        } else {
          const closed = [...map.keys()].at(-1 - (what % 300)) ?? what
          if (map.delete(closed) !== streams.delete(closed) || streams.get(closed) !== undefined) return false
        }
        if (streams.size !== map.size || streams.get(id) !== map.get(id)) return false
      }
      const seen = new Map<number, unknown>()
      streams.forEach((stream, at) => {
        seen.set(at, stream)
      })
      return JSON.stringify([...seen]) === JSON.stringify([...map])
    }),
    { numRuns: 50 },
  )
  t.pass()
  t.end()
})

t.test('a new session gets it and works', async (t) => {
  const http2 = createServer((request, response) => {
    response.end(request.url)
  })
  const renewed: boolean[] = []
  const server = listen((socket) => {
    http2.emit('connection', socket)
    renewed.push(renewStreamTable(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => {
    client.destroy()
    server.close()
  })
  const paths = Array.from({ length: 1_500 }, (_, i) => `/${i}`)
  const answers: string[] = []
  for (let i = 0; i < paths.length; i += 50) {
    const some = paths.slice(i, i + 50).map(async (path) => {
      const stream = client.request({ ':path': path })
      let text = ''
      for await (const piece of stream) text += String(piece)
      return text
    })
    answers.push(...(await Promise.all(some)))
  }
  t.same(answers, paths)
  t.same(renewed, [true], 'Node is as the code knows it; else it keeps its own table')
})

t.test('what is no session of HTTP/2, or has streams open, keeps what it has', (t) => {
  const session = { pendingSettingsAck: false, goaway: true }
  const tableOf = (streams: unknown): object => ({ session: { ...session, [Symbol('state')]: { streams } } })
  const kept: [string, object][] = [
    ['no session', {}],
    ['no state', { session }],
    ['no object', { session: { ...session, [Symbol('state')]: 7 } }],
    ['no table', tableOf(undefined)],
    ['another table', tableOf([])],
    ['streams open', tableOf(new Map([[1, {}]]))],
  ]
  t.ok(renewStreamTable(tableOf(new Map()) as Parameters<typeof renewStreamTable>[0]), 'all as it should be')
  for (const [name, socket] of kept) {
    const before = JSON.stringify(socket)
    t.notOk(renewStreamTable(socket as Parameters<typeof renewStreamTable>[0]), name)
    t.equal(JSON.stringify(socket), before)
  }
  t.end()
})
