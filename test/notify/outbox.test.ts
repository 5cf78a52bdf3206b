import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Delivery, DeliveryOutcome, DeliveryPort } from '../../src/model/delivery.js'
import { readNetwork } from '../../src/notify/addresses.js'
import { Breakers } from '../../src/notify/breaker.js'
import { Courier } from '../../src/notify/courier.js'
import { PAUSES_MS } from '../../src/notify/schedule.js'
import { readWebhookSecret } from '../../src/notify/standard-webhooks.js'
import { WebhookChannel } from '../../src/notify/webhook.js'
import type { Database } from '../../src/store/database.js'
import { fanOut } from '../../src/store/outbox/fan-out.js'
import { DeadLetters, Outbox, writeOutbox } from '../../src/store/outbox/index.js'
import { tidyOutbox } from '../../src/store/outbox/tidy.js'
import { ENGINES, freshDatabase, silent } from '../store/databases.js'
import { Receiver } from './fakes/receiver.js'
import { opened, secretOf } from './support.js'

const SENT: DeliveryOutcome = { kind: 'sent', remote: '' }
const LATER: DeliveryOutcome = { kind: 'retry', afterMs: 60_000, why: 'full', counts: true }

/** A channel that keeps what it was given and does as it is told. */
class Told implements DeliveryPort {
  readonly given: Delivery[] = []
  constructor(
    readonly name: string,
    public act: (delivery: Delivery) => DeliveryOutcome | Promise<DeliveryOutcome> = () => SENT,
    readonly kinds: readonly string[] | null = null,
  ) {}
  accepts(kind: string): boolean {
    return this.kinds?.includes(kind) ?? true
  }
  async deliver(delivery: Delivery): Promise<DeliveryOutcome> {
    this.given.push(delivery)
    return this.act(delivery)
  }
  get ids(): string[] {
    return this.given.map(({ id }) => id)
  }
}

async function say(
  database: Database,
  key: string,
  approvalId = key,
  kind = 'approval.opened',
  tenant = 'acme',
): Promise<void> {
  await writeOutbox(database, { tenant, kind, dedupeKey: key, payload: { ...opened, approvalId } })
}

/** The store's clock decides what is due; here it is told by moving the rows. */
async function pass(database: Database, ms: number): Promise<void> {
  await database.execute(
    `UPDATE deliveries SET next_at = next_at - make_interval(secs => $1), queued_at = queued_at - make_interval(secs => $1)`,
    [ms / 1_000],
  )
}

