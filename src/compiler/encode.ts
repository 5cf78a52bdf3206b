import type { Expr } from '../language/ast.js'
import type { ListItem } from '../language/checked.js'
import { VIEWS } from '../language/vocabulary.js'
import { children } from '../language/walk.js'
import { assertNever } from '../model/assert-never.js'
import type { Layer } from './entry.js'
import type { Term } from './term.js'

/** What the names of an expression mean, and where its constant parts are kept. */
export interface EncodeScope {
  readonly layer: Layer
  readonly lists: ReadonlyMap<string, readonly ListItem[]>
  /** The number of a list; one number however often it is named. */
  readonly listNumber: (name: string, list: readonly ListItem[]) => number
  /** The number of the automaton of the words on the right of a relation, where it takes one. */
  readonly automatonNumber: (relation: Extract<Expr, { kind: 'relation' }>) => number | undefined
  /** The number of the slot of a term that is the same all through a decision; one number for equal terms. */
  readonly slotNumber: (term: Term) => number
}

/** Turns an expression into a {@link Term}. References, and calls without a quantifier's variable inside, become slots. */
export function encode(expr: Expr, scope: EncodeScope): Term {
  return encodeIn(expr, scope, NO_VARIABLES).term
}

const NO_VARIABLES: readonly string[] = []

interface Encoded {
  readonly term: Term
  /** A quantifier's variable is read, so that the value changes within one decision. */
  readonly varies: boolean
}

function encodeIn(expr: Expr, scope: EncodeScope, variables: readonly string[]): Encoded {
  let varies = false
  const part = (child: Expr): Term => {
    const encoded = encodeIn(child, scope, variables)
    varies ||= encoded.varies
    return encoded.term
  }
  const parts = (children: readonly Expr[]): readonly Term[] => children.map(part)
  const done = (term: Term): Encoded => ({ term, varies })
  // In a loop what does not change is not evaluated for each item.
  const invariant = (term: Term): Encoded => (variables.length === 0 ? done(term) : slotted(term))
  const slotted = (term: Term): Encoded => (varies ? done(term) : done({ kind: 'slot', slot: scope.slotNumber(term) }))
  switch (expr.kind) {
    case 'literal':
      return done({ kind: 'literal', value: exact(expr.value) })
    case 'duration':
      return done({ kind: 'duration', ms: exact(expr.ms) })
    case 'timestamp':
      return done({ kind: 'timestamp', ms: exact(expr.ms) })
    case 'cidr':
      return done({ kind: 'cidr', text: expr.text })
    case 'list-literal':
      return done({ kind: 'list', items: parts(expr.items) })
    case 'map-literal':
      return done({ kind: 'map', entries: expr.entries.map(({ key, value }) => [key, part(value)] as const) })
    case 'reference':
      return slotted({ kind: 'reference', root: expr.root, path: expr.path })
    case 'name': {
      const depth = variables.lastIndexOf(expr.name)
      if (depth >= 0) return { term: { kind: 'variable', depth }, varies: true }
      const list = scope.lists.get(expr.name)
      return done(
        list === undefined ? { kind: 'nothing' } : { kind: 'named-list', list: scope.listNumber(expr.name, list) },
      )
    }
    case 'field':
      return done({ kind: 'field', of: part(expr.of), field: expr.field })
    case 'index':
      return done({ kind: 'index', of: part(expr.of), index: part(expr.index) })
    case 'call': {
      const { fn } = expr
      return slotted({ kind: 'call', fn, args: parts(expr.args), layer: fn === 'undeclared' ? scope.layer : null })
    }
    case 'not':
    case 'negate':
    case 'exists':
      return done({ kind: expr.kind, operand: part(expr.operand) })
    case 'and':
    case 'or':
      return done({ kind: expr.kind, operands: parts(expr.operands) })
    case 'arithmetic':
      return done({ kind: 'arithmetic', op: expr.op, left: part(expr.left), right: part(expr.right) })
    case 'compare':
      return done({ kind: 'compare', op: expr.op, left: part(expr.left), right: part(expr.right) })
    case 'relation': {
      const automaton = scope.automatonNumber(expr)
      const term = { kind: 'relation', op: expr.op, left: part(expr.left), right: part(expr.right) } as const
      return invariant(automaton === undefined ? term : { ...term, automaton })
    }
    case 'matches':
      return invariant({ kind: 'matches', subject: part(expr.subject), pattern: expr.pattern, flags: expr.flags })
    case 'quantifier': {
      const { quantifier } = expr
      const depth = variables.length
      const over = part(expr.over)
      const body = encodeIn(expr.body, scope, [...variables, expr.variable.name])
      const limit = itemLimit(expr, depth)
      const term: Term = { kind: 'quantifier', quantifier, depth, limit, over, body: body.term }
      // Errs on the side of varying: the body reads at least the quantifier's own variable.
      return { term, varies: varies || body.varies }
    }
    case 'time-window': {
      const { fromMinute, untilMinute, zone, days } = expr
      return done({ kind: 'time-window', subject: part(expr.subject), fromMinute, untilMinute, zone, days })
    }
    default:
      return assertNever(expr)
  }
}

type Quantifier = Extract<Expr, { kind: 'quantifier' }>

/** By how many quantifiers there are from the outermost to the innermost of those around and within one. */
export const NESTED_LIMITS: readonly number[] = [10_000, 100, 20]

/**
 * Items that a quantifier looks at. Static, so that what a condition may cost is known when it is compiled, and the answer
 * never depends on the order of evaluation.
 *
 * @param depth quantifiers around it
 */
function itemLimit(quantifier: Quantifier, depth: number): number {
  const levels = depth + levelsOf(quantifier)
  return NESTED_LIMITS[Math.min(levels, NESTED_LIMITS.length) - 1]!
}

/** Quantifiers inside one another in an expression; parsing each item by a view is as dear as one more. */
function levelsOf(expr: Expr): number {
  const inner = Math.max(0, ...children(expr).map(levelsOf))
  if (expr.kind === 'quantifier') return inner === 0 && readsView(expr.body) ? 2 : inner + 1
  return inner
}

const readsView = (expr: Expr): boolean =>
  (expr.kind === 'call' && Object.hasOwn(VIEWS, expr.fn)) || children(expr).some(readsView)

/** JSON has no text for infinity and NaN; the lexer lets none through. */
function exact<T extends string | number | boolean | null>(value: T): T {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new RangeError(`${value} is no number of the language`)
  return value
}
