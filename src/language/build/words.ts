import type { Span } from '../../model/span.js'
import type { Identifier } from '../ast.js'
import type { Token } from '../lexer.js'
import { parseString } from '../literals.js'

/** Told apart by whether they have a span: `in` would be the slowest step of a parse, as pieces have many shapes. */
export type Piece = (Token & { readonly span?: undefined }) | { readonly span: Span }

const startOf = (piece: Piece): number => (piece.span === undefined ? piece.offset : piece.span.start)
const endOf = (piece: Piece): number => (piece.span === undefined ? piece.offset + piece.text.length : piece.span.end)

/** From the first character of `first` to the last of `last`. */
export const spanOf = (first: Piece, last: Piece = first): Span => ({ start: startOf(first), end: endOf(last) })

export const identifier = (token: Token): Identifier => ({ kind: 'identifier', name: token.text, span: spanOf(token) })

export const quotedIdentifier = (token: Token): Identifier => ({
  kind: 'identifier',
  name: parseString(token.text),
  span: spanOf(token),
})

/** `payments` `.` `transfer` */
export const dotted = (left: Identifier, right: Token): Identifier => ({
  kind: 'identifier',
  name: `${left.name}.${right.text}`,
  span: spanOf(left, right),
})

export const text = (token: Token | null): string => (token === null ? '' : parseString(token.text))

/** The postprocessor of a production that only hands on its one part. */
export const only = <T>(parts: readonly T[]): T => parts[0] as T
