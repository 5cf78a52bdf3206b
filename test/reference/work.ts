import type { Expr } from '../../src/language/ast.js'
import type { CheckedLayer, ListItem } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'

/**
 * What the language says of calls that are too long, written down plainly: every reading of every rule about the tool, equal
 * ones once, each at so much for a unit of what it reads.
 */
const BUDGET = 1_800_000
const MOST_SIZE = 65_536

/** Nanoseconds for a unit, and the most that one takes. */
const TABLE: Readonly<Record<string, readonly [ns: number, most: number]>> = {
  sql: [550, 1_300_000],
  shell: [550, 1_700_000],
  json: [55, 1_750_000],
  path: [160, 660_000],
  url: [25, 200_000],
  matches: [8, Number.POSITIVE_INFINITY],
  words: [11, Number.POSITIVE_INFINITY],
  contains: [1, Number.POSITIVE_INFINITY],
  'contains long': [4, Number.POSITIVE_INFINITY],
  search: [2_000, Number.POSITIVE_INFINITY],
  lists: [12, Number.POSITIVE_INFINITY],
  strings: [4, Number.POSITIVE_INFINITY],
  recipients: [8, Number.POSITIVE_INFINITY],
  sum: [11, Number.POSITIVE_INFINITY],
  min: [11, Number.POSITIVE_INFINITY],
  max: [11, Number.POSITIVE_INFINITY],
  loop: [3, Number.POSITIVE_INFINITY],
  'inner loop': [6_500, 650_000],
}

interface Variable {
  readonly name: string
  /** What it goes through. */
  readonly over: Expr
  readonly around: readonly Variable[]
}

/** One thing that is read of the call. */
export interface Work {
  readonly key: string
  readonly from: readonly string[]
  readonly ns: number
  readonly most: number
}

/** @param layerName which of the two layers, for what they do not see the same */
export function workOf(expr: Expr, layer: CheckedLayer, layerName: string): readonly Work[] {
  const known = KNOWN.get(expr)
  if (known !== undefined) return known
  const works = worksIn(expr, [], layer.lists, layerName)
  KNOWN.set(expr, works)
  return works
}

/** An expression stands in one layer, and says the same for every call. */
const KNOWN = new WeakMap<Expr, readonly Work[]>()

export function isTooLong(works: readonly Work[], call: Call): boolean {
  const once = new Map(works.map((work) => [work.key, work]))
  const sum = [...once.values()].reduce((total, { from, ns, most }) => {
    const size = Math.min(sizeOf(partOf(call, from)), MOST_SIZE)
    return total + Math.min(size * ns, most)
  }, 0)
  return sum > BUDGET
}

function worksIn(
  expr: Expr,
  variables: readonly Variable[],
  lists: ReadonlyMap<string, readonly ListItem[]>,
  layer: string,
): Work[] {
  const inner = partsOf(expr).flatMap(([part, added]) =>
    worksIn(part, [...variables, ...added(variables)], lists, layer),
  )
  const [kind, operand] = kindOf(expr, variables)
  if (kind === null) return inner
  const depth = mentionsVariable(expr, variables) ? variables.length : 0
  const [ns, most] = TABLE[kind]!
  const times = depth < 2 ? 1 : depth === 2 ? 100 : 400
  const isLoop = kind === 'inner loop'
  const meaning = JSON.stringify(
    plain(
      expr,
      variables.map(({ name }) => name),
      lists,
      layer,
    ),
  )
  const own = referencesIn(operand, variables).map((from) => ({
    key: JSON.stringify([kind, depth, from, meaning]),
    from,
    ns: isLoop ? ns : ns * times,
    most: isLoop || depth === 0 ? most : Number.POSITIVE_INFINITY,
  }))
  return [...own, ...inner]
}

type Added = (around: readonly Variable[]) => readonly Variable[]
const none: Added = () => []

function partsOf(expr: Expr): readonly (readonly [Expr, Added])[] {
  if (expr.kind === 'quantifier') {
    const { variable, over, body } = expr
    return [
      [over, none],
      [body, (around) => [{ name: variable.name, over, around }]],
    ]
  }
  return subexpressions(expr).map((part) => [part, none] as const)
}

