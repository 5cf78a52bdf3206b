import { performance } from 'node:perf_hooks'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { loadFuzzer } from './fuzzers.js'
import { Progress } from './progress.js'
import type { Finding, ThreadData } from './turn.js'

// The thread of one fuzzer: steps from a first seed on, until its time or its steps are up.

const { module, seed: firstSeed, seconds, steps, memory } = workerData as ThreadData
const port = parentPort as MessagePort
const progress = new Progress(memory)
const fuzzer = await loadFuzzer(module)
await fuzzer.open?.()
try {
  const startedMs = performance.now()
  for (let i = 0; i < steps && performance.now() - startedMs < seconds * 1e3; i++) await step((firstSeed + i) >>> 0)
} finally {
  await fuzzer.close?.()
}

async function step(seed: number): Promise<void> {
  progress.seed = seed
  try {
    const { decisions, inputs, mismatches } = await fuzzer.step(seed)
    progress.addStep({ decisions, inputs, mismatches: mismatches.length })
    for (const text of mismatches) report({ kind: 'mismatch', seed, text })
  } catch (error) {
    progress.addCrash()
    report({ kind: 'crash', seed, text: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
}

function report(finding: Finding): void {
  port.postMessage(finding)
}
