import { compareOnce, type Disagreement } from '../../test/engine/differential.js'
import { seededDraw } from '../../test/engine/generate.js'

// npm run fuzz -- engine [DECISIONS] [SEED]: random policy sets and calls, decided by the compiled engine and by the naive
// evaluator. Exit code 1 when they disagree; a disagreement prints the seed that repeats it.

const CALLS_A_SET = 40

const numbers = process.argv.slice(2).filter((argument) => /^\d+$/.test(argument))
const wanted = Number(numbers[0] ?? 100_000)
const firstSeed = Number(numbers[1] ?? Date.now() % 1_000_000_000)

let decisions = 0
let mismatches = 0
let reported = 0
const reasons = new Map<string, number>()
const startedNs = process.hrtime.bigint()
for (let seed = firstSeed; decisions < wanted; seed++) {
  const compared = compareOnce(seededDraw(seed), Math.min(CALLS_A_SET, wanted - decisions))
  decisions += compared.decisions
  mismatches += compared.disagreements.length
  for (const [reason, count] of compared.outcomes) reasons.set(reason, (reasons.get(reason) ?? 0) + count)
  if (compared.disagreements.length > 0 && reported++ < 5) report(seed, compared.disagreements[0]!)
}
const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9
for (const [reason, count] of [...reasons].sort()) console.log(`${reason.padEnd(20)} ${count}`)
console.log(
  JSON.stringify({
    decisions,
    mismatches,
    seed: firstSeed,
    seconds: Number(seconds.toFixed(1)),
    node: process.version,
  }),
)
process.exitCode = mismatches === 0 ? 0 : 1

function report(seed: number, { compiled, naive, call }: Disagreement): void {
  console.error(`seed ${seed}\n  compiled ${compiled}\n  naive    ${naive}\n  call     ${call}`)
}
