import { performance } from 'node:perf_hooks'
import type { Call } from '../../src/model/call.js'
import type { Outcome } from '../../src/model/outcome.js'
import { cpuNsEach, cpuNsEachAsync, UNCOUNTED } from '../support/cpu.js'
import { collect } from '../support/memory.js'
import { alternate, type Spread } from '../support/rounds.js'
import { checkSources, distinctCalls, type Workload } from '../support/workload.js'
import type { OpenPeer, Peer } from './peer.js'
import { casbin } from './peers/casbin.js'
import { casl } from './peers/casl.js'
import { cedar } from './peers/cedar.js'
import { jsonRulesEngine } from './peers/json-rules-engine.js'
import { openOurs } from './peers/portcullis.js'
import { toPlain } from './plain.js'

export const PEERS: readonly Peer[] = [cedar, casbin, jsonRulesEngine, casl]
export const OURS = 'portcullis'

/** Of one engine over one set of policies. */
export interface Measured {
  readonly ns: Spread
  /** Time to translate and load the policies, in milliseconds; ours from the checked bundle. */
  readonly loadMs: number
  /** Calls whose outcome was compared with ours, and that were timed. */
  readonly compared: number
}

export interface VersusLimits {
  readonly calls: number
  readonly rounds: number
  /** Time of an engine in a round, in milliseconds. */
  readonly roundMs: number
  /** An engine that has not decided all calls after this long is timed on those that it has, at least {@link FEWEST}. */
  readonly compareMs: number
}

const FEWEST = 8
/** Engines make one another's code be compiled anew; two rounds settle that. */
const WARM_UPS = 2

interface Opened {
  readonly name: string
  readonly engine: OpenPeer
  readonly loadMs: number
  readonly compared: number
}

/**
 * Decides the same calls by the same policies with every engine, compares all outcomes with ours, and times them in alternated
 * rounds.
 * @throws {Error} at the first outcome that differs, with both and the call
 */
export async function measureVersus(
  workload: Workload,
  limits: VersusLimits,
  peers: readonly Peer[] = PEERS,
): Promise<ReadonlyMap<string, Measured>> {
  const opened = await openAll(workload, limits, peers)
  const cases = new Map(opened.map((one) => [one.name, () => sample(one, limits.roundMs)]))
  const spreads = await alternate(cases, { rounds: limits.rounds, warmUps: WARM_UPS })
  return new Map(opened.map(({ name, loadMs, compared }) => [name, { ns: spreads.get(name)!, loadMs, compared }]))
}

async function openAll(workload: Workload, limits: VersusLimits, peers: readonly Peer[]): Promise<readonly Opened[]> {
  const bundle = checkSources(workload.sources())
  const plain = toPlain(bundle, workload.tools)
  const calls = distinctCalls(workload, limits.calls)
  const startedMs = performance.now()
  const ours = openOurs(bundle, calls)
  const opened: Opened[] = [{ name: OURS, engine: ours, loadMs: performance.now() - startedMs, compared: calls.length }]
  const outcomes: Outcome[] = []
  for (let i = 0; i < calls.length; i++) outcomes.push(await ours.decide(i))
  if (new Set(outcomes).size < 3) throw new Error('the calls do not have every outcome: the comparison shows nothing')
  for (const peer of peers) {
    const openedMs = performance.now()
    const engine = await peer.open(plain, calls)
    const loadMs = performance.now() - openedMs
    opened.push({ name: peer.name, engine, loadMs, compared: await compare(peer, engine, calls, outcomes, limits) })
  }
  return opened
}

async function compare(
  { name }: Peer,
  engine: OpenPeer,
  calls: readonly Call[],
  outcomes: readonly Outcome[],
  { compareMs }: VersusLimits,
): Promise<number> {
  const untilMs = performance.now() + compareMs
  for (let i = 0; i < calls.length; i++) {
    if (i >= FEWEST && performance.now() > untilMs) return i
    const outcome = await engine.decide(i)
    if (outcome === outcomes[i]) continue
    throw new Error(`${name} says ${outcome}, ${OURS} says ${outcomes[i]}, of the call ${JSON.stringify(calls[i])}`)
  }
  return calls.length
}

async function sample({ engine, compared }: Opened, roundMs: number): Promise<number> {
  let next = 0
  const chunk = Math.ceil(compared / 16)
  collect()
  if (engine.isAsync) {
    const work = async () => {
      for (let i = 0; i < chunk; i++) await engine.decide(next++ % compared)
      return chunk
    }
    await cpuNsEachAsync(roundMs * UNCOUNTED, work)
    return cpuNsEachAsync(roundMs, work)
  }
  const work = () => {
    for (let i = 0; i < chunk; i++) engine.decide(next++ % compared)
    return chunk
  }
  cpuNsEach(roundMs * UNCOUNTED, work)
  return cpuNsEach(roundMs, work)
}