for (const { engine, skip } of ENGINES) {
  t.test(`on ${engine}`, { skip }, async (t) => {
    t.test('each channel gets what it takes, and fails for itself alone', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const good = new Told('good')
      const bad = new Told('bad', () => LATER)
      const picky = new Told('picky', () => SENT, ['kill.engaged'])
      const outbox = new Outbox({ database, log: silent, channels: [good, bad, picky] })
      await database.transaction(async (tx) => {
        await writeOutbox(tx, { tenant: 'acme', kind: 'approval.opened', dedupeKey: 'a', payload: opened })
        await writeOutbox(tx, { tenant: 'acme', kind: 'approval.opened', dedupeKey: 'a', payload: opened })
      })
      await t.rejects(
        database.transaction(async (tx) => {
          await writeOutbox(tx, { tenant: 'acme', kind: 'approval.opened', dedupeKey: 'undone', payload: opened })
          throw new Error('no')
        }),
      )
      await outbox.drain()
      await outbox.drain()
      t.strictSame([good.ids, bad.ids, picky.ids], [['a'], ['a'], []])
      t.match(good.given[0], { tenant: 'acme', kind: 'approval.opened', attempt: 1, isReplay: false, payload: opened })
      await pass(database, 60_000)
      await outbox.drain()
      t.strictSame([good.ids, bad.given.map(({ attempt }) => attempt)], [['a'], [1, 2]])
      bad.act = () => ({ ...LATER, afterMs: 1_000, counts: false })
      await pass(database, 60_000)
      await outbox.drain()
      await pass(database, 1_000)
      await outbox.drain()
      t.strictSame(
        bad.given.map(({ attempt }) => attempt),
        [1, 2, 3, 3],
        'what was not tried does not count',
      )
      t.ok((bad.given.at(-1)?.ageMs ?? 0) >= 121_000)
    })

    t.test('what is given up is listed, of one tenant, and sent again at wish', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const channel = new Told('hook', () => ({ kind: 'dead', why: 'gone\0\ud800'.padEnd(2_000, '!') }))
      const outbox = new Outbox({ database, log: silent, channels: [channel] })
      let nudged = 0
      const letters = new DeadLetters(database, 'acme', () => nudged++)
      await say(database, 'a', '019ab1c2-0000-7000-8000-00000000000a')
      await outbox.drain()
      await say(database, 'b', '', 'kill.engaged')
      await outbox.drain()
      await pass(database, 1e9)
      await outbox.drain()
      t.equal(channel.given.length, 2, 'the dead are not tried')
      const listed = await letters.list('acme', 10)
      t.match(listed, [
        { channel: 'hook', kind: 'kill.engaged', approvalId: '', attempts: 1 },
        {
          kind: 'approval.opened',
          approvalId: '019ab1c2-0000-7000-8000-00000000000a',
          lastError: /^gone\ufffd\ufffd!/,
        },
      ])
      t.equal(listed[0]?.lastError.length, 500)
      t.ok(listed[0]!.givenUpMs >= listed[0]!.createdMs)
      t.equal((await letters.list('acme', 1)).length, 1)
      t.strictSame(await letters.list('other', 10), [])
      for (const limit of [0, 501, 1.5, Number.NaN]) t.throws(() => letters.list('acme', limit), RangeError)

      channel.act = () => SENT
      const id = listed[1]!.id
      t.equal(await letters.replay('other', id), null, 'of another tenant')
      t.equal(await letters.replay('acme', 'not an id'), null)
      t.equal(await letters.replay('acme', '019ab1c2-0000-7000-8000-00000000ffff'), null)
      t.equal(nudged, 0)
      t.match(await letters.replay('acme', id), { id, attempts: 1, lastError: /^gone/ })
      t.equal(nudged, 1)
      t.equal(await letters.replay('acme', id), null, 'it is not dead any more')
      await outbox.drain()
      t.match(channel.given.at(-1), { id: 'a', attempt: 1, isReplay: true })
      t.match(await letters.list('acme', 10), [{ kind: 'kill.engaged' }])
      await outbox.drain()
      t.equal(channel.given.length, 3)

      channel.act = () => ({ kind: 'dead', why: 'gone' })
      await say(database, 'fleet', '', 'kill.engaged', '')
      await outbox.drain()
      t.equal((await letters.list('acme', 10)).length, 2, 'the fleet’s are seen by the tenant that runs it')
      t.strictSame(await letters.list('other', 10), [])
    })

    t.test('messages about one thing keep their order, until one fails', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const channel = new Told('chat', ({ id }) => ({ kind: 'sent', remote: `m-${id}` }))
      const outbox = new Outbox({ database, log: silent, channels: [channel] })
      await say(database, 'a1', 'a')
      await say(database, 'a2', 'a', 'approval.approved')
      await say(database, 'b1', 'b')
      await outbox.drain()
      t.strictSame(
        channel.given.map(({ id, earlier }) => [id, earlier]),
        [
          ['a1', ''],
          ['b1', ''],
          ['a2', 'm-a1'],
        ],
      )
      await say(database, 'c1', 'c')
      await say(database, 'c2', 'c', 'approval.approved')
      channel.act = ({ id }) => (id === 'c1' ? LATER : { kind: 'sent', remote: 'm-c2' })
      await outbox.drain()
      channel.act = () => SENT
      await pass(database, 60_000)
      await outbox.drain()
      t.strictSame(
        channel.given.slice(3).map(({ id, attempt, isOvertaken }) => [id, attempt, isOvertaken]),
        [
          ['c1', 1, false],
          ['c2', 1, false],
          ['c1', 2, true],
        ],
      )
    })

    t.test('two workers at once never send one delivery twice', async (t) => {
      const { database } = await freshDatabase(t, engine, { poolSize: 20 })
      const most = 200
      const turn = (): Promise<void> => new Promise((done) => setImmediate(done))
      const made = Array.from({ length: 4 }, () => {
        const channels = ['one', 'two'].map((name) => new Told(name, async () => turn().then(() => SENT)))
        return { channels, outbox: new Outbox({ database, log: silent, channels, mostAtATime: 7 }) }
      })
      const sayAll = (from: number, to: number): Promise<unknown> =>
        Promise.all(Array.from({ length: to - from }, (_, i) => say(database, `k${from + i}`, `s${(from + i) % 150}`)))
      await sayAll(0, most / 2)
      await fanOut(database, made[0]!.channels)
      await sayAll(most / 2, most)
      for (;;) {
        await Promise.all(made.map(({ outbox }) => outbox.drain()))
        const [left] = await database.query<{ n: number }>(
          `SELECT (SELECT count(*) FROM outbox WHERE done_at IS NULL) + (SELECT count(*) FROM deliveries WHERE done_at IS NULL) AS n`,
        )
        if (left?.n === 0) break
      }
      for (const name of ['one', 'two']) {
        const ids = made
          .flatMap(({ channels }) => channels.filter((channel) => channel.name === name))
          .flatMap(({ ids }) => ids)
        t.equal(ids.length, most, name)
        t.equal(new Set(ids).size, most)
      }
      t.ok(
        made.filter(({ channels }) => channels.some(({ given }) => given.length > 0)).length > 1,
        'several took part',
      )
    })

    t.test('a try whose lease ran out records nothing', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const warnings: string[] = []
      const log = { ...silent, warn: (event: string) => void warnings.push(event) }
      const slow = new Told('hook', async () => {
        await pass(database, 60_000)
        await new Outbox({ database, log, channels: [quick] }).drain()
        return { kind: 'dead', why: 'came too late' }
      })
      const quick = new Told('hook')
      await say(database, 'a')
      await new Outbox({ database, log, channels: [slow] }).drain()
      t.match(quick.given, [{ id: 'a', attempt: 2 }])
      t.strictSame(await new DeadLetters(database, 'main').list('acme', 10), [])
      t.strictSame(warnings, ['delivery recorded by another server'])
    })

    t.test(
      'a receiver that refuses is asked by the whole schedule, then given up, then asked again at wish',
      async (t) => {
        const { database } = await freshDatabase(t, engine)
        const secret = secretOf('r')
        const receiver = await Receiver.start(t, secret)
        const channel = new WebhookChannel({
          url: receiver.url,
          keys: [readWebhookSecret(secret)],
          allowed: [readNetwork('127.0.0.1')],
        })
        const breakers = new Breakers({ nowMs: () => 0 })
        const courier = new Courier({
          name: 'hook',
          channel,
          kinds: ['*'],
          tenants: null,
          link: '',
          breakers,
          random: () => 0,
        })
        const outbox = new Outbox({ database, log: silent, channels: [courier] })
        const letters = new DeadLetters(database, 'main')
        await say(database, 'a')
        for (const round of [1, 2]) {
          receiver.answer = () => ({ status: 400 })
          for (const [tried, pauseMs] of PAUSES_MS.entries()) {
            const before = (round - 1) * 10 + tried
            // The store's clock goes on beside: the half is far from both ends of the longer pauses.
            await pass(database, pauseMs / 2)
            if (pauseMs >= 300_000) {
              await outbox.drain()
              t.equal(receiver.received.length, before, `not before ${pauseMs} ms`)
            }
            await pass(database, pauseMs / 2)
            await outbox.drain()
            t.equal(receiver.received.length, before + 1)
          }
          await pass(database, 1e9)
          await outbox.drain()
          t.equal(receiver.received.length, round * 10)
          const [letter] = await letters.list('acme', 10)
          t.match(letter, { attempts: 10, lastError: /answered 400$/ })
          await letters.replay('acme', letter!.id)
        }
        receiver.answer = () => ({ status: 204 })
        await outbox.drain()
        t.strictSame([...receiver.counts.values()], [21], 'one id all the time')
        t.strictSame(await letters.list('acme', 10), [])
      },
    )

    t.test('a channel that throws is tried again, ten times', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const channel = new Told('broken', () => {
        throw new Error('oops')
      })
      const outbox = new Outbox({ database, log: silent, channels: [channel] })
      await say(database, 'a')
      for (let i = 0; i < 12; i++) {
        await outbox.drain()
        await pass(database, 400_000)
      }
      t.equal(channel.given.length, 10)
      t.match(await new DeadLetters(database, 'main').list('acme', 1), [
        { lastError: 'fault of the channel: oops', attempts: 10 },
      ])
    })

    t.test('what is over is forgotten, and what waits for a channel that is gone is given up', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const both = [new Told('kept'), new Told('removed', () => LATER)]
      await say(database, 'a')
      await new Outbox({ database, log: silent, channels: both }).drain()
      t.equal(await tidyOutbox(database, ['kept']), 0, 'not due for a day yet')
      await pass(database, 2 * 86_400_000)
      t.equal(await tidyOutbox(database, ['kept', 'removed']), 0, 'somebody has it')
      t.equal(await tidyOutbox(database, ['kept']), 1)
      const letters = new DeadLetters(database, 'main')
      t.match(await letters.list('acme', 10), [{ channel: 'removed', lastError: /add it again/ }])
      await database.execute(`UPDATE outbox SET done_at = done_at - interval '31 days'`)
      await tidyOutbox(database, ['kept'])
      t.equal((await letters.list('acme', 10)).length, 1, 'the dead are kept longer')
      await database.execute(`UPDATE deliveries SET dead_at = dead_at - interval '91 days' WHERE dead_at IS NOT NULL`)
      await tidyOutbox(database, ['kept'])
      t.strictSame(await database.query('SELECT 1 FROM outbox UNION ALL SELECT 1 FROM deliveries'), [])
    })
  })
}

