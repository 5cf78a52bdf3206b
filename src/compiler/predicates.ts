import type { CompareOp, Expr, ReferenceRoot } from '../language/ast.js'
import type { ListItem } from '../language/checked.js'
import { staticCost } from './cost.js'
import { dependence } from './dependence.js'
import { encode } from './encode.js'
import type { Layer } from './entry.js'
import { Ints } from './ints.js'
import { compileRegex } from './regex.js'
import type { StringPoolBuilder } from './string-pool.js'
import type { ScopeCondition, Term } from './term.js'
import { buildWords, takesAutomaton, type WordSection } from './words.js'
import { zoneOffset } from './zone.js'

/**
 * How a predicate is evaluated. A comparison of a slot with a number is a set of bits: whether it holds where the value is
 * less (1), equal (2) or greater (4). A test takes the value of a slot; everything else is evaluated from its term.
 */
export const OP = {
  '<': 0b001,
  '<=': 0b011,
  '>': 0b100,
  '>=': 0b110,
  '==': 0b010,
  '!=': 0b101,
  test: 8,
  general: 9,
  /** The tool's patterns meet a demand, or do not; the demand stands in the place of the slot. */
  tool: 10,
  notTool: 11,
  environment: 12,
} as const
/** Operations below this one are comparisons. */
export const NOT_COMPARISON = 0b1000

/** The predicates of a policy set as columns; `n` of each belongs to predicate `n`. */
export interface PredicateSection {
  /** One of {@link OP}. */
  readonly ops: Uint8Array<ArrayBuffer>
  /** The slot that is compared or tested, or the demand. */
  readonly operands: Int32Array<ArrayBuffer>
  /** What a comparison compares with. */
  readonly numbers: Float64Array<ArrayBuffer>
  /** The text of the term; -1 where operation and operands say it all. */
  readonly terms: Int32Array<ArrayBuffer>
  /** 1 where the arguments, the context or the session are read. */
  readonly readsRequest: Uint8Array<ArrayBuffer>
  /** Steps of one evaluation, as {@link staticCost} counts them; what is more than fits is the most that does. */
  readonly costs: Uint16Array<ArrayBuffer>
  /** Predicates that take long to prepare: patterns, long lists. */
  readonly slow: Int32Array<ArrayBuffer>
  /** The text of the term of each slot. */
  readonly slots: Int32Array<ArrayBuffer>
  /** By list, and one more: where its chunks begin. */
  readonly listStarts: Int32Array<ArrayBuffer>
  /** Texts, each a JSON array of items. */
  readonly listChunks: Int32Array<ArrayBuffer>
  readonly automata: readonly WordSection[]
}

/** Items of a list that are parsed at once: a fraction of a millisecond. */
const CHUNK_ITEMS = 1_000
/** The largest cost that is kept. */
const MOST_COST = 0xffff
/** A list literal longer than this is slow to prepare. */
const LONG_LIST = 100