function subexpressions(expr: Expr): Expr[] {
  const isExpr = (value: unknown): value is Expr => typeof value === 'object' && value !== null && 'kind' in value
  const found = (value: unknown): Expr[] => {
    if (Array.isArray(value)) return value.flatMap(found)
    if (isExpr(value)) return value.kind === ('identifier' as string) ? [] : [value]
    return typeof value === 'object' && value !== null ? Object.values(value).flatMap(found) : []
  }
  return Object.values(expr).flatMap(found)
}

function kindOf(expr: Expr, variables: readonly Variable[]): readonly [string | null, Expr] {
  if (expr.kind === 'quantifier') return [variables.length > 0 ? 'inner loop' : 'loop', expr.over]
  if (expr.kind === 'matches') return ['matches', expr.subject]
  if (expr.kind === 'call') {
    const isKind = ['sql', 'shell', 'json', 'path', 'url', 'strings', 'recipients', 'sum', 'min', 'max'].includes(
      expr.fn,
    )
    return isKind && expr.args.length > 0 ? [expr.fn, expr.args[0]!] : [null, expr]
  }
  if (expr.kind !== 'relation') return [null, expr]
  const { op, left, right } = expr
  const isOfCall = mentionsCall(right, variables)
  if (op === 'contains') {
    const isShort = right.kind === 'literal' && String(right.value).length <= 64
    return [isShort ? 'contains' : 'contains long', left]
  }
  if (op === 'contains-any' || op === 'contains-all') return [isOfCall ? 'search' : 'words', left]
  if (op === 'intersects' || op === 'subset') return ['lists', left]
  return [(op === 'like' || op === 'under') && isOfCall ? 'search' : null, left]
}

function mentionsVariable(expr: Expr, variables: readonly Variable[]): boolean {
  if (expr.kind === 'name') return variables.some(({ name }) => name === expr.name)
  return subexpressions(expr).some((part) => mentionsVariable(part, variables))
}
function mentionsCall(expr: Expr, variables: readonly Variable[]): boolean {
  if (expr.kind === 'reference' || mentionsVariable(expr, variables)) return true
  return subexpressions(expr).some((part) => mentionsCall(part, variables))
}

function referencesIn(expr: Expr, variables: readonly Variable[]): (readonly string[])[] {
  if (expr.kind === 'reference') return ['args', 'context'].includes(expr.root) ? [[expr.root, ...expr.path]] : []
  if (expr.kind === 'call' && ['sql', 'shell', 'path', 'url', 'email', 'ip', 'domain'].includes(expr.fn)) return []
  if (expr.kind !== 'name') return subexpressions(expr).flatMap((part) => referencesIn(part, variables))
  const bound = variables.findLast(({ name }) => name === expr.name)
  return bound === undefined ? [] : referencesIn(bound.over, bound.around)
}

/** The expression without places, with its variables counted and its lists read out. */
function plain(
  value: unknown,
  names: readonly string[],
  lists: ReadonlyMap<string, readonly ListItem[]>,
  layer: string,
): unknown {
  const of = (part: unknown, inner = names) => plain(part, inner, lists, layer)
  if (Array.isArray(value)) return value.map((part) => of(part))
  if (typeof value !== 'object' || value === null) return value
  const node = value as { readonly [part: string]: unknown }
  const name = String(node['name'])
  if (node['kind'] === 'name') return names.includes(name) ? [names.lastIndexOf(name)] : [name, lists.get(name)]
  const inner = node['kind'] === 'quantifier' ? [...names, (node['variable'] as { name: string }).name] : names
  const parts = Object.keys(node).filter((part) => part !== 'span' && part !== 'variable')
  const own = node['fn'] === 'undeclared' ? [['layer', layer]] : []
  return [...own, ...parts.map((part) => [part, of(node[part], part === 'body' ? inner : names)])]
}

function partOf(call: Call, [root, ...path]: readonly string[]): unknown {
  return path.reduce<unknown>(
    (of, name) =>
      typeof of === 'object' && of !== null && !Array.isArray(of) ? new Map(Object.entries(of)).get(name) : undefined,
    root === 'args' ? call.arguments : call.context,
  )
}

function sizeOf(value: unknown): number {
  if (value === undefined) return 0
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 1
  const isList = Array.isArray(value)
  return Object.entries(value).reduce((sum, [key, part]) => sum + 1 + (isList ? 0 : key.length) + sizeOf(part), 0)
}
