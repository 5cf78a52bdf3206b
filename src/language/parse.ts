import { LRUCache } from 'lru-cache'
import nearley from 'nearley'
import type { Diagnostic } from '../model/diagnostic.js'
import type { Span } from '../model/span.js'
import type { Declaration, Placed, PolicyFile } from './ast.js'
import type { Built } from './build/index.js'
import { CODES, type Code } from './codes.js'
import grammar from './generated/grammar.js'
import { type Token, tokenize } from './lexer.js'
import { type BracketFault, DECLARATION_WORDS, MAX_NESTING, type Segment, split } from './split.js'
import { didYouMean } from './suggest.js'
import { describeExpected, explainUnexpected, type Terminal } from './syntax-error.js'
import { decodeUtf8, LineMap, MAX_FILE_BYTES } from './text.js'
import { faultOf } from './token-faults.js'
import { findUnavailable } from './unavailable.js'

/** The most tokens of a rule, template, test or header, and of a declaration that may be a table. */
export const MAX_TOKENS = 4_096
const MAX_TABLE_TOKENS = 65_536

/** A file as parsed: what could be read of it, and what could not. */
export interface ParsedFile {
  readonly file: PolicyFile
  /** The decoded text; empty where the bytes could not be decoded. */
  readonly lines: LineMap
  readonly diagnostics: readonly Diagnostic[]
}

/** A finding inside a declaration: its span counts from the declaration's start, so that it moves along with it. */
interface Fault {
  readonly code: Code
  readonly message: string
  readonly hint?: string | undefined
  readonly span: Span
}

interface ParsedDeclaration {
  readonly node: Declaration | null
  readonly faults: readonly Fault[]
}

/**
 * Remembers declarations by their text, and files by their whole text: a reload costs what changed. An unchanged
 * declaration is the same node again, wherever it moved. Nothing depends on where a text came from, so one cache may
 * serve every tenant.
 */
export class ParseCache {
  readonly #declarations: LRUCache<string, ParsedDeclaration>
  readonly #files: LRUCache<string, ParsedFile>

  /** @param maxDeclarations how many declarations to keep, integer ≥ 1 */
  constructor({ maxDeclarations = 200_000 }: { readonly maxDeclarations?: number } = {}) {
    this.#declarations = new LRUCache({ max: maxDeclarations })
    this.#files = new LRUCache({ max: 10_000 })
  }

  declaration(text: string, parse: () => ParsedDeclaration): ParsedDeclaration {
    const known = this.#declarations.get(text)
    if (known !== undefined) return known
    const parsed = parse()
    this.#declarations.set(text, parsed)
    return parsed
  }

  file(path: string, text: string, parse: () => ParsedFile): ParsedFile {
    const known = this.#files.get(path)
    if (known !== undefined && known.lines.text === text) return known
    const parsed = parse()
    this.#files.set(path, parsed)
    return parsed
  }
}

/**
 * Reads one policy file. Never throws on account of its content: too large, not UTF-8 or not a policy is a diagnostic.
 * @param path relative to the bundle root; goes into places and messages only
 */
export function parseFile(path: string, bytes: Uint8Array, cache: ParseCache = new ParseCache()): ParsedFile {
  if (bytes.length > MAX_FILE_BYTES) {
    return unreadable(path, 'POL1001', `the file has ${bytes.length} bytes; the limit is ${MAX_FILE_BYTES} (1 MiB)`, {
      hint: 'split it, and keep long tables in list files: `list NAME from "file.txt"`',
    })
  }
  const decoded = decodeUtf8(bytes)
  if ('badByte' in decoded) {
    return unreadable(
      path,
      'POL1002',
      `the file is not UTF-8: the byte at offset ${decoded.badByte} begins no character`,
      {
        hint: 'save the file as UTF-8',
      },
    )
  }
  return cache.file(path, decoded.text, () => parseText(path, decoded.text, cache))
}

/** A text that holds one declaration and was written by this program; null where it does not parse. */
export function parseDeclaration(text: string, cache: ParseCache): Declaration | null {
  return cache.declaration(text, () => parseTokens(tokenize(text).significant)).node
}

