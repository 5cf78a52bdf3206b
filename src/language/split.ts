import type { Token } from './lexer.js'

/** The most brackets that may be open at once. */
export const MAX_NESTING = 64

/** The tokens of one declaration, and what the brackets alone say against it. */
export interface Segment {
  readonly tokens: readonly Token[]
  /** The declaration that the first words announce, or null where they announce none. */
  readonly kind: DeclarationWord | null
  readonly fault: BracketFault | null
}

export interface BracketFault {
  readonly kind: 'unclosed' | 'unopened' | 'mismatched' | 'too-deep'
  readonly token: Token
}

export const DECLARATION_WORDS = [
  'policy',
  'fleet',
  'list',
  'tool',
  'import',
  'rule',
  'template',
  'use',
  'test',
  'limit',
  'after',
] as const
export type DeclarationWord = (typeof DECLARATION_WORDS)[number]

const WORDS: ReadonlySet<string> = new Set(DECLARATION_WORDS)
const isDeclarationWord = (text: string): text is DeclarationWord => WORDS.has(text)

/** These end with the brace that closes their body. */
const ENDS_WITH_BRACE: ReadonlySet<DeclarationWord | null> = new Set<DeclarationWord | null>([
  'rule',
  'template',
  'test',
  'limit',
  null,
])

/**
 * Cuts a file into declarations by its tokens, never by its layout, so that each is parsed and cached on its own and a
 * fault in one does not hide the next. A body that was never closed ends where the next rule unmistakably begins.
 */
export function split(text: string, tokens: readonly Token[]): readonly Segment[] {
  const segments: Segment[] = []
  for (let at = 0; at < tokens.length; ) {
    const segment = takeSegment(text, tokens, at)
    segments.push(segment)
    at += segment.tokens.length
  }
  return segments
}

const CUT = new RegExp(`\\n(?=(?:${DECLARATION_WORDS.filter((word) => word !== 'after').join('|')})[ \\t])`, 'g')

/**
 * Where a text may be cut into pieces that are split one by one: at its start, at each line that begins with a declaration's
 * word, at its end. The cut is right if the piece before it {@link endsClosed}: no token spans it, the lexer is in its main
 * state, and such a word at the start of a line begins a declaration there, as {@link split} says; nor does any look ahead
 * of `split` or of the lexer go past a closing bracket.
 */
export function possibleCuts(text: string): readonly number[] {
  const cuts = [0]
  for (const { index } of text.matchAll(CUT)) cuts.push(index + 1)
  cuts.push(text.length)
  return cuts
}

/** Whether nothing that follows could belong to the last segment. */
export function endsClosed(segments: readonly Segment[]): boolean {
  const last = segments.at(-1)
  if (last === undefined) return true
  const end = last.tokens.at(-1)
  return last.fault === null && end?.type === 'punctuation' && (end.text === '}' || end.text === ']')
}

const CLOSERS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

function takeSegment(text: string, tokens: readonly Token[], first: number): Segment {
  const kind = declarationAt(tokens, first)
  const open: Token[] = []
  let fault: BracketFault | null = null
  const end = (next: number): Segment => {
    const unclosed = open.at(-1)
    const told = fault ?? (unclosed === undefined ? null : { kind: 'unclosed' as const, token: unclosed })
    return { tokens: tokens.slice(first, next), kind, fault: told }
  }
  for (let at = first; at < tokens.length; at++) {
    const token = tokens[at] as Token
    // The word after `rule` is its name, even where it is `test`; so is the one after `fleet policy`.
    const isName = kind !== null && (at === first + 1 || (at === first + 2 && kind === 'fleet'))
    if (at > first && !isName && beginsDeclaration(text, tokens, at, open.length, kind)) return end(at)
    if (token.type !== 'punctuation') continue
    if (token.text === '(' || token.text === '[' || token.text === '{') {
      open.push(token)
      if (open.length > MAX_NESTING) fault ??= { kind: 'too-deep', token }
    } else if (token.text === ')' || token.text === ']' || token.text === '}') {
      const opener = open.pop()
      if (opener === undefined) fault ??= { kind: 'unopened', token }
      else if (CLOSERS[opener.text] !== token.text) fault ??= { kind: 'mismatched', token }
      if (open.length === 0 && token.text === '}' && ENDS_WITH_BRACE.has(kind)) return end(at + 1)
    }
  }
  return end(tokens.length)
}

