import type { Span } from '../model/span.js'
import { mapClause } from './approval-clause.js'
import type {
  ApprovalClause,
  Expr,
  Identifier,
  NamePattern,
  Rule,
  RuleBody,
  RuleEffect,
  ScopeTerm,
  Template,
  TemplateUse,
} from './ast.js'
import { UNDECLARED } from './patterns.js'
import { printExpr } from './print.js'

/** An argument that stands where only another kind can: an expression as a role, a number as a tool. */
export interface ArgumentFault {
  readonly argument: Expr
  readonly parameter: string
  /** What the template's place takes: `a role`, `a name`. */
  readonly wanted: string
}

/**
 * The rule that a template makes of its arguments: parameters are replaced in conditions (by any expression), and in
 * scopes and roles (by names). The spans are those of the template or of the use; print the rule and parse it again to
 * get a tree with spans of its own.
 * INVARIANT: as many arguments as parameters.
 */
export function expandTemplate(
  template: Template,
  use: TemplateUse,
): { readonly rule: Rule; readonly faults: readonly ArgumentFault[] } {
  const substitution = new Substitution(template, use)
  const body = substitution.body(template.body)
  const rule: Rule = {
    kind: 'rule',
    id: use.id,
    description: use.description === '' ? template.description : use.description,
    body,
    span: use.span,
  }
  return { rule, faults: substitution.faults }
}

class Substitution {
  readonly faults: ArgumentFault[] = []
  readonly #values: ReadonlyMap<string, Expr>

  constructor(template: Template, use: TemplateUse) {
    this.#values = new Map(template.parameters.map(({ name }, at) => [name, use.arguments[at] as Expr]))
  }

  body(body: RuleBody): RuleBody {
    return {
      ...body,
      scope: body.scope.map((term) => this.#scope(term)),
      conditions: body.conditions.map((clause) => ({ ...clause, expr: this.#expr(clause.expr, new Set()) })),
      effect: this.#effect(body.effect),
    }
  }

  #scope(term: ScopeTerm): ScopeTerm {
    const isTool = term.kind === 'scope' && term.on === 'tool'
    return { ...term, patterns: term.patterns.map((pattern) => this.#pattern(pattern, isTool)) }
  }

  #pattern(pattern: NamePattern, isTool: boolean): NamePattern {
    const argument = pattern.kind === 'glob' ? undefined : this.#values.get(pattern.text)
    if (argument === undefined) return pattern
    // The bare word means the same as an argument as it does in place; a parameter of that name comes before it.
    if (isTool && pattern.kind !== 'tag' && argument.kind === 'name' && argument.name === UNDECLARED)
      return { ...pattern, kind: 'undeclared', text: UNDECLARED }
    const kind = pattern.kind === 'undeclared' ? 'literal' : pattern.kind
    return { ...pattern, kind, text: this.#name(argument, pattern.text, 'a name') }
  }

  #role(role: Identifier): Identifier {
    const argument = this.#values.get(role.name)
    return argument === undefined ? role : { ...role, name: this.#name(argument, role.name, 'a role') }
  }

  /** `issue_refund`, `payments.transfer`, `"any text"`. */
  #name(argument: Expr, parameter: string, wanted: string): string {
    if (argument.kind === 'literal' && typeof argument.value === 'string') return argument.value
    if (argument.kind === 'name' || argument.kind === 'field' || argument.kind === 'reference')
      return printExpr(argument)
    this.faults.push({ argument, parameter, wanted })
    return parameter
  }

  #effect(effect: RuleEffect): RuleEffect {
    switch (effect.kind) {
      case 'deny-except':
      case 'require-approval':
        return { ...effect, approval: this.#approval(effect.approval) }
      default:
        return effect
    }
  }

  #approval(clause: ApprovalClause): ApprovalClause {
    return mapClause(
      clause,
      (expr) => this.#expr(expr, new Set()),
      (role) => this.#role(role),
    )
  }

  /** `bound` holds the quantifier variables in force, which hide parameters of the same name. */
  #expr(expr: Expr, bound: ReadonlySet<string>): Expr {
    const inner = (e: Expr): Expr => this.#expr(e, bound)
    switch (expr.kind) {
      case 'name': {
        const value = bound.has(expr.name) ? undefined : this.#values.get(expr.name)
        return value ?? expr
      }
      case 'quantifier': {
        const body = this.#expr(expr.body, new Set([...bound, expr.variable.name]))
        return { ...expr, over: inner(expr.over), body }
      }
      case 'field':
        return member(inner(expr.of), expr.field, expr.span)
      default:
        return mapChildren(expr, inner)
    }
  }
}

/** A field of what turned out to be a reference is a longer reference. */
const member = (of: Expr, field: string, span: Span): Expr =>
  of.kind === 'reference' ? { ...of, path: [...of.path, field], span } : { kind: 'field', of, field, span }

/** The same node over changed children; a leaf is itself. Quantifiers have their variable in scope of `body` only. */
export function mapChildren(expr: Expr, change: (child: Expr) => Expr): Expr {
  switch (expr.kind) {
    case 'list-literal':
      return { ...expr, items: expr.items.map(change) }
    case 'map-literal':
      return { ...expr, entries: expr.entries.map(({ key, value }) => ({ key, value: change(value) })) }
    case 'field':
      return { ...expr, of: change(expr.of) }
    case 'index':
      return { ...expr, of: change(expr.of), index: change(expr.index) }
    case 'call':
      return { ...expr, args: expr.args.map(change) }
    case 'not':
    case 'negate':
    case 'exists':
      return { ...expr, operand: change(expr.operand) }
    case 'and':
    case 'or':
      return { ...expr, operands: expr.operands.map(change) }
    case 'arithmetic':
      return { ...expr, left: change(expr.left), right: change(expr.right) }
    case 'compare':
      return { ...expr, left: change(expr.left), right: change(expr.right) }
    case 'relation':
      return { ...expr, left: change(expr.left), right: change(expr.right) }
    case 'matches':
    case 'time-window':
      return { ...expr, subject: change(expr.subject) }
    case 'quantifier':
      return { ...expr, over: change(expr.over), body: change(expr.body) }
    default:
      return expr
  }
}
