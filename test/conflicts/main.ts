import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { answered } from './answer.js'
import { checkAnswers } from './check.js'
import { CLASSES } from './classes.js'
import { type ConflictSet, parseLine, readLines, stringify, writeLines } from './format.js'
import { generateCorpus, SEED, SETS_A_CLASS } from './generate.js'
import { RELATION_NAMES, runRelations } from './metamorphic.js'
import { loadPatterns } from './patterns.js'
import { EngineUnderTest, type Mismatch, runSet } from './run.js'
import { Tally } from './tally.js'

const USAGE = `npm run corpus -- [COMMAND] [options]
  (nothing)           generate the corpus, decide every request and compare
  run FILE            the same for a file in the format of docs/conflict-corpus.md
  write FILE          write the corpus; with the ending .gz compressed
  answer FILE         write the answers of this engine
  check FILE          compare the answers of another engine with the corpus
  cedar [PATH]        translate a Cedar corpus (a folder, or corpus-tests.tar.gz; CEDAR_CORPUS where left out)
options
  --json              one JSON object on the last line
  --seed N            ${SEED}; another one is another corpus
  --sets N            sets of each class, ${SETS_A_CLASS}
  --relations N       hold metamorphic relations for every Nth set; 8, 0 for none`

/** The digest of the corpus of the default seed and size. */
const DIGEST_FILE = path.resolve('test/conflicts/corpus.sha256')
const SHOWN = 5

interface Options {
  readonly json: boolean
  readonly seed: number
  readonly sets: number
  readonly relations: number
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      seed: { type: 'string', default: String(SEED) },
      sets: { type: 'string', default: String(SETS_A_CLASS) },
      relations: { type: 'string', default: '8' },
      digest: { type: 'boolean', default: false },
    },
  })
  const options: Options = {
    json: values.json,
    seed: wholeNumber('seed', values.seed),
    sets: wholeNumber('sets', values.sets),
    relations: wholeNumber('relations', values.relations),
  }
  const [command, file] = positionals
  if (command === undefined) return runGenerated(options, values.digest)
  if (command === 'cedar') return cedar(file ?? process.env['CEDAR_CORPUS'], options)
  if (file === undefined) throw new Error(`\`${command}\` needs a path\n${USAGE}`)
  switch (command) {
    case 'run':
      return runFile(file, options)
    case 'write':
      return write(file, options)
    case 'answer':
      return writeAnswers(file, options)
    case 'check':
      return check(file, options)
    default:
      throw new Error(`there is no command \`${command}\`\n${USAGE}`)
  }
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} takes a whole number, not \`${text}\``)
  return Number(text)
}

/** Patterns first, then the generated sets. */
function* allSets({ seed, sets }: Options): Generator<ConflictSet> {
  yield* loadPatterns()
  for (const { set } of generateCorpus(seed, sets)) yield set
}

function runGenerated(options: Options, writesDigest: boolean): number {
  const tally = new Tally()
  for (const pattern of loadPatterns()) tally.add(pattern, runSet(pattern))
  const hash = createHash('sha256')
  let number = 0
  let related = 0
  for (const generated of generateCorpus(options.seed, options.sets)) {
    const line = stringify(generated.set)
    hash.update(`${line}\n`)
    // Through the format, so that what is compared is what others read.
    const set = parseLine<ConflictSet>(line)
    const mismatches = runSet(set)
    if (options.relations > 0 && number++ % options.relations === 0 && mismatches.length === 0) {
      related++
      mismatches.push(...runRelations({ ...generated, set }))
    }
    tally.add(set, mismatches)
  }
  const digest = hash.digest('hex')
  const isStandard = options.seed === SEED && options.sets === SETS_A_CLASS
  if (isStandard && writesDigest) writeFileSync(DIGEST_FILE, `${digest}  conflicts.jsonl\n`)
  const committed = existsSync(DIGEST_FILE) ? readFileSync(DIGEST_FILE, 'utf8').split(' ')[0] : 'none'
  const sameDigest = !isStandard || digest === committed
  if (!sameDigest) console.error(`the corpus has SHA-256 ${digest}, and ${DIGEST_FILE} says ${committed}`)
  report(tally, options, { digest, sameDigest, relations: RELATION_NAMES.length, related })
  return tally.mismatches.length === 0 && sameDigest ? 0 : 1
}

