import type { Span } from '../../model/span.js'
import { approvalOf, stageConditions } from '../approval-clause.js'
import type { ApprovalClause, Expr, Identifier, RememberNode, VoterGroupNode } from '../ast.js'
import type { CheckedPolicy } from '../checked.js'
import type { Code } from '../codes.js'
import { checkCondition, type Surroundings as ExpressionSurroundings, typeOfValue } from '../infer.js'
import { printDuration } from '../literals.js'
import { printExpr } from '../print.js'
import type { Reporter } from '../report.js'
import { didYouMean } from '../suggest.js'
import { surveyOf } from '../survey.js'
import type { ToolsInScope } from '../tool-index.js'
import type { Type } from '../vocabulary.js'
import type { ConditionCheck, LayerView, RuleCheck, Surroundings } from './context.js'

const MINUTE_MS = 60_000
/** Bounds of every time in an approval clause. */
const MIN_MS = 1_000
const MAX_MS = 30 * 24 * 60 * MINUTE_MS
/** The longest that a grant may be remembered. */
const MAX_GRANT_MS = 8 * 60 * MINUTE_MS
const MAX_GRANT_USES = 1_000
const MAX_VOTERS = 100
/** Characters of an attribute; a longer text of a call is nobody's attribute. */
const MAX_ATTRIBUTE = 256

type Report = (code: Code, span: Span, message: string, hint?: string) => void

/** What a clause is judged against. */
interface Ground {
  readonly policy: string
  readonly hasAuthors: boolean
  /** The tools whose arguments are known. */
  readonly tools: ToolsInScope
  readonly expressions: ExpressionSurroundings
}

/** Approval clauses that some number of persons can meet in some time, and that say what they seem to. */
export const approvals: RuleCheck = (rule, { lists, faultyTemplates }, report) => {
  const clause = approvalOf(rule.node.body.effect)
  if (clause === null || (rule.template !== null && faultyTemplates.has(rule.template))) return
  const { header, tools, guarded, excerpt } = rule
  const expressions = { tools, lists, parameters: NONE, guarded, excerpt, report }
  const ground = { policy: header.name.name, hasAuthors: header.authors.length > 0, tools, expressions }
  checkClause(clause, ground, report)
}

/** The same for what a policy falls back to, and the authors that it names. */
export function checkDefaults(
  { layer }: LayerView,
  { lists, known }: Surroundings,
  conditionChecks: readonly ConditionCheck[],
  reporter: Reporter,
): void {
  for (const { name, authors, defaultEffect, location, locate, excerpt, speaksFor } of layer.policies) {
    const report = (code: Code, span: Span | null, message: string, hint?: string): void =>
      reporter.report(code, span === null ? location : locate(span), message, hint)
    checkAuthors(authors, report)
    if (defaultEffect.kind !== 'default-approval') continue
    const tools = known.inScope(speaksFor)
    const expressions = { tools, lists, parameters: NONE, guarded: NONE, excerpt, report }
    checkClause(defaultEffect.approval, { policy: name, hasAuthors: authors.length > 0, tools, expressions }, report)
    for (const condition of stageConditions(defaultEffect.approval)) {
      const survey = surveyOf(condition)
      for (const check of conditionChecks) check(survey, report)
    }
  }
}

const NONE: ReadonlySet<string> = new Set()

function checkAuthors(authors: CheckedPolicy['authors'], report: Report): void {
  for (const [at, { name, span }] of authors.entries()) {
    if (name.trim() === '' || name.length > 256 || /[\x00-\x1f\x7f]/.test(name)) {
      report(
        'POL2311',
        span,
        'this is no name of a person',
        'an author has 1 to 256 characters and no control characters',
      )
    } else if (authors.slice(0, at).some((earlier) => earlier.name === name)) {
      report('POL2311', span, `author \`${name}\` is named twice`, 'keep one of the two')
    }
  }
}

