import { type Built, type Chain, type Clause, chain, rule } from './build/index.js'
import { build, read } from './derivation.js'
import type { Token } from './lexer.js'

/** Words that begin a clause of a rule. Each may also be a name inside of one. */
const CLAUSE_WORDS: ReadonlySet<string> = new Set(
  'on when unless allow deny require severity tags mode active unknown'.split(' '),
)
/** What may follow the `on` of a scope; the days of a time window follow another. */
const SUBJECTS: ReadonlySet<string> = new Set(['tool', 'env', 'tenant', 'agent', 'principal'])

/**
 * Reads a rule clause by clause, since clauses repeat their shape from rule to rule and whole rules hardly do. Null where the
 * tokens are no rule or some clause does not read by itself: cutting at words is a guess, and reading the whole tells. A guess
 * that reads is a reading by the grammar, whose `clauses` are such clauses in a row, and the grammar has one reading only.
 */
export function readRule(tokens: readonly Token[]): Built | null {
  const [at, id, third] = tokens
  if (at?.text !== 'rule' || id?.type !== 'word') return null
  const description = third?.type === 'string' ? third : null
  const open = description === null ? 2 : 3
  const close = tokens.length - 1
  const last = tokens[close] as Token
  if (tokens[open]?.text !== '{' || last.text !== '}' || close <= open) return null
  let clauses: Chain<Clause> = null
  for (let from = open + 1; from < close; ) {
    const until = endOfClause(tokens, from, close)
    const reading = read('clause', tokens, from, until)
    if (reading.kind !== 'read') return null
    clauses = chain(clauses, build(reading.derivation, tokens, from) as Clause)
    from = until
  }
  return rule(at, id, description, clauses, last)
}

/** Index of the next token that seems to begin a clause, or `close`. */
function endOfClause(tokens: readonly Token[], from: number, close: number): number {
  let depth = 0
  for (let at = from + 1; at < close; at++) {
    const { type, text } = tokens[at] as Token
    if (type === 'punctuation') {
      if (text === '(' || text === '[' || text === '{') depth++
      else if (text === ')' || text === ']' || text === '}') depth--
    } else if (depth === 0 && type === 'word' && CLAUSE_WORDS.has(text)) {
      const before = tokens[at - 1]?.text
      const isDays = text === 'on' && !SUBJECTS.has(tokens[at + 1]?.text ?? '')
      if (!isDays && before !== '.' && before !== 'else') return at
    }
  }
  return close
}
