import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LoadFigures } from './measure.js'
import { policyTexts } from './policies.js'

// npm run bench -- load [--json]: from policy text to a compiled set. Each size is loaded by fresh processes, so that nothing
// is warm; then ten rules, one in each of ten files or all in what there is, are edited and the folder is loaded again.
// Medians of the processes; CPU is that of the whole process, its compiler and collector threads included.

const SIZES = [1_000, 10_000, 100_000]
const PROCESSES = { 1000: 5, 10000: 5, 100000: 2 } as Readonly<Record<number, number>>

function measure(rules: number): LoadFigures {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-load-'))
  try {
    let bytes = 0
    for (const [name, text] of policyTexts(rules)) {
      writeFileSync(path.join(folder, name), text)
      bytes += text.length
    }
    const runs = Array.from({ length: PROCESSES[rules] ?? 1 }, () => child(folder))
    const keys = Object.keys(runs[0]!) as (keyof LoadFigures)[]
    const medians = Object.fromEntries(keys.map((key) => [key, median(runs.map((run) => run[key]))]))
    if (medians['rules'] !== rules) throw new Error(`${rules} rules were written and ${medians['rules']} read`)
    return { ...(medians as unknown as LoadFigures), bytesPerRule: Math.round(bytes / rules) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function child(folder: string): LoadFigures {
  const script = fileURLToPath(new URL('./measure.js', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', script, folder], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the measuring process failed: ${stderr}`)
  return JSON.parse(stdout) as LoadFigures
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!
}

const only = process.argv.find((argument) => argument.startsWith('--rules='))?.slice('--rules='.length)
const results = (only === undefined ? SIZES : [Number(only)]).map(measure)
const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version }
console.log(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`)
console.table(results)
console.log(JSON.stringify({ results, ...machine }))