function checkClause(clause: ApprovalClause, ground: Ground, report: Report): void {
  for (const [at, { from, condition }] of clause.stages.entries()) {
    checkGroups(from, ground, report)
    if (condition === null) continue
    checkCondition(condition, ground.expressions)
    if (at > 0) continue
    const message = 'the first stage has a condition, so that the clause could ask nobody'
    report(
      'POL2309',
      condition.span,
      message,
      'put the condition into the rule, or begin with a stage that is always asked',
    )
  }
  if (clause.withinMs !== null) checkTime(clause.withinMs, 'within', clause.span, report)
  if (clause.validForMs !== null) checkTime(clause.validForMs, 'valid for', clause.span, report)
  checkEscalations(clause, report)
  if (clause.notByAuthor !== null && !ground.hasAuthors) {
    const message = `policy \`${ground.policy}\` names no authors, so \`not by author\` bars nobody`
    report('POL2311', clause.notByAuthor.span, message, 'name them in its header: `authors [alice, "bob@example.com"]`')
  }
  checkPaths(clause.mayEdit, 'edited', ground, report)
  checkGrants(clause.mayRemember, ground, report)
  if (clause.breakGlass !== null) checkRole(clause.breakGlass, report)
}

// ---------------------------------------------------------------- who is asked

function checkGroups(from: readonly VoterGroupNode[], ground: Ground, report: Report): void {
  for (const [at, group] of from.entries()) {
    const { count, role, span } = group
    checkRole(role, report)
    if (!Number.isInteger(count) || count < 1 || count > MAX_VOTERS) {
      report('POL2303', span, `\`${count}\` persons cannot approve`, `write a whole number from 1 to ${MAX_VOTERS}`)
    }
    if (from.slice(0, at).some((earlier) => personsOf(earlier) === personsOf(group))) {
      const message = `role \`${role.name}\` stands twice in one stage`
      report(
        'POL2303',
        span,
        message,
        `write \`2 of ${role.name}\` for two persons, or \`then from\` for a second stage`,
      )
    }
    checkAttributes(group, ground, report)
  }
}

/** Equal for groups of the same persons. */
const personsOf = ({ role, where }: VoterGroupNode): string =>
  JSON.stringify([role.name, ...where.map(({ attribute, value }) => `${attribute.name} = ${printExpr(value)}`).sort()])

function checkAttributes({ where }: VoterGroupNode, { expressions }: Ground, report: Report): void {
  for (const [at, { attribute, value, span }] of where.entries()) {
    if (!NAME.test(attribute.name)) {
      report('POL2310', attribute.span, 'this is no name of an attribute', `an attribute ${NAME_HINT}`)
    } else if (where.slice(0, at).some((earlier) => earlier.attribute.name === attribute.name)) {
      const hint = 'a person has one value of an attribute; make two groups with `and`'
      report('POL2310', span, `attribute \`${attribute.name}\` stands twice`, hint)
    }
    checkAttributeValue(value, expressions, report)
  }
}

const ATTRIBUTE_ROOTS: ReadonlySet<string> = new Set(['args', 'agent', 'principal', 'context', 'env'])
const SCALARS: ReadonlySet<Type['kind']> = new Set<Type['kind']>(['string', 'number', 'boolean', 'any'])

function checkAttributeValue(value: Expr, expressions: ExpressionSurroundings, report: Report): void {
  const hint =
    'write a text, a number, `true`, `false`, or one of `args.x`, `agent.x`, `principal.x`, `context.x`, `env`'
  const isLiteral = value.kind === 'literal' && value.value !== null
  const isReference = value.kind === 'reference' && ATTRIBUTE_ROOTS.has(value.root)
  if (!isLiteral && !isReference) {
    report('POL2310', value.span, 'an attribute is compared with a constant or with a part of the call', hint)
    return
  }
  if (value.kind === 'literal' && String(value.value).length > MAX_ATTRIBUTE) {
    const message = `nobody has an attribute of more than ${MAX_ATTRIBUTE} characters`
    report('POL2310', value.span, message, 'compare with a shorter text')
    return
  }
  const type = typeOfValue(value, expressions)
  if (SCALARS.has(type.kind)) return
  const message = `\`${printExpr(value)}\` is no single value, so nobody could approve`
  report('POL2310', value.span, message, hint)
}

