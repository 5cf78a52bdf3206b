import { parseArgs } from 'node:util'
import { FUZZERS, loadFuzzer, moduleOf } from './fuzzers.js'
import type { Progress } from './progress.js'
import { type Finding, takeTurn } from './turn.js'

// npm run fuzz -- [NAME...] [--seconds 60] [--steps N] [--seed N] [--json]: runs the named fuzzers, or all, one after the
// other with equal shares of the time. Exit code 1 on a finding; each prints the seed that repeats it.

const REPORTED_EACH = 5
const MAX_SEED = 2 ** 32 - 1

interface Turn {
  readonly name: string
  readonly progress: Progress
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    steps: { type: 'string' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const names = positionals.length > 0 ? positionals : FUZZERS
const unknown = names.find((name) => !FUZZERS.includes(name))
if (unknown !== undefined) usage(`there is no fuzzer \`${printable(unknown)}\``)
const seconds = numberOption('seconds', values.seconds, 86_400)
const steps = values.steps === undefined ? Number.POSITIVE_INFINITY : numberOption('steps', values.steps, 1e12)
const seed = values.seed === undefined ? Date.now() % MAX_SEED : numberOption('seed', values.seed, MAX_SEED)

const turns: Turn[] = []
for (const name of names) {
  const module = moduleOf(name)
  if (!values.json) console.log(`${name}: ${(await loadFuzzer(module)).about}`)
  let reported = 0
  const progress = await takeTurn({ module, seed, seconds: seconds / names.length, steps }, (finding) => {
    if (reported++ < REPORTED_EACH) console.error(describe(name, finding))
  })
  turns.push({ name, progress })
  if (!values.json) console.log(`  ${sentence(progress)}`)
}
console.log(JSON.stringify(summary()))
process.exitCode = turns.every(({ progress }) => progress.mismatches === 0 && progress.crashes === 0) ? 0 : 1

function summary() {
  const sum = (what: 'steps' | 'decisions' | 'inputs' | 'mismatches' | 'crashes') =>
    turns.reduce((total, { progress }) => total + progress[what], 0)
  return {
    decisions: sum('decisions'),
    inputs: sum('inputs'),
    mismatches: sum('mismatches'),
    crashes: sum('crashes'),
    seconds,
    seed,
    fuzzers: Object.fromEntries(
      turns.map(({ name, progress: { steps, decisions, inputs, mismatches, crashes } }) => [
        name,
        { steps, decisions, inputs, mismatches, crashes },
      ]),
    ),
    node: process.version,
  }
}

function sentence({ steps, decisions, inputs, mismatches, crashes }: Progress): string {
  const count = (number: number, what: string) => `${number.toLocaleString('en')} ${what}`
  return [
    count(steps, 'steps'),
    count(inputs, 'inputs'),
    count(decisions, 'decisions compared'),
    count(mismatches, 'mismatches'),
    count(crashes, 'crashes'),
  ].join(', ')
}

function describe(name: string, { kind, seed, text }: Finding): string {
  return `${kind} of ${name}; again by: npm run fuzz -- ${name} --seed ${seed} --steps 1\n  ${printable(text).slice(0, 4_000)}`
}

/** Findings quote hostile text: control, format and lone surrogate characters are spelled out, line breaks kept. */
function printable(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

function numberOption(name: string, text: string, most: number): number {
  const number = Number(text)
  if (text.trim() !== '' && number >= 0 && number <= most) return number
  return usage(`--${name} takes a number from 0 to ${most}, not \`${printable(text)}\``)
}

function usage(problem: string): never {
  console.error(`${problem}\nusage: npm run fuzz -- [NAME...] [--seconds 60] [--steps N] [--seed N] [--json]`)
  console.error(`fuzzers: ${FUZZERS.join(', ')}`)
  process.exit(2)
}