/** Which declaration the tokens at `at` announce by their shape, so that a list may be called `rule` and a role `test`. */
function declarationAt(tokens: readonly Token[], at: number): DeclarationWord | null {
  const word = tokens[at]?.text ?? ''
  return isDeclarationWord(word) && tokens[at]?.type === 'word' ? word : null
}

/** After these a line goes on, so that what begins the next one is a name, whatever it looks like. */
const CONTINUED: ReadonlySet<string> = new Set(
  (
    ', = : . for from in to of as and then like agent principal tool env tenant tag fleet policy list rule use ' +
    'template import tools test require approval default within else escalate after valid not by if remember'
  ).split(' '),
)

const BEFORE_ROLE: ReadonlySet<string> = new Set(['from', 'of', 'and'])

/** True where a declaration starts for sure: by its shape, or as a declaration word that begins a line outside brackets. */
function beginsDeclaration(
  text: string,
  tokens: readonly Token[],
  at: number,
  depth: number,
  current: DeclarationWord | null,
): boolean {
  if (tokens[at]?.type !== 'word') return false
  const word = declarationAt(tokens, at)
  // `then from use if (…)`: a role, whatever it is called.
  if (tokens[at + 1]?.text === 'if' && BEFORE_ROLE.has(tokens[at - 1]?.text ?? '')) return false
  if (depth > 0) return word !== null && hasBodyShape(word, tokens, at) && isFirstOnLine(text, tokens, at)
  const startsLine = isFirstOnLine(text, tokens, at)
  // In `for agent policy default allow` the words only look like a second header.
  const isInHeader = word === 'policy' && (current === 'policy' || current === 'fleet')
  if (word !== null && hasShape(word, tokens, at) && (startsLine || !isInHeader)) return true
  if (!startsLine) return false
  if (CONTINUED.has(tokens[at - 1]?.text ?? '')) return false
  // `escalate to ROLE` may break before its `after`.
  return (word !== null && word !== 'after') || looksLikeBody(tokens, at)
}

const isText = (token: Token | undefined): boolean => token?.type === 'string' || token?.type === 'bad_string'

function hasShape(word: DeclarationWord, tokens: readonly Token[], at: number): boolean {
  const next = tokens[at + 1]
  const afterNext = tokens[at + 2]?.text
  switch (word) {
    case 'policy':
      return next?.type === 'word' && tokens[at - 1]?.text !== 'fleet'
    case 'fleet':
      return next?.text === 'policy'
    case 'list':
      // A role may be called `list`, and then `list then from 2 of …` follows.
      return next?.type === 'word' && (afterNext === '=' || (afterNext === 'from' && isText(tokens[at + 3])))
    case 'import':
      return next?.text === 'tools' && afterNext === 'from'
    case 'tool':
      return skipName(tokens, at + 1) > at + 1 && tokens[skipName(tokens, at + 1)]?.text === '{'
    case 'after':
      return next?.text === 'tool'
    default:
      return hasBodyShape(word, tokens, at)
  }
}

/** The shapes that cannot occur inside any body, so that they end one that was left open. */
function hasBodyShape(word: DeclarationWord, tokens: readonly Token[], at: number): boolean {
  const next = tokens[at + 1]
  const afterNext = tokens[at + 2]
  switch (word) {
    case 'rule':
    case 'limit':
      return next?.type === 'word' && (afterNext?.text === '{' || afterNext?.type === 'string')
    case 'template':
    case 'use':
      return next?.type === 'word' && afterNext?.text === '('
    case 'test':
      return next?.type === 'string' && afterNext?.text === '{'
    default:
      return false
  }
}

/** `rul NAME "…" {`: no declaration that exists, and yet meant as one. */
function looksLikeBody(tokens: readonly Token[], at: number): boolean {
  let next = at + 1
  if (tokens[next]?.type === 'word') next = skipName(tokens, next)
  if (next === at + 1 && tokens[next]?.type !== 'string') return false
  if (tokens[next]?.type === 'string') next++
  return tokens[next]?.text === '{'
}

/** Index after `a.b.c` or a quoted name. */
function skipName(tokens: readonly Token[], at: number): number {
  if (tokens[at]?.type === 'string') return at + 1
  if (tokens[at]?.type !== 'word') return at
  let next = at + 1
  while (tokens[next]?.text === '.' && /^(?:word|keyword)$/.test(tokens[next + 1]?.type ?? '')) next += 2
  return next
}

function isFirstOnLine(text: string, tokens: readonly Token[], at: number): boolean {
  const before = tokens[at - 1]
  const token = tokens[at]
  if (before === undefined || token === undefined) return true
  return /[\r\n]/.test(text.slice(before.offset + before.text.length, token.offset))
}
