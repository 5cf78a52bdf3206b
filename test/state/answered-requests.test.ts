import fc from 'fast-check'
import t from 'tap'
import { AnsweredRequests, MOST_REQUEST_BYTES } from '../../src/state/answered-requests.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

interface Answer {
  readonly number: number
}
const TTL_MS = 1_000
const key = (id: number, agent = 'a') => ({ tenant: 't', agent, revision: 'r', requestId: `id-${id}` })
const request = (id: number, length = 20): { bytes: Buffer; from: number; to: number } => {
  const bytes = Buffer.alloc(length + 4, `<${id}>`)
  return { bytes, from: 2, to: length + 2 }
}

t.test('remembers the newest, each with its bytes and answer, whatever comes and goes', (t) => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('ask'), id: fc.nat(400), length: fc.nat(MOST_REQUEST_BYTES) }),
    fc.record({ kind: fc.constant('forget'), id: fc.nat(400), length: fc.constant(0) }),
    fc.record({ kind: fc.constant('wait'), id: fc.nat(300), length: fc.constant(0) }),
  )
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.array(step, { minLength: 300, maxLength: 1_500 }),
      (most, steps) => {
        const answered = new AnsweredRequests<Answer>({ maxEntries: most, ttlMs: TTL_MS })
        let nowMs = 0
        // In the order of remembering; what was forgotten keeps its place until newer ones push it out.
        let model: { id: number; atMs: number; number: number; bytes: Buffer; isForgotten: boolean }[] = []
        let number = 0
        for (const { kind, id, length } of steps) {
          if (kind === 'wait') {
            nowMs += id
            continue
          }
          const known = model.find((entry) => entry.id === id && !entry.isForgotten && entry.atMs + TTL_MS > nowMs)
          const found = answered.find(key(id), nowMs)
          if (known === undefined) {
            if (found !== null) return false
            const given = request(id, length)
            const underWay = answered.remember(key(id), `mark ${id}`, given, nowMs)
            answered.settle(underWay, { number }, kind === 'ask')
            const bytes = Buffer.from(given.bytes.subarray(given.from, given.to))
            model = model.filter((entry) => entry.atMs + TTL_MS > nowMs).slice(-(most - 1) || model.length)
            if (most === 1) model = []
            model.push({ id, atMs: nowMs, number, bytes, isForgotten: kind === 'forget' })
            number++
            continue
          }
          if (found === null || found.mark !== `mark ${id}` || !found.request.equals(known.bytes)) return false
          let answer: Answer | null = null
          found.whenAnswered((given) => {
            answer = given
          })
          if ((answer as Answer | null)?.number !== known.number) return false
        }
        return answered.size <= most
      },
    ),
    { numRuns: 150, seed: 20261122 },
  )
  t.end()
})

t.test('who asks while the first is under way gets its answer, also when newer ones pushed it out', (t) => {
  const answered = new AnsweredRequests<Answer>({ maxEntries: 2, ttlMs: TTL_MS })
  const first = answered.remember(key(1), '', request(1), 0)
  const got: number[] = []
  const take = (answer: Answer): void => void got.push(answer.number)
  answered.find(key(1), 0)?.whenAnswered(take)
  answered.find(key(1), 0)?.whenAnswered(take)
  answered.remember(key(2), '', request(2), 0)
  answered.remember(key(3), '', request(3), 0)
  t.equal(answered.find(key(1), 0), null, 'it was pushed out')
  const again = answered.remember(key(1), '', request(1), 0)
  t.strictSame(got, [])
  answered.settle(first, { number: 1 }, false)
  t.strictSame(got, [1, 1])
  answered.find(key(1), 0)?.whenAnswered(take)
  answered.settle(again, { number: 4 }, true)
  t.strictSame(got, [1, 1, 4], 'and the one that came after it stays')
  answered.find(key(1), 0)?.whenAnswered(take)
  t.strictSame(got, [1, 1, 4, 4], 'for those who ask later too')
  t.end()
})

t.test('ids are told apart by tenant, agent and policies', (t) => {
  const answered = new AnsweredRequests<Answer>({ maxEntries: 10, ttlMs: TTL_MS })
  const one = key(1)
  answered.settle(answered.remember(one, 'long', null, 0), { number: 1 }, true)
  t.equal(answered.find(one, 0)?.mark, 'long')
  t.equal(answered.find(one, 0)?.request.length, 0, 'a request may come without its bytes')
  for (const other of [{ tenant: 'u' }, { agent: 'b' }, { revision: 's' }, { requestId: 'id-2' }]) {
    t.equal(answered.find({ ...one, ...other }, 0), null)
  }
  t.equal(answered.find(one, TTL_MS), null, 'and not for ever')
  t.throws(() => answered.remember(key(5), '', request(5, MOST_REQUEST_BYTES + 1), 0), RangeError)
  t.end()
})
