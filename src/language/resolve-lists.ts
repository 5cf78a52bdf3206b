import ipaddr from 'ipaddr.js'
import { stageConditions } from './approval-clause.js'
import type { ApprovalClause, Expr } from './ast.js'
import type { ListItem } from './checked.js'
import { mapChildren } from './expand.js'
import type { Survey } from './survey.js'

type Lists = ReadonlyMap<string, readonly ListItem[]>

/**
 * Settles what a list means by where it stands, so that later phases need not: `[user, list colleagues]` becomes one list,
 * and texts that an `ip(…)` is looked up in become addresses. An expression in which nothing changes stays the same object.
 */
export function resolveLists(expr: Expr, survey: Survey, lists: Lists): Expr {
  return mayNeedWork(survey) ? resolve(expr, lists) : expr
}

/** The same for the conditions of an approval clause. */
export function resolveClause(clause: ApprovalClause, lists: Lists): ApprovalClause {
  if (stageConditions(clause).length === 0) return clause
  return {
    ...clause,
    stages: clause.stages.map((stage) =>
      stage.condition === null ? stage : { ...stage, condition: resolve(stage.condition, lists) },
    ),
  }
}

function resolve(expr: Expr, lists: Lists): Expr {
  const resolved = mapChildren(expr, (child) => resolve(child, lists))
  if (resolved.kind === 'list-literal')
    return { ...resolved, items: resolved.items.flatMap((item) => splice(item, lists)) }
  if (resolved.kind === 'relation' && isAddressLookup(resolved)) {
    return { ...resolved, right: toAddresses(resolved.right, lists) }
  }
  return resolved
}

/** False where nothing in the expression is one of the two forms. */
const mayNeedWork = (survey: Survey): boolean =>
  (survey.has('name') || survey.has('relation')) &&
  survey.nodes.some(
    (node) => (node.kind === 'list-literal' && node.items.some(({ kind }) => kind === 'name')) || isAddressLookup(node),
  )

/** `ip(…) in LIST`, `ip(…) not in LIST`. */
function isAddressLookup(expr: Expr): expr is Extract<Expr, { kind: 'relation' }> {
  if (expr.kind !== 'relation' || (expr.op !== 'in' && expr.op !== 'not-in')) return false
  return expr.left.kind === 'call' && expr.left.fn === 'ip'
}

export const isAddress = (text: string): boolean =>
  (text.includes('/') ? ipaddr.isValidCIDR(text) : ipaddr.isValid(text)) &&
  (text.includes(':') || ipaddr.IPv4.isValidFourPartDecimal(text.replace(/\/.*/, '')))

function splice(item: Expr, lists: Lists): readonly Expr[] {
  const list = item.kind === 'name' ? lists.get(item.name) : undefined
  return list === undefined ? [item] : list.map((value) => ({ kind: 'literal', value, span: item.span }))
}

function toAddresses(right: Expr, lists: Lists): Expr {
  const list = right.kind === 'name' ? lists.get(right.name) : undefined
  if (list !== undefined) {
    const items = list.map((value): Expr => address({ kind: 'literal', value, span: right.span }))
    return { kind: 'list-literal', items, span: right.span }
  }
  return right.kind === 'list-literal' ? { ...right, items: right.items.map(address) } : right
}

/** What is no address stays as it is; the checks report it. */
const address = (item: Expr): Expr =>
  item.kind === 'literal' && typeof item.value === 'string' && isAddress(item.value)
    ? { kind: 'cidr', text: item.value, span: item.span }
    : item
