import type { Span } from '../../model/span.js'
import type { ApprovalClause, Identifier } from '../ast.js'
import { printDuration } from '../literals.js'
import { type Check, everyLayer, type RuleCheck } from './context.js'

const MINUTE_MS = 60_000
/** Bounds of every time in an approval clause. */
const MIN_MS = 1_000
const MAX_MS = 30 * 24 * 60 * MINUTE_MS
const MAX_VOTERS = 100

/** Approval clauses that some number of persons can meet in some time. */
export const approvals: RuleCheck = ({ node }, _, report) => {
  const { effect } = node.body
  if (effect.kind === 'require-approval' || effect.kind === 'deny-except') checkClause(effect.approval, report)
}

/** The same for what a policy falls back to. */
export const defaultApprovals: Check = (context) => {
  for (const { layer } of everyLayer(context)) {
    for (const { defaultEffect, locate } of layer.policies) {
      if (defaultEffect.kind !== 'default-approval') continue
      checkClause(defaultEffect.approval, (code, span, message, hint) =>
        context.reporter.report(code, locate(span), message, hint),
      )
    }
  }
}

type Report = (code: 'POL2303' | 'POL2304', span: Span, message: string, hint: string) => void

function checkClause(clause: ApprovalClause, report: Report): void {
  for (const { from } of clause.stages) {
    for (const [at, { count, role, span }] of from.entries()) {
      checkRole(role, report)
      if (!Number.isInteger(count) || count < 1 || count > MAX_VOTERS) {
        report('POL2303', span, `\`${count}\` persons cannot approve`, `write a whole number from 1 to ${MAX_VOTERS}`)
      }
      if (from.slice(0, at).some((earlier) => earlier.role.name === role.name)) {
        const message = `role \`${role.name}\` stands twice in one stage`
        report(
          'POL2303',
          span,
          message,
          `write \`2 of ${role.name}\` for two persons, or \`then from\` for a second stage`,
        )
      }
    }
  }
  if (clause.onTimeout?.kind === 'escalate') checkRole(clause.onTimeout.role, report)
  for (const { role, afterMs, span } of clause.escalations) {
    checkRole(role, report)
    checkTime(afterMs, 'escalate … after', span, report)
    if (clause.withinMs !== null && afterMs >= clause.withinMs) {
      const message = `the escalation after ${printDuration(afterMs)} never happens: the request ends after ${printDuration(clause.withinMs)}`
      report('POL2304', span, message, 'escalate earlier, or give more time with `within`')
    }
  }
  if (clause.withinMs !== null) checkTime(clause.withinMs, 'within', clause.span, report)
  if (clause.validForMs !== null) checkTime(clause.validForMs, 'valid for', clause.span, report)
}

function checkRole({ name, span }: Identifier, report: Report): void {
  if (/^[\p{L}\p{N}_][\p{L}\p{N}_ .:@/-]{0,127}$/u.test(name)) return
  const message = 'this is no name of a role'
  report(
    'POL2303',
    span,
    message,
    'a role has 1 to 128 letters, digits, blanks and `_ . : @ / -`, and starts with a letter or digit',
  )
}

function checkTime(ms: number, what: string, span: Span, report: Report): void {
  if (ms >= MIN_MS && ms <= MAX_MS) return
  report('POL2304', span, `\`${what}\` ${printDuration(ms)} is out of bounds`, 'times of approvals run from 1s to 30d')
}
