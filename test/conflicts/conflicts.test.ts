import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { compileRegex } from '../../src/compiler/regex.js'
import { domain, ipInCidr, parseView, underPath } from '../../src/compiler/views/index.js'
import type { IpView, PathView } from '../../src/compiler/views/view-value.js'
import { answered } from './answer.js'
import { checkAnswers } from './check.js'
import { CLASSES } from './classes.js'
import { type ConflictSet, parseLine, stringify } from './format.js'
import { generateSet, SEED } from './generate.js'
import { runRelations } from './metamorphic.js'
import { loadPatterns } from './patterns.js'
import { EngineUnderTest, runSet } from './run.js'
import { DOMAINS, PATTERNS, SPECIMEN_VIEWS, SPECIMENS, type Specimen } from './specimens.js'

const patterns = loadPatterns()

t.test('patterns whose answers were written by hand', (t) => {
  t.ok(patterns.length >= 40, `${patterns.length} patterns`)
  t.equal(new Set(patterns.map(({ id }) => id)).size, patterns.length, 'each has a name of its own')
  for (const pattern of patterns) t.same(runSet(pattern), [], pattern.id)
  t.end()
})

t.test('a sample of the generated corpus: two sets of every class', (t) => {
  t.ok(CLASSES.length >= 50, `${CLASSES.length} classes`)
  for (const one of CLASSES) {
    for (const number of [0, 1]) {
      const { set } = generateSet(one, number, SEED)
      t.same(runSet(parseLine<ConflictSet>(stringify(set))), [], set.id)
    }
  }
  t.end()
})

t.test('relations between a set and a changed one', (t) => {
  for (const one of CLASSES.filter((_, i) => i % 3 === 0)) {
    const generated = generateSet(one, 2, SEED)
    t.same(runRelations(generated), [], generated.set.id)
  }
  t.end()
})

t.test('the same seed gives the same bytes', (t) => {
  for (const one of CLASSES.slice(0, 8)) {
    t.equal(stringify(generateSet(one, 7, SEED).set), stringify(generateSet(one, 7, SEED).set), one.name)
    t.not(stringify(generateSet(one, 7, SEED + 1).set), stringify(generateSet(one, 7, SEED).set), 'another seed')
  }
  t.end()
})

t.test('answers of another engine are checked', (t) => {
  const lines = patterns.flatMap((set) => {
    const engine = new EngineUnderTest(set)
    return set.requests.map((request, i) => stringify({ set: set.id, request: i, ...answered(engine.decide(request)) }))
  })
  const { tally, missing, unknown } = checkAnswers(patterns, lines)
  t.same([tally.mismatches, missing, unknown], [[], 0, 0], 'its own')

  const only = lines.map((line) => {
    const { set, request, outcome } = parseLine<{ set: string; request: number; outcome: string }>(line)
    return stringify({ set, request, outcome })
  })
  t.same(checkAnswers(patterns, only).tally.mismatches, [], 'an outcome is enough')
  t.equal(checkAnswers(patterns, only.slice(3)).missing, 3, 'requests without answer are counted')
  t.equal(checkAnswers(patterns.slice(1), only).unknown, patterns[0]!.requests.length, 'answers without request, too')

  const wrong = only.map((line, i) => (i === 0 ? line.replace('DENY', 'ALLOW') : line))
  const [mismatch, ...more] = checkAnswers(patterns, wrong).tally.mismatches
  t.match(mismatch, { set: 'deny beats allow', request: 0, fields: ['outcome'] })
  t.same(more, [])
  t.throws(() => checkAnswers(patterns, ['{"set":"deny beats allow"}']), /line 1: an answer has `set`/)
  t.throws(() => checkAnswers(patterns, ['no JSON']), /line 1: /)
  t.throws(
    () => checkAnswers(patterns, [only[0]!, only[0]!]),
    /line 2: request 0 of deny beats allow is answered twice/,
  )
  t.end()
})

t.test('the table of specimens reads texts as the views do', (t) => {
  for (const [view, specimens] of Object.entries(SPECIMENS) as [keyof typeof SPECIMENS, readonly Specimen[]][]) {
    for (const { text, reads } of specimens) {
      const parsed = parseView(view, text) as Readonly<Record<string, unknown>> | undefined
      t.equal(parsed === undefined, reads === null, `${view} ${text}`)
      for (const [field, value] of Object.entries(reads ?? {}))
        t.same(parsed?.[field], value, `${view} ${text}: ${field}`)
    }
  }
  for (const [text, host] of DOMAINS) t.equal(domain(text), host, `domain of ${text}`)
  for (const { text, reads } of SPECIMENS.ip) {
    if (reads === null) continue
    const parsed = parseView('ip', text) as unknown as IpView
    for (const range of ['10.0.0.0/8', '192.168.0.0/16', '8.8.8.8']) {
      t.equal(SPECIMEN_VIEWS.inRange(reads, range), ipInCidr(parsed, range), `${text} in ${range}`)
    }
  }
  for (const { text, reads } of SPECIMENS.path) {
    if (reads === null) continue
    const parsed = parseView('path', text) as unknown as PathView
    for (const folder of ['/srv/data', '/etc']) {
      t.equal(SPECIMEN_VIEWS.under(reads, folder), underPath(parsed, folder), `${text} under ${folder}`)
    }
  }
  for (const pattern of PATTERNS) {
    for (const flags of ['', 'i']) {
      for (const text of ['k1', 'URGENT: pay now', 'please refund', '', 'invoice 17', 'ünïcode ✓']) {
        const searched = compileRegex(pattern, flags)(text)
        t.equal(SPECIMEN_VIEWS.matches(pattern, flags, text), searched, `${text} matches /${pattern}/${flags}`)
      }
    }
  }
  t.end()
})

/** What expected values rest on: of the product nothing but types, so that a fault there cannot hide itself. */
t.test('the evaluator and the generator share no code with the engine', (t) => {
  const own = ['answer', 'builder', 'classes', 'conditions', 'generate', 'model', 'print', 'specimens', 'vocabulary']
  const files = own.map((name) => path.resolve('test/conflicts', `${name}.ts`))
  const reference = readdirSync('test/reference').filter((name) => !['naive.ts', 'struct.ts'].includes(name))
  for (const file of [...files, ...reference.map((name) => path.resolve('test/reference', name))]) {
    const imports = readFileSync(file, 'utf8').matchAll(/^import (type )?[^'"]*? from '([^']*)'/gms)
    const shared = [...imports].filter(([, isType, from]) => isType === undefined && from!.includes('/src/'))
    t.same(
      shared.map(([, , from]) => from),
      [],
      path.basename(file),
    )
  }
  t.end()
})
