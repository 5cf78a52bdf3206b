import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { compileDiagnostics } from '../../src/compiler/compile.js'
import { CompileError } from '../../src/compiler/compile-error.js'
import { checkBundle } from '../../src/language/check.js'
import { formatText } from '../../src/language/format.js'
import { tokenize } from '../../src/language/lexer.js'
import { parseFile } from '../../src/language/parse.js'
import { renderDiagnostic } from '../../src/language/render-diagnostic.js'
import type { Diagnostic } from '../../src/model/diagnostic.js'
import { UNSEEN } from '../../src/model/unseen.js'
import { derive } from '../../test/language/derive.js'
import { Random } from '../demo/random.js'
import { ROOT } from '../support/root.js'
import type { Fuzzer } from './fuzzer.js'
import { anyText, mutate } from './mutate.js'

const TEXTS_A_STEP = 5

const seeds: string[] = []

export const fuzzer: Fuzzer = {
  about: 'lexer, parser, checker, compiler and fmt: no policy text stops them, and none is read in two ways',
  async open() {
    const policies = path.join(ROOT, 'policies')
    for (const entry of readdirSync(policies, { recursive: true, encoding: 'utf8' })) {
      if (entry.endsWith('.policy')) seeds.push(readFileSync(path.join(policies, entry), 'utf8'))
    }
    const corpus = path.join(ROOT, 'test', 'corpus')
    for (const entry of readdirSync(corpus).filter((name) => name.endsWith('.json'))) {
      const { policies } = JSON.parse(readFileSync(path.join(corpus, entry), 'utf8')) as { policies?: object }
      for (const text of Object.values(policies ?? {})) if (typeof text === 'string') seeds.push(text)
    }
  },
  step(seed) {
    const random = new Random(seed)
    const mismatches: string[] = []
    for (let i = 0; i < TEXTS_A_STEP; i++) {
      const bytes = makeFile(random)
      const found = examine(bytes)
      if (found !== undefined) mismatches.push(`${JSON.stringify(Buffer.from(bytes).toString())}: ${found}`)
    }
    return { decisions: 0, inputs: TEXTS_A_STEP, mismatches }
  },
}

function makeFile(random: Random): Uint8Array {
  switch (random.int(0, 9)) {
    case 0:
      return Buffer.from(Array.from({ length: random.int(0, 300) }, () => random.int(0, 255)))
    case 1:
      return encode(anyText(random, 120))
    case 2:
      return encode(`policy p\n${derive(() => random.int(0, 1_000_000))}\n`)
    default:
      return encode(mutate(random, piece(random), 8))
  }
}

/** A few lines of a real policy, so that a change is not lost in a long file. */
function piece(random: Random): string {
  const lines = random.pick(seeds).split('\n')
  const from = random.int(0, lines.length - 1)
  return `${random.int(0, 1) === 0 ? 'policy p default allow\n' : ''}${lines.slice(from, from + random.int(1, 40)).join('\n')}`
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function examine(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString()
  tokenize(text)
  const parsed = parseFile('p.policy', bytes)
  const check = () => checkBundle({ policies: new Map([['p.policy', bytes]]), attachments: new Map() })
  const bundle = check()
  const told = shown(bundle.diagnostics)
  if (shown(check().diagnostics) !== told || check().revision !== bundle.revision) return 'checked in two ways'
  if (told.includes('POL1099')) return 'the grammar is ambiguous'
  const printed = bundle.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('')
  if (printed.replaceAll('\n', '').search(UNSEEN) >= 0) return 'what is printed holds characters that act unseen'
  if (!bundle.diagnostics.some(({ severity }) => severity === 'error')) {
    try {
      compileDiagnostics(bundle)
    } catch (error) {
      if (!(error instanceof CompileError)) throw error
    }
  }
  return parsed.diagnostics.length === 0 ? formatted(text) : undefined
}

function shown(diagnostics: readonly Diagnostic[]): string {
  return diagnostics.map(({ code, message, location }) => `${code} ${location.start} ${message}`).join('\n')
}

/** What `fmt` writes reads as before, and `fmt` leaves it alone. */
function formatted(text: string): string | undefined {
  const once = formatText('p.policy', text)
  if (!once.ok) return 'fmt refuses what the parser takes'
  const twice = formatText('p.policy', once.text)
  if (!twice.ok) return 'fmt writes what the parser refuses'
  return twice.text === once.text ? undefined : 'fmt does not settle'
}
