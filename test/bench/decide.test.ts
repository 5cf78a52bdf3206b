import t from 'tap'
import type { Peer } from '../../bench/decide/peer.js'
import { casl } from '../../bench/decide/peers/casl.js'
import { toPlain } from '../../bench/decide/plain.js'
import { ThreeTeams } from '../../bench/decide/three-teams.js'
import { measureVersus, OURS, PEERS } from '../../bench/decide/versus.js'
import { checkSources } from '../../bench/support/workload.js'
import { FleetOfTools } from '../../bench/support/workloads.js'
import { seededDraw } from '../engine/generate.js'

const LIMITS = { rounds: 1, roundMs: 0, compareMs: Number.POSITIVE_INFINITY }

t.test('every engine of the comparison decides as ours does', async (t) => {
  for (const [name, workload, calls] of [
    ['three teams', new ThreeTeams(seededDraw(1)), 512],
    ['fleet of tools', new FleetOfTools(seededDraw(2), 200), 100],
  ] as const) {
    const measured = await measureVersus(workload, { ...LIMITS, calls })
    t.same([...measured.keys()], [OURS, ...PEERS.map((peer) => peer.name)], name)
    for (const [engine, { compared }] of measured) t.equal(compared, calls, `${name}, ${engine}: all calls compared`)
  }
})

t.test('an engine that once decides otherwise ends the comparison, with both answers and the call', async (t) => {
  const wrong: Peer = {
    name: 'wrong',
    npm: 'none',
    async open(policies, calls) {
      const engine = await casl.open(policies, calls)
      return {
        isAsync: true,
        async decide(call) {
          const right = await engine.decide(call)
          return call !== 99 ? right : right === 'ALLOW' ? 'DENY' : 'ALLOW'
        },
      }
    },
  }
  await t.rejects(measureVersus(new ThreeTeams(seededDraw(1)), { ...LIMITS, calls: 200 }, [wrong]), {
    message: /^wrong says [A-Z]+, portcullis says [A-Z_]+, of the call \{.*"tool"/,
  })
})

t.test('a rule that the others cannot say is an error that names it', async (t) => {
  const text = 'policy p\nrule R1 {\n  on tool a, agent "bot"\n  deny\n}\n'
  const bundle = checkSources({
    policies: new Map([['p.policy', new TextEncoder().encode(text)]]),
    attachments: new Map(),
  })
  t.throws(() => toPlain(bundle, ['a']), /rule R1: the comparison cannot say on agent/)
})
