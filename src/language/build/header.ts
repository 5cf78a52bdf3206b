import type { Span } from '../../model/span.js'
import type { DefaultEffect, Identifier, Parameter, ScopeTerm } from '../ast.js'
import type { Token } from '../lexer.js'
import type { BuiltApproval } from './approval.js'
import { type Chain, toArray } from './chain.js'
import { type BuildFault, type Built, built } from './fault.js'
import { identifier, spanOf, text } from './words.js'

export interface BuiltDefault {
  readonly effect: DefaultEffect
  readonly faults: readonly BuildFault[]
  readonly span: Span
}
export function defaultEffect(at: Token, kind: 'default-allow' | 'default-deny', last: Token): BuiltDefault {
  const span = spanOf(at, last)
  return { effect: { kind, span }, faults: [], span }
}
export function defaultApproval(at: Token, required: BuiltApproval): BuiltDefault {
  const span = spanOf(at, required)
  return { effect: { kind: 'default-approval', approval: required.clause, span }, faults: required.faults, span }
}

export interface BuiltAuthors {
  readonly authors: readonly Identifier[]
  readonly span: Span
}
export const authors = (at: Token, items: Chain<Identifier>, close: Token): BuiltAuthors => ({
  authors: toArray(items),
  span: spanOf(at, close),
})

export function policyHeader(
  fleet: Token | null,
  at: Token,
  name: Token,
  description: Token | null,
  written: BuiltAuthors | null,
  terms: Chain<ScopeTerm>,
  fallback: BuiltDefault | null,
): Built {
  const last = fallback ?? terms?.item ?? written ?? description ?? name
  return built(
    {
      kind: 'policy',
      fleet: fleet !== null,
      name: identifier(name),
      description: text(description),
      authors: written?.authors ?? [],
      speaksFor: toArray(terms),
      defaultEffect: fallback?.effect ?? null,
      span: spanOf(fleet ?? at, last),
    },
    fallback?.faults ?? [],
  )
}

export const parameter = (name: Identifier, optional: boolean, type: Parameter['type']): Parameter => ({
  name,
  optional,
  type,
  span: spanOf(name, type),
})
