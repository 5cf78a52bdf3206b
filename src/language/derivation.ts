import nearley from 'nearley'
import { only } from './build/words.js'
import grammar from './generated/grammar.js'
import type { Token } from './lexer.js'
import { Recent } from './recent.js'
import type { Terminal } from './syntax-error.js'

/**
 * How nearley reads a sequence of tokens, bottom up and from left to right: a token by its index, or a production of the grammar
 * over the last `arity` results. Whatever has the same {@link shapeOf} has the same derivation, because the grammar tells tokens
 * apart by nothing else; so texts of one shape are parsed once, and the postprocessors of the grammar run over the tokens of each.
 */
export type Derivation = readonly (number | Production)[]
interface Production {
  readonly build: Build
  readonly arity: number
}
/** A postprocessor of the grammar. All of them are pure (see ./build/index.ts), so they may run after the parse as well as in it. */
type Build = (parts: unknown[]) => unknown

/** What a text can be read as; each is a nonterminal of the grammar. */
export type Start = 'declaration' | 'clause'

export type Reading =
  | { readonly kind: 'read'; readonly derivation: Derivation }
  /** `at` is the index of the first token that cannot stand where it does. */
  | { readonly kind: 'unexpected'; readonly at: number; readonly expected: readonly Terminal[] }
  | { readonly kind: 'ends-early'; readonly expected: readonly Terminal[] }
  | { readonly kind: 'ambiguous'; readonly count: number }

// ---------------------------------------------------------------- nearley

interface IndexedToken {
  readonly type: string
  readonly text: string
  readonly value: string
  readonly index: number
}

const GRAMMARS: Readonly<Record<Start, nearley.Grammar>> = {
  declaration: derivingGrammar('declaration'),
  clause: derivingGrammar('clause'),
}

/** What nearley builds in place of the tree: a production over what it was derived from. */
interface Node {
  readonly build: Build
  readonly parts: readonly (Node | IndexedToken)[]
}

/** The grammar with postprocessors that note what was derived in place of building it. */
function derivingGrammar(start: Start): nearley.Grammar {
  const rules = grammar.ParserRules.map((rule) => {
    const build: Build = rule.postprocess ?? ((parts) => parts)
    const derive = (parts: Node['parts']): Node => ({ build, parts })
    return { ...rule, postprocess: rule.postprocess === only ? only<Node['parts'][number]> : derive }
  })
  return nearley.Grammar.fromCompiled({ ...grammar, ParserRules: rules, ParserStart: start })
}

/** Without recursion, since a left-recursive list is as deep as it is long. */
function derivationOf(root: Node | IndexedToken): Derivation {
  const steps: (number | Production)[] = []
  const open = [root]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if ('index' in next) steps.push(next.index)
    else {
      steps.push({ build: next.build, arity: next.parts.length })
      for (const part of next.parts) open.push(part)
    }
  }
  return steps.reverse()
}

/** Hands nearley tokens that were lexed before. */
class TokenCursor implements nearley.Lexer {
  #next = 0
  constructor(readonly tokens: readonly Token[]) {}

  reset(): void {}
  next(): IndexedToken | undefined {
    const index = this.#next++
    const token = this.tokens[index]
    return token === undefined ? undefined : { type: token.type, text: token.text, value: token.text, index }
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
class DerivingParser extends nearley.Parser {
  declare readonly table: readonly EarleyColumn[]

  constructor(start: Start, tokens: readonly Token[], keepHistory = false) {
    super(GRAMMARS[start], { lexer: new TokenCursor(tokens), keepHistory })
  }

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

function parse(start: Start, tokens: readonly Token[]): Reading {
  const parser = new DerivingParser(start, tokens)
  try {
    parser.feed('')
  } catch (error) {
    if (parser.current >= tokens.length) throw error
    return { kind: 'unexpected', at: parser.current, expected: parser.expected() }
  }
  const results = parser.results as readonly Node[]
  const [result] = results
  if (result === undefined) return { kind: 'ends-early', expected: parser.expected() }
  if (results.length > 1) return { kind: 'ambiguous', count: results.length }
  return { kind: 'read', derivation: derivationOf(result) }
}

// ---------------------------------------------------------------- shapes

const LITERALS = new Map<string, number>()
const TYPES = new Map<string, number>()
for (const { symbols } of grammar.ParserRules) {
  for (const symbol of symbols as readonly (string | Terminal)[]) {
    if (typeof symbol === 'string') continue
    const [known, key] = 'literal' in symbol ? [LITERALS, symbol.literal] : [TYPES, symbol.type]
    if (!known.has(key)) known.set(key, known.size + 1)
  }
}
const TYPE_COUNT = TYPES.size + 1

/** One code unit for all that a terminal of the grammar can see of a token: whether it is a word of the grammar, and its type. */
function shapeOfToken({ type, text }: Token): number {
  return (LITERALS.get(text) ?? 0) * TYPE_COUNT + (TYPES.get(type) ?? 0)
}

/** Tokens of two texts with the same shape fit the same terminals, one by one. */
export function shapeOf(tokens: readonly Token[], from: number, until: number): string {
  let shape = ''
  for (let at = from; at < until; at++) shape += String.fromCharCode(shapeOfToken(tokens[at] as Token))
  return shape
}

/** Longer texts are one of a kind. */
const MAX_SHAPE = 64
const KNOWN: Readonly<Record<Start, Recent<Reading>>> = {
  declaration: new Recent(1_000),
  clause: new Recent(4_000),
}

/** Reads the tokens from `from` to before `until`; indices in the result count from `from`. */
export function read(start: Start, tokens: readonly Token[], from = 0, until = tokens.length): Reading {
  if (until - from > MAX_SHAPE) return parse(start, tokens.slice(from, until))
  const shape = shapeOf(tokens, from, until)
  const known = KNOWN[start].get(shape)
  if (known !== undefined) return known
  const reading = parse(start, tokens.slice(from, until))
  KNOWN[start].set(shape, reading)
  return reading
}

/** The tree of a derivation over these tokens; `from` is the index of the first. */
export function build(derivation: Derivation, tokens: readonly Token[], from = 0): unknown {
  const results: unknown[] = []
  for (let at = 0; at < derivation.length; at++) {
    const step = derivation[at] as number | Production
    if (typeof step === 'number') results.push(tokens[from + step])
    else {
      const parts = new Array<unknown>(step.arity)
      for (let part = step.arity - 1; part >= 0; part--) parts[part] = results.pop()
      results.push(step.build(parts))
    }
  }
  return results[0]
}

/** How the parser fared with some tokens: for tests that look for ambiguity and for cost out of proportion. */
export interface ParseProfile {
  /** Different parses; more than one is a fault of the grammar. */
  readonly parses: number
  /** States over all columns of the Earley table. */
  readonly steps: number
  readonly tokens: number
}

/** @throws where the tokens do not parse */
export function profile(tokens: readonly Token[]): ParseProfile {
  const parser = new DerivingParser('declaration', tokens, true)
  parser.feed('')
  const steps = parser.table.reduce((sum, column) => sum + column.states.length, 0)
  return { parses: parser.results.length, steps, tokens: tokens.length }
}
