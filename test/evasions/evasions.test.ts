import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { compilePolicySet } from '../../src/compiler/compile.js'
import type { PolicySet } from '../../src/compiler/policy-set.js'
import { parseView } from '../../src/compiler/views/index.js'
import { decide } from '../../src/engine/decide.js'
import { checkBundle } from '../../src/language/check.js'
import type { ViewName } from '../../src/language/vocabulary.js'
import { VIEWS } from '../../src/language/vocabulary.js'

/**
 * A line of `NAME.jsonl`. `NAME.policy` beside it holds the rules that a careful author writes, one a tool.
 *
 * `expect`: fields of the view that must come out, `null` for one that is unknown; `null` as a whole: the text is unknown.
 * `denied`: tools whose rule must catch the text. `allowed`: tools whose rule must let it through, for what is harmless.
 */
interface Evasion {
  readonly text: string
  readonly hides: string
  /** Where the trick is described. */
  readonly source: string
  /** The view, where it is not the one that the file is named after. */
  readonly view?: ViewName
  readonly expect?: Readonly<Record<string, unknown>> | null
  readonly denied?: readonly string[]
  readonly allowed?: readonly string[]
}

const FOLDER = new URL('../../../test/evasions/', import.meta.url)
const NAMES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.jsonl'))
  .map((name) => name.slice(0, -'.jsonl'.length))

const read = (name: string): string => readFileSync(new URL(name, FOLDER), 'utf8')

function policiesOf(name: string): PolicySet {
  const text = new TextEncoder().encode(read(`${name}.policy`))
  const bundle = checkBundle({ policies: new Map([[`${name}.policy`, text]]), attachments: new Map() })
  const errors = bundle.diagnostics.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'))
  return compilePolicySet(bundle, 'default')
}

function outcome(policies: PolicySet, tool: string, text: string): string {
  const call = {
    requestId: '',
    tenant: 'default',
    agent: { id: 'a', labels: {} },
    principal: null,
    sessionId: '',
    delegationChain: [],
    tool,
    environment: 'prod',
    arguments: { text },
    context: {},
  }
  return decide(call, { nowMs: 0 }, policies).outcome
}

/** The fields that the line names, as JSON has them: an unknown one is null. */
function shown(view: ViewName, { text, expect }: Evasion): unknown {
  const value = parseView(view, text)
  if (value === undefined || expect === null || expect === undefined) return value === undefined ? null : 'known'
  const fields = value as Readonly<Record<string, unknown>>
  const found = Object.keys(expect).map((field) => [field, fields[field] ?? null])
  return JSON.parse(JSON.stringify(Object.fromEntries(found)))
}

/** As a JSON string of ASCII alone, for test reports are read line by line. */
function ascii(text: string): string {
  return JSON.stringify(text).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

let lines = 0
for (const name of NAMES) {
  t.test(name, (t) => {
    const policies = policiesOf(name)
    for (const line of read(`${name}.jsonl`).trimEnd().split('\n')) {
      const evasion = JSON.parse(line) as Evasion
      const { text, hides, source, expect, denied = [], allowed = [] } = evasion
      const title = `${ascii(text)} hides ${hides} (${source})`
      const view = evasion.view ?? (name in VIEWS || name === 'json' ? (name as ViewName) : undefined)
      if (expect !== undefined && view !== undefined) t.strictSame(shown(view, evasion), expect, title)
      for (const tool of denied) t.equal(outcome(policies, tool, text), 'DENY', `${tool}: ${title}`)
      for (const tool of allowed) t.equal(outcome(policies, tool, text), 'ALLOW', `${tool}: ${title}`)
      if (denied.length + allowed.length === 0) t.fail(`nobody asks about ${title}`)
      lines++
    }
    t.end()
  })
}

t.test('the corpus is large', (t) => {
  t.ok(lines >= 1_500, `${lines} lines`)
  t.end()
})
