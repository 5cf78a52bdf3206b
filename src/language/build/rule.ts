import type { Span } from '../../model/span.js'
import type { ActiveDates, ConditionClause, Expr, Identifier, RuleBody, RuleEffect, ScopeTerm } from '../ast.js'
import type { Token } from '../lexer.js'
import type { BuiltApproval } from './approval.js'
import { type Chain, toArray } from './chain.js'
import { instantOf } from './expression.js'
import { type BuildFault, type Built, built } from './fault.js'
import { identifier, spanOf, text } from './words.js'

/** One line of a rule's body. The grammar takes them in any order and number; {@link ruleBody} sorts them out. */
export type Clause = { readonly span: Span } & (
  | { readonly kind: 'on'; readonly scope: readonly ScopeTerm[] }
  | { readonly kind: 'condition'; readonly clause: ConditionClause }
  | { readonly kind: 'effect'; readonly effect: RuleEffect; readonly faults: readonly BuildFault[] }
  | { readonly kind: 'severity'; readonly value: Token }
  | { readonly kind: 'tags'; readonly tags: readonly Identifier[] }
  | { readonly kind: 'mode' }
  | { readonly kind: 'active'; readonly dates: ActiveDates }
  | { readonly kind: 'unknown' }
)

export function onClause(at: Token, terms: Chain<ScopeTerm>): Clause {
  const scope = toArray(terms)
  return { kind: 'on', scope, span: spanOf(at, scope.at(-1) ?? at) }
}

export function condition(at: Token, expr: Expr): Clause {
  const span = spanOf(at, expr)
  return { kind: 'condition', clause: { kind: at.text as 'when' | 'unless', expr, span }, span }
}

export const effectClause = (effect: RuleEffect): Clause => ({ kind: 'effect', effect, faults: [], span: effect.span })

export function denyExcept(at: Token, why: Token | null, except: BuiltApproval): Clause {
  const span = spanOf(at, except)
  const effect: RuleEffect = { kind: 'deny-except', why: text(why), approval: except.clause, span }
  return { kind: 'effect', effect, faults: except.faults, span }
}

export function requireApproval(at: Token, required: BuiltApproval): Clause {
  const span = spanOf(at, required)
  return {
    kind: 'effect',
    effect: { kind: 'require-approval', approval: required.clause, span },
    faults: required.faults,
    span,
  }
}

export const severity = (at: Token, value: Token): Clause => ({ kind: 'severity', value, span: spanOf(at, value) })
export const tags = (at: Token, names: Chain<Identifier>, close: Token): Clause => ({
  kind: 'tags',
  tags: toArray(names),
  span: spanOf(at, close),
})
export const monitor = (at: Token, last: Token): Clause => ({ kind: 'mode', span: spanOf(at, last) })
export const unknownClause = (at: Token, last: Token): Clause => ({ kind: 'unknown', span: spanOf(at, last) })
export function active(at: Token, from: Token | null, until: Token | null): Clause {
  const span = spanOf(at, until ?? from ?? at)
  const dates: ActiveDates = {
    fromMs: from === null ? null : instantOf(from),
    untilMs: until === null ? null : instantOf(until),
    span,
  }
  return { kind: 'active', dates, span }
}

const CLAUSE_WORDS: Record<Exclude<Clause['kind'], 'condition'>, string> = {
  on: 'on',
  effect: 'an effect',
  severity: 'severity',
  tags: 'tags',
  mode: 'mode',
  active: 'active',
  unknown: 'unknown means no match',
}

/** The body of a rule or template, and what is wrong with the number of its clauses. `owner` names it in messages. */
export function ruleBody(
  owner: string,
  ownerSpan: Span,
  chained: Chain<Clause>,
): { readonly body: RuleBody; readonly faults: readonly BuildFault[] } {
  const clauses = toArray(chained)
  const first = <K extends Clause['kind']>(kind: K) =>
    clauses.find((clause): clause is Extract<Clause, { kind: K }> => clause.kind === kind)
  const effect = first('effect')
  const severity = first('severity')
  const faults: BuildFault[] = []
  for (const clause of clauses) {
    if (clause.kind === 'condition' || first(clause.kind) === clause) continue
    faults.push(
      clause.kind === 'effect'
        ? {
            code: 'POL1005',
            message: `${owner} has two effects`,
            hint: 'a rule has one effect; make a second rule',
            span: clause.span,
          }
        : {
            code: 'POL1004',
            message: `\`${CLAUSE_WORDS[clause.kind]}\` is given twice`,
            hint: clause.kind === 'on' ? 'join the two with a comma, which means and' : 'keep one of the two',
            span: clause.span,
          },
    )
  }
  if (effect === undefined) {
    faults.push({
      code: 'POL1006',
      message: `${owner} has no effect`,
      hint: 'say `allow`, `deny` or `require approval from ROLE` in it',
      span: ownerSpan,
    })
  }
  const body: RuleBody = {
    scope: first('on')?.scope ?? [],
    conditions: clauses.filter((clause) => clause.kind === 'condition').map((clause) => clause.clause),
    // Never read: a declaration with a fault has no node for later phases.
    effect: effect?.effect ?? { kind: 'deny', why: '', span: ownerSpan },
    severity:
      severity === undefined
        ? null
        : { value: severity.value.text as 'low' | 'medium' | 'high' | 'critical', span: spanOf(severity.value) },
    tags: first('tags')?.tags ?? [],
    monitor: first('mode') !== undefined,
    active: first('active')?.dates ?? null,
    unknownMeansNoMatch: first('unknown') !== undefined,
  }
  return { body, faults: [...faults, ...(effect?.faults ?? [])] }
}

export function rule(at: Token, id: Token, description: Token | null, clauses: Chain<Clause>, close: Token): Built {
  const { body, faults } = ruleBody(`rule \`${id.text}\``, spanOf(id), clauses)
  return built(
    { kind: 'rule', id: identifier(id), description: text(description), body, span: spanOf(at, close) },
    faults,
  )
}

export function template(
  at: Token,
  name: Token,
  parameters: Chain<Token>,
  description: Token | null,
  clauses: Chain<Clause>,
  close: Token,
): Built {
  const { body, faults } = ruleBody(`template \`${name.text}\``, spanOf(name), clauses)
  return built(
    {
      kind: 'template',
      name: identifier(name),
      parameters: toArray(parameters).map(identifier),
      description: text(description),
      body,
      span: spanOf(at, close),
    },
    faults,
  )
}