/** Collects the predicates of a policy set: equal ones are one, whatever rule or layer they stand in. */
export class Predicates {
  readonly costs: number[] = []
  readonly #strings: StringPoolBuilder
  readonly #ids = new Map<string, number>()
  readonly #ops: number[] = []
  readonly #operands = new Ints()
  readonly #numbers: number[] = []
  readonly #terms = new Ints()
  readonly #readsRequest: number[] = []
  readonly #slow: number[] = []
  readonly #slotIds = new Map<string, number>()
  readonly #references: Readonly<Record<ReferenceRoot, Map<string, number>>> = {
    args: new Map(),
    agent: new Map(),
    principal: new Map(),
    session: new Map(),
    context: new Map(),
    tool: new Map(),
    env: new Map(),
    now: new Map(),
  }
  readonly #lists = new Map<readonly ListItem[], number>()
  readonly #automatonIds = new Map<string, number>()
  readonly #automata: WordSection[] = []

  constructor(strings: StringPoolBuilder) {
    this.#strings = strings
  }

  /**
   * The predicate of a condition.
   * @throws {RegexError} for a pattern that has no linear-time form
   * @throws {RangeError} for a time zone that this Node does not know
   */
  ofCondition(expr: Expr, lists: ReadonlyMap<string, readonly ListItem[]>, layer: Layer): number {
    const term = encode(expr, {
      layer,
      lists,
      listNumber: (list) => this.#listNumber(list),
      automatonNumber: ({ op, right }) =>
        op === 'contains-any' || op === 'contains-all' ? this.#automatonNumber(wordsOf(right, lists)) : undefined,
      slotNumber: (slot) => this.slot(slot),
    })
    const comparison = comparisonOf(term)
    if (comparison === undefined) return this.#intern(term, expr)
    const { op, operand, number } = comparison
    const key = `${op} ${operand} ${number}`
    return this.#ids.get(key) ?? this.#add(key, comparison, staticCost(expr), dependence(expr) === 'request')
  }

  /** A predicate of the scope; it reads nothing but agent, principal, tenant and clock. */
  ofScope(condition: ScopeCondition, cost: number): number {
    const key = JSON.stringify(condition)
    return this.#ids.get(key) ?? this.#add(key, this.#toRow(condition, key), cost, false)
  }

  /** That the called tool, or the environment, meets a demand (see `Demands`). Cheaper than anything that reads the call. */
  ofDemand(op: 'tool' | 'notTool' | 'environment', demand: number): number {
    const key = `${op} ${demand}`
    const row = { op: OP[op], operand: demand, number: 0, term: -1 }
    return this.#ids.get(key) ?? this.#add(key, row, 0, false)
  }

  /** The number of the slot of a term. */
  slot(term: Term): number {
    if (term.kind !== 'reference' || term.path.length !== 1) return this.#slot(term)
    // Nearly every slot is `args.KEY` or a label: no text of the term is made to find it again.
    const ofRoot = this.#references[term.root]
    const known = ofRoot.get(term.path[0]!)
    if (known !== undefined) return known
    const slot = this.#slot(term)
    ofRoot.set(term.path[0]!, slot)
    return slot
  }

  #slot(term: Term): number {
    const key = JSON.stringify(term)
    const known = this.#slotIds.get(key)
    if (known !== undefined) return known
    prepare(term)
    this.#slotIds.set(key, this.#slotIds.size)
    return this.#slotIds.size - 1
  }

  finish(): PredicateSection {
    const starts = new Ints()
    const chunks = new Ints()
    for (const list of this.#lists.keys()) {
      starts.push(chunks.length)
      for (let at = 0; at < list.length; at += CHUNK_ITEMS) {
        chunks.push(this.#strings.add(JSON.stringify(list.slice(at, at + CHUNK_ITEMS))))
      }
    }
    starts.push(chunks.length)
    return {
      ops: Uint8Array.from(this.#ops),
      operands: this.#operands.toArray(),
      numbers: Float64Array.from(this.#numbers),
      terms: this.#terms.toArray(),
      readsRequest: Uint8Array.from(this.#readsRequest),
      costs: Uint16Array.from(this.costs, (cost) => Math.min(cost, MOST_COST)),
      slow: Int32Array.from(this.#slow),
      slots: Int32Array.from([...this.#slotIds.keys()], (text) => this.#strings.add(text)),
      listStarts: starts.toArray(),
      listChunks: chunks.toArray(),
      automata: this.#automata,
    }
  }

  #intern(term: Term, expr: Expr): number {
    const key = JSON.stringify(term)
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const isSlow = prepare(term)
    const id = this.#add(key, this.#toRow(term, key), staticCost(expr), dependence(expr) === 'request')
    if (isSlow) this.#slow.push(id)
    return id
  }

  #add(key: string, row: Row, cost: number, readsRequest: boolean): number {
    const id = this.#ops.push(row.op) - 1
    this.#operands.push(row.operand)
    this.#numbers.push(row.number)
    this.#terms.push(row.term)
    this.#readsRequest.push(readsRequest ? 1 : 0)
    this.costs.push(cost)
    this.#ids.set(key, id)
    return id
  }

  #toRow(term: Term, key: string): Row {
    const slot = testedSlot(term)
    const text = this.#strings.add(key)
    if (slot !== undefined) return { op: OP.test, operand: slot, number: 0, term: text }
    return { op: OP.general, operand: 0, number: 0, term: text }
  }

  #automatonNumber(words: readonly string[]): number | undefined {
    if (!takesAutomaton(words)) return undefined
    const key = JSON.stringify(words)
    const known = this.#automatonIds.get(key)
    if (known !== undefined) return known
    const number = this.#automata.push(buildWords(words)) - 1
    this.#automatonIds.set(key, number)
    return number
  }

  #listNumber(list: readonly ListItem[]): number {
    const known = this.#lists.get(list)
    if (known !== undefined) return known
    this.#lists.set(list, this.#lists.size)
    return this.#lists.size - 1
  }
}

/** The texts among the items of a constant list; none of any other expression. */
function wordsOf(right: Expr, lists: ReadonlyMap<string, readonly ListItem[]>): readonly string[] {
  const items =
    right.kind === 'list-literal'
      ? right.items.map((item) => (item.kind === 'literal' ? item.value : undefined))
      : right.kind === 'name'
        ? (lists.get(right.name) ?? [])
        : []
  return items.filter((item) => typeof item === 'string')
}

interface Row {
  readonly op: number
  readonly operand: number
  readonly number: number
  readonly term: number
}

const MIRRORED: Readonly<Record<CompareOp, CompareOp>> = {
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
  '==': '==',
  '!=': '!=',
}

/** A slot compared with a number, either way round. */
function comparisonOf(term: Term): Row | undefined {
  if (term.kind !== 'compare') return undefined
  const { op, left, right } = term
  const number = numberOf(right)
  if (left.kind === 'slot' && number !== undefined) return { op: OP[op], operand: left.slot, number, term: -1 }
  const mirrored = numberOf(left)
  if (right.kind !== 'slot' || mirrored === undefined) return undefined
  return { op: OP[MIRRORED[op]], operand: right.slot, number: mirrored, term: -1 }
}

function numberOf(term: Term): number | undefined {
  if (term.kind === 'negate') {
    const number = numberOf(term.operand)
    return number === undefined ? undefined : -number
  }
  return term.kind === 'literal' && typeof term.value === 'number' ? term.value : undefined
}

/** The slot of a term that is a test of that slot's value against constants. */
export function testedSlot(term: Term): number | undefined {
  switch (term.kind) {
    case 'compare':
    case 'relation':
      return term.left.kind === 'slot' && isConstant(term.right) ? term.left.slot : undefined
    case 'matches':
    case 'fits':
      return term.subject.kind === 'slot' ? term.subject.slot : undefined
    case 'exists':
      return term.operand.kind === 'slot' ? term.operand.slot : undefined
    default:
      return undefined
  }
}

export function isConstant(term: Term): boolean {
  switch (term.kind) {
    case 'literal':
    case 'duration':
    case 'timestamp':
    case 'cidr':
    case 'named-list':
      return true
    case 'negate':
      return isConstant(term.operand)
    case 'list':
      return term.items.every(isConstant)
    case 'map':
      return term.entries.every(([, value]) => isConstant(value))
    default:
      return false
  }
}

/**
 * Finds what cannot be compiled while the policies can still be refused.
 * @returns whether the live set needs long to make it ready
 */
function prepare(term: Term): boolean {
  switch (term.kind) {
    case 'matches':
      compileRegex(term.pattern, term.flags)
      return true
    case 'time-window':
      zoneOffset(term.zone)
      return true
    case 'list':
      return term.items.length > LONG_LIST || term.items.some(prepare)
    case 'named-list':
      return true
    default: {
      let isSlow = false
      for (const part of partsOf(term)) isSlow = prepare(part) || isSlow
      return isSlow
    }
  }
}

function partsOf(term: Term): readonly Term[] {
  switch (term.kind) {
    case 'map':
      return term.entries.map(([, value]) => value)
    case 'field':
      return [term.of]
    case 'index':
      return [term.of, term.index]
    case 'call':
      return term.args
    case 'not':
    case 'negate':
    case 'exists':
      return [term.operand]
    case 'and':
    case 'or':
      return term.operands
    case 'arithmetic':
    case 'compare':
    case 'relation':
      return [term.left, term.right]
    case 'quantifier':
      return [term.over, term.body]
    default:
      return []
  }
}
