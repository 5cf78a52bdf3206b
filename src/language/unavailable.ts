import type { Token } from './lexer.js'

/** A construct of the language page that this version does not have yet, met in a declaration. */
export interface Unavailable {
  readonly token: Token
  /** How the construct is written, for the message. */
  readonly construct: string
}

/** Functions over history and provenance, by name. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  calls: 'calls(…)',
  attempts: 'attempts(…)',
  distinct: 'distinct(…)',
  origin: 'origin(…)',
  untrusted: 'untrusted(…)',
  readers: 'readers(…)',
  result: 'result(…)',
}

/** Pairs of neighbouring words that begin such a construct. */
const PAIRS: readonly (readonly [first: string, second: string, construct: string])[] = [
  ['session', 'called', 'session called …'],
  ['seconds', 'since', 'seconds since …'],
  ['origin', 'of', 'origin of …'],
  ['label', 'session', 'label session …'],
]

/** Known first words of whole declarations that are still to come. */
const DECLARATIONS: Readonly<Record<string, string>> = { limit: 'limit', after: 'after tool … label …' }

/** Every word that one of the constructs begins with, for a quick no. */
const BEGINNINGS: ReadonlySet<string> = new Set([...Object.keys(FUNCTIONS), ...PAIRS.map(([first]) => first), 'given'])

/** The first such construct, or null. Told apart by words alone, since the grammar does not know them. */
export function findUnavailable(tokens: readonly Token[]): Unavailable | null {
  const first = tokens[0]
  const declaration = first === undefined ? undefined : own(DECLARATIONS, first.text)
  if (first?.type === 'word' && declaration !== undefined) return { token: first, construct: declaration }
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] as Token
    if (token.type !== 'word' || !BEGINNINGS.has(token.text) || tokens[at - 1]?.text === '.') continue
    const next = tokens[at + 1]
    const construct = next?.text === '(' ? own(FUNCTIONS, token.text) : undefined
    if (construct !== undefined && tokens[at - 1]?.text !== 'use' && tokens[at - 1]?.text !== 'template') {
      return { token, construct }
    }
    const pair = PAIRS.find(([word, second]) => word === token.text && second === next?.text)
    if (pair !== undefined) return { token, construct: pair[2] }
    if (token.text === 'given' && next?.type === 'number' && tokens[at + 2]?.text === 'times') {
      return { token, construct: 'given N times …' }
    }
    if (token.text === 'given' && next?.text === 'allowed') return { token, construct: 'given allowed …' }
  }
  return null
}

const own = (table: Readonly<Record<string, string>>, key: string): string | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined
