import type { Identifier, ObligationNode, RuleEffect } from '../ast.js'
import type { Token } from '../lexer.js'
import { parseNumber } from '../literals.js'
import { type Chain, toArray } from './chain.js'
import { spanOf, text } from './words.js'

export const redactOrMask = (at: Token, target: Identifier): ObligationNode => ({
  kind: at.text as 'redact' | 'mask',
  target: target.name,
  span: spanOf(at, target),
})
export const maxRows = (at: Token, rows: Token): ObligationNode => ({
  kind: 'max_rows',
  rows: parseNumber(rows.text),
  span: spanOf(at, rows),
})
export const notify = (at: Token, target: Identifier): ObligationNode => ({
  kind: 'notify',
  target: target.name,
  span: spanOf(at, target),
})

export const allow = (at: Token, obligations: Chain<ObligationNode>): RuleEffect => ({
  kind: 'allow',
  obligations: toArray(obligations),
  span: obligations === null ? spanOf(at) : spanOf(at, obligations.item),
})
export const deny = (at: Token, why: Token | null): RuleEffect => ({
  kind: 'deny',
  why: text(why),
  span: spanOf(at, why ?? at),
})
