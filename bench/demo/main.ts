/**
 * `npm run demo [-- --sessions FILE] [--json]`: a day of three teams of agents and recorded sessions of attacked assistants,
 * replayed over gRPC against a server of its own, then read back from ClickHouse. Exits 1 when an answer is not the
 * expected one, or when what was recorded is not what was answered.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  type AuditOverview,
  connect,
  type DecideRequest,
  type DecideResponse,
  type PortcullisClient,
} from '../../sdk/typescript/client.js'
import { overviewBox } from '../../src/cli/overview.js'
import { clean, endWhenReaderIsGone, plural, terminal } from '../../src/cli/terminal.js'
import { demoDay } from './day.js'
import { startServer } from './server.js'
import { readSessions, type Session, score } from './sessions.js'
import { type Answered, dayTable, INCIDENTS, incident, scoreTable } from './story.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** Calls in flight at a time. */
const CONCURRENCY = 32
const STORED_WITHIN_MS = 20_000

endWhenReaderIsGone(process.stdout)
const out = terminal(process.stdout)
const { values: flags } = parseArgs({
  options: { sessions: { type: 'string' }, json: { type: 'boolean', default: false } },
})
process.exitCode = await demo()

async function demo(): Promise<number> {
  const started = new Date(Date.now() - 1_000)
  const { file, sessions } = readSessions(sessionFiles())
  // A day of agents in a minute asks more than people ever could answer: here calls are decided and recorded only.
  const server = await startServer(ROOT, `${ROOT}policies`, ['--control-store', 'none'])
  const client = connect(server.address, { deadlineMs: 30_000 })
  const interrupted = (): void => void server.stop().then(() => process.exit(130))
  process.once('SIGINT', interrupted)
  try {
    await say(`\n${out.paint('bold', 'Portcullis')}  a server on ${server.address}, the policies of policies/\n`)
    const day = await replayDay(client)
    await tellDay(day)
    const replayed = await replaySessions(client, sessions)
    await tellSessions(file, replayed)
    const outcomes = [...day.map(({ response }) => response.outcome), ...replayed.flatMap((r) => r.outcomes)]
    const overview = await storedOverview(client, started, outcomes.length)
    await say(`${out.paint('bold', 'Read back from ClickHouse')}\n`)
    await say(`${overviewBox(overview, 'Today', out)}\n`)
    return await verdict(day, outcomes, overview)
  } finally {
    process.off('SIGINT', interrupted)
    client.close()
    await server.stop()
  }
}

function sessionFiles(): readonly string[] {
  if (flags.sessions !== undefined) return [flags.sessions]
  return [`${ROOT}../shared/data/agentdojo/dev-sessions.jsonl.gz`, `${ROOT}bench/demo/sessions.jsonl`]
}

async function replayDay(client: PortcullisClient): Promise<readonly Answered[]> {
  return inParallel(demoDay(), async (call, i) => ({
    call,
    response: await client.decide({
      requestId: `day-${i}`,
      agent: { id: call.agent },
      principal: { id: call.principal },
      sessionId: call.session,
      tool: call.tool,
      environment: 'prod',
      arguments: call.args,
    }),
  }))
}

interface Replayed {
  readonly session: Session
  readonly outcomes: readonly DecideResponse['outcome'][]
}

/** Calls of one session in their order, several sessions at a time. */
async function replaySessions(client: PortcullisClient, sessions: readonly Session[]): Promise<readonly Replayed[]> {
  return inParallel(sessions, async (session) => {
    const outcomes: DecideResponse['outcome'][] = []
    for (const [i, call] of session.calls.entries()) {
      const request: DecideRequest = {
        requestId: `${session.session}-${i}`,
        agent: { id: `assistant-${session.suite}` },
        principal: { id: 'owner' },
        sessionId: session.session,
        tool: `${session.suite}.${call.tool}`,
        environment: 'prod',
        arguments: call.args,
      }
      outcomes.push((await client.decide(request)).outcome)
    }
    return { session, outcomes }
  })
}

async function inParallel<In, Out>(
  items: readonly In[],
  work: (item: In, i: number) => Promise<Out>,
): Promise<readonly Out[]> {
  const results: Out[] = new Array(items.length)
  let next = 0
  const worker = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]!, i)
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  return results
}

async function tellDay(day: readonly Answered[]): Promise<void> {
  await say(`${out.paint('bold', 'A day of three teams')}\n\n${dayTable(day, out)}`)
  await say(`${out.paint('bold', 'Its incidents')}\n`)
  for (const name of INCIDENTS) {
    for (const answered of day) if (answered.call.incident === name) await say(`${incident(answered, out)}\n`)
  }
}

async function tellSessions(file: string, replayed: readonly Replayed[]): Promise<void> {
  const calls = replayed.reduce((sum, { outcomes }) => sum + outcomes.length, 0)
  const source = file.endsWith('.gz') ? 'AgentDojo: recorded runs of real models' : 'Assistants under attack'
  await say(`${out.paint('bold', source)}  ${plural(replayed.length, 'session')}, ${plural(calls, 'call')}\n`)
  await say(scoreTable(score(replayed), out))
}

/** The overview once every decision of ours is stored, or as far as it got in time. */
async function storedOverview(client: PortcullisClient, from: Date, expected: number): Promise<AuditOverview> {
  const deadline = Date.now() + STORED_WITHIN_MS
  for (;;) {
    const overview = await client.auditOverview({ from, limit: 5 })
    if (overview.totals.total >= expected || Date.now() > deadline) return overview
    await sleep(100)
  }
}

async function verdict(
  day: readonly Answered[],
  outcomes: readonly string[],
  { totals }: AuditOverview,
): Promise<number> {
  const wrong = day.filter(({ call, response }) => response.outcome !== call.expect)
  for (const { call, response } of wrong.slice(0, 10)) {
    await say(
      out.paint(
        'red',
        `${clean(call.agent)} ${clean(call.tool)}: expected ${call.expect}, got ${response.outcome}: ${clean(response.reason)}`,
      ),
    )
  }
  const count = (outcome: string): number => outcomes.filter((o) => o === outcome).length
  const recorded =
    totals.total === outcomes.length &&
    totals.allowed === count('ALLOW') &&
    totals.requireApproval === count('REQUIRE_APPROVAL') &&
    totals.denied === count('DENY')
  const ok = wrong.length === 0 && recorded
  const audit = `${totals.total.toLocaleString('en-US')} of ${plural(outcomes.length, 'decision')} on record`
  await say(
    `${out.paint(ok ? 'green' : 'red', ok ? 'as expected' : 'NOT AS EXPECTED')}: ${audit}, ${plural(wrong.length, 'unexpected answer')}`,
  )
  if (flags.json)
    await say(JSON.stringify({ decisions: outcomes.length, stored: totals.total, mismatches: wrong.length }))
  return ok ? 0 : 1
}

async function say(text: string): Promise<void> {
  await out.write(`${text}\n`)
}
