import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect } from '../../sdk/typescript/client.js'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { decide } from '../../src/engine/decide.js'
import { blast, compileBlast, h2load, has, type Load } from '../load/blast.js'
import { readOptions } from '../support/options.js'
import { publish } from '../support/report.js'
import { ROOT } from '../support/root.js'
import { checkSources } from '../support/workload.js'
import { type Sample, STREAM, toReport } from './report.js'
import type { ServerSpec } from './server.js'
import { requestFile, workload } from './workload.js'

// npm run bench -- serve [--seconds S] [--only REGEX]: the server over real sockets, on core 0, against
// a load generator in C on core 1, beside a bare grpc-js server that answers fixed bytes. 4,096 distinct requests, every one
// with a request id of its own. Cells alternate within a round; medians of the rounds are reported, and ratios are of medians
// of the same run. The CPU a decision is that of the server's main thread by the scheduler's own count, which moves far less with the
// neighbours' load than the rate does.

const RULES = 10_000
const DECIDE = '/portcullis.v1.DecisionService/Decide'
const BATCH = '/portcullis.v1.DecisionService/DecideBatch'
const BATCH_STREAM = '/portcullis.v1.DecisionService/DecideBatchStream'
const SERVER = fileURLToPath(new URL('./server.js', import.meta.url))
/** Calls whose answers are checked against the engine before anything is measured. */
const CHECKED = 512
/** Before the first round, for each server: V8 still optimises parts of the transport after 50,000 calls. */
const WARM_UP_S = 8

const options = readOptions('serve', 5, { seconds: 'S', only: 'REGEX' })
const { rounds, quick } = options
const seconds = Number(options.extra.seconds ?? (quick ? 0.3 : 1.5))
const only = new RegExp(options.extra.only ?? '')

interface Running {
  readonly name: string
  readonly child: ChildProcess
  readonly port: number
}

interface Cell {
  readonly name: string
  readonly server: string
  readonly load: Load
}

// In the project's folder and not the system's temporary one, which may be memory: the audit's syncs are measured, too.
const folder = mkdtempSync(join(ROOT, 'portcullis-bench-'))
const pinned = has('taskset') && cpus().length > 1
const pin = (core: number): string[] => (pinned ? ['taskset', '-c', String(core)] : [])
const running = new Map<string, Running>()
process.on('exit', () => {
  for (const { child } of running.values()) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
})

async function start(name: string, spec: ServerSpec): Promise<void> {
  // taskset becomes the server, so that the process id is the server's.
  const [execPath, ...before] = [...pin(0), process.execPath]
  const child = fork(SERVER, [JSON.stringify(spec)], {
    execPath: execPath!,
    execArgv: before,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message: { port: number }) => resolve(message.port))
    child.once('exit', (code) => reject(new Error(`the server ${name} ended with ${code}`)))
  })
  running.set(name, { name, child, port })
}

/** Nanoseconds on a core since the start: of the main thread, of all threads. */
function cpuNs(pid: number): { readonly main: number; readonly all: number } {
  try {
    const of = (thread: string): number =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0])
    return { main: of(String(pid)), all: readdirSync(`/proc/${pid}/task`).reduce((sum, id) => sum + of(id), 0) }
  } catch {
    return { main: Number.NaN, all: Number.NaN }
  }
}

/** The server's answers are the engine's. */
async function check(name: string, rules: number): Promise<number> {
  const { sources, calls } = workload(rules)
  const policySet = compilePolicySet(checkSources(sources), 'default')
  const client = connect(`127.0.0.1:${running.get(name)!.port}`)
  const outcomes: Record<string, number> = {}
  for (const call of calls.slice(0, CHECKED)) {
    const { agent, tool, environment, sessionId } = call
    const answer = await client.decide({ agent, tool, environment, sessionId, arguments: call.arguments })
    const expected = decide(call, { nowMs: Date.now() }, policySet)
    const same = answer.outcome === expected.outcome && answer.reason === expected.reason
    if (!same) throw new Error(`${name} answers ${answer.outcome}, the engine ${expected.outcome}`)
    outcomes[answer.outcome] = (outcomes[answer.outcome] ?? 0) + 1
  }
  client.close()
  return (outcomes['ALLOW'] ?? 0) / CHECKED
}

/** An answer of usual length, for the bare server. */
async function plainAnswer(): Promise<string> {
  const { packageDefinition } = await import('../../src/transport/grpc/proto.js')
  const { toDecideResponse } = await import('../../src/transport/grpc/to-response.js')
  const { sources, calls } = workload(RULES)
  const policySet = compilePolicySet(checkSources(sources), 'default')
  const type = packageDefinition['portcullis.v1.DecideResponse'] as unknown as { serialize(message: object): Buffer }
  const answers = calls.slice(0, CHECKED).map((call) => {
    const decision = decide(call, { nowMs: Date.now() }, policySet)
    const ids = { decisionId: 'x'.repeat(36), requestId: 'x'.repeat(16) }
    return type.serialize(toDecideResponse({ ...ids, decision, evaluationNs: 1_000, receipt: '' }))
  })
  return answers.sort((a, b) => a.length - b.length)[CHECKED / 2]!.toString('base64')
}

