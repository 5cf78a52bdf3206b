import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { inShort } from '../support/figures.js'
import { describeInLine, describeMachine } from '../support/machine.js'
import type { Metric } from '../support/report.js'
import { REPORTED } from '../support/reported.js'
import { ROOT } from '../support/root.js'
import { ratioOf, type Spread, spreadOf } from '../support/rounds.js'
import { type Table, toPlainText } from '../support/table.js'
import { build, CompareError, checkOut, findRevision, refuseChanges } from './revision.js'

// npm run bench -- compare REV [NAME...]: this tree against another revision. Both are built and run by turns, each run a
// process of its own; what is printed is how many times REV's figure this tree's is, with the least and the most of the rounds.

const USAGE = `usage: npm run bench -- compare REV [NAME...] [--rounds N] [--quick] [--own] [--dirty] [--json]
  NAME     out of ${REPORTED.join(', ')}; all when left out
  --own    let REV run its own benchmarks instead of this tree's
  --dirty  measure this tree though it has changes that no commit holds`

/** Rounds within one run; the rounds that are compared are runs. */
const ROUNDS_A_RUN = '3'
const FEWEST_TO_JUDGE = 4

interface Compared {
  readonly unit: string
  readonly better: Metric['better']
  readonly theirs: Spread
  readonly ours: Spread
  readonly ratio: Spread
}

type Metrics = Readonly<Record<string, Metric>>

try {
  compare(readCommandLine())
} catch (error) {
  if (!(error instanceof CompareError)) throw error
  console.error(error.message)
  process.exit(2)
}

interface CommandLine {
  readonly revision: string
  readonly names: readonly string[]
  readonly rounds: number
  readonly quick: boolean
  readonly own: boolean
  readonly dirty: boolean
  readonly json: boolean
}

function readCommandLine(): CommandLine {
  const flag = { type: 'boolean', default: false } as const
  const options = { rounds: { type: 'string', default: '5' }, quick: flag, own: flag, dirty: flag, json: flag } as const
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options })
    const [revision, ...names] = positionals
    if (revision === undefined) throw new CompareError('name the revision to compare with')
    const unknown = names.find((name) => !REPORTED.includes(name))
    if (unknown !== undefined) throw new CompareError(`there is no benchmark ${JSON.stringify(unknown)} to compare`)
    if (!/^[1-9]\d{0,2}$/.test(values.rounds)) throw new CompareError('--rounds takes a number from 1 to 999')
    return { ...values, revision, names: names.length === 0 ? REPORTED : names, rounds: Number(values.rounds) }
  } catch (error) {
    throw new CompareError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
  }
}

function compare({ revision: name, names, rounds, quick, own, dirty, json }: CommandLine): void {
  const revision = findRevision(name)
  if (!dirty) refuseChanges()
  progress(`building this tree and ${name} (${revision.commit.slice(0, 10)})`)
  build(ROOT)
  const { folder, remove } = checkOut(revision, { benchmarks: names, ownBenchmarks: own })
  process.on('exit', remove)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  const results: Record<string, Record<string, Compared>> = {}
  for (const benchmark of names) results[benchmark] = runBoth(benchmark, { folder, rounds, quick })
  console.log(`this tree against ${name} (${revision.commit.slice(0, 10)}); ${describeInLine(describeMachine())}`)
  for (const benchmark of names) console.log(`\n${toPlainText(toTable(benchmark, results[benchmark]!))}`)
  if (json) console.log(JSON.stringify({ name: 'compare', revision, machine: describeMachine(), rounds, results }))
}

function runBoth(benchmark: string, { folder, rounds, quick }: { folder: string; rounds: number; quick: boolean }) {
  const runs: { theirs: Metrics; ours: Metrics }[] = []
  for (let round = 0; round < rounds; round++) {
    progress(`${benchmark}, round ${round + 1} of ${rounds}`)
    const run = (root: string) => measure(root, benchmark, quick)
    // By turns one goes first, since the second finds a warmer or a more tired machine.
    if (round % 2 === 0) {
      const theirs = run(folder)
      runs.push({ theirs, ours: run(ROOT) })
    } else {
      const ours = run(ROOT)
      runs.push({ theirs: run(folder), ours })
    }
  }
  return join(runs)
}

/** Metrics that both have in every round. */
function join(runs: readonly { readonly theirs: Metrics; readonly ours: Metrics }[]): Record<string, Compared> {
  const shared = Object.entries(runs[0]!.ours).filter(([name]) =>
    runs.every(({ theirs, ours }) => theirs[name] !== undefined && ours[name] !== undefined),
  )
  return Object.fromEntries(
    shared.map(([name, { unit, better }]) => {
      const theirs = spreadOf(runs.map((run) => run.theirs[name]!.value))
      const ours = spreadOf(runs.map((run) => run.ours[name]!.value))
      return [name, { unit, better, theirs, ours, ratio: ratioOf(ours, theirs) }]
    }),
  )
}

function measure(root: string, benchmark: string, quick: boolean): Metrics {
  const runner = path.join(root, 'bench', 'run.mjs')
  const args = [runner, 'bench', benchmark, '--json', '--alone', ...(quick ? ['--quick'] : ['--rounds', ROUNDS_A_RUN])]
  const { status, stdout } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new CompareError(`bench ${benchmark} failed in ${root}`)
  const { metrics } = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as { readonly metrics?: Metrics }
  if (metrics === undefined) {
    throw new CompareError(
      `bench ${benchmark} of ${root} reports no metrics: it is older than this comparison; leave --own out`,
    )
  }
  return metrics
}

function toTable(benchmark: string, compared: Record<string, Compared>): Table {
  return {
    title: `${benchmark}: this tree's figure, in times the other's`,
    head: ['metric', 'unit', 'other', 'this tree', 'times', 'least', 'most', ''],
    rows: Object.entries(compared).map(([name, one]) => [
      name,
      one.unit,
      inShort(one.theirs.median),
      inShort(one.ours.median),
      ...[one.ratio.median, one.ratio.min, one.ratio.max].map((ratio) => ratio.toFixed(2)),
      verdict(one),
    ]),
  }
}

/** Only what every round agrees on, and only where that is more than chance. */
function verdict({ ratio, better }: Compared): string {
  if (ratio.samples.length < FEWEST_TO_JUDGE) return ''
  if (ratio.min > 1) return better === 'higher' ? 'better' : 'worse'
  if (ratio.max < 1) return better === 'higher' ? 'worse' : 'better'
  return ''
}

function progress(text: string): void {
  console.error(`compare: ${text}`)
}
