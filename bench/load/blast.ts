import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
// From dist/bench/load, where no C file goes.
const SOURCE = fileURLToPath(new URL('../../../bench/load/h2blast.c', import.meta.url))

/** One run of the load generator; see bench/load/h2blast.c for what it sends and counts. */
export interface Load {
  /** File of requests. */
  readonly file: string
  readonly path: string
  readonly mode: 'unary' | 'stream'
  readonly conns: number
  /** Calls under way in a closed loop, batches under way in a stream. */
  readonly inflight: number
  /** Calls a second, arriving by chance; 0 is a closed loop. */
  readonly rate: number
  readonly seconds: number
  readonly warm: number
  readonly seed: number
}

export interface Blast {
  readonly answered: number
  readonly errors: number
  readonly decisions: number
  /** Those of the warm-up too. */
  readonly allDecisions: number
  readonly seconds: number
  readonly bytes: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
}

/** The load generator in C, or null and why not where there is no compiler. */
export function compileBlast(folder: string): string | null {
  const program = join(mkdtempSync(join(folder, 'h2blast-')), 'h2blast')
  try {
    execFileSync('cc', ['-O2', '-o', program, SOURCE, '-lm'], { stdio: ['ignore', 'ignore', 'pipe'] })
    return program
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** @param pin words in front of the program that keep it to a core */
export async function blast(program: string, pin: readonly string[], port: number, load: Load): Promise<Blast> {
  const { path, file, ...options } = load
  const words = Object.entries(options).map(([key, value]) => `${key}=${value}`)
  const [command, ...argv] = [...pin, program, String(port), path, file, ...words]
  const { stdout } = await run(command!, argv)
  return JSON.parse(stdout) as Blast
}

/** nghttp2's load generator: repeats one request, and knows no arrivals by chance. Calls a second. */
export async function h2load(pin: readonly string[], port: number, load: Load, frame: string): Promise<number> {
  const url = `http://127.0.0.1:${port}${load.path}`
  const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers']
  const sizes = ['-c', String(load.conns), '-m', String(Math.ceil(load.inflight / load.conns)), '-t', '1']
  const time = ['-D', String(Math.ceil(load.seconds)), '--warm-up-time', String(Math.ceil(load.warm))]
  const [command, ...argv] = [...pin, 'h2load', ...sizes, ...time, ...headers, '-d', frame, url]
  const { stdout } = await run(command!, argv)
  const calls = /finished in [^,]*, ([0-9.]+) req\/s/.exec(stdout)?.[1]
  const failed = /(\d+) failed/.exec(stdout)?.[1]
  if (calls === undefined || failed !== '0') throw new Error(`h2load failed:\n${stdout}`)
  return Number(calls)
}

/** True when the program can be started. */
export function has(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