function checkEscalations({ stages, onTimeout, escalations, withinMs }: ApprovalClause, report: Report): void {
  const isAskedAlways = (role: string): boolean =>
    stages.every(({ from }) => from.some((group) => group.role.name === role && group.where.length === 0))
  const checkAsked = ({ name, span }: Identifier): void => {
    if (!isAskedAlways(name)) return
    const message = `\`${name}\` is asked in every stage already, so escalating to it brings nobody new`
    report('POL3014', span, message, 'name a role that was not asked')
  }
  if (onTimeout?.kind === 'escalate') {
    checkRole(onTimeout.role, report)
    checkAsked(onTimeout.role)
  }
  for (const [at, { role, afterMs, span }] of escalations.entries()) {
    checkRole(role, report)
    checkTime(afterMs, 'escalate … after', span, report)
    if (withinMs !== null && afterMs >= withinMs) {
      const message = `the escalation after ${printDuration(afterMs)} never happens: the request ends after ${printDuration(withinMs)}`
      report('POL2304', span, message, 'escalate earlier, or give more time with `within`')
    }
    if (escalations.slice(0, at).some((earlier) => earlier.role.name === role.name)) {
      report('POL2303', span, `the request escalates to \`${role.name}\` twice`, 'keep the earlier of the two')
    } else checkAsked(role)
  }
}

/** Roles and attributes. */
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_ .:@/-]{0,127}$/u
const NAME_HINT = 'has 1 to 128 letters, digits, blanks and `_ . : @ / -`, and starts with a letter or digit'

function checkRole({ name, span }: Identifier, report: Report): void {
  if (!NAME.test(name)) report('POL2303', span, 'this is no name of a role', `a role ${NAME_HINT}`)
}

function checkTime(ms: number, what: string, span: Span, report: Report): void {
  if (ms >= MIN_MS && ms <= MAX_MS) return
  report('POL2304', span, `\`${what}\` ${printDuration(ms)} is out of bounds`, 'times of approvals run from 1s to 30d')
}

// ---------------------------------------------------------------- what a reviewer may do

function checkPaths(paths: readonly Expr[], done: 'edited' | 'remembered', { tools }: Ground, report: Report): void {
  const seen = new Set<string>()
  for (const path of paths) {
    const text = printExpr(path)
    if (path.kind !== 'reference' || path.root !== 'args') {
      report('POL2312', path.span, `\`${text}\` is no argument, and only arguments can be ${done}`, 'write `args.NAME`')
      continue
    }
    if (seen.has(text)) report('POL2312', path.span, `\`${text}\` stands twice`, 'keep one of the two')
    seen.add(text)
    const unknown = unknownStep(path.path, tools)
    if (unknown === null) continue
    const { name, known } = unknown
    const message = `\`${text}\` cannot be ${done}: no declared tool that this is about has \`${name}\``
    report('POL2312', path.span, message, didYouMean(name, known) ?? `declared are ${[...known].join(', ') || 'none'}`)
  }
}

/** The first step of a path that nothing declared has, where all that a call may bring is declared. */
function unknownStep(
  path: readonly string[],
  tools: ToolsInScope,
): { readonly name: string; readonly known: readonly string[] } | null {
  if (tools.declared.length === 0 || tools.open) return null
  const [first = '', ...rest] = path
  let type = tools.typeOf(first)
  if (type === null) return { name: first, known: tools.declared.flatMap(({ parameters }) => [...parameters.keys()]) }
  for (const name of rest) {
    if (type.kind !== 'map' || type.fields === null)
      return type.kind === 'any' || type.kind === 'map' ? null : { name, known: [] }
    const field = type.fields.get(name)
    if (field === undefined) return { name, known: [...type.fields.keys()] }
    type = field.type
  }
  return null
}

function checkGrants(grants: readonly RememberNode[], ground: Ground, report: Report): void {
  const seen = new Set<string>()
  for (const { scope, paths, forMs, atMost, span } of grants) {
    if (forMs < MIN_MS || forMs > MAX_GRANT_MS) {
      const message = `a grant for ${printDuration(forMs)} is out of bounds`
      report(
        'POL2313',
        span,
        message,
        'grants are remembered for 1s to 8h; write an `allow` rule for what holds longer',
      )
    }
    if (atMost !== null && (!Number.isInteger(atMost) || atMost < 1 || atMost > MAX_GRANT_USES)) {
      const hint = `write a whole number from 1 to ${MAX_GRANT_USES}`
      report('POL2313', span, `a grant cannot be used \`${atMost}\` times`, hint)
    }
    const what =
      scope === 'fields'
        ? paths
            .map((path) => printExpr(path))
            .sort()
            .join(', ')
        : scope
    if (seen.has(what)) {
      report('POL2313', span, `\`may remember ${what}\` stands twice`, 'keep one of the two')
    }
    seen.add(what)
    checkPaths(paths, 'remembered', ground, report)
  }
}
