import type { Span } from '../../model/span.js'
import type {
  ApprovalClause,
  ApprovalStageNode,
  AttributeNode,
  Expr,
  Identifier,
  RememberNode,
  VoterGroupNode,
} from '../ast.js'
import type { Token } from '../lexer.js'
import { parseDuration, parseNumber } from '../literals.js'
import { type Chain, toArray } from './chain.js'
import { type BuildFault, repeated } from './fault.js'
import { type Piece, spanOf } from './words.js'

export const attribute = (name: Identifier, value: Expr): AttributeNode => ({
  attribute: name,
  value,
  span: spanOf(name, value),
})

export const voters = (
  count: Token | null,
  role: Identifier,
  where: { readonly items: Chain<AttributeNode>; readonly close: Token } | null,
): VoterGroupNode => ({
  count: count === null ? 1 : parseNumber(count.text),
  role,
  where: where === null ? [] : toArray(where.items),
  span: spanOf(count ?? role, where?.close ?? role),
})

/** A stage, and where it ends. */
interface BuiltStage {
  readonly node: ApprovalStageNode
  readonly span: Span
}

export function stage(groups: Chain<VoterGroupNode>, condition: Expr | null): BuiltStage {
  const from = toArray(groups)
  return { node: { from, condition }, span: spanOf(from[0]!, condition ?? from.at(-1)!) }
}

export type ApprovalOption = { readonly span: Span } & (
  | { readonly kind: 'within'; readonly ms: number; readonly onTimeout: ApprovalClause['onTimeout'] }
  | { readonly kind: 'escalate'; readonly role: Identifier; readonly afterMs: number }
  | { readonly kind: 'valid'; readonly ms: number }
  | { readonly kind: 'not-by-requester' | 'not-by-author' }
  | { readonly kind: 'reason-required'; readonly on: 'approval' | 'rejection' | 'both' }
  | { readonly kind: 'may-edit'; readonly paths: readonly Expr[] }
  | { readonly kind: 'may-remember'; readonly node: RememberNode }
  | { readonly kind: 'break-glass'; readonly role: Identifier }
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
export const notBy = (kind: 'not-by-requester' | 'not-by-author', at: Token, last: Token): ApprovalOption => ({
  kind,
  span: spanOf(at, last),
})
export const reasonRequired = (at: Token, last: Token, on: 'approval' | 'rejection' | 'both'): ApprovalOption => ({
  kind: 'reason-required',
  on,
  span: spanOf(at, last),
})
export const mayEdit = (at: Token, paths: Chain<Expr>): ApprovalOption => ({
  kind: 'may-edit',
  paths: toArray(paths),
  span: spanOf(at, paths?.item ?? at),
})
export function mayRemember(
  at: Token,
  { scope, paths }: { readonly scope: RememberNode['scope']; readonly paths: Chain<Expr> },
  time: Token,
  most: Token | null,
  last: Token,
): ApprovalOption {
  const span = spanOf(at, last)
  const atMost = most === null ? null : parseNumber(most.text)
  return {
    kind: 'may-remember',
    node: { scope, paths: toArray(paths), forMs: parseDuration(time.text), atMost, span },
    span,
  }
}
export const breakGlass = (at: Token, role: Identifier): ApprovalOption => ({
  kind: 'break-glass',
  role,
  span: spanOf(at, role),
})

/** An approval clause, and the options of it that were given twice. */
export interface BuiltApproval {
  readonly clause: ApprovalClause
  readonly faults: readonly BuildFault[]
  readonly span: Span
}

export function approval(at: Token, stageChain: Chain<BuiltStage>, optionChain: Chain<ApprovalOption>): BuiltApproval {
  const stages = toArray(stageChain)
  const options = toArray(optionChain)
  const span = spanOf(at, options.at(-1) ?? stages.at(-1) ?? at)
  const within = options.find((o) => o.kind === 'within')
  const clause: ApprovalClause = {
    kind: 'approval',
    stages: stages.map(({ node }) => node),
    withinMs: within?.ms ?? null,
    onTimeout: within?.onTimeout ?? null,
    escalations: options
      .filter((o) => o.kind === 'escalate')
      .map(({ role, afterMs, span }) => ({ role, afterMs, span })),
    validForMs: options.find((o) => o.kind === 'valid')?.ms ?? null,
    notByRequester: options.some((o) => o.kind === 'not-by-requester'),
    notByAuthor: spanOfOption(options, 'not-by-author'),
    reasonRequired: options.find((o) => o.kind === 'reason-required')?.on ?? null,
    mayEdit: options.find((o) => o.kind === 'may-edit')?.paths ?? [],
    mayRemember: options.filter((o) => o.kind === 'may-remember').map(({ node }) => node),
    breakGlass: options.find((o) => o.kind === 'break-glass')?.role ?? null,
    span,
  }
  const once = options.filter((o) => o.kind !== 'escalate' && o.kind !== 'may-remember')
  return { clause, faults: repeated(once, (o) => WRITTEN[o.kind]), span }
}

function spanOfOption(
  options: readonly ApprovalOption[],
  kind: ApprovalOption['kind'],
): { readonly span: Span } | null {
  const option = options.find((o) => o.kind === kind)
  return option === undefined ? null : { span: option.span }
}

const WRITTEN: Record<ApprovalOption['kind'], string> = {
  within: 'within',
  escalate: 'escalate',
  valid: 'valid for',
  'not-by-requester': 'not by requester',
  'not-by-author': 'not by author',
  'reason-required': 'reason required',
  'may-edit': 'may edit',
  'may-remember': 'may remember',
  'break-glass': 'break glass',
}
