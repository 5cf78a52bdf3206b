import { isDeepStrictEqual } from 'node:util'
import { canonicalJson } from '../../src/model/canonical-json.js'
import type { JsonValue } from '../../src/model/json.js'
import { JsonError } from '../../src/model/json-error.js'
import { parseJson } from '../../src/model/parse-json.js'
import { Random } from '../demo/random.js'
import type { Fuzzer } from './fuzzer.js'
import { anyText, mutate } from './mutate.js'

const TEXTS_A_STEP = 100
const LIMITS = { maxBytes: 64 * 1024, maxDepth: 64 }
/** Refusals of texts that JSON.parse takes: each is a promise of the reader's. */
const STRICTER = new Set(['duplicate-key', 'forbidden-key', 'too-deep', 'too-large', 'number-range', 'encoding'])

export const fuzzer: Fuzzer = {
  about:
    'the reader of arguments against JSON.parse: the same values, the same refusals, stricter only where it says so',
  step(seed) {
    const random = new Random(seed)
    const mismatches: string[] = []
    for (let i = 0; i < TEXTS_A_STEP; i++) {
      const text = random.int(0, 9) === 0 ? anyText(random) : mutate(random, write(random, 0), 3)
      const found = compare(text)
      if (found !== undefined) mismatches.push(`${JSON.stringify(text)}: ${found}`)
    }
    return { decisions: 0, inputs: TEXTS_A_STEP, mismatches }
  },
}

/** JSON text, mostly good. */
function write(random: Random, depth: number): string {
  const space = random.pick(['', '', '', ' ', '\n', '\t', '\r'])
  const kind = random.int(0, depth > 5 ? 5 : 8)
  const text = (): string =>
    JSON.stringify(random.pick(['', 'a', 'amount', 'é', '\u2028', '"', '\\', '\u{1f600}', 'constructor']))
  switch (kind) {
    case 0:
      return space + text()
    case 1:
      return space + String(random.int(-1_000, 1_000))
    case 2:
      return (
        space +
        random.pick([
          'true',
          'false',
          'null',
          '-0',
          '1e5',
          '1E-5',
          '0.1',
          '9007199254740993',
          '1e308',
          '1e309',
          '-9223372036854775809',
        ])
      )
    case 3:
      return `${space}"${random.pick(['\\u0041', '\\ud83d\\ude00', '\\ud800', '\\/', '\\b', '\\u0000', '\\n'])}"`
    case 4:
      return `${space}${random.int(0, 9_999_999)}${random.int(0, 99_999_999)}.${random.int(0, 99)}`
    case 5:
      return space + text()
    case 6:
    case 7:
      return `${space}{${Array.from({ length: random.int(0, 4) }, () => `${space}${text()}${space}:${write(random, depth + 1)}`).join(',')}${space}}`
    default:
      return `${space}[${Array.from({ length: random.int(0, 4) }, () => write(random, depth + 1)).join(',')}${space}]`
  }
}

function compare(text: string): string | undefined {
  const ours = attempt(() => parseJson(text, LIMITS))
  const bytes = attempt(() => parseJson(new TextEncoder().encode(text), LIMITS))
  const theirs = attempt(() => JSON.parse(text) as JsonValue)
  if (ours.error !== undefined && !(ours.error instanceof JsonError)) return `throws ${String(ours.error)}`
  if (text.isWellFormed() && (ours.error === undefined) !== (bytes.error === undefined)) return 'text and bytes differ'
  if (ours.error instanceof JsonError) {
    if (theirs.error !== undefined || STRICTER.has(ours.error.code)) return undefined
    return `refused as ${ours.error.code}, and JSON.parse takes it`
  }
  if (theirs.error !== undefined) return 'accepted, and JSON.parse refuses it'
  if (!isDeepStrictEqual(plain(ours.value!), plain(theirs.value!))) return 'another value'
  const canonical = canonicalJson(ours.value as JsonValue)
  return canonicalJson(parseJson(canonical, { ...LIMITS, maxBytes: 2 ** 20 })) === canonical
    ? undefined
    : 'no fixed canonical form'
}

function attempt(work: () => JsonValue): { value?: JsonValue; error?: unknown } {
  try {
    return { value: work() }
  } catch (error) {
    return { error }
  }
}

/** As JSON.parse has it: integers past a double rounded, minus zero zero, objects with a prototype. */
function plain(value: JsonValue): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (value === 0) return 0
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}
