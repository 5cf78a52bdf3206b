import { performance } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { OPENING, Progress } from './progress.js'

/** No step may take longer, on however busy a machine: it is meant to take milliseconds. */
const STEP_LIMIT_MS = 30_000
/** Opening a fuzzer may start a server or compile a large policy set. */
const OPEN_LIMIT_MS = 120_000
const LOOK_EVERY_MS = 250
const HEAP_LIMIT_MB = 2_048
/** A fuzzer whose thread dies this often has shown what it has to show. */
const MAX_THREADS = 20

export interface Finding {
  readonly kind: 'mismatch' | 'crash'
  /** Repeats it: `npm run fuzz -- NAME --seed SEED --steps 1`. */
  readonly seed: number
  readonly text: string
}

export interface TurnOptions {
  /** URL of the fuzzer's module. */
  readonly module: string
  /** Of the first step; each step takes the next one. Integer, 0 to 2^32 - 1. */
  readonly seed: number
  /** Time for steps; opening is not counted. */
  readonly seconds: number
  /** At most so many steps. */
  readonly steps: number
  /** How long nothing may come to an end before a step counts as hanging. @default 30_000 */
  readonly stepLimitMs?: number
}

export interface ThreadData extends TurnOptions {
  readonly memory: SharedArrayBuffer
}

/**
 * Runs one fuzzer for its share of the time. A step that hangs or takes its thread with it is a crash; the turn goes on in a
 * new thread with the next seed.
 */
export async function takeTurn(options: TurnOptions, onFinding: (finding: Finding) => void): Promise<Progress> {
  const progress = new Progress()
  const startedMs = performance.now()
  let { seed, seconds, steps } = options
  for (let threads = 0; threads < MAX_THREADS && seconds > 0 && steps > 0; threads++) {
    const died = await runThread({ ...options, seed, seconds, steps, memory: progress.memory }, progress, onFinding)
    if (died === null) break
    progress.addCrash()
    onFinding({ kind: 'crash', seed: Math.max(progress.seed, 0), text: died })
    if (progress.seed === OPENING) break
    seed = (progress.seed + 1) >>> 0
    steps = options.steps - progress.steps
    seconds = options.seconds - (performance.now() - startedMs) / 1e3
  }
  return progress
}

/** @returns why the thread died before its time, or null */
function runThread(
  data: ThreadData,
  progress: Progress,
  onFinding: (finding: Finding) => void,
): Promise<string | null> {
  progress.seed = OPENING
  const worker = new Worker(new URL('./thread.js', import.meta.url), {
    workerData: data,
    execArgv: ['--enable-source-maps'],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT_MB },
  })
  let died: string | null = null
  const clock = watch(progress, data.stepLimitMs ?? STEP_LIMIT_MS, (reason) => {
    died ??= reason
    void worker.terminate()
  })
  worker.on('message', onFinding)
  worker.on('error', (error) => {
    died ??= error instanceof Error ? (error.stack ?? error.message) : String(error)
  })
  return new Promise((resolve) => {
    worker.on('exit', (code) => {
      clearInterval(clock)
      resolve(died ?? (code === 0 ? null : `the thread ended with code ${code}`))
    })
  })
}

function watch(progress: Progress, stepLimitMs: number, onStuck: (reason: string) => void): NodeJS.Timeout {
  let seen = { steps: progress.steps, seed: progress.seed, atMs: performance.now() }
  return setInterval(() => {
    const isOpening = progress.seed === seen.seed && progress.steps === seen.steps
    if (!isOpening) {
      seen = { steps: progress.steps, seed: progress.seed, atMs: performance.now() }
      return
    }
    const limitMs = progress.seed === OPENING ? OPEN_LIMIT_MS : stepLimitMs
    if (performance.now() - seen.atMs > limitMs) onStuck(`nothing came to an end for ${limitMs / 1e3} seconds`)
  }, LOOK_EVERY_MS)
}