const calls = workload(RULES).calls
const files: Record<string, string> = {}
function file(name: string, bytes: Buffer): string {
  files[name] = join(folder, name)
  writeFileSync(files[name], bytes)
  return files[name]
}
const one = file('one', requestFile(calls, null))
const ten = file('ten', requestFile(calls, 10))
const hundred = file('hundred', requestFile(calls, 100))
const few = file('few-rules', requestFile(workload(10).calls, null))
const many = file('many-rules', requestFile(workload(100_000).calls, null))

const usual = { path: DECIDE, mode: 'unary', conns: 1, inflight: 64, rate: 0, seconds, warm: 0.3, seed: 1 } as const
const unary = { ...usual, file: one }
const servers = [...(options.alone ? [] : ['bare']), 'audit off', 'audit on']
const cells: Cell[] = [
  ...[1, 16, 64].flatMap((inflight) =>
    servers.map((server) => ({ name: `unary, ${inflight} in flight`, server, load: { ...unary, inflight } })),
  ),
  ...servers.map((server) => ({ name: 'unary, 64 in flight, 8 connections', server, load: { ...unary, conns: 8 } })),
  ...servers.map((server) => ({ name: 'unary, Poisson 10,000/s', server, load: { ...unary, rate: 10_000 } })),
  ...['audit off', 'audit on'].flatMap((server) => [
    { name: 'batch of 10, 8 in flight', server, load: { ...usual, file: ten, path: BATCH, inflight: 8 } },
    { name: 'batch of 100, 8 in flight', server, load: { ...usual, file: hundred, path: BATCH, inflight: 8 } },
    {
      name: STREAM,
      server,
      load: { ...usual, file: hundred, path: BATCH_STREAM, mode: 'stream' as const, inflight: 8 },
    },
  ]),
  { name: 'unary, 64 in flight', server: '10 rules', load: { ...usual, file: few } },
  { name: 'unary, 64 in flight', server: '100,000 rules', load: { ...usual, file: many } },
].filter(({ name, server }) => only.test(`${name} ${server}`))

const program = compileBlast(folder)
const hasH2load = has('h2load')
if (program === null) console.log('no C compiler (cc): only what h2load can measure is measured')
if (!hasH2load) console.log('no h2load; install it: apt-get install nghttp2-client')
if (!pinned) console.log('no taskset or one core: server and load share what there is')

const answer = await plainAnswer()
const wanted = new Set(cells.map(({ server }) => server))
const specs: Readonly<Record<string, ServerSpec>> = {
  bare: { rules: null, audit: null, answer },
  'audit off': { rules: RULES, audit: null, answer },
  'audit on': { rules: RULES, audit: join(folder, 'data'), answer },
  '10 rules': { rules: 10, audit: null, answer },
  '100,000 rules': { rules: 100_000, audit: null, answer },
}
let allowed = Number.NaN
for (const [name, spec] of Object.entries(specs)) {
  if (!wanted.has(name)) continue
  await start(name, spec)
  if (name.startsWith('audit')) allowed = await check(name, RULES)
}

if (program !== null) {
  // Until the machine code is the final one, and the memory of the start is swept up.
  for (const { port } of running.values())
    await blast(program, pin(1), port, { ...unary, seconds: quick ? seconds : WARM_UP_S })
}

const samples = new Map<Cell, Sample[]>(cells.map((cell) => [cell, []]))
for (let round = 0; program !== null && round < rounds; round++) {
  for (const cell of cells) {
    const { child, port } = running.get(cell.server)!
    const before = cpuNs(child.pid!)
    const result = await blast(program, pin(1), port, { ...cell.load, seed: round + 1 })
    const after = cpuNs(child.pid!)
    // A server that cannot keep up with the arrivals leaves some without an answer: that is a result, told as infinite latency.
    if (result.errors > 0 && cell.load.rate === 0) {
      throw new Error(`${cell.name}, ${cell.server}: ${result.errors} errors`)
    }
    samples.get(cell)!.push({
      ...result,
      p99Us: result.errors > 0.01 * (result.errors + result.answered) ? Number.POSITIVE_INFINITY : result.p99Us,
      perSecond: result.decisions / result.seconds,
      cpuUs: (after.main - before.main) / 1_000 / result.allDecisions,
      allCpuUs: (after.all - before.all) / 1_000 / result.allDecisions,
    })
  }
}

const repeated: Record<string, number> = {}
if (hasH2load && options.extra.only === undefined) {
  const message = requestFile(calls.slice(0, 1), null).subarray(4 + 12 + 4)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  const frame = file('frame', Buffer.concat([head, message]))
  for (const server of servers)
    repeated[server] = Math.round(await h2load(pin(1), running.get(server)!.port, unary, frame))
}

const measured = cells
  .map((cell) => ({ load: cell.name, server: cell.server, samples: samples.get(cell)! }))
  .filter((one) => one.samples.length > 0)
publish(toReport(measured, { rules: RULES, rounds, seconds, allowed, repeated }), options)
process.exit(0)
