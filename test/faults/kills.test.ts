import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connect } from '../../sdk/typescript/client.js'
import { run, serving } from '../server/child.js'
import { tempFolder } from '../server/harness.js'
import { Postgres } from './world.js'

// A server that is killed while it does something, each step a row: another instance then finds it done or not begun, goes on
// from there, and nothing was done twice.

const POLICY = `policy support
default allow
tool pay { order: string }
rule ASK "Somebody looks at it" { on tool pay require approval from manager within 1h }
`

t.test('killed at every step', async (t) => {
  const postgres = new Postgres()
  await postgres.start()
  t.teardown(() => postgres.close())
  const policies = tempFolder(t, { 'support.policy': POLICY })
  const pepper = join(tempFolder(t), 'pepper')
  async function start() {
    const stores = ['--audit-store', 'none', '--control-store', 'postgres', '--database-url', postgres.url(null)]
    const paths = ['--policies', policies, '--data', tempFolder(t), '--key-pepper-file', pepper]
    const child = run(t, [...paths, ...stores])
    const address = await serving(child)
    const as = (key = '') => {
      const client = connect(address, { key, deadlineMs: 10_000 })
      t.teardown(() => client.close())
      return client
    }
    return {
      child,
      agent: as(),
      ann: as('Development ann manager'),
      op: as('Development op'),
      op2: as('Development op2'),
    }
  }
  const safe = await start()
  const pay = (order: string) => ({ agent: { id: 'a' }, tool: 'pay', environment: 'prod', arguments: { order } })
  const open = async (order: string) => {
    const approvalId = (await safe.agent.decide(pay(order))).approval?.approvalId ?? ''
    return { approvalId, shownDigest: (await safe.ann.approvals.get(approvalId)).summary.shownDigest }
  }
  const stateOf = async (id: string) => (await safe.ann.approvals.get(id)).summary.state
  type Server = typeof safe

  interface Step {
    readonly step: string
    /** @returns what is sent to the server that dies, and what the other one says then: `done`, `undone` or what is wrong */
    prepare(order: string): Promise<{ send(dying: Server): Promise<unknown>; look(): Promise<string> }>
  }
  const steps: readonly Step[] = [
    {
      step: 'ask',
      prepare: async (order) => ({
        send: ({ agent }) => agent.decide(pay(order)),
        look: async () => {
          const waiting = await safe.ann.approvals.list({ states: ['PENDING'] }, 100)
          const before = new Set(waiting.requests.map(({ approvalId }) => approvalId))
          const again = (await safe.agent.decide(pay(order))).approval?.approvalId ?? ''
          return before.has(again) ? 'done' : 'undone'
        },
      }),
    },
    {
      step: 'vote',
      prepare: async (order) => {
        const vote = { ...(await open(order)), approve: true }
        return {
          send: ({ ann }) => ann.approvals.review(vote),
          look: async () => {
            const state = await stateOf(vote.approvalId)
            const again = await safe.ann.approvals.review(vote).then(
              ({ summary }) => summary.state,
              ({ reason }: { readonly reason?: string }) => reason,
            )
            if (state === 'APPROVED' && again === 'ALREADY_DECIDED') return 'done'
            return state === 'PENDING' && again === 'APPROVED' ? 'undone' : `${state} ${again}`
          },
        }
      },
    },
    {
      step: 'consume',
      prepare: async (order) => {
        const { approvalId, shownDigest } = await open(order)
        await safe.ann.approvals.review({ approvalId, shownDigest, approve: true })
        const use = { ...pay(order), approvalId }
        return {
          send: ({ agent }) => agent.decide(use),
          look: async () => {
            const { outcome, reasonCode } = await safe.agent.decide(use)
            const third = (await safe.agent.decide(use)).reasonCode
            if (third !== 'APPROVAL_REVOKED') return `used again: ${third}`
            if (reasonCode === 'APPROVAL_REVOKED') return 'done'
            return outcome === 'ALLOW' ? 'undone' : `${outcome} ${reasonCode}`
          },
        }
      },
    },
    {
      step: 'engage',
      prepare: async (order) => ({
        send: ({ op }) => op.killSwitches.engage('agent', order, 'an incident'),
        look: async () => {
          const engaged = (await safe.op.killSwitches.list()).some(({ target }) => target === order)
          const { killSwitchId } = await safe.op.killSwitches.engage('agent', order, 'an incident')
          const all = (await safe.op.killSwitches.list()).filter(({ target }) => target === order)
          const denied = await safe.agent.decide({ ...pay(order), agent: { id: order } })
          if (all.length !== 1 || all[0]?.killSwitchId !== killSwitchId) return `${all.length} switches`
          if (denied.reasonCode !== 'KILL_SWITCH') return denied.reasonCode
          return engaged ? 'done' : 'undone'
        },
      }),
    },
    {
      step: 'release',
      prepare: async (order) => {
        const { killSwitchId } = await safe.op.killSwitches.engage('agent', order, 'an incident')
        await safe.op.killSwitches.release(killSwitchId, 'over')
        return {
          send: ({ op2 }) => op2.killSwitches.release(killSwitchId, 'over'),
          look: async () => {
            const engaged = (await safe.op.killSwitches.list()).some(({ target }) => target === order)
            const again = await safe.op2.killSwitches.release(killSwitchId, 'over').then(
              () => 'released',
              ({ reason }: { readonly reason?: string }) => reason,
            )
            if (!engaged && again !== 'released') return 'done'
            return engaged && again === 'released' ? 'undone' : `${engaged} ${again}`
          },
        }
      },
    },
  ]

  // From before the questions can have arrived to after most answers have left; all steps at a time, for a start takes longest.
  for (const afterMs of [3, 30, 150]) {
    const dying = await start()
    // Connected before: what is sent arrives at once.
    for (const client of [dying.agent, dying.ann, dying.op, dying.op2]) await client.killSwitches.list()
    const prepared = await Promise.all(
      steps.map(async ({ step, prepare }) => ({ step, ...(await prepare(`${step}-${afterMs}`)) })),
    )
    const sent = prepared.map(({ send }) =>
      send(dying).then(
        () => 'answered',
        () => 'unanswered',
      ),
    )
    await sleep(afterMs)
    dying.child.process.kill('SIGKILL')
    await dying.child.exit
    for (const [at, { step, look }] of prepared.entries()) {
      const told = await sent[at]
      const found = await look()
      t.ok(found === 'done' || (found === 'undone' && told === 'unanswered'), `${step}: ${told}, ${found}`)
      t.comment(`${step.padEnd(8)} killed after ${String(afterMs).padStart(3)} ms: ${told}, ${found}`)
    }
  }
})
