import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connect, type PortcullisClient } from '../../sdk/typescript/client.js'
import { startApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import { openDatabase } from '../../src/store/pg-database.js'
import { TestLog, tempFolder } from '../server/harness.js'
import { Postgres, Wire } from './world.js'

// Faults by actions: what each answers while the fault lasts, and that everything goes again after it. Two instances on one
// PostgreSQL: `near` behind a wire that can be cut, with clocks that can be moved, `far` beside it. No cell may hold an ALLOW
// that nobody decided; a denial says why.

const POLICIES = {
  'support.policy': `policy support
default allow
tool pay    { order: string, pad: string }
tool look   { order: string }
tool remove { order: string }
rule ASK "Somebody looks at it" { on tool pay require approval from manager within 1h }
rule NO "Nothing is removed" { on tool remove deny "never" }
`,
}

const ACTIONS = ['allow', 'deny', 'stopped', 'ask', 'consume', 'vote', 'engage', 'release'] as const
type Action = (typeof ACTIONS)[number]
type Answers = Readonly<Record<Action, string>>

const FINE: Answers = {
  allow: 'ALLOW DEFAULT_ALLOW',
  deny: 'DENY RULE_DENY',
  stopped: 'DENY KILL_SWITCH',
  ask: 'REQUIRE_APPROVAL RULE_APPROVAL',
  consume: 'ALLOW APPROVED',
  vote: 'APPROVED',
  engage: 'engaged',
  release: 'released',
}
const NO_STORE = 'CONTROL_STORE_UNAVAILABLE'
const UNASKED = 'DENY APPROVAL_STORE_UNAVAILABLE'
/** What is known goes on to hold, and nothing new is agreed on. */
const STORELESS: Answers = {
  ...FINE,
  ask: UNASKED,
  consume: UNASKED,
  vote: NO_STORE,
  engage: NO_STORE,
  release: NO_STORE,
}
const STALE = 'DENY CONTROL_STATE_STALE'
const UNAUDITED = 'DENY AUDIT_UNAVAILABLE'

/** A channel that leads nowhere. */
const NOBODY = {
  type: 'webhook',
  name: 'nobody',
  url: 'http://127.0.0.1:9/',
  allow: ['127.0.0.1'],
  secrets: [{ file: 'secret' }],
}

/** What the actions of a row need, made before the fault. */
interface Prepared {
  readonly name: string
  readonly toUse: string
  readonly toVote: { readonly approvalId: string; readonly shownDigest: string }
  readonly toRelease: string
}

t.test('faults by actions', async (t) => {
  const postgres = new Postgres()
  await postgres.start()
  t.teardown(() => postgres.close())
  const wire = new Wire(postgres.socket)
  t.teardown(() => wire.close())
  const port = await wire.open()
  const clock = { aheadMs: 0, laterMs: 0 }
  const policies = tempFolder(t, POLICIES)
  const pepper = join(tempFolder(t), 'pepper')

  async function start(url: string, argv: readonly string[] = []) {
    const paths = ['--policies', policies, '--data', join(tempFolder(t), 'data'), '--listen', '127.0.0.1:0']
    const stores = [
      '--audit-store',
      'none',
      '--control-store',
      'postgres',
      '--database-url',
      url,
      '--drain-ms',
      '0',
      '--key-pepper-file',
      pepper,
    ]
    const app = await startApp(readConfig([...paths, ...stores, ...argv], {}), new TestLog(), {
      nowMs: () => Date.now() + clock.aheadMs,
      monotonicNs: () => (performance.now() + clock.laterMs) * 1e6,
    })
    const clients: PortcullisClient[] = []
    const as = (key = ''): PortcullisClient => {
      const client = connect(app.address, { key, deadlineMs: 20_000 })
      clients.push(client)
      return client
    }
    t.teardown(async () => {
      for (const client of clients) client.close()
      await app.close()
    })
    const [agent, ann, op, op2] = [
      as(),
      as('Development ann manager'),
      as('Development op'),
      as('Development op2'),
    ] as const
    return { agent, ann, op, op2 }
  }
  type Instance = Awaited<ReturnType<typeof start>>

  // Nobody listens where `near` tells of what happens, in every row: that holds up nothing.
  const notify = tempFolder(t, {
    'notify.json': JSON.stringify({ channels: [NOBODY] }),
    secret: `whsec_${'A'.repeat(44)}`,
  })
  const argv = ['--audit-spool-max-bytes', String(4 * 1024 ** 2), '--notify', join(notify, 'notify.json')]
  const near = await start(postgres.url(port), argv)
  const far = await start(postgres.url(null))
  const admin = await openDatabase(postgres.url(null), { poolSize: 2 })
  t.teardown(() => admin.close())

  const call = (name: string, tool: string, pad = '') => ({
    agent: { id: `agent-${name}` },
    tool,
    environment: 'prod',
    arguments: tool === 'pay' ? { order: name, pad } : { order: name },
  })
  const told = ({ outcome, reasonCode }: { readonly outcome: string; readonly reasonCode: string }): string =>
    `${outcome} ${reasonCode}`

  async function prepare(name: string): Promise<Prepared> {
    const opened = async (pad: string) => {
      const approvalId = (await far.agent.decide(call(name, 'pay', pad))).approval?.approvalId ?? ''
      const { summary } = await far.ann.approvals.get(approvalId)
      return { approvalId, shownDigest: summary.shownDigest }
    }
    const [toUse, toVote] = [await opened('use'), await opened('vote')]
    await far.ann.approvals.review({ ...toUse, approve: true })
    await near.op.killSwitches.engage('agent', `agent-stopped-${name}`, 'an incident')
    const { killSwitchId } = await near.op.killSwitches.engage('agent', `agent-released-${name}`, 'an incident')
    await far.op.killSwitches.release(killSwitchId, 'over')
    return { name, toUse: toUse.approvalId, toVote, toRelease: killSwitchId }
  }

  function act({ agent, ann, op, op2 }: Instance, action: Action, prepared: Prepared): Promise<string> {
    const { name, toUse, toVote, toRelease } = prepared
    const acts: Readonly<Record<Action, () => Promise<string>>> = {
      allow: async () => told(await agent.decide(call(name, 'look'))),
      deny: async () => told(await agent.decide(call(name, 'remove'))),
      stopped: async () => told(await agent.decide(call(`stopped-${name}`, 'look'))),
      ask: async () => told(await agent.decide(call(name, 'pay', 'ask'))),
      consume: async () => told(await agent.decide({ ...call(name, 'pay', 'use'), approvalId: toUse })),
      vote: async () => (await ann.approvals.review({ ...toVote, approve: true })).summary.state,
      engage: async () => {
        await op.killSwitches.engage('agent', `agent-engaged-${name}`, 'an incident')
        return 'engaged'
      },
      release: async () =>
        (await op2.killSwitches.release(toRelease, 'over')).releasedBy === 'op2' ? 'released' : '?',
    }
    return acts[action]().catch((error: { readonly reason?: string }) => error.reason ?? String(error))
  }

  /** All of them at a time: what waits for an answer that does not come waits once. */
  async function answers(instance: Instance, prepared: Prepared): Promise<Answers> {
    const told = await Promise.all(
      ACTIONS.map(async (action) => [action, await act(instance, action, prepared)] as const),
    )
    return Object.fromEntries(told) as Answers
  }

  /** Until requests can be opened again, which needs everything. */
  async function well(instance: Instance, name: string): Promise<void> {
    for (let tried = 0; ; tried++) {
      const prepared = { name, toUse: '', toVote: { approvalId: '', shownDigest: '' }, toRelease: '' }
      const now = await act(instance, 'ask', { ...prepared, name: `well-${name}-${tried}` })
      if (now === FINE.ask) return
      if (tried > 400) throw new Error(`not well again after ${name}: ${now}`)
      await sleep(50)
    }
  }

  const FULL = `BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END`
  const TABLES = ['approvals', 'kill_switches', 'outbox']
  const fillDisk = async (): Promise<void> => {
    await admin.execute(`CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ ${FULL} $$`)
    for (const table of TABLES) {
      const when = `BEFORE INSERT OR UPDATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION disk_full()`
      await admin.execute(`CREATE TRIGGER disk_full ${when}`)
    }
  }
  const emptyDisk = async (): Promise<void> => {
    await admin.execute('DROP FUNCTION disk_full() CASCADE')
  }
  const nothing = (): void => undefined

  interface Fault {
    readonly fault: string
    readonly begin: () => unknown
    readonly end: () => unknown
    readonly near: Answers
    /** Of the other instance at the same time. @default not asked */
    readonly far?: Answers
  }
  const faults: readonly Fault[] = [
    { fault: 'notifier down', begin: nothing, end: nothing, near: FINE },
    {
      fault: 'split: refused',
      begin: () => wire.cut(),
      end: () => wire.mend(),
      near: STORELESS,
      far: FINE,
    },
    { fault: 'split: silence', begin: () => wire.mute(), end: () => wire.mend(), near: STORELESS, far: FINE },
    {
      fault: 'split for 61 s',
      begin: () => {
        wire.cut()
        clock.laterMs += 61_000
      },
      end: () => wire.mend(),
      near: { ...STORELESS, allow: STALE, deny: STALE, ask: STALE, consume: STALE },
    },
    { fault: 'slow: 50 ms', begin: () => wire.slow(50), end: () => wire.mend(), near: FINE, far: FINE },
    { fault: 'slow: 4 s', begin: () => wire.slow(4_000), end: () => wire.mend(), near: STORELESS, far: FINE },
    { fault: 'paused', begin: () => postgres.pause(), end: () => postgres.resume(), near: STORELESS, far: STORELESS },
    { fault: 'down', begin: () => postgres.stop(), end: () => postgres.start(), near: STORELESS, far: STORELESS },
    {
      fault: 'killed, back again',
      begin: async () => {
        postgres.kill()
        await well(near, 'killed')
        await well(far, 'killed-far')
      },
      end: nothing,
      near: FINE,
      far: FINE,
    },
    {
      fault: 'clock +10 min',
      begin: () => {
        clock.aheadMs = 600_000
      },
      end: () => {
        clock.aheadMs = 0
      },
      near: FINE,
    },
    {
      fault: 'clock -10 min',
      begin: () => {
        clock.aheadMs = -600_000
      },
      end: () => {
        clock.aheadMs = 0
      },
      near: FINE,
    },
    { fault: "store's disk full", begin: fillDisk, end: emptyDisk, near: STORELESS, far: STORELESS },
    {
      fault: "audit's disk full",
      begin: async () => {
        const pad = 'x'.repeat(60_000)
        const fill = () => near.agent.decide({ ...call('filling', 'look'), arguments: { order: pad } })
        while ((await fill()).reasonCode !== 'AUDIT_UNAVAILABLE');
      },
      end: nothing,
      near: { ...FINE, allow: UNAUDITED, ask: UNAUDITED, consume: UNAUDITED },
      far: FINE,
    },
  ]

  const rows: string[] = []
  for (const [at, { fault, begin, end, ...expected }] of faults.entries()) {
    const prepared = { near: await prepare(`${at}-near`), far: await prepare(`${at}-far`) }
    await begin()
    const startedMs = performance.now()
    const sides = (['near', 'far'] as const).filter((side) => expected[side] !== undefined)
    // Both at a time: what waits for an answer that does not come waits once.
    const told = await Promise.all(sides.map((side) => answers({ near, far }[side], prepared[side])))
    for (const [i, side] of sides.entries()) {
      const got = told[i]!
      t.same(got, expected[side], `${fault}, ${side}`)
      rows.push(`${fault.padEnd(18)} ${side.padEnd(5)} ${ACTIONS.map((action) => got[action].padEnd(32)).join('')}`)
    }
    rows.push(`  ${Math.round(performance.now() - startedMs)} ms`)
    await end()
    if (fault !== "audit's disk full") await well(near, `${at}-near`)
    await well(far, `${at}-far`)
  }
  for (const row of [`${''.padEnd(24)} ${ACTIONS.map((action) => action.padEnd(32)).join('')}`, ...rows]) t.comment(row)
})
