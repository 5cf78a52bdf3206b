import type { Expr, ScopeTerm } from '../ast.js'
import type { CheckedLayer } from '../checked.js'
import { printScope } from '../print.js'
import type { RuleCheck } from './context.js'

/**
 * Conditions that are constant, and conditions of one rule that no value can meet together. Looks at comparisons of one
 * value with constants, which is where slips happen; a contradiction over several values is not found.
 */
export const contradictions: RuleCheck = (rule, { lists }, report) => {
  if (rule.conditions.length === 0) return
  const facts = new Facts()
  for (const term of rule.scope) facts.addScope(term)
  const quote = (expr: Expr): string => `\`${rule.excerpt(expr.span).replace(/\s+/g, ' ')}\``
  const { name } = rule.node.id
  for (const { expr, positive } of rule.conditions.flatMap((condition) => conjuncts(condition, true))) {
    const constant = constantTruth(expr)
    if (constant !== null) {
      const holds = constant === positive
      const message = holds
        ? `${quote(expr)} is always ${positive ? 'true' : 'false'}, so this condition says nothing`
        : `rule \`${name}\` can never match: ${quote(expr)} is always ${positive ? 'false' : 'true'}`
      report(holds ? 'POL3002' : 'POL3001', expr.span, message, 'compare with something of the call')
      if (!holds) return
      continue
    }
    const said = (): string => `${positive ? '' : 'not '}${quote(expr)}`
    const earlier = facts.add(expr, positive, said, lists)
    if (earlier !== null) {
      const message = `the conditions of rule \`${name}\` never hold together: ${said()} contradicts ${earlier}`
      report('POL3003', expr.span, message, '`and` asks for both; write `or` for either')
      return
    }
  }
}

interface Conjunct {
  readonly expr: Expr
  /** False where the expression stands under `not`. */
  readonly positive: boolean
}

/** What must all hold, with `not` pushed inwards. */
function conjuncts(expr: Expr, positive: boolean): readonly Conjunct[] {
  if (expr.kind === 'not') return conjuncts(expr.operand, !positive)
  if (expr.kind === (positive ? 'and' : 'or')) return expr.operands.flatMap((operand) => conjuncts(operand, positive))
  return [{ expr, positive }]
}

function constantTruth(expr: Expr): boolean | null {
  if (expr.kind === 'literal') return typeof expr.value === 'boolean' ? expr.value : null
  if (expr.kind === 'relation' && expr.right.kind === 'list-literal' && expr.right.items.length === 0) {
    return expr.op === 'in' || expr.op === 'intersects' || expr.op === 'contains-any'
      ? false
      : expr.op === 'not-in'
        ? true
        : null
  }
  if (expr.kind !== 'compare') return null
  const { left, right, op } = expr
  if (left.kind === 'literal' && right.kind === 'literal') return compareConstants(op, left.value, right.value)
  const isSame = keyOf(left) !== null && keyOf(left) === keyOf(right)
  return isSame ? op === '==' || op === '<=' || op === '>=' : null
}

type Constant = string | number | boolean | null

function compareConstants(op: CompareOp, a: Constant, b: Constant): boolean | null {
  if (op === '==') return a === b
  if (op === '!=') return a !== b
  if (typeof a !== 'number' || typeof b !== 'number') return null
  return { '<': a < b, '<=': a <= b, '>': a > b, '>=': a >= b }[op]
}

type CompareOp = Extract<Expr, { kind: 'compare' }>['op']

/** What is known of one value: the constants that it can still be, and the bounds that it lies in. */
interface Fact {
  allowed: ReadonlySet<Constant> | null
  readonly excluded: Set<Constant>
  least: { readonly value: number; readonly open: boolean }
  most: { readonly value: number; readonly open: boolean }
  /** Where the knowledge is from, for the message; null where nothing is known. */
  source: (() => string) | null
}

const FLIPPED = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '==': '==', '!=': '!=' } as const
const NEGATED = { '<': '>=', '<=': '>', '>': '<=', '>=': '<', '==': '!=', '!=': '==' } as const
const SCOPE_PATHS = { tool: ['name'], env: [], agent: ['id'], principal: ['id'] } as const
/** Longer lists are not looked into. */
const MAX_LIST = 1_000

class Facts {
  readonly #facts = new Map<string, Fact>()

