import fc from 'fast-check'
import t from 'tap'
import type { Call } from '../../src/model/call.js'
import { KILL_SCOPES, type KillScope, type KillSwitch } from '../../src/model/kill-switch.js'
import { KillSwitches } from '../../src/state/kill-switches.js'

const SEED = Number(process.env['FC_SEED'] ?? 20260105)

const call: Call = {
  requestId: '',
  tenant: 'acme',
  agent: { id: 'support-1', labels: { team: 'billing' } },
  principal: null,
  sessionId: 's1',
  delegationChain: ['planner', 'router'],
  tool: 'db.delete.rows',
  environment: 'prod',
  arguments: {},
  context: {},
}

function engaged(
  scope: KillScope,
  target: string,
  tenant = scope === 'fleet' ? '' : 'acme',
  id = `${scope}:${target}`,
): KillSwitch {
  return {
    id,
    scope,
    tenant,
    target,
    reason: 'an incident',
    engagedBy: 'op@example.com',
    engagedMs: 0,
    releaseAskedBy: '',
    releaseReason: '',
    releasedBy: '',
    releasedMs: null,
  }
}

const stops: readonly (readonly [string, KillSwitch, boolean])[] = [
  ['the fleet', engaged('fleet', ''), true],
  ['the tenant', engaged('tenant', ''), true],
  ['another tenant', engaged('tenant', '', 'other'), false],
  ['the agent', engaged('agent', 'support-1'), true],
  ['another agent', engaged('agent', 'support-2'), false],
  ['an agent of that name elsewhere', engaged('agent', 'support-1', 'other'), false],
  ['an agent whose name begins like it', engaged('agent', 'support-'), false],
  ['a glob is no agent', engaged('agent', 'support-*'), false],
  ['the team', engaged('team', 'billing'), true],
  ['another team', engaged('team', 'sales'), false],
  ['the session', engaged('session', 's1'), true],
  ['another session', engaged('session', 's2'), false],
  ['the tool', engaged('tool', 'db.delete.rows'), true],
  ['tools by glob', engaged('tool', 'db.*'), true],
  ['tools by another glob', engaged('tool', '*.insert.*'), false],
  ['tools by glob elsewhere', engaged('tool', 'db.*', 'other'), false],
  ['every tool', engaged('tool', '*'), true],
  ['who delegated first', engaged('delegation', 'planner'), true],
  ['who delegated last', engaged('delegation', 'router'), true],
  ['the root of a subtree itself', engaged('delegation', 'support-1'), true],
  ['somebody who delegated nothing', engaged('delegation', 'support-2'), false],
  ['a delegator by the switch of an agent', engaged('agent', 'planner'), false],
]

t.test('what each scope stops', async (t) => {
  for (const [what, by, isStopped] of stops) {
    t.equal(new KillSwitches([by]).stopping(call)?.id ?? null, isStopped ? by.id : null, what)
  }
  t.equal(KillSwitches.NONE.stopping(call), null)
})

t.test('the widest is named, and of two of a kind the first', async (t) => {
  const all = stops.filter(([, , isStopped]) => isStopped).map(([, by]) => by)
  t.equal(new KillSwitches(all.toReversed()).stopping(call)?.scope, 'fleet')
  const twice = [engaged('agent', 'support-1', 'acme', 'first'), engaged('agent', 'support-1', 'acme', 'second')]
  t.equal(new KillSwitches(twice).stopping(call)?.id, 'first')
})

t.test('a call without team or session is not stopped by switches of the empty name', async (t) => {
  const bare = { ...call, agent: { id: 'support-1', labels: {} }, sessionId: '', delegationChain: [] }
  for (const scope of ['team', 'session', 'delegation', 'tool'] as const) {
    t.equal(new KillSwitches([engaged(scope, '')]).stopping(bare), null, scope)
  }
})

const word = fc.constantFrom('a', 'b', 'support-1', 'db.x', 'db.*', '*')
const someSwitch = fc.record({
  scope: fc.constantFrom(...KILL_SCOPES),
  tenant: fc.constantFrom('acme', 'other'),
  target: word,
})
const someCall = fc.record({
  tenant: fc.constantFrom('acme', 'other'),
  agent: word,
  team: fc.option(word),
  sessionId: fc.oneof(fc.constant(''), word),
  chain: fc.array(word, { maxLength: 3 }),
  tool: fc.constantFrom('a', 'b', 'db.x', 'dbx'),
})

t.test('many switches stop what any one of them stops, no more and no less', async () => {
  fc.assert(
    fc.property(fc.array(someSwitch, { maxLength: 8 }), someCall, (switches, { agent, team, chain, ...rest }) => {
      const list = switches.map(({ scope, tenant, target }, i) =>
        scope === 'fleet'
          ? engaged(scope, '', '', String(i))
          : engaged(scope, scope === 'tenant' ? '' : target, tenant, String(i)),
      )
      const asked: Call = {
        ...call,
        ...rest,
        delegationChain: chain,
        agent: { id: agent, labels: team === null ? {} : { team } },
      }
      const one = list.some((by) => isStopping(by, asked))
      return (new KillSwitches(list).stopping(asked) !== null) === one
    }),
    { seed: SEED, numRuns: 3_000 },
  )
})

/** What the scopes mean, word for word. */
function isStopping({ scope, tenant, target }: KillSwitch, { agent, ...asked }: Call): boolean {
  if (scope === 'fleet') return true
  if (tenant !== asked.tenant) return false
  switch (scope) {
    case 'tenant':
      return true
    case 'agent':
      return agent.id === target
    case 'team':
      return agent.labels['team'] === target
    case 'session':
      return asked.sessionId === target
    case 'tool':
      return target === asked.tool || target === '*' || (target === 'db.*' && asked.tool.startsWith('db.'))
    case 'delegation':
      return [agent.id, ...asked.delegationChain].includes(target)
  }
}
