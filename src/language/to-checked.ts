import type { Location } from '../model/span.js'
import type { Expr, PolicyHeader, Rule, RuleBody, ToolDeclaration, TypeNode } from './ast.js'
import type { RuleSite } from './check/context.js'
import type { CheckedPolicy, CheckedRule, CheckedTool, ListItem } from './checked.js'
import { placeOf } from './report.js'
import { resolveLists } from './resolve-lists.js'
import type { Site } from './site.js'
import { ANY, BOOLEAN, NUMBER, STRING, type Type } from './vocabulary.js'

/** Declarations as parsed to what later phases see. */

/** The entries of each list by its name. */
export type Lists = ReadonlyMap<string, readonly ListItem[]>

const DENY_BY_DEFAULT = { kind: 'default-deny', span: { start: 0, end: 0 } } as const

export function checkedPolicy(
  { node, file, offset }: Site<PolicyHeader>,
  rules: readonly Omit<RuleSite, 'policy'>[],
): CheckedPolicy {
  return {
    name: node.name.name,
    description: node.description,
    fleet: node.fleet,
    speaksFor: node.speaksFor,
    defaultEffect: node.defaultEffect ?? DENY_BY_DEFAULT,
    rules: rules.map(({ rule }) => rule),
    location: placeOf(file, offset, node.span),
    locate: (span) => placeOf(file, offset, span),
  }
}

export function checkedRule(
  policy: string,
  rule: Rule,
  body: RuleBody,
  places: Pick<CheckedRule, 'location' | 'locate' | 'excerpt'>,
  lists: Lists,
): CheckedRule {
  const resolve = (expr: Expr): Expr => resolveLists(expr, lists)
  return {
    id: rule.id.name,
    policy,
    description: rule.description,
    scope: body.scope,
    conditions: body.conditions.map(({ kind, expr }) =>
      kind === 'when' ? resolve(expr) : { kind: 'not', operand: resolve(expr), span: expr.span },
    ),
    effect: body.effect,
    severity: body.severity?.value ?? null,
    tags: body.tags.map(({ name }) => name),
    monitor: body.monitor,
    active: body.active,
    unknownMeansNoMatch: body.unknownMeansNoMatch,
    ...places,
  }
}

export function declaredTool(node: ToolDeclaration, location: Location): CheckedTool {
  const parameters = new Map(
    node.parameters.map(({ name, optional, type }) => [name.name, { type: typeOf(type), optional }]),
  )
  return { name: node.name.name, parameters, tags: node.tags.map(({ name }) => name), location }
}

function typeOf(node: TypeNode): Type {
  switch (node.kind) {
    case 'type-list':
      return { kind: 'list', item: typeOf(node.item) }
    case 'type-object':
      return {
        kind: 'map',
        fields: new Map(node.fields.map(({ name, optional, type }) => [name.name, { type: typeOf(type), optional }])),
      }
    case 'type-name':
      return {
        string: STRING,
        number: NUMBER,
        boolean: BOOLEAN,
        any: ANY,
        map: { kind: 'map', fields: null } as const,
      }[node.name]
  }
}