function unreadable(path: string, code: Code, message: string, { hint }: { readonly hint: string }): ParsedFile {
  const lines = new LineMap('')
  const location = lines.locate(path, { start: 0, end: 0 })
  return {
    file: { kind: 'policy-file', path, declarations: [] },
    lines,
    diagnostics: [{ code, severity: CODES[code].severity, message, hint, location }],
  }
}

function parseText(path: string, text: string, cache: ParseCache): ParsedFile {
  const lines = new LineMap(text)
  const declarations: Placed[] = []
  const diagnostics: Diagnostic[] = []
  for (const segment of split(text, tokenize(text).significant)) {
    const offset = (segment.tokens[0] as Token).offset
    const last = segment.tokens.at(-1) as Token
    const source = text.slice(offset, last.offset + last.text.length)
    const parsed = cache.declaration(source, () => parseSegment(segment, offset))
    if (parsed.node !== null) declarations.push({ node: parsed.node, offset })
    for (const { code, message, hint, span } of parsed.faults) {
      const place = { start: span.start + offset, end: span.end + offset }
      diagnostics.push({
        code,
        severity: CODES[code].severity,
        message,
        ...(hint === undefined ? {} : { hint }),
        location: lines.locate(path, place),
        excerpt: lines.excerpt(place.start),
      })
    }
  }
  return { file: { kind: 'policy-file', path, declarations }, lines, diagnostics }
}

// ---------------------------------------------------------------- one declaration

const MAX_TOKEN_FAULTS = 5

/** Faults in the order in which mending them makes sense; each kind keeps the later ones from guessing. */
function parseSegment(segment: Segment, offset: number): ParsedDeclaration {
  const tokens = segment.tokens.map(({ type, text, offset: at }) => ({ type, text, offset: at - offset }))
  const malformed = tokens.flatMap(tokenFault)
  if (malformed.length > 0) return failed(...malformed.slice(0, MAX_TOKEN_FAULTS))
  if (segment.fault?.kind === 'too-deep') return failed(bracketFault(segment.fault, offset))
  const unavailable = findUnavailable(tokens)
  if (unavailable !== null) {
    return failed({
      code: 'POL1012',
      message: `\`${unavailable.construct}\` is not available in this version`,
      hint: 'conditions over history, budgets and provenance come with a later version; leave the declaration out until then',
      span: spanOfToken(unavailable.token),
    })
  }
  if (segment.kind === null) return failed(unknownDeclaration(tokens[0] as Token))
  const limit = segment.kind === 'list' || segment.kind === 'tool' ? MAX_TABLE_TOKENS : MAX_TOKENS
  if (tokens.length > limit) {
    return failed({
      code: 'POL1008',
      message: `this declaration has ${tokens.length} words and signs; the limit is ${limit}`,
      hint: 'split it, or keep a long table in a list file: `list NAME from "file.txt"`',
      span: spanOfToken(tokens[0] as Token),
    })
  }
  if (segment.fault !== null) return failed(bracketFault(segment.fault, offset))
  return parseTokens(tokens)
}

const failed = (...faults: readonly Fault[]): ParsedDeclaration => ({ node: null, faults })

const spanOfToken = (token: Token): Span => ({ start: token.offset, end: token.offset + token.text.length })

function tokenFault(token: Token, at: number, tokens: readonly Token[]): readonly Fault[] {
  // `&&` is one mistake.
  const before = tokens[at - 1]
  const repeats =
    token.type === 'unknown' && before?.type === 'unknown' && before.offset + before.text.length === token.offset
  const fault = repeats ? null : faultOf(token)
  return fault === null ? [] : [{ code: 'POL1003', ...fault, span: spanOfToken(token) }]
}

function bracketFault({ kind, token }: BracketFault, offset: number): Fault {
  const span = { start: token.offset - offset, end: token.offset - offset + token.text.length }
  switch (kind) {
    case 'too-deep':
      return {
        code: 'POL1007',
        message: `brackets are nested deeper than ${MAX_NESTING}`,
        hint: 'give parts of the condition rules of their own',
        span,
      }
    case 'unclosed':
      return { code: 'POL1013', message: `this \`${token.text}\` is never closed`, hint: 'add what closes it', span }
    case 'unopened':
      return { code: 'POL1013', message: `this \`${token.text}\` closes nothing`, hint: 'remove it', span }
    case 'mismatched':
      return {
        code: 'POL1013',
        message: `this \`${token.text}\` comes while another kind of bracket is open`,
        hint: 'close that one first',
        span,
      }
  }
}

