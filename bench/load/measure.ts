import { readdirSync, readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { readPolicyFolder } from '../../src/authoring/policy-folder.js'
import { compilePolicySet } from '../../src/compiler/compile.js'
import type { PolicySet } from '../../src/compiler/policy-set.js'
import { decide } from '../../src/engine/decide.js'
import { checkBundle } from '../../src/language/check.js'
import type { CheckedBundle, SourceBundle } from '../../src/language/checked.js'
import { parseFile } from '../../src/language/parse.js'
import { LoadCache } from '../../src/tenants/load-policies.js'
import { summary } from '../../test/engine/differential.js'
import { callsOf, median } from './calls.js'
import { ruleStarts } from './policies.js'

// One fresh process of the load benchmark: `node measure.js FOLDER`, figures as JSON on standard output.

/** Milliseconds; `cpu` of the whole process. */
export interface LoadFigures {
  readonly rules: number
  readonly bytesPerRule: number
  readonly readMs: number
  readonly parseMs: number
  readonly checkMs: number
  readonly compileMs: number
  readonly coldMs: number
  readonly coldCpuMs: number
  /** After ten rules were edited. */
  readonly reloadMs: number
  readonly reloadParseMs: number
  readonly reloadCheckMs: number
  readonly reloadCompileMs: number
  readonly heapBytesPerRule: number
}

const EDITS = 10
const RELOADS = 9

interface Loaded {
  readonly bundle: CheckedBundle
  readonly policySet: PolicySet
  readonly parseMs: number
  readonly checkMs: number
  readonly compileMs: number
}

function load(source: SourceBundle, cache: LoadCache): Loaded {
  const startMs = performance.now()
  for (const [file, bytes] of source.policies) parseFile(file, bytes, cache.checked.parsed)
  const parsedMs = performance.now()
  const bundle = checkBundle(source, cache.checked)
  const checkedMs = performance.now()
  const policySet = compilePolicySet(bundle, 'default', cache.compiled)
  const endMs = performance.now()
  return {
    bundle,
    policySet,
    parseMs: parsedMs - startMs,
    checkMs: checkedMs - parsedMs,
    compileMs: endMs - checkedMs,
  }
}

const rulesOf = (bundle: CheckedBundle): number =>
  [...bundle.tenants.values()].flatMap(({ policies }) => policies).reduce((sum, { rules }) => sum + rules.length, 0)

function expectClean({ bundle }: Loaded, rules: number): void {
  const [first] = bundle.diagnostics
  if (first !== undefined)
    throw new Error(`${first.code} at ${first.location.file}:${first.location.line}: ${first.message}`)
  if (rulesOf(bundle) !== rules) throw new Error(`${rulesOf(bundle)} rules instead of ${rules}`)
}

/** Gives ten rules, spread over the files, another id: the text of each file changes, and with it the place of what follows. */
function edited(source: SourceBundle, round: number): SourceBundle {
  const policies = new Map(source.policies)
  const files = [...policies.keys()]
  for (let edit = 0; edit < EDITS; edit++) {
    const file = files[Math.floor((edit * files.length) / EDITS)]!
    const text = Buffer.from(policies.get(file)!).toString()
    const starts = ruleStarts(text)
    const at = starts[Math.floor(((edit + 0.5) * starts.length) / EDITS)]!
    policies.set(
      file,
      Buffer.from(`${text.slice(0, at)}rule E${'x'.repeat(round)}${edit}_${text.slice(at + 'rule '.length)}`),
    )
  }
  return { policies, attachments: source.attachments }
}

const answers = ({ policySet }: Loaded): string =>
  callsOf(policySet)
    .map((call) => summary(decide(call, { nowMs: Date.UTC(2026, 0, 5, 12) }, policySet)))
    .join('\n')

function heapUsed(): number {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const folder = process.argv[2]!
const written = readdirSync(folder).reduce(
  (sum, name) => sum + ruleOrUseCount(readFileSync(`${folder}/${name}`, 'utf8')),
  0,
)
function ruleOrUseCount(text: string): number {
  return [...text.matchAll(/^(?:rule|use) /gm)].length
}

const heapBefore = heapUsed()
const startMs = performance.now()
const startCpu = process.cpuUsage()
const source = await readPolicyFolder(folder)
const readMs = performance.now() - startMs
const cache = new LoadCache()
const first = load(source, cache)
const coldMs = performance.now() - startMs
const { user, system } = process.cpuUsage(startCpu)
expectClean(first, written)
const heapBytesPerRule = (heapUsed() - heapBefore) / written
const before = answers(first)

const reloads: Loaded[] = []
for (let round = 1; round <= RELOADS; round++) {
  const next = load(edited(source, round), cache)
  expectClean(next, written)
  if (next.bundle.revision === first.bundle.revision) throw new Error('the edit did not change the revision')
  reloads.push(next)
}
const again = load(source, cache)
if (again.bundle.revision !== first.bundle.revision) throw new Error('the same texts have another revision')
if (answers(again) !== before) throw new Error('the same texts decide otherwise after a reload')
const fresh = load(edited(source, RELOADS), new LoadCache())
if (answers(fresh) !== answers(reloads.at(-1)!)) throw new Error('a reload decides otherwise than a fresh load')

const of = (what: 'parseMs' | 'checkMs' | 'compileMs'): number => median(reloads.map((reload) => reload[what]))
const figures: LoadFigures = {
  rules: written,
  bytesPerRule: 0,
  readMs,
  parseMs: first.parseMs,
  checkMs: first.checkMs,
  compileMs: first.compileMs,
  coldMs,
  coldCpuMs: (user + system) / 1e3,
  reloadMs: median(reloads.map(({ parseMs, checkMs, compileMs }) => parseMs + checkMs + compileMs)),
  reloadParseMs: of('parseMs'),
  reloadCheckMs: of('checkMs'),
  reloadCompileMs: of('compileMs'),
  heapBytesPerRule,
}
const rounded = Object.entries(figures).map(([key, value]) => [key, Math.round(value * 10) / 10])
process.stdout.write(JSON.stringify(Object.fromEntries(rounded)))
