import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { domain, parseView, underPath } from '../../src/compiler/views/index.js'
import { parsePath } from '../../src/compiler/views/path.js'
import { VIEWS, type ViewName } from '../../src/language/vocabulary.js'
import { Random } from '../demo/random.js'
import { ROOT } from '../support/root.js'
import type { Fuzzer } from './fuzzer.js'
import { anyText, mutate } from './mutate.js'

const NAMES: readonly ViewName[] = ['sql', 'url', 'email', 'path', 'ip', 'shell', 'json']
const TEXTS_A_STEP = 50
/** No view may take longer for one text, process time in milliseconds; twenty times the worst that was measured. */
const MAX_MS = 200

type Fields = Readonly<Record<string, unknown>>
/** A change of a text that must not change, or only widen, what the view shows. Undefined: as it should be. */
type Law = (text: string, shown: Fields, random: Random) => string | undefined

const seeds = new Map<ViewName, readonly string[]>()

export const fuzzer: Fuzzer = {
  about:
    'parsed views: no text stops or slows one, none reads it in two ways, and no disguise of a text gets past its laws',
  async open() {
    for (const name of NAMES) seeds.set(name, seedsOf(name))
  },
  step(seed) {
    const random = new Random(seed)
    const mismatches: string[] = []
    for (let i = 0; i < TEXTS_A_STEP; i++) {
      const name = random.pick(NAMES)
      const text = random.int(0, 9) === 0 ? anyText(random) : mutate(random, random.pick(seeds.get(name)!))
      const found = examine(name, text, random)
      if (found !== undefined) mismatches.push(`${name} ${JSON.stringify(text)}: ${found}`)
    }
    return { decisions: 0, inputs: TEXTS_A_STEP, mismatches }
  },
}

/** The texts of the corpora. */
function seedsOf(name: ViewName): readonly string[] {
  const files = [
    path.join(ROOT, 'test', 'views', `${name}.cases.jsonl`),
    ...readdirSync(path.join(ROOT, 'test', 'evasions'))
      .filter((file) => file === `${name}.jsonl` || file === 'unicode.jsonl')
      .map((file) => path.join(ROOT, 'test', 'evasions', file)),
  ]
  const lines = files.flatMap((file) => {
    try {
      return readFileSync(file, 'utf8').trimEnd().split('\n')
    } catch {
      return []
    }
  })
  return lines.map((line) => (JSON.parse(line) as { text: string }).text)
}

function examine(name: ViewName, text: string, random: Random): string | undefined {
  const before = process.cpuUsage()
  const shown = parseView(name, text)
  const { user, system } = process.cpuUsage(before)
  if (user + system > MAX_MS * 1_000) return `took ${Math.round((user + system) / 1_000)} ms`
  if (!isDeepStrictEqual(parseView(name, text), shown)) return 'two readings of one text'
  domain(text)
  if (name === 'json' || shown === undefined) return undefined
  const fields = shown as Fields
  const strange = Object.keys(fields).find((field) => field !== 'readings' && !(field in VIEWS[name]))
  if (strange !== undefined) return `shows ${strange}, which the language does not have`
  return LAWS[name](text, fields, random)
}

const includesAll = (list: unknown, of: unknown): boolean =>
  list === undefined ||
  (Array.isArray(of) && Array.isArray(list) && of.every((item) => (list as readonly unknown[]).includes(item)))

function see(name: ViewName, text: string): Fields | undefined {
  return parseView(name, text) as Fields | undefined
}

