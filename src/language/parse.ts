import type { Diagnostic } from '../model/diagnostic.js'
import type { Span } from '../model/span.js'
import type { Declaration, Expr, Placed, PolicyFile } from './ast.js'
import type { Built } from './build/index.js'
import { CODES, type Code } from './codes.js'
import { build, type ParseProfile, profile, read } from './derivation.js'
import { type Token, tokenize } from './lexer.js'
import { Recent } from './recent.js'
import { readRule } from './rule-clauses.js'
import {
  type BracketFault,
  DECLARATION_WORDS,
  endsClosed,
  MAX_NESTING,
  possibleCuts,
  type Segment,
  split,
} from './split.js'
import { didYouMean } from './suggest.js'
import { depthOf, expressionsOf, MAX_DEPTH } from './survey.js'
import { describeExpected, explainUnexpected, type Terminal } from './syntax-error.js'
import { decodeUtf8, LineMap, MAX_FILE_BYTES } from './text.js'
import { faultOf, mayBeFaulty } from './token-faults.js'
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

const NO_FAULTS: readonly Fault[] = []

type ParsedDeclaration = Failed | { readonly node: Declaration; readonly faults: readonly Fault[] }
interface Failed {
  readonly node: null
  readonly faults: readonly Fault[]
}

/** A run of whole declarations, with offsets that count from its start. */
interface Piece {
  readonly declarations: readonly {
    readonly parsed: ParsedDeclaration
    readonly offset: number
    readonly text: string
  }[]
  /** Whether nothing that follows could belong to the last of them. */
  readonly isClosed: boolean
}

/**
 * Remembers files by their whole text, and their pieces and declarations by theirs: a reload costs what changed. An unchanged
 * declaration is the same node again, wherever it moved. Nothing depends on where a text came from, so one cache may serve
 * every tenant.
 */
export class ParseCache {
  readonly #files = new Recent<ParsedFile>(10_000)
  readonly #pieces: Recent<Piece>

  /** @param maxDeclarations how many declarations to keep at least, integer ≥ 1 */
  constructor({ maxDeclarations = 200_000 }: { readonly maxDeclarations?: number } = {}) {
    this.#pieces = new Recent(maxDeclarations)
  }

  file(path: string, text: string, parse: () => ParsedFile): ParsedFile {
    const known = this.#files.get(path)
    if (known !== undefined && known.lines.text === text) return known
    const parsed = parse()
    this.#files.set(path, parsed)
    return parsed
  }

  piece(text: string): Piece | undefined {
    return this.#pieces.get(text)
  }

