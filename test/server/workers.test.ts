import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import t from 'tap'
import { connect, type DecideRequest, type PortcullisClient, PortcullisError } from '../../sdk/typescript/client.js'
import { auditFolders, spoolsOf } from '../../src/audit/folders.js'
import { rowsOfSegment } from '../../src/audit/spool/reader.js'
import { listSegments } from '../../src/audit/spool/segments.js'
import { type Child, run, serving, type Teardown } from './child.js'
import { POLICY, startServer, tempFolder } from './harness.js'

const allowed = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod', arguments: { order_id: 'A1' } }
const denied = { ...allowed, tool: 'delete_customer', arguments: { customer_id: 'C1' } }

/** Several clients, each with a connection of its own. */
function connections(t: Teardown, address: string, count: number): readonly PortcullisClient[] {
  const channel = { 'grpc.use_local_subchannel_pool': 1, 'grpc.initial_reconnect_backoff_ms': 100 }
  return Array.from({ length: count }, () => {
    const client = connect(address, { deadlineMs: 30_000, channel })
    t.teardown(() => client.close())
    return client
  })
}

function start(
  t: Teardown,
  workers: number,
  data: string,
  argv: readonly string[] = [],
  policies = tempFolder(t, { 'support.policy': POLICY }),
): Child {
  const paths = ['--policies', policies, '--data', data, '--workers', String(workers), '--log-level', 'debug']
  return run(t, [...paths, ...(argv.includes('--audit-store') ? [] : ['--audit-store', 'none']), ...argv])
}

