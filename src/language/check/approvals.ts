import type { Location, Span } from '../../model/span.js'
import type { ApprovalClause } from '../ast.js'
import { printDuration } from '../literals.js'
import type { Reporter } from '../report.js'
import { type Check, everyLayer } from './context.js'

const MINUTE_MS = 60_000
/** Bounds of every time in an approval clause. */
const MIN_MS = 1_000
const MAX_MS = 30 * 24 * 60 * MINUTE_MS
const MAX_VOTERS = 100

/** Approval clauses that some number of persons can meet in some time. */
export const approvals: Check = (context) => {
  for (const layer of everyLayer(context)) {
    for (const { defaultEffect, locate } of layer.layer.policies) {
      if (defaultEffect.kind === 'default-approval') checkClause(defaultEffect.approval, locate, context.reporter)
    }
    for (const { rule } of layer.rules) {
      if (rule.effect.kind === 'require-approval' || rule.effect.kind === 'deny-except') {
        checkClause(rule.effect.approval, rule.locate, context.reporter)
      }
    }
  }
}

function checkClause(clause: ApprovalClause, locate: (span: Span) => Location, reporter: Reporter): void {
  for (const { from } of clause.stages) {
    for (const [at, { count, role, span }] of from.entries()) {
      checkRole(role.name, locate(role.span), reporter)
      if (!Number.isInteger(count) || count < 1 || count > MAX_VOTERS) {
        reporter.report(
          'POL2303',
          locate(span),
          `\`${count}\` persons cannot approve`,
          `write a whole number from 1 to ${MAX_VOTERS}`,
        )
      }
      if (from.slice(0, at).some((earlier) => earlier.role.name === role.name)) {
        const message = `role \`${role.name}\` stands twice in one stage`
        reporter.report(
          'POL2303',
          locate(span),
          message,
          `write \`2 of ${role.name}\` for two persons, or \`then from\` for a second stage`,
        )
      }
    }
  }
  if (clause.onTimeout?.kind === 'escalate')
    checkRole(clause.onTimeout.role.name, locate(clause.onTimeout.role.span), reporter)
  for (const { role, afterMs, span } of clause.escalations) {
    checkRole(role.name, locate(role.span), reporter)
    checkTime(afterMs, 'escalate … after', locate(span), reporter)
    if (clause.withinMs !== null && afterMs >= clause.withinMs) {
      const message = `the escalation after ${printDuration(afterMs)} never happens: the request ends after ${printDuration(clause.withinMs)}`
      reporter.report('POL2304', locate(span), message, 'escalate earlier, or give more time with `within`')
    }
  }
  if (clause.withinMs !== null) checkTime(clause.withinMs, 'within', locate(clause.span), reporter)
  if (clause.validForMs !== null) checkTime(clause.validForMs, 'valid for', locate(clause.span), reporter)
}

function checkRole(role: string, place: Location, reporter: Reporter): void {
  if (/^[\p{L}\p{N}_][\p{L}\p{N}_ .:@/-]{0,127}$/u.test(role)) return
  const message = 'this is no name of a role'
  reporter.report(
    'POL2303',
    place,
    message,
    'a role has 1 to 128 letters, digits, blanks and `_ . : @ / -`, and starts with a letter or digit',
  )
}

function checkTime(ms: number, what: string, place: Location, reporter: Reporter): void {
  if (ms >= MIN_MS && ms <= MAX_MS) return
  reporter.report(
    'POL2304',
    place,
    `\`${what}\` ${printDuration(ms)} is out of bounds`,
    'times of approvals run from 1s to 30d',
  )
}