const LAWS: Readonly<Record<Exclude<ViewName, 'json'>, Law>> = {
  /** What stands before a second statement, and the second statement, are both seen. */
  sql(text, shown) {
    const more = see('sql', `${text}\n;DELETE FROM zz9`)
    if (more === undefined || more['statements'] === undefined) return undefined
    if (!includesAll(more['statements'], ['delete'])) return 'a second statement goes unseen'
    if (!includesAll(more['tables'], ['zz9'])) return 'its table goes unseen'
    if (more['multiple'] !== true) return 'two statements are one'
    if (shown['tables'] !== undefined && !includesAll(more['tables'], shown['tables'])) return 'a table is lost'
    const inner = see('sql', `EXPLAIN ANALYZE ${text}`)
    if (inner === undefined || shown['statements'] === undefined) return undefined
    return includesAll(inner['statements'], shown['statements']) ? undefined : 'EXPLAIN hides a statement'
  },
  /** A user before the host, a fragment behind and capitals change no host. */
  url(text, shown) {
    const authority = /^( *[a-z][a-z0-9+.-]*:\/\/)([^/?#\\]*)/i.exec(text)
    if (authority === null) return undefined
    const [head, scheme, host] = authority as unknown as [string, string, string]
    const rest = text.slice(head.length)
    const disguises = [
      `${scheme}good.example@${host}${rest}`,
      `${scheme.toUpperCase()}${host}${rest}`,
      `${text}#@good.example/`,
      `${scheme}${host.replace(/[a-z]/, (c) => `%${c.charCodeAt(0).toString(16)}`)}${rest}`,
    ]
    for (const disguise of disguises) {
      const seen = see('url', disguise)
      if (seen !== undefined && seen['host'] !== shown['host']) return `${JSON.stringify(disguise)} is another host`
    }
    return undefined
  },
  /** Capitals and a display name change no address. */
  email(text, shown) {
    if (text.includes('<')) return undefined
    for (const disguise of [text.toUpperCase(), `"boss@good.example" <${text.trim()}>`]) {
      const seen = see('email', disguise)
      if (seen !== undefined && seen['domain'] !== shown['domain']) {
        // Capitals of some letters are other letters: `ı` and `I`.
        if (disguise === text.toUpperCase() && /[^ -~]/.test(text)) continue
        return `${JSON.stringify(disguise)} is another domain`
      }
    }
    return undefined
  },
  /** Encoding, dots and doubled slashes never bring a path into a folder that it is not in. */
  path(text, shown, random) {
    const at = random.int(0, text.length)
    const encode = (part: string): string =>
      part.replace(/[/\\.]/g, (c) => (random.int(0, 1) === 0 ? c : `%${c.charCodeAt(0).toString(16)}`))
    const disguises = [
      text.slice(0, at) + encode(text.slice(at)),
      encode(encode(text)),
      text.replaceAll('/', '//'),
      text.replaceAll('/', '/./'),
      text.replaceAll('/', '\\'),
    ]
    for (const base of ['/srv/data', '/etc', 'a', '/srv']) {
      const plain = underPath(shown as never, base)
      for (const disguise of disguises) {
        const view = parsePath(disguise)
        const now = view === undefined ? undefined : underPath(view, base)
        if (now !== undefined && plain !== undefined && now !== plain) {
          return `${JSON.stringify(disguise)} under ${base} is ${now}, the text itself ${plain}`
        }
        if (now === true && plain === undefined && shown['escapes'] === true)
          return `${disguise} comes back into ${base}`
      }
    }
    return undefined
  },
  /** The mapped form of an IPv4 address is the address. */
  ip(_, shown) {
    if (shown['version'] !== 4)
      return see('ip', String(shown['text']))?.['text'] === shown['text'] ? undefined : 'no fixed point'
    const mapped = see('ip', `::ffff:${String(shown['text'])}`)
    return isDeepStrictEqual(mapped, shown) ? undefined : 'the mapped form is another address'
  },
  /** What runs is seen beside another command, in a subshell, in `sh -c` and behind `eval`. */
  shell(text, shown) {
    const quoted = `'${text.replaceAll("'", "'\\''")}'`
    const disguises = [
      `${text}\nzz9`,
      `zz9;${text}`,
      `(zz9;${text}\n)`,
      `zz9;sh -c ${quoted}`,
      `zz9;eval ${quoted}`,
      `echo "$(zz9;${text}\n)"`,
    ]
    for (const disguise of disguises) {
      const programs = see('shell', disguise)?.['programs']
      if (programs === undefined) continue
      if (!includesAll(programs, ['zz9'])) return `${JSON.stringify(disguise)} hides zz9`
      if (shown['programs'] === undefined) return `${JSON.stringify(disguise)} makes known what was unknown`
      if (!includesAll(programs, shown['programs'])) return `${JSON.stringify(disguise)} hides a program`
    }
    return undefined
  },
}
