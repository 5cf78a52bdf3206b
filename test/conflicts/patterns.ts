import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type ConflictRequest, type ConflictSet, parseLine } from './format.js'

/** Run from the root of the repository, like all of the tests. */
const FOLDER = path.resolve('test/conflicts/patterns')

/** A pattern as it stands in the files of `patterns/`: texts as lists of lines, and defaults for what is left out. */
interface Pattern {
  readonly name: string
  readonly about: string
  readonly policies: Readonly<Record<string, readonly string[]>>
  readonly attachments?: Readonly<Record<string, readonly string[]>>
  readonly requests: readonly PatternRequest[]
}
type PatternRequest = Partial<Omit<ConflictRequest, 'agent' | 'principal'>> & {
  readonly agent?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly principal?: string
  readonly principal_labels?: Readonly<Record<string, string>>
  readonly expect: ConflictRequest['expect']
}

/** Conflicts whose answers were written by hand, as sets of the format; `patterns/NAME.json` holds several. */
export function loadPatterns(): ConflictSet[] {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))
  return files.sort().flatMap((name) => {
    const file = parseLine<{ readonly patterns: readonly Pattern[] }>(readFileSync(path.join(FOLDER, name), 'utf8'))
    return file.patterns.map((pattern) => toSet(`patterns-${name.replace('.json', '')}`, pattern))
  })
}

function toSet(group: string, { name, about, policies, attachments, requests }: Pattern): ConflictSet {
  return {
    id: name,
    class: group,
    about,
    policies: texts(policies),
    attachments: texts(attachments ?? {}),
    requests: requests.map(toRequest),
  }
}

function texts(lines: Readonly<Record<string, readonly string[]>>): Record<string, string> {
  return Object.fromEntries(Object.entries(lines).map(([name, of]) => [name, `${of.join('\n')}\n`]))
}

/** A Monday. */
const NOON = '2026-01-05T12:00:00.000Z'

function toRequest(request: PatternRequest): ConflictRequest {
  const { agent = 'agent-1', labels = {}, principal, principal_labels: ofPrincipal = {}, ...rest } = request
  const names = { tenant: 'default', session: '', tool: 'pay', env: 'prod', args: {}, context: {}, now: NOON }
  return {
    ...names,
    ...rest,
    agent: { id: agent, labels },
    principal: principal === undefined ? null : { id: principal, labels: ofPrincipal },
  }
}
