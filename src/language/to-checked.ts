import type { Location } from '../model/span.js'
import type { PolicyHeader, ToolDeclaration, TypeNode } from './ast.js'
import type { CheckedLayer, CheckedPolicy, CheckedRule, CheckedTool } from './checked.js'
import { placeOf } from './report.js'
import { resolveClause } from './resolve-lists.js'
import type { RuleCore } from './rule-core.js'
import type { Site } from './site.js'
import { ANY, BOOLEAN, NUMBER, STRING, type Type } from './vocabulary.js'

/** Declarations as parsed to what later phases see. */

const DENY_BY_DEFAULT = { kind: 'default-deny', span: { start: 0, end: 0 } } as const

export function checkedPolicy(
  { node, file, offset, text }: Site<PolicyHeader>,
  rules: readonly CheckedRule[],
  lists: CheckedLayer['lists'],
): CheckedPolicy {
  const effect = node.defaultEffect ?? DENY_BY_DEFAULT
  return {
    name: node.name.name,
    description: node.description,
    fleet: node.fleet,
    authors: node.authors,
    speaksFor: node.speaksFor,
    defaultEffect:
      effect.kind === 'default-approval' ? { ...effect, approval: resolveClause(effect.approval, lists) } : effect,
    rules,
    location: placeOf(file, offset, node.span),
    locate: (span) => placeOf(file, offset, span),
    excerpt: ({ start, end }) => text.slice(start, end),
  }
}

export function checkedRule(core: RuleCore, places: Pick<CheckedRule, 'location' | 'locate' | 'excerpt'>): CheckedRule {
  const { node, conditions, effect, header } = core
  const { body } = node
  return {
    core,
    id: node.id.name,
    policy: header.name.name,
    description: node.description,
    scope: body.scope,
    conditions,
    effect,
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
  const { receipt } = node
  return { name: node.name.name, parameters, tags: node.tags.map(({ name }) => name), receipt, location }
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
