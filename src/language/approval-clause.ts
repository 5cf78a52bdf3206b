import type { ApprovalClause, Expr, Identifier, RuleBody, RuleEffect } from './ast.js'

/** The clause of an effect that asks for approval; null for the others. */
export const approvalOf = (effect: RuleEffect): ApprovalClause | null =>
  effect.kind === 'require-approval' || effect.kind === 'deny-except' ? effect.approval : null

/** The conditions of its stages. */
export const stageConditions = (clause: ApprovalClause): readonly Expr[] =>
  clause.stages.flatMap(({ condition }) => condition ?? [])

/** All conditions of a body: its own, and those of the stages that it asks. */
export function conditionsOf(body: RuleBody): readonly Expr[] {
  const own = body.conditions.map(({ expr }) => expr)
  const clause = approvalOf(body.effect)
  return clause === null ? own : [...own, ...stageConditions(clause)]
}

/** Every expression that stands in a clause and in no other expression. */
export const clauseExpressions = (clause: ApprovalClause): readonly Expr[] => [
  ...clause.stages.flatMap(({ from, condition }) => [
    ...from.flatMap(({ where }) => where.map(({ value }) => value)),
    ...(condition === null ? [] : [condition]),
  ]),
  ...clause.mayEdit,
  ...clause.mayRemember.flatMap(({ paths }) => paths),
]

/** The same clause with its expressions changed, and its roles. */
export function mapClause(
  clause: ApprovalClause,
  expr: (expr: Expr) => Expr,
  role: (role: Identifier) => Identifier,
): ApprovalClause {
  const { onTimeout, breakGlass } = clause
  return {
    ...clause,
    stages: clause.stages.map(({ from, condition }) => ({
      from: from.map((group) => ({
        ...group,
        role: role(group.role),
        where: group.where.map((one) => ({ ...one, value: expr(one.value) })),
      })),
      condition: condition === null ? null : expr(condition),
    })),
    onTimeout: onTimeout?.kind === 'escalate' ? { ...onTimeout, role: role(onTimeout.role) } : onTimeout,
    escalations: clause.escalations.map((step) => ({ ...step, role: role(step.role) })),
    mayEdit: clause.mayEdit.map(expr),
    mayRemember: clause.mayRemember.map((one) => ({ ...one, paths: one.paths.map(expr) })),
    breakGlass: breakGlass === null ? null : role(breakGlass),
  }
}
