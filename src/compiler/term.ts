import type { ArithmeticOp, CompareOp, ReferenceRoot, RelationOp } from '../language/ast.js'
import type { Layer } from './entry.js'

/**
 * An expression as the engine takes it: names resolved, places left out, and in plain JSON, so that it can be kept as text
 * and handed to another thread. Two expressions that mean the same are the same text, whatever rule, layer or spelling of
 * variables they come from. What does not change within a decision stands apart in slots.
 */
export type Term =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'duration'; readonly ms: number }
  | { readonly kind: 'timestamp'; readonly ms: number }
  | { readonly kind: 'cidr'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly Term[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [string, Term])[] }
  /** A list that policies name. */
  | { readonly kind: 'named-list'; readonly list: number }
  /** A name that means nothing; the checker lets none through. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'slot'; readonly slot: number }
  | { readonly kind: 'reference'; readonly root: ReferenceRoot; readonly path: readonly string[] }
  /** The tenant of the call. */
  | { readonly kind: 'tenant' }
  /** A quantifier's variable: how many quantifiers stand around its own. */
  | { readonly kind: 'variable'; readonly depth: number }
  | { readonly kind: 'field'; readonly of: Term; readonly field: string }
  | { readonly kind: 'index'; readonly of: Term; readonly index: Term }
  /** The layer is told where the function does not see the same in both: `undeclared`. */
  | { readonly kind: 'call'; readonly fn: string; readonly args: readonly Term[]; readonly layer: Layer | null }
  | { readonly kind: 'not' | 'negate' | 'exists'; readonly operand: Term }
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Term[] }
  | { readonly kind: 'arithmetic'; readonly op: ArithmeticOp; readonly left: Term; readonly right: Term }
  | { readonly kind: 'compare'; readonly op: CompareOp; readonly left: Term; readonly right: Term }
  | {
      readonly kind: 'relation'
      readonly op: RelationOp
      readonly left: Term
      readonly right: Term
      /** The automaton of the words on the right, where they are too many to be made ready while calls wait. */
      readonly automaton?: number
    }
  | { readonly kind: 'matches'; readonly subject: Term; readonly pattern: string; readonly flags: string }
  | {
      readonly kind: 'quantifier'
      readonly quantifier: 'any' | 'all'
      readonly depth: number
      /** From the outermost to the innermost of those around and within it, itself included. */
      readonly limit: number
      readonly over: Term
      readonly body: Term
    }
  | WindowTerm
  | ScopeCondition

export interface WindowTerm {
  readonly kind: 'time-window'
  readonly subject: Term
  readonly fromMinute: number
  readonly untilMinute: number
  readonly zone: string
  readonly days: readonly number[] | null
}

/** Conditions of a scope: true or false, never unknown. */
export type ScopeCondition =
  /** The text is one of these names or fits one of these globs; false where it is missing. */
  | {
      readonly kind: 'fits'
      readonly subject: Term
      readonly names: readonly string[]
      readonly globs: readonly string[]
    }
  | { readonly kind: 'active'; readonly fromMs: number | null; readonly untilMs: number | null }
