import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { readPolicyFolder } from '../../src/authoring/policy-folder.js'
import { type PolicyImage, transfersOf } from '../../src/compiler/image.js'
import { openPolicySet } from '../../src/compiler/policy-set.js'
import { decide } from '../../src/engine/decide.js'
import { LivePolicies } from '../../src/tenants/live-policies.js'
import { LoadCache, loadPolicies } from '../../src/tenants/load-policies.js'
import { callsOf, median } from './calls.js'
import { ruleStarts } from './policies.js'

// One fresh process of the load benchmark: `node swap.js FOLDER RULES`, figures as JSON on standard output. Decides without a
// pause while policies are loaded and swapped, and says for how long at most no decision was made. Neighbours on the machine
// show in every such figure, so the same is measured beside a thread that only spins.

/** Milliseconds unless it says otherwise. */
export interface SwapFigures {
  readonly startMs: number
  /** From asking for a reload until the new policies are live. */
  readonly reloadMs: number
  /** Of the longest pauses of as many stretches: the middle one and the least. */
  readonly steadyMs: number
  readonly leastSteadyMs: number
  readonly swapMs: number
  readonly leastSwapMs: number
  /** The longest thing that the event loop does for a swap without a break: taking an image over, opening it, a step of making it ready. */
  readonly longestStepMs: number
  /** What the process that decides keeps, bytes. */
  readonly keptBytesPerRule: number
}

const SWAPS = rulesAsked() > 25_000 ? 2 : 5
const STEADY_MS = 1_000
const BURST = 16

const folder = process.argv[2] ?? ''
const rules = rulesAsked()
const silent = (): void => {}
const keptBefore = kept()
const startedMs = performance.now()
const policies = new LivePolicies({
  source: {
    name: folder,
    read: () => readPolicyFolder(folder),
    watch: () => ({ ready: Promise.resolve(), close: silent }),
  },
  log: { debug: silent, info: silent, warn: silent, error: silent },
  nowMs: Date.now,
})
const first = await policies.start()
const startMs = performance.now() - startedMs
if (first.counts.rules !== rules) throw new Error(`${first.counts.rules} rules are live instead of ${rules}`)
const calls = callsOf(first.policySetOf('default'))
const outcomes: string[] = []

/** Decides until `isDone`; the longest time between two bursts of decisions. */
async function longestPause(isDone: () => boolean): Promise<number> {
  let longest = 0
  let at = 0
  let before = performance.now()
  while (!isDone()) {
    const set = policies.live().policySetOf('default')
    for (let burst = 0; burst < BURST; burst++) {
      const call = at++ % calls.length
      const { outcome } = decide(calls[call]!, { nowMs: 0 }, set)
      outcomes[call] ??= outcome
      if (outcome !== outcomes[call])
        throw new Error(`a call was ${outcomes[call]} and is ${outcome}: only a name was edited`)
    }
    await setImmediate()
    const now = performance.now()
    longest = Math.max(longest, now - before)
    before = now
  }
  return longest
}

/** Beside a thread that is as busy as one that loads, so that loading is the only difference. */
async function steady(): Promise<number> {
  const busy = new Worker('for (;;);', { eval: true, execArgv: [] })
  const untilMs = performance.now() + STEADY_MS
  const pause = await longestPause(() => performance.now() > untilMs)
  await busy.terminate()
  return pause
}

const edited = path.join(folder, 'department-0.policy')
const text = Buffer.from((await readPolicyFolder(folder)).policies.get('department-0.policy')!).toString()
const start = ruleStarts(text)[0]! + 'rule '.length
const reloads: number[] = []

async function swap(round: number): Promise<number> {
  const { revision } = policies.live()
  writeFileSync(edited, `${text.slice(0, start)}E${round}_${text.slice(start)}`)
  let done = false
  const askedMs = performance.now()
  const reloading = policies.reload('change').then(() => {
    reloads.push(performance.now() - askedMs)
    done = true
  })
  const pause = await longestPause(() => done)
  await reloading
  const after = policies.live()
  if (after.revision === revision || after.counts.rules !== rules) throw new Error('the edited policies are not live')
  return pause
}

await steady()
const steadyPauses: number[] = []
const swapPauses: number[] = []
for (let round = 0; round < SWAPS; round++) {
  steadyPauses.push(await steady())
  swapPauses.push(await swap(round))
}
policies.close()
writeFileSync(edited, text)
const keptBytesPerRule = (kept() - keptBefore) / rules

/** What {@link LivePolicies} does with an image, timed step by step; of each step the least of some times, since neighbours only ever add. */
async function longestStep(): Promise<number> {
  const loaded = loadPolicies(await readPolicyFolder(folder), null, new LoadCache())
  if (loaded.kind !== 'loaded') throw new Error('the policies that were live do not load')
  const image = loaded.own[0]![1]
  const least: number[] = []
  for (let round = 0; round < 7; round++) {
    const { port1, port2 } = new MessageChannel()
    const copy = structuredClone(image)
    port1.postMessage(copy, transfersOf(copy))
    let at = performance.now()
    let number = 0
    const step = (): void => {
      const tookMs = performance.now() - at
      least[number] = Math.min(least[number] ?? Number.POSITIVE_INFINITY, tookMs)
      number++
      at = performance.now()
    }
    const received = receiveMessageOnPort(port2) as { message: PolicyImage }
    step()
    const set = openPolicySet(received.message)
    step()
    for (const _ of set.prepare()) step()
    port1.close()
  }
  return least.reduce((longest, ms) => Math.max(longest, ms), 0)
}

function rulesAsked(): number {
  return Number(process.argv[3] ?? 0)
}

function kept(): number {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const figures: SwapFigures = {
  startMs,
  reloadMs: median(reloads),
  steadyMs: median(steadyPauses),
  leastSteadyMs: Math.min(...steadyPauses),
  swapMs: median(swapPauses),
  leastSwapMs: Math.min(...swapPauses),
  longestStepMs: await longestStep(),
  keptBytesPerRule,
}
process.stdout.write(JSON.stringify(figures))