t.test('it works by itself until it is closed, and closes its channels', async (t) => {
  const { database } = await freshDatabase(t)
  let arrived: (id: string) => void = () => undefined
  const next = (): Promise<string> => new Promise((resolve) => (arrived = resolve))
  let closed = 0
  const channel = Object.assign(
    new Told('hook', ({ id }) => {
      arrived(id)
      return SENT
    }),
    { close: () => void closed++ },
  )
  const outbox = new Outbox({ database, log: silent, channels: [channel], pollMs: 20 })
  outbox.start()
  t.throws(() => outbox.start())
  const first = next()
  await say(database, 'a')
  t.equal(await first, 'a', 'by looking')
  const second = next()
  await say(database, 'b')
  outbox.nudge()
  outbox.nudgeChannels()
  t.equal(await second, 'b')
  await outbox.close()
  await outbox.close()
  t.equal(closed, 1)
  t.throws(() => new Outbox({ database, log: silent, channels: [new Told('x'), new Told('x')] }), /one name/)
})

t.test(
  'kill -9 loses nothing, and a receiver that knows its ids sees nothing twice',
  { timeout: 120_000 },
  async (t) => {
    const secret = secretOf('k')
    const receiver = await Receiver.start(t, secret)
    const { database, url } = await freshDatabase(t)
    const all = 100
    for (let i = 0; i < all; i++) await say(database, `k${i}`, `s${i % 70}`)
    const sender = fileURLToPath(import.meta.resolve('./sender.js'))
    const kills = 3
    let unanswered = 0
    for (let kill = 0; kill <= kills; kill++) {
      const child = fork(sender, [url, receiver.url.href, secret], { stdio: 'ignore' })
      const ended = once(child, 'exit')
      // Some are killed before the answer, which nobody can have recorded then, and some right after it.
      const isBefore = kill % 2 === 0
      let left = 1 + Math.floor(Math.random() * 12)
      const done = new Promise<void>((resolve) => {
        receiver.answer = () => {
          if (kill < kills && --left <= 0) {
            if (isBefore && left === 0) unanswered++
            setImmediate(() => child.kill('SIGKILL'))
            if (isBefore) return null
          }
          if (receiver.counts.size === all) resolve()
          return { status: 204 }
        }
      })
      await Promise.race([ended, done])
      if (kill === kills) {
        for (;;) {
          const [left] = await database.query<{ n: number }>(
            'SELECT count(*) AS n FROM deliveries WHERE done_at IS NULL',
          )
          if (left?.n === 0) break
        }
        child.kill('SIGKILL')
      }
      await ended
    }
    const counts = [...receiver.counts.values()]
    const repeated = counts.reduce((sum, n) => sum + n - 1, 0)
    t.equal(counts.length, all, 'every id arrived')
    t.strictSame(receiver.refused, [], 'each under a good signature')
    t.ok(
      repeated >= unanswered && unanswered > 0,
      `${repeated} came again after ${kills} kills, ${unanswered} of them unanswered`,
    )
    const bodies = new Map<string, string>()
    for (const { id, text } of receiver.received) {
      t.equal(bodies.get(id) ?? text, text, 'one id, one body')
      bodies.set(id, text)
    }
    const [rows] = await database.query<{ rows: number }>(
      'SELECT count(*) AS rows FROM deliveries WHERE done_at IS NOT NULL',
    )
    t.equal(rows?.rows, all)
  },
)
