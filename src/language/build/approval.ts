import type { Span } from '../../model/span.js'
import type { ApprovalClause, ApprovalStageNode, Identifier } from '../ast.js'
import type { Token } from '../lexer.js'
import { parseDuration, parseNumber } from '../literals.js'
import { type Chain, toArray } from './chain.js'
import { type BuildFault, repeated } from './fault.js'
import { type Piece, spanOf } from './words.js'

type Voters = ApprovalStageNode['from'][number]

export const voters = (count: Token | null, role: Identifier): Voters => ({
  count: count === null ? 1 : parseNumber(count.text),
  role,
  span: count === null ? role.span : spanOf(count, role),
})

export const stage = (groups: Chain<Voters>): ApprovalStageNode => ({ from: toArray(groups) })

export type ApprovalOption = { readonly span: Span } & (
  | { readonly kind: 'within'; readonly ms: number; readonly onTimeout: ApprovalClause['onTimeout'] }
  | { readonly kind: 'escalate'; readonly role: Identifier; readonly afterMs: number }
  | { readonly kind: 'valid'; readonly ms: number }
  | { readonly kind: 'not-by-requester' }
)

export const within = (
  at: Token,
  time: Token,
  last: Piece,
  onTimeout: ApprovalClause['onTimeout'],
): ApprovalOption => ({
  kind: 'within',
  ms: parseDuration(time.text),
  onTimeout,
  span: spanOf(at, last),
})
export const escalate = (at: Token, role: Identifier, time: Token): ApprovalOption => ({
  kind: 'escalate',
  role,
  afterMs: parseDuration(time.text),
  span: spanOf(at, time),
})
export const valid = (at: Token, time: Token): ApprovalOption => ({
  kind: 'valid',
  ms: parseDuration(time.text),
  span: spanOf(at, time),
})
export const notByRequester = (at: Token, last: Token): ApprovalOption => ({
  kind: 'not-by-requester',
  span: spanOf(at, last),
})

/** An approval clause, and the options of it that were given twice. */
export interface BuiltApproval {
  readonly clause: ApprovalClause
  readonly faults: readonly BuildFault[]
  readonly span: Span
}

export function approval(
  at: Token,
  stageChain: Chain<ApprovalStageNode>,
  optionChain: Chain<ApprovalOption>,
): BuiltApproval {
  const stages = toArray(stageChain)
  const options = toArray(optionChain)
  const last = options.at(-1) ?? stages.at(-1)?.from.at(-1) ?? at
  const span = spanOf(at, last)
  const within = options.find((o) => o.kind === 'within')
  const valid = options.find((o) => o.kind === 'valid')
  const clause: ApprovalClause = {
    kind: 'approval',
    stages,
    withinMs: within?.ms ?? null,
    onTimeout: within?.onTimeout ?? null,
    escalations: options
      .filter((o) => o.kind === 'escalate')
      .map(({ role, afterMs, span }) => ({ role, afterMs, span })),
    validForMs: valid?.ms ?? null,
    notByRequester: options.some((o) => o.kind === 'not-by-requester'),
    span,
  }
  const written: Record<ApprovalOption['kind'], string> = {
    within: 'within',
    escalate: 'escalate',
    valid: 'valid for',
    'not-by-requester': 'not by requester',
  }
  const once = options.filter((o) => o.kind !== 'escalate')
  return { clause, faults: repeated(once, (o) => written[o.kind]), span }
}
