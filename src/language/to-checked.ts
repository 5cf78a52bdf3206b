import type { Location } from '../model/span.js'
import type { PolicyHeader, ToolDeclaration, TypeNode } from './ast.js'
import type { CheckedPolicy, CheckedRule, CheckedTool } from './checked.js'
import { placeOf } from './report.js'
import type { RuleCore } from './rule-core.js'
import type { Site } from './site.js'
import { ANY, BOOLEAN, NUMBER, STRING, type Type } from './vocabulary.js'

/** Declarations as parsed to what later phases see. */

const DENY_BY_DEFAULT = { kind: 'default-deny', span: { start: 0, end: 0 } } as const

export function checkedPolicy(
  { node, file, offset }: Site<PolicyHeader>,
  rules: readonly CheckedRule[],
): CheckedPolicy {
  return {
    name: node.name.name,
    description: node.description,
    fleet: node.fleet,
    speaksFor: node.speaksFor,
    defaultEffect: node.defaultEffect ?? DENY_BY_DEFAULT,
    rules,
    location: placeOf(file, offset, node.span),
    locate: (span) => placeOf(file, offset, span),
  }
}

export function checkedRule(
  { node, conditions, header }: RuleCore,
  places: Pick<CheckedRule, 'location' | 'locate' | 'excerpt'>,
): CheckedRule {
  const { body } = node
  return {
    id: node.id.name,
    policy: header.name.name,
    description: node.description,
    scope: body.scope,
    conditions,
    effect: body.effect,
    severity: body.severity?.value ?? null,
    tags: body.tags.length === 0 ? NO_TAGS : body.tags.map(({ name }) => name),
    monitor: body.monitor,
    active: body.active,
    unknownMeansNoMatch: body.unknownMeansNoMatch,
    location: places.location,
    locate: places.locate,
    excerpt: places.excerpt,
  }
}
const NO_TAGS: readonly string[] = []

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
      return NAMED_TYPES[node.name]
  }
}

const NAMED_TYPES = {
  string: STRING,
  number: NUMBER,
  boolean: BOOLEAN,
  any: ANY,
  map: { kind: 'map', fields: null },
} as const