  addScope(term: ScopeTerm): void {
    if (term.kind === 'scope' && term.on === 'tenant') return
    if (!term.patterns.every(({ kind }) => kind === 'literal')) return
    const key =
      term.kind === 'scope-label'
        ? keyOfPath(term.on, [term.label.name])
        : keyOfPath(term.on, SCOPE_PATHS[term.on as keyof typeof SCOPE_PATHS])
    const fact = this.#fact(key)
    restrict(fact, new Set(term.patterns.map(({ text }) => text)))
    fact.source = () => `the scope \`${printScope([term])}\``
  }

  /** Null, or what the new condition contradicts. */
  add(expr: Expr, positive: boolean, said: () => string, lists: CheckedLayer['lists']): string | null {
    const claim = claimOf(expr, positive, lists)
    if (claim === null) return null
    const fact = this.#fact(claim.key)
    const { source } = fact
    claim.apply(fact)
    if (isPossible(fact)) {
      fact.source = said
      return null
    }
    return source === null ? 'itself' : source()
  }

  #fact(key: string): Fact {
    const known = this.#facts.get(key)
    if (known !== undefined) return known
    const fact: Fact = {
      allowed: null,
      excluded: new Set(),
      least: { value: Number.NEGATIVE_INFINITY, open: false },
      most: { value: Number.POSITIVE_INFINITY, open: false },
      source: null,
    }
    this.#facts.set(key, fact)
    return fact
  }
}

interface Claim {
  readonly key: string
  readonly apply: (fact: Fact) => void
}

function claimOf(expr: Expr, positive: boolean, lists: CheckedLayer['lists']): Claim | null {
  if (expr.kind === 'compare') {
    const turned = isConstant(expr.left)
    const [subject, other] = turned ? [expr.right, expr.left] : [expr.left, expr.right]
    const key = keyOf(subject)
    const value = constantOf(other)
    if (key === null || value === undefined) return null
    const op = turned ? FLIPPED[expr.op] : expr.op
    return { key, apply: (fact) => applyComparison(fact, positive ? op : NEGATED[op], value) }
  }
  if (expr.kind === 'relation' && (expr.op === 'in' || expr.op === 'not-in')) {
    const key = keyOf(expr.left)
    const values = constantsOf(expr.right, lists)
    if (key === null || values === null) return null
    const isMember = (expr.op === 'in') === positive
    return {
      key,
      apply: (fact) => {
        if (isMember) restrict(fact, new Set(values))
        else for (const value of values) fact.excluded.add(value)
      },
    }
  }
  return null
}

/** Values that are the same wherever they stand in a rule. */
const keyOf = (expr: Expr): string | null => (expr.kind === 'reference' ? keyOfPath(expr.root, expr.path) : null)

const keyOfPath = (root: string, path: readonly string[]): string => [root, ...path].join('\u0000')

const isConstant = (expr: Expr): boolean => constantOf(expr) !== undefined

/** Times become numbers; the types were checked elsewhere, so kinds do not mix for one value. */
function constantOf(expr: Expr): Constant | undefined {
  if (expr.kind === 'literal') return expr.value
  return expr.kind === 'duration' || expr.kind === 'timestamp' ? expr.ms : undefined
}

function constantsOf(expr: Expr, lists: CheckedLayer['lists']): readonly Constant[] | null {
  if (expr.kind === 'name') {
    const list = lists.get(expr.name)
    return list !== undefined && list.length > 0 && list.length <= MAX_LIST ? list : null
  }
  if (expr.kind !== 'list-literal' || expr.items.length > MAX_LIST) return null
  const values = expr.items.map(constantOf)
  return values.every((value) => value !== undefined) ? values : null
}

function restrict(fact: Fact, values: ReadonlySet<Constant>): void {
  const before = fact.allowed
  fact.allowed = before === null ? values : new Set([...values].filter((value) => before.has(value)))
}

function applyComparison(fact: Fact, op: CompareOp, value: Constant): void {
  if (op === '==') restrict(fact, new Set([value]))
  else if (op === '!=') fact.excluded.add(value)
  else if (typeof value === 'number') {
    const bound = { value, open: op === '<' || op === '>' }
    if (op === '<' || op === '<=') {
      if (value < fact.most.value || (value === fact.most.value && bound.open)) fact.most = bound
    } else if (value > fact.least.value || (value === fact.least.value && bound.open)) fact.least = bound
  }
}

function isPossible({ allowed, excluded, least, most }: Fact): boolean {
  if (least.value > most.value || (least.value === most.value && (least.open || most.open))) return false
  if (allowed === null) return true
  return [...allowed].some((value) => {
    if (excluded.has(value)) return false
    if (typeof value !== 'number') return true
    const above = value > least.value || (value === least.value && !least.open)
    return above && (value < most.value || (value === most.value && !most.open))
  })
}
