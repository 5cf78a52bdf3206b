import type { ApprovalClause, Expr, ObligationNode } from '../language/ast.js'
import type { ApprovalRequirement, ArgumentPath, AttributeMatch, Obligation } from '../model/decision.js'

/**
 * What a clause asks for before the call is known: the requirement but for conditions of stages and parts of the call. While
 * it is kept as text, predicates and slots are told by their place among those of the clause.
 */
export interface RequirementDraft extends Omit<ApprovalRequirement, 'stages'> {
  readonly stages: readonly StageDraft[]
}

export interface StageDraft {
  readonly from: readonly GroupDraft[]
  /** The predicate by which the stage is asked; null for always. */
  readonly condition: number | null
}

export interface GroupDraft {
  readonly count: number
  readonly role: string
  readonly where: readonly (AttributeMatch | AttributeDraft)[]
}

/** An attribute that is compared with what a slot holds. */
export interface AttributeDraft {
  readonly attribute: string
  readonly slot: number
}

/** On whose behalf a clause asks, and how its expressions are compiled. */
export interface ClauseScope {
  /** The rule, or `default of POLICY`. */
  readonly ruleId: string
  readonly isException: boolean
  /** Of the policy. */
  readonly authors: readonly string[]
  readonly predicate: (condition: Expr) => number
  readonly slot: (reference: Extract<Expr, { kind: 'reference' }>) => number
}

export function toDraft(clause: ApprovalClause, scope: ClauseScope): RequirementDraft {
  const { onTimeout, reasonRequired } = clause
  return {
    ruleIds: [scope.ruleId],
    stages: clause.stages.map(({ from, condition }) => ({
      from: from.map(({ count, role, where }) => ({
        count,
        role: role.name,
        where: where.map(({ attribute, value }) => toAttribute(attribute.name, value, scope)),
      })),
      condition: condition === null ? null : scope.predicate(condition),
    })),
    withinMs: clause.withinMs,
    onTimeout: onTimeout?.kind === 'escalate' ? { kind: 'escalate', role: onTimeout.role.name } : { kind: 'deny' },
    escalations: clause.escalations
      .map(({ role, afterMs }) => ({ role: role.name, afterMs }))
      .sort((a, b) => a.afterMs - b.afterMs),
    validForMs: clause.validForMs,
    notByRequester: clause.notByRequester,
    barred: clause.notByAuthor === null ? [] : [...new Set(scope.authors)].sort(),
    reasonOnApproval: reasonRequired === 'approval' || reasonRequired === 'both',
    reasonOnRejection: reasonRequired === 'rejection' || reasonRequired === 'both',
    mayEdit: clause.mayEdit.map(toPath),
    mayRemember: clause.mayRemember.map(({ scope, paths, forMs, atMost }) => ({
      scope,
      paths: paths.map(toPath),
      forMs,
      mostUses: atMost,
    })),
    breakGlass: clause.breakGlass?.name ?? null,
    isException: scope.isException,
  }
}

/** The same with other numbers for its predicates and slots. */
export function withNumbers(
  draft: RequirementDraft,
  predicate: (number: number) => number,
  slot: (number: number) => number,
): RequirementDraft {
  const numbered = (one: AttributeMatch | AttributeDraft) => (isMatch(one) ? one : { ...one, slot: slot(one.slot) })
  const stages = draft.stages.map(({ from, condition }) => ({
    from: from.map((group) => ({ ...group, where: group.where.map(numbered) })),
    condition: condition === null ? null : predicate(condition),
  }))
  return { ...draft, stages }
}

/** The checker lets nothing else through; what came here regardless would be nobody's attribute. */
function toAttribute(attribute: string, value: Expr, scope: ClauseScope): AttributeMatch | AttributeDraft {
  if (value.kind === 'reference') return { attribute, slot: scope.slot(value) }
  return { attribute, value: value.kind === 'literal' ? value.value : null }
}

function toPath(path: Expr): ArgumentPath {
  return path.kind === 'reference' ? path.path : []
}

/** A draft as images keep it, without what most clauses do not say. */
export type PackedDraft = readonly [
  ruleIds: readonly string[],
  stages: readonly (readonly [groups: readonly PackedGroup[], condition?: number])[],
  options: Partial<Options>,
]
type PackedGroup = readonly [count: number, role: string, where?: GroupDraft['where']]
type Options = Omit<RequirementDraft, 'ruleIds' | 'stages'>

const UNSAID: Options = {
  withinMs: null,
  onTimeout: { kind: 'deny' },
  escalations: [],
  validForMs: null,
  notByRequester: false,
  barred: [],
  reasonOnApproval: false,
  reasonOnRejection: false,
  mayEdit: [],
  mayRemember: [],
  breakGlass: null,
  isException: false,
}

export function packDraft(draft: RequirementDraft): PackedDraft {
  const { withinMs, onTimeout, escalations, validForMs, barred, mayEdit, mayRemember, breakGlass } = draft
  const options: Partial<Options> = {
    ...(withinMs === null ? {} : { withinMs }),
    ...(onTimeout.kind === 'deny' ? {} : { onTimeout }),
    ...(escalations.length === 0 ? {} : { escalations }),
    ...(validForMs === null ? {} : { validForMs }),
    ...(draft.notByRequester ? { notByRequester: true } : {}),
    ...(barred.length === 0 ? {} : { barred }),
    ...(draft.reasonOnApproval ? { reasonOnApproval: true } : {}),
    ...(draft.reasonOnRejection ? { reasonOnRejection: true } : {}),
    ...(mayEdit.length === 0 ? {} : { mayEdit }),
    ...(mayRemember.length === 0 ? {} : { mayRemember }),
    ...(breakGlass === null ? {} : { breakGlass }),
    ...(draft.isException ? { isException: true } : {}),
  }
  const stages = draft.stages.map(({ from, condition }) => {
    const groups = from.map(({ count, role, where }): PackedGroup => {
      return where.length === 0 ? [count, role] : [count, role, where]
    })
    return condition === null ? ([groups] as const) : ([groups, condition] as const)
  })
  return [draft.ruleIds, stages, options]
}

export function unpackDraft([ruleIds, stages, options]: PackedDraft): RequirementDraft {
  return {
    ruleIds,
    stages: stages.map(([groups, condition = null]) => ({
      from: groups.map(([count, role, where = []]) => ({ count, role, where })),
      condition,
    })),
    ...UNSAID,
    ...options,
  }
}

/** Whether a requirement follows from the draft alone, whatever the call. */
export function isSettled({ stages }: RequirementDraft): boolean {
  return stages.every(({ from, condition }) => condition === null && from.every(({ where }) => where.every(isMatch)))
}

export function isMatch(one: AttributeMatch | AttributeDraft): one is AttributeMatch {
  return !('slot' in one)
}

export function toObligation(node: ObligationNode, ruleId: string): Obligation {
  if (node.kind === 'max_rows') return { kind: node.kind, target: '', value: node.rows, ruleId }
  return { kind: node.kind, target: node.target, value: 0, ruleId }
}
