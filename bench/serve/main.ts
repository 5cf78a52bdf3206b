import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect } from '../../sdk/typescript/client.js'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { decide } from '../../src/engine/decide.js'
import { type Blast, blast, compileBlast, h2load, has, type Load } from '../load/blast.js'
import { checkSources } from '../support/workload.js'
import type { ServerSpec } from './server.js'
import { requestFile, workload } from './workload.js'

// npm run bench -- serve [--json] [--rounds N] [--seconds S] [--only REGEX]: the server over real sockets, on core 0, against
// a load generator in C on core 1, beside a bare grpc-js server that answers fixed bytes. 4,096 distinct requests, every one
// with a request id of its own. Cells alternate within a round; medians of the rounds are reported, and ratios are of medians
// of the same run. The CPU a decision is that of the server's main thread by the scheduler's own count, which moves far less with the
// neighbours' load than the rate does.

const RULES = 10_000
const DECIDE = '/portcullis.v1.DecisionService/Decide'
const BATCH = '/portcullis.v1.DecisionService/DecideBatch'
const SERVER = fileURLToPath(new URL('./server.js', import.meta.url))
/** Calls whose answers are checked against the engine before anything is measured. */
const CHECKED = 512
/** Before the first round, for each server. */
const WARM_UP_S = 4

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1.5' },
    only: { type: 'string', default: '' },
  },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)

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

interface Sample extends Blast {
  readonly perSecond: number
  /** Of the server's main thread, and of all its threads. */
  readonly cpuUs: number
  readonly allCpuUs: number
}

const folder = mkdtempSync(join(tmpdir(), 'portcullis-bench-serve-'))
const pinned = has('taskset') && cpus().length > 1
const pin = (core: number): string[] => (pinned ? ['taskset', '-c', String(core)] : [])
const running = new Map<string, Running>()
process.on('exit', () => {
  for (const { child } of running.values()) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
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
    return type.serialize(toDecideResponse({ ...ids, decision, evaluationNs: 1_000 }))
  })
  return answers.sort((a, b) => a.length - b.length)[CHECKED / 2]!.toString('base64')
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!
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
const servers = ['bare', 'audit off', 'audit on']
const cells: Cell[] = [
  ...[1, 16, 64].flatMap((inflight) =>
    servers.map((server) => ({ name: `unary, ${inflight} in flight`, server, load: { ...unary, inflight } })),
  ),
  ...servers.map((server) => ({ name: 'unary, 64 in flight, 8 connections', server, load: { ...unary, conns: 8 } })),
  ...servers.map((server) => ({ name: 'unary, Poisson 10,000/s', server, load: { ...unary, rate: 10_000 } })),
  ...servers.slice(1).flatMap((server) => [
    { name: 'batch of 10, 8 in flight', server, load: { ...usual, file: ten, path: BATCH, inflight: 8 } },
    { name: 'batch of 100, 8 in flight', server, load: { ...usual, file: hundred, path: BATCH, inflight: 8 } },
  ]),
  { name: 'unary, 64 in flight', server: '10 rules', load: { ...usual, file: few } },
  { name: 'unary, 64 in flight', server: '100,000 rules', load: { ...usual, file: many } },
].filter(({ name, server }) => new RegExp(values.only).test(`${name} ${server}`))

const program = compileBlast(folder)
const hasH2load = has('h2load')
if (program === null) console.log('no C compiler (cc): only what h2load can measure is measured')
if (!hasH2load) console.log('no h2load; install it: apt-get install nghttp2-client')
if (!pinned) console.log('no taskset or one core: server and load share what there is')

const answer = await plainAnswer()
const wanted = new Set(cells.map(({ server }) => server))
const specs: Readonly<Record<string, ServerSpec>> = {
  bare: { rules: null, audit: false, answer },
  'audit off': { rules: RULES, audit: false, answer },
  'audit on': { rules: RULES, audit: true, answer },
  '10 rules': { rules: 10, audit: false, answer },
  '100,000 rules': { rules: 100_000, audit: false, answer },
}
let allowed = Number.NaN
for (const [name, spec] of Object.entries(specs)) {
  if (!wanted.has(name)) continue
  await start(name, spec)
  if (name.startsWith('audit')) allowed = await check(name, RULES)
}