async function pidOf(child: Child, worker: number): Promise<number> {
  return Number((await child.logged('worker ready', { worker }))['pid'])
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A test's own time limit ends a wait that never does. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Process ids of the children. */
function childrenOf(pid: number): readonly number[] {
  const file = `/proc/${pid}/task/${pid}/children`
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter(Boolean).map(Number) : []
}

/** Ids of the records in a spool, with those that a segment repeats. */
function recorded(spool: string): ReadonlySet<string> {
  const rows = listSegments(spool).flatMap(({ path }) => rowsOfSegment(path))
  return new Set(rows.map(({ payload }) => (JSON.parse(payload.toString('utf8')) as { event_id: string }).event_id))
}

function recordedByAll(data: string): ReadonlySet<string> {
  return new Set(spoolsOf(data).flatMap(({ spool }) => [...recorded(spool)]))
}

/** Decides until it is told to stop, and again what got no answer; ids of the answers go into the set. */
async function load(client: PortcullisClient, ids: Set<string>, stop: () => boolean): Promise<void> {
  for (let i = 0; !stop(); i++) {
    const call: DecideRequest = i % 2 === 0 ? allowed : denied
    try {
      ids.add((await client.decide(call)).decisionId)
    } catch (error) {
      if (!(error instanceof PortcullisError) || error.code !== status.UNAVAILABLE) throw error
    }
  }
}

t.test('two workers', async (t) => {
  const data = join(tempFolder(t), 'data')
  const policies = tempFolder(t, { 'support.policy': POLICY })
  const child = start(t, 2, data, [], policies)
  const address = await serving(child)
  const clients = connections(t, address, 6)
  /** Of every decision that was answered. */
  const ids = new Set<string>()

  await t.test('share the connections', async (t) => {
    for (let round = 0; round < 5; round++) {
      for (const client of clients) {
        const { outcome, decisionId } = await client.decide(round % 2 === 0 ? allowed : denied)
        t.equal(outcome, round % 2 === 0 ? 'ALLOW' : 'DENY')
        ids.add(decisionId)
      }
    }
    const counts = [1, 2].map((worker) => recorded(auditFolders(data, worker).spool).size)
    t.strictSame(counts, [15, 15], 'three connections each, five calls each')
    t.notOk(existsSync(auditFolders(data).spool), 'the spool of a server of one process is not touched')
  })

  await t.test('signals: a reload reaches both, and others are for the parent', async (t) => {
    child.process.kill('SIGHUP')
    for (const worker of [1, 2]) await child.logged('policies unchanged', { worker, trigger: 'signal' })
    for (const worker of [1, 2]) {
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.kill(await pidOf(child, worker), signal)
    }
    for (const client of clients) {
      const { outcome, decisionId } = await client.decide(allowed)
      t.equal(outcome, 'ALLOW', 'both go on')
      ids.add(decisionId)
    }
  })

  await t.test('kill -9 of one under load: it comes back', async (t) => {
    const first = await pidOf(child, 1)
    let isOver = false
    const loads = clients.map((client) => load(client, ids, () => isOver))
    const reached = (count: number): Promise<void> => until(() => ids.size >= count)
    await reached(200)
    process.kill(first, 'SIGKILL')
    const end = await child.logged('worker ended, another one is started')
    t.match(end, { level: 'error', worker: 1, pid: first, how: 'SIGKILL' })
    await reached(ids.size + 200)
    t.not((await child.logged('worker serves again', { worker: 1 }))['pid'], first)
    const before = recorded(auditFolders(data, 1).spool).size
    for (const late of connections(t, address, 2)) ids.add((await late.decide(denied)).decisionId)
    t.ok(recorded(auditFolders(data, 1).spool).size > before, 'new connections go to the worker that has fewest')
    isOver = true
    await Promise.all(loads)
  })

  await t.test('one that dies while the policies do not check comes back when they do', async (t) => {
    writeFileSync(join(policies, 'support.policy'), POLICY.replace('rule DENY_DELETE', 'rul DENY_DELETE'))
    for (const worker of [1, 2]) await child.logged('policies refused, the last good ones stay live', { worker })
    const pid = await pidOf(child, 2)
    process.kill(pid, 'SIGKILL')
    const refused = { worker: 2, how: 'exit code 1' }
    const { why } = await child.logged('worker ended, another one is started', refused)
    t.match(why, /^support\.policy:\d+:/)
    const [client] = connections(t, address, 1)
    const { outcome, decisionId } = await client!.decide(denied)
    ids.add(decisionId)
    t.equal(outcome, 'DENY', 'the other one answers by the last good policies')
    writeFileSync(join(policies, 'support.policy'), POLICY)
    await child.logged('worker serves again', { worker: 2 })
  })

  await t.test('drain together', async (t) => {
    const streams = connections(t, address, 4).map((client) => client.decideStream())
    for (const [i, stream] of streams.entries()) {
      await stream.write({ ...denied, requestId: `s${i}` })
      t.match(await stream[Symbol.asyncIterator]().next(), { value: { response: { outcome: 'DENY' } } })
    }
    child.process.kill('SIGTERM')
    const ends = await Promise.allSettled(
      streams.map(async (stream) => {
        for await (const _ of stream) t.fail('nothing was asked')
      }),
    )
    for (const end of ends) t.match(end, { status: 'rejected', reason: { reason: 'SERVER_DRAINING' } })
    t.equal(await child.exit, 0)
    t.ok(child.errors.some((line) => line.includes('"event":"stopped"')))
  })

  const records = recordedByAll(data)
  t.comment(`acknowledged ${ids.size}, recorded ${records.size}`)
  t.equal([...ids].filter((id) => !records.has(id)).length, 0, 'no acknowledged record is lost')
})

const isLinux = process.platform === 'linux'

t.test('workers that die', async (t) => {
  const child = start(t, 2, join(tempFolder(t), 'data'))
  const address = await serving(child)
  const [one, two] = [await pidOf(child, 1), await pidOf(child, 2)]

  await t.test('with connections on their way', async (t) => {
    process.kill(one, 'SIGSTOP')
    // Half of them are for the worker that does not take them, each behind the one before it.
    const calls = connections(t, address, 8).map((client) => client.decide(allowed))
    let answered = 0
    for (const call of calls) {
      call.then(
        () => answered++,
        () => undefined,
      )
    }
    await until(() => answered === 4)
    process.kill(one, 'SIGKILL')
    const ends = await Promise.allSettled(calls)
    t.ok(ends.filter(({ status }) => status === 'fulfilled').length >= 7, 'all but the one that it had in its hands')
  })

  await t.test('all of them: connections wait for the next ones', async (t) => {
    const again = Number((await child.logged('worker serves again', { worker: 1 }))['pid'])
    for (const pid of [again, two]) process.kill(pid, 'SIGKILL')
    await child.logged('worker ended, another one is started', { worker: 2 })
    await child.logged('worker ended, another one is started', { pid: again })
    const [client] = connections(t, address, 1)
    t.equal((await client!.decide(allowed)).outcome, 'ALLOW')
  })

  await t.test('again and again end the server', { skip: !isLinux && 'finds them by /proc' }, async (t) => {
    let isOver = false
    void child.exit.then(() => {
      isOver = true
    })
    const killed = new Set<number>()
    await until(() => {
      for (const pid of childrenOf(child.process.pid!)) {
        if (!killed.has(pid)) process.kill(pid, 'SIGKILL')
        killed.add(pid)
      }
      return isOver
    })
    t.equal(await child.exit, 1)
    const end = child.errors.find((line) => line.includes('the server cannot go on')) ?? '{}'
    t.match(JSON.parse(end), { level: 'error', why: '11 workers died within 60 s' })
  })
})

t.test('what keeps several workers from starting', async (t) => {
  const refused = async (argv: readonly string[], message: RegExp): Promise<void> => {
    const child = run(t, ['--workers', '2', '--audit-store', 'none', ...argv])
    t.equal(await child.exit, 1, String(message))
    t.equal(child.errors.filter((line) => message.test(line)).length, 1, 'once')
  }
  const faulty = tempFolder(t, { 'a.policy': 'policy a "A"\nrule X { on tol issue_refund deny }\n' })
  const data = join(tempFolder(t), 'data')
  await refused(['--policies', faulty, '--data', data], /^portcullis: a\.policy:2:\d+: error POL\d{4}: /)
  t.notOk(existsSync(data), 'faulty policies leave no trace')

  const policies = tempFolder(t, { 'support.policy': POLICY })
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const address = ['--listen', `127.0.0.1:${port}`]
  await refused(['--policies', policies, '--data', data, ...address], /^portcullis: cannot listen on .*another process/)
  await startServer(t, { data })
  t.pass('the data folder is free again')
})

const hasChdb = existsSync('node_modules/chdb')

t.test(
  'kill -9 of the parent, and fewer workers than before',
  { skip: !hasChdb && 'chdb is not installed' },
  async (t) => {
    const data = join(tempFolder(t), 'data')
    const embedded = ['--audit-store', 'embedded']
    const ids = new Set<string>()
    let before: { readonly child: Child; readonly stopped: number } | null = null
    for (const workers of [2, 2, 1]) {
      const child = start(t, workers, data, embedded)
      if (before !== null && workers > 1) {
        await child.logged('worker ready', { worker: 1 })
        t.ok(isRunning(before.stopped), 'a worker of the server before still holds its spool')
        t.notOk(
          child.errors.some((line) => line.includes('"event":"serving"')),
          'so that the server does not answer yet',
        )
      }
      if (before !== null) process.kill(before.stopped, 'SIGCONT')
      const clients = connections(t, await serving(child), 6)
      if (before !== null) {
        await before.child.exit
        // Its pipe closes a moment before the process is gone.
        const { stopped } = before
        await until(() => !isRunning(stopped))
        t.pass('it ended when it saw that its server was gone')
      }
      const left = ids.size
      for (const client of clients) await until(async () => (await client.auditTotals()).total === left)
      await Promise.all(clients.map((client) => load(client, ids, () => ids.size >= left + 120)))
      if (workers === 1) {
        child.process.kill('SIGTERM')
        t.equal(await child.exit, 0)
      } else {
        const stopped = await pidOf(child, 2)
        process.kill(stopped, 'SIGSTOP')
        child.process.kill('SIGKILL')
        before = { child, stopped }
      }
    }
    const { client } = await startServer(t, { data, argv: embedded })
    const { total } = await client.auditTotals()
    t.comment(`acknowledged ${ids.size}, stored ${total}`)
    t.equal(total, ids.size, 'every record is stored, once')
  },
)