function runFile(file: string, options: Options): number {
  const tally = new Tally()
  for (const line of readLines(file)) {
    const set = parseLine<ConflictSet>(line)
    tally.add(set, runSet(set))
  }
  report(tally, options, { file })
  return tally.mismatches.length === 0 ? 0 : 1
}

function write(file: string, options: Options): number {
  const lines = [...allSets(options)].map(stringify)
  writeLines(file, lines)
  console.log(`${lines.length} sets written to ${file}`)
  return 0
}

function writeAnswers(file: string, options: Options): number {
  const lines = [...allSets(options)].flatMap((set) => {
    const engine = new EngineUnderTest(set)
    return set.requests.map((request, i) => stringify({ set: set.id, request: i, ...answered(engine.decide(request)) }))
  })
  writeLines(file, lines)
  console.log(`${lines.length} answers written to ${file}`)
  return 0
}

function check(file: string, options: Options): number {
  const { tally, answers, missing, unknown } = checkAnswers(allSets(options), readLines(file))
  report(tally, options, { file, answers, missing, unknown })
  return tally.mismatches.length === 0 && missing === 0 && unknown === 0 ? 0 : 1
}

/** The public corpus of Cedar, or any in its format: github.com/cedar-policy/cedar-integration-tests. */
async function cedar(file: string | undefined, { json }: Options): Promise<number> {
  if (file === undefined) throw new Error(`\`cedar\` needs a path, or one in CEDAR_CORPUS\n${USAGE}`)
  const { readTree } = await import('../cedar/archive.js')
  const { runCedar } = await import('../cedar/run.js')
  const { mismatches, inexpressible, ...counts } = runCedar(readTree(file))
  for (const [name, count] of Object.entries(counts)) console.log(`${name.padEnd(16)}${String(count).padStart(8)}`)
  const skipped = [...inexpressible].sort(([, a], [, b]) => b - a)
  console.log('\nnot expressible')
  for (const [reason, count] of skipped) console.log(`${String(count).padStart(8)}  ${reason}`)
  for (const mismatch of mismatches.slice(0, SHOWN)) console.log(mismatch)
  const result = { ...counts, mismatches: mismatches.length, inexpressible: Object.fromEntries(skipped) }
  if (json) console.log(JSON.stringify({ ...result, ...surroundings() }))
  return mismatches.length === 0 ? 0 : 1
}

function surroundings(): { readonly machine: unknown; readonly versions: unknown } {
  const machine = { cpu: os.cpus()[0]?.model ?? '', cores: os.cpus().length, platform: `${os.platform()} ${os.arch()}` }
  return { machine, versions: { node: process.version, icu: process.versions.icu ?? '' } }
}

function report(tally: Tally, { json, seed }: Options, more: Readonly<Record<string, unknown>>): void {
  console.log(tally.table(CLASSES))
  for (const mismatch of tally.mismatches.slice(0, SHOWN)) console.log(describe(mismatch))
  if (tally.mismatches.length > SHOWN) console.log(`… and ${tally.mismatches.length - SHOWN} more`)
  if (!json) return
  const { sets, requests, mismatches, classes } = tally
  const result = { sets, requests, mismatches: mismatches.length, classes: Object.fromEntries(classes), seed, ...more }
  console.log(JSON.stringify({ ...result, ...surroundings() }))
}

function describe({ set, request, fields, expected, actual }: Mismatch): string {
  return `${set}, request ${request}: ${fields.join(', ')}\n  expected ${JSON.stringify(expected)}\n  actual   ${JSON.stringify(actual)}`
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
