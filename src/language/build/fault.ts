import type { Span } from '../../model/span.js'
import type { Declaration } from '../ast.js'

/** A mistake that the grammar lets pass so that it can be told in plain words: a clause given twice, an effect left out. */
export interface BuildFault {
  readonly code: 'POL1004' | 'POL1005' | 'POL1006'
  readonly message: string
  readonly hint?: string
  readonly span: Span
}

/** What parsing one declaration yields. */
export interface Built {
  readonly node: Declaration
  readonly faults: readonly BuildFault[]
}

export const built = (node: Declaration, faults: readonly BuildFault[] = []): Built => ({ node, faults })

/** Of clauses that may stand once, those that stand again. */
export const repeated = <T extends { readonly kind: string; readonly span: Span }>(
  clauses: readonly T[],
  name: (clause: T) => string,
): readonly BuildFault[] =>
  clauses
    .filter((clause, at) => clauses.findIndex((earlier) => earlier.kind === clause.kind) !== at)
    .map((clause) => ({
      code: 'POL1004',
      message: `\`${name(clause)}\` is given twice`,
      hint: 'keep one of the two',
      span: clause.span,
    }))
