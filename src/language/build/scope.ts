import type { Span } from '../../model/span.js'
import type { Identifier, NamePattern, ScopeTerm } from '../ast.js'
import type { Token } from '../lexer.js'
import { parseString } from '../literals.js'
import { UNDECLARED } from '../patterns.js'
import { type Chain, toArray } from './chain.js'
import { spanOf } from './words.js'

export const namePattern = (name: Identifier): NamePattern => ({ kind: 'literal', text: name.name, span: name.span })
/** A name without quotes under `tool`, where `undeclared` means every tool without a declaration. */
export const toolPattern = (name: Identifier): NamePattern =>
  name.name === UNDECLARED ? { kind: 'undeclared', text: UNDECLARED, span: name.span } : namePattern(name)
export const globPattern = (at: Token): NamePattern => ({ kind: 'glob', text: at.text, span: spanOf(at) })
export const likePattern = (at: Token, glob: Token): NamePattern => ({
  kind: 'glob',
  text: parseString(glob.text),
  span: spanOf(at, glob),
})
export const tagPattern = (at: Token, tag: Identifier): NamePattern => ({
  kind: 'tag',
  text: tag.name,
  span: spanOf(at, tag),
})

export interface Patterns {
  readonly patterns: readonly NamePattern[]
  readonly span: Span
}
export const onePattern = (pattern: NamePattern): Patterns => ({ patterns: [pattern], span: pattern.span })
export const patternSet = (open: Token, patterns: Chain<NamePattern>, close: Token): Patterns => ({
  patterns: toArray(patterns),
  span: spanOf(open, close),
})

export const scope = (on: Token, patterns: Patterns): ScopeTerm => ({
  kind: 'scope',
  on: on.text as 'tool' | 'env' | 'agent' | 'principal' | 'tenant',
  patterns: patterns.patterns,
  span: spanOf(on, patterns),
})

export const labelScope = (on: Token, label: Identifier, patterns: Patterns): ScopeTerm => ({
  kind: 'scope-label',
  on: on.text as 'agent' | 'principal',
  label,
  patterns: patterns.patterns,
  span: spanOf(on, patterns),
})