function unknownDeclaration(token: Token): Fault {
  const known = DECLARATION_WORDS.filter((word) => word !== 'limit' && word !== 'after')
  return {
    code: 'POL1011',
    message: `\`${token.text.slice(0, 40)}\` begins no declaration`,
    hint: didYouMean(token.text, known) ?? `declarations begin with ${known.join(', ')}`,
    span: spanOfToken(token),
  }
}

// ---------------------------------------------------------------- nearley

const RULES = nearley.Grammar.fromCompiled(grammar)

interface GivenToken extends Token {
  readonly value: string
}

/** Hands nearley the tokens that were lexed for the whole file. */
class TokenCursor implements nearley.Lexer {
  #next = 0
  constructor(readonly tokens: readonly Token[]) {}

  reset(): void {}
  next(): GivenToken | undefined {
    const token = this.tokens[this.#next++]
    if (token === undefined) return undefined
    // Spelled out: spreading a token here is a third of the time that checking takes.
    const { type, text, offset } = token
    return { type, text, offset, value: text }
  }
  save(): nearley.LexerState {
    return {}
  }
  formatError(): string {
    return ''
  }
}

interface EarleyState {
  readonly rule: { readonly symbols: readonly (string | Terminal)[] }
  readonly dot: number
}
interface EarleyColumn {
  readonly states: readonly EarleyState[]
  readonly scannable: readonly EarleyState[]
}

/** nearley's parser without its own error text, which walks every derivation, and with a view of where it stands. */
class DeclarationParser extends nearley.Parser {
  declare readonly table: readonly EarleyColumn[]

  reportError(): string {
    return ''
  }

  /** What may come after the last token that was taken. */
  expected(): readonly Terminal[] {
    const column = this.table[this.current]
    const terminals = (column?.scannable ?? []).map((state) => state.rule.symbols[state.dot])
    return terminals.filter((symbol): symbol is Terminal => typeof symbol === 'object')
  }
}

function parseTokens(tokens: readonly Token[]): ParsedDeclaration {
  const parser = new DeclarationParser(RULES, { lexer: new TokenCursor(tokens) })
  try {
    parser.feed('')
  } catch (error) {
    const token = tokens[parser.current]
    if (token === undefined) throw error
    return failed({ code: 'POL1009', ...explainUnexpected(token, parser.expected()), span: spanOfToken(token) })
  }
  const results = parser.results as readonly Built[]
  const [result] = results
  if (result === undefined) return failed(endsEarly(tokens, parser.expected()))
  if (results.length > 1) return failed(ambiguous(tokens, results.length))
  return result.faults.length > 0 ? failed(...result.faults) : { node: result.node, faults: [] }
}

function endsEarly(tokens: readonly Token[], expected: readonly Terminal[]): Fault {
  const last = tokens.at(-1) as Token
  return {
    code: 'POL1010',
    message: `the declaration ends too early after \`${last.text.slice(0, 40)}\`; expected ${describeExpected(expected)}`,
    span: spanOfToken(last),
  }
}

/** Choosing one of two readings could turn a denial into an allowance, so neither is used. */
function ambiguous(tokens: readonly Token[], count: number): Fault {
  const last = tokens.at(-1) as Token
  return {
    code: 'POL1099',
    message: `the grammar reads this declaration in ${count} ways; that is a fault of this program, not of your text`,
    hint: 'please report it; parentheses usually settle the reading',
    span: { start: (tokens[0] as Token).offset, end: last.offset + last.text.length },
  }
}

/** How the parser fared with the text of one declaration: for tests that look for ambiguity and for cost out of proportion. */
export interface ParseProfile {
  /** Different parses; more than one is a fault of the grammar. */
  readonly parses: number
  /** States over all columns of the Earley table. */
  readonly steps: number
  readonly tokens: number
}

/** @throws where the text does not parse */
export function profileParse(text: string): ParseProfile {
  const tokens = tokenize(text).significant
  const parser = new DeclarationParser(RULES, { lexer: new TokenCursor(tokens), keepHistory: true })
  parser.feed('')
  const steps = parser.table.reduce((sum, column) => sum + column.states.length, 0)
  return { parses: parser.results.length, steps, tokens: tokens.length }
}
