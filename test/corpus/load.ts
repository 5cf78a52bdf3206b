import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { checkBundle } from '../../src/language/check.js'
import type { CheckedBundle } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import type { JsonObject, JsonValue } from '../../src/model/json.js'
import type { Outcome, ReasonCode } from '../../src/model/outcome.js'
import { parseJson } from '../../src/model/parse-json.js'

/**
 * Decision cases as data, the same for the naive evaluator, the compiled engine and the server. A file of `test/corpus/`
 * holds one bundle and its cases; what a case leaves out has the defaults below.
 */
export interface CorpusFile {
  readonly file: string
  /** What the file is about, one line. */
  readonly about: string
  /** Policy texts by path, as the bundle's folder would hold them. */
  readonly policies: ReadonlyMap<string, string>
  /** Lists and tool lists by path. */
  readonly attachments: ReadonlyMap<string, string>
  readonly cases: readonly CorpusCase[]
}

export interface CorpusCase {
  readonly name: string
  readonly call: Call
  readonly nowMs: number
  readonly expect: {
    readonly outcome: Outcome
    readonly reasonCode: ReasonCode
    /** Ids of the matched rules, in the order of the answer; `?` after the id where the rule is indeterminate. */
    readonly rules: readonly string[]
    readonly monitored: readonly string[]
    /** `kind target value` of each obligation. */
    readonly obligations: readonly string[]
    /** Roles that each requirement asks, stages and groups in order. */
    readonly approvals: readonly (readonly string[])[]
    /** A part of the reason, where the case is about its wording. */
    readonly reason: string | null
  }
}

/** A Monday, as in the language's own tests. */
const NOON = '2026-01-05T12:00:00Z'
const LIMITS = { maxBytes: 1024 * 1024, maxDepth: 64 }
const FOLDER = path.resolve('test/corpus')

/** Every corpus file, by name. Run from the root of the repository, like all tests. */
export function loadCorpus(): readonly CorpusFile[] {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))
  return names.sort().map((name) => readCorpusFile(name, readFileSync(path.join(FOLDER, name), 'utf8')))
}

/** The bundle of a file, checked; throws when it has an error, since a corpus is about decisions, not about diagnostics. */
export function checkCorpusFile({ file, policies, attachments }: CorpusFile): CheckedBundle {
  const bytes = (texts: ReadonlyMap<string, string>) =>
    new Map([...texts].map(([name, text]) => [name, new TextEncoder().encode(text)]))
  const bundle = checkBundle({ policies: bytes(policies), attachments: bytes(attachments) })
  const errors = bundle.diagnostics.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) {
    const lines = errors.map(({ location, message }) => `${location.file}:${location.line}: ${message}`)
    throw new Error(`${file} does not check:\n${lines.join('\n')}`)
  }
  return bundle
}

function readCorpusFile(file: string, text: string): CorpusFile {
  // Read exactly, so that a case can hold an integer that no double can.
  const json = asObject(parseJson(text, LIMITS), file)
  return {
    file,
    about: String(json['about']),
    policies: texts(json['policies']),
    attachments: texts(json['attachments']),
    cases: asList(json['cases']).map((one) => readCase(asObject(one, file), file)),
  }
}

const CASE_KEYS = [
  'name',
  'tenant',
  'agent',
  'labels',
  'principal',
  'principalLabels',
  'session',
  'tool',
  'env',
  'args',
  'context',
  'now',
  'expect',
]
const EXPECT_KEYS = ['outcome', 'code', 'rules', 'monitored', 'obligations', 'approvals', 'reason']

function readCase(json: JsonObject, file: string): CorpusCase {
  const name = String(json['name'])
  refuseUnknownKeys(json, CASE_KEYS, `${file}, ${name}`)
  const expect = asObject(json['expect'], name)
  refuseUnknownKeys(expect, EXPECT_KEYS, `${file}, ${name}`)
  const principal = json['principal']
  return {
    name,
    call: {
      requestId: '',
      tenant: textOr(json['tenant'], 'default'),
      agent: { id: textOr(json['agent'], 'agent-1'), labels: labels(json['labels']) },
      principal: typeof principal === 'string' ? { id: principal, labels: labels(json['principalLabels']) } : null,
      sessionId: textOr(json['session'], ''),
      delegationChain: [],
      tool: textOr(json['tool'], 'noop'),
      environment: textOr(json['env'], 'prod'),
      arguments: asObject(json['args'] ?? {}, name),
      context: asObject(json['context'] ?? {}, name),
    },
    nowMs: Date.parse(textOr(json['now'], NOON)),
    expect: {
      outcome: expect['outcome'] as Outcome,
      reasonCode: expect['code'] as ReasonCode,
      rules: strings(expect['rules']),
      monitored: strings(expect['monitored']),
      obligations: strings(expect['obligations']),
      approvals: asList(expect['approvals']).map(strings),
      reason: typeof expect['reason'] === 'string' ? expect['reason'] : null,
    },
  }
}

function refuseUnknownKeys(json: JsonObject, known: readonly string[], where: string): void {
  const unknown = Object.keys(json).filter((key) => !known.includes(key))
  if (unknown.length > 0) throw new Error(`${where}: unknown key ${unknown.join(', ')}`)
}

/** Texts by path; a list of lines is one text. */
function texts(json: JsonValue | undefined): ReadonlyMap<string, string> {
  const entries = Object.entries(asObject(json ?? {}, 'policies'))
  return new Map(entries.map(([name, text]) => [name, Array.isArray(text) ? `${text.join('\n')}\n` : String(text)]))
}

function labels(json: JsonValue | undefined): Readonly<Record<string, string>> {
  return asObject(json ?? {}, 'labels') as Readonly<Record<string, string>>
}

function strings(json: JsonValue | undefined): readonly string[] {
  return asList(json).map(String)
}

function asList(json: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(json) ? json : []
}

function asObject(json: JsonValue | undefined, where: string): JsonObject {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error(`${where}: not an object`)
  return json as JsonObject
}

function textOr(json: JsonValue | undefined, otherwise: string): string {
  return typeof json === 'string' ? json : otherwise
}