if (program !== null) {
  // Until the machine code is the final one, and the memory of the start is swept up.
  for (const { port } of running.values()) await blast(program, pin(1), port, { ...unary, seconds: WARM_UP_S })
}

const samples = new Map<Cell, Sample[]>(cells.map((cell) => [cell, []]))
for (let round = 0; program !== null && round < rounds; round++) {
  for (const cell of cells) {
    const { child, port } = running.get(cell.server)!
    const before = cpuNs(child.pid!)
    const result = await blast(program, pin(1), port, { ...cell.load, seed: round + 1 })
    const after = cpuNs(child.pid!)
    if (result.errors > 0) throw new Error(`${cell.name}, ${cell.server}: ${result.errors} errors`)
    samples.get(cell)!.push({
      ...result,
      perSecond: result.decisions / result.seconds,
      cpuUs: (after.main - before.main) / 1_000 / result.allDecisions,
      allCpuUs: (after.all - before.all) / 1_000 / result.allDecisions,
    })
  }
}

const results = cells.map((cell) => {
  const of = (key: keyof Sample): number => median(samples.get(cell)!.map((sample) => sample[key]))
  return {
    what: cell.name,
    server: cell.server,
    perSecond: Math.round(of('perSecond')),
    cpuUs: Number(of('cpuUs').toFixed(2)),
    allCpuUs: Number(of('allCpuUs').toFixed(2)),
    p50Us: Math.round(of('p50Us')),
    p99Us: Math.round(of('p99Us')),
    p999Us: Math.round(of('p999Us')),
  }
})

const repeated: Record<string, number> = {}
if (hasH2load && values.only === '') {
  const message = requestFile(calls.slice(0, 1), null).subarray(4 + 12 + 4)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  const frame = file('frame', Buffer.concat([head, message]))
  for (const server of servers)
    repeated[server] = Math.round(await h2load(pin(1), running.get(server)!.port, unary, frame))
}

function rate(what: string, server: string, key: 'perSecond' | 'cpuUs' = 'perSecond'): number {
  return results.find((result) => result.what === what && result.server === server)?.[key] ?? Number.NaN
}
const ratio = (a: number, b: number): number => Number((a / b).toFixed(3))
const closed = 'unary, 64 in flight'
const ratios = {
  'audit off / bare': ratio(rate(closed, 'audit off'), rate(closed, 'bare')),
  'audit on / bare': ratio(rate(closed, 'audit on'), rate(closed, 'bare')),
  'audit on / audit off': ratio(rate(closed, 'audit on'), rate(closed, 'audit off')),
  'CPU, bare / audit off': ratio(rate(closed, 'bare', 'cpuUs'), rate(closed, 'audit off', 'cpuUs')),
  'CPU, bare / audit on': ratio(rate(closed, 'bare', 'cpuUs'), rate(closed, 'audit on', 'cpuUs')),
  'batch of 100 / unary, audit off': ratio(rate('batch of 100, 8 in flight', 'audit off'), rate(closed, 'audit off')),
  'batch of 100 / unary, audit on': ratio(rate('batch of 100, 8 in flight', 'audit on'), rate(closed, 'audit on')),
  '100,000 rules / 10 rules': ratio(rate(closed, '100,000 rules'), rate(closed, '10 rules')),
}
const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version }
const grpc = JSON.parse(
  readFileSync(new URL('../../../node_modules/@grpc/grpc-js/package.json', import.meta.url), 'utf8'),
).version as string
console.log(
  `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, grpc-js ${grpc}, ${rounds} rounds of ${seconds} s`,
)
console.log(`${RULES} rules, 4096 requests, ${Math.round(allowed * 100)} % allowed`)
console.table(results)
console.table(ratios)
if (Object.keys(repeated).length > 0) console.log('h2load, one request repeated, calls/s:', repeated)
if (values.json)
  console.log(
    JSON.stringify({ results, ratios, h2load: repeated, allowed, rules: RULES, rounds, seconds, ...machine, grpc }),
  )
process.exit(0)
