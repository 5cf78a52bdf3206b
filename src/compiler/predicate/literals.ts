import type { Term } from '../term.js'

export type Literal = string | number | boolean | null

/** Tests of more constants are evaluated one by one. */
const MOST_LITERALS = 32

/**
 * The constants by which a test tells values apart: all texts that equal none of them, all numbers, both booleans have one
 * truth each. Null for a test that tells apart by more (see `testedSlot`).
 */
export function literalsOf(term: Term): readonly Literal[] | null {
  switch (term.kind) {
    case 'compare':
      return (term.op === '==' || term.op === '!=') && term.right.kind === 'literal' ? [term.right.value] : null
    case 'relation':
      return (term.op === 'in' || term.op === 'not-in') && term.right.kind === 'list' ? itemsOf(term.right.items) : null
    case 'fits':
      return term.globs.length === 0 && term.names.length <= MOST_LITERALS ? term.names : null
    case 'exists':
      return []
    default:
      return null
  }
}

function itemsOf(items: readonly Term[]): readonly Literal[] | null {
  if (items.length > MOST_LITERALS) return null
  const literals: Literal[] = []
  for (const item of items) {
    if (item.kind !== 'literal') return null
    literals.push(item.value)
  }
  return literals
}