  keepPiece(text: string, piece: Piece): void {
    this.#pieces.set(text, piece)
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

/** A text that holds one declaration and was written by this program. */
export function parseDeclaration(text: string, cache: ParseCache): ParsedDeclaration {
  const [only, ...others] = takePiece(text, true, cache)?.declarations ?? []
  if (only === undefined || others.length > 0) throw new Error(`this is not one declaration: ${text}`)
  return only.parsed
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
  eachPiece(text, cache, (piece, start) => {
    for (const { parsed, offset, text: own } of piece.declarations) {
      const at = start + offset
      if (parsed.node !== null) declarations.push({ node: parsed.node, offset: at, text: own })
      for (const { code, message, hint, span } of parsed.faults) {
        const place = { start: span.start + at, end: span.end + at }
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
  })
  return { file: { kind: 'policy-file', path, declarations }, lines, diagnostics }
}

/** Cuts the text where it may be cut, and parses what is new. A piece that turns out to be open takes in what follows it. */
function eachPiece(text: string, cache: ParseCache, visit: (piece: Piece, start: number) => void): void {
  const cuts = possibleCuts(text)
  const last = cuts.length - 1
  for (let at = 0; at < last; ) {
    const start = cuts[at] as number
    let until = at + 1
    let piece = takePiece(text.slice(start, endOfText(text, cuts[until] as number)), until === last, cache)
    // Twice as much each time, so that a text that never closes is lexed a few times and not once for every cut.
    while (piece === null) {
      until = Math.min(at + 2 * (until - at), last)
      piece = takePiece(text.slice(start, endOfText(text, cuts[until] as number)), until === last, cache)
    }
    visit(piece, start)
    at = until
  }
}

/** Without the blanks before `end`, so that how many there are is no difference. */
function endOfText(text: string, end: number): number {
  let at = end
  while (at > 0 && ' \t\r\n'.includes(text.charAt(at - 1))) at--
  return at
}

/** Null for a piece that is open and not the last. */
function takePiece(slice: string, isLast: boolean, cache: ParseCache): Piece | null {
  const known = cache.piece(slice)
  if (known !== undefined) return known.isClosed || isLast ? known : null
  // A slice would keep the text of the whole file alive for as long as the piece is remembered.
  const text = Buffer.from(slice).toString()
  const segments = split(text, tokenize(text).significant)
  const isClosed = endsClosed(segments)
  if (!isClosed && !isLast) return null
  const piece = { declarations: segments.map((segment) => placeSegment(text, segment, cache)), isClosed }
  cache.keepPiece(text, piece)
  return piece
}

/** A declaration among others of its piece is known by its own text, too. */
function placeSegment(text: string, segment: Segment, cache: ParseCache): Piece['declarations'][number] {
  const offset = (segment.tokens[0] as Token).offset
  const last = segment.tokens.at(-1) as Token
  const end = last.offset + last.text.length
  if (offset === 0 && end === text.length) return { parsed: parseSegment(segment, 0), offset, text }
  const source = text.slice(offset, end)
  const [known] = cache.piece(source)?.declarations ?? []
  if (known !== undefined) return { ...known, offset }
  const parsed = parseSegment(segment, offset)
  cache.keepPiece(source, { declarations: [{ parsed, offset: 0, text: source }], isClosed: endsClosed([segment]) })
  return { parsed, offset, text: source }
}

// ---------------------------------------------------------------- one declaration

const MAX_TOKEN_FAULTS = 5

/** Faults in the order in which mending them makes sense; each kind keeps the later ones from guessing. */
function parseSegment(segment: Segment, offset: number): ParsedDeclaration {
  const tokens =
    offset === 0 ? segment.tokens : segment.tokens.map((token) => ({ ...token, offset: token.offset - offset }))
  const malformed = tokenFaults(tokens)
  if (malformed.length > 0) return failed(...malformed)
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

const failed = (...faults: readonly Fault[]): Failed => ({ node: null, faults })

const spanOfToken = (token: Token): Span => ({ start: token.offset, end: token.offset + token.text.length })

function tokenFaults(tokens: readonly Token[]): readonly Fault[] {
  let faults = NO_FAULTS
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] as Token
    const fault = mayBeFaulty(token) ? faultOf(token) : null
    if (fault === null) continue
    // `&&` is one mistake.
    const before = tokens[at - 1]
    const repeats =
      token.type === 'unknown' && before?.type === 'unknown' && before.offset + before.text.length === token.offset
    if (!repeats) faults = [...faults, { code: 'POL1003', ...fault, span: spanOfToken(token) }]
    if (faults.length === MAX_TOKEN_FAULTS) break
  }
  return faults
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

// ---------------------------------------------------------------- readings

function parseTokens(tokens: readonly Token[]): ParsedDeclaration {
  const { node, faults } = readRule(tokens) ?? readWhole(tokens)
  if (node === null || faults.length > 0) return failed(...faults)
  const tooDeep = expressionsOf(node).flatMap(depthFault)
  return tooDeep.length > 0 ? failed(...tooDeep) : { node, faults: NO_FAULTS }
}

/** Whoever walks an expression may do so by recursion, since none is deeper than this. */
function depthFault(expr: Expr): readonly Fault[] {
  const depth = depthOf(expr)
  if (depth <= MAX_DEPTH) return []
  const message = `this condition has ${depth} levels; the limit is ${MAX_DEPTH}`
  return [{ code: 'POL2306', message, hint: 'give parts of it rules of their own', span: expr.span }]
}

function readWhole(tokens: readonly Token[]): Built | Failed {
  const reading = read('declaration', tokens)
  switch (reading.kind) {
    case 'read':
      return build(reading.derivation, tokens) as Built
    case 'unexpected': {
      const token = tokens[reading.at] as Token
      return failed({ code: 'POL1009', ...explainUnexpected(token, reading.expected), span: spanOfToken(token) })
    }
    case 'ends-early':
      return failed(endsEarly(tokens, reading.expected))
    case 'ambiguous':
      return failed(ambiguous(tokens, reading.count))
  }
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

/** How the parser fares with the text of one declaration. @throws where the text does not parse */
export const profileParse = (text: string): ParseProfile => profile(tokenize(text).significant)
