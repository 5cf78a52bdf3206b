import type { CompareOp, Expr, ReferenceRoot } from '../language/ast.js'
import type { ListItem } from '../language/checked.js'
import { staticCost } from './cost.js'
import type { Demand } from './demands.js'
import { dependence } from './dependence.js'
import { encode } from './encode.js'
import type { Layer } from './entry.js'
import { copyOf } from './image.js'
import { Ints } from './ints.js'
import type { Feature } from './lift.js'
import { Interned, Numbered, type Series } from './numbered.js'
import { type Reading, readingsOf } from './readings.js'
import { compileRegex } from './regex.js'
import type { Text, Texts, TextWriter } from './string-pool.js'
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
  /** 1 where it has readings: it is unknown where all those about a tool are too much. */
  readonly reads: Uint8Array<ArrayBuffer>
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

const NO_READINGS: readonly SlotReading[] = []
const NO_REFERENTS: readonly Referent[] = []

/** What the text of a term refers to by number. */
export type Referent = Slot | List | Automaton

/** A value that is the same all through a decision, and read once. */
export class Slot extends Numbered {
  readonly #features = new Map<string, Feature>()

  constructor(
    madeFor: number,
    readonly id: number,
    readonly term: TermText,
  ) {
    super(madeFor)
  }

  feature(type: Feature['type'], isScope: boolean): Feature {
    const key = `${type} ${isScope}`
    const known = this.#features.get(key)
    if (known !== undefined) return known
    const feature: Feature = { type, slot: this, isScope }
    this.#features.set(key, feature)
    return feature
  }
}

/** A list that policies name. */
export class List extends Numbered {
  /** Texts, each a JSON array of items. */
  readonly chunks: readonly Text[]
  #items: readonly ListItem[]

  constructor(
    madeFor: number,
    readonly id: number,
    items: readonly ListItem[],
    texts: Texts,
  ) {
    super(madeFor)
    this.#items = items
    const chunks: Text[] = []
    for (let at = 0; at < items.length; at += CHUNK_ITEMS) {
      chunks.push(texts.own(JSON.stringify(items.slice(at, at + CHUNK_ITEMS))))
    }
    this.chunks = chunks
  }

  /** Whether it has these items; each check of a bundle reads its lists anew. */
  has(items: readonly ListItem[]): boolean {
    if (items === this.#items) return true
    if (items.length !== this.#items.length || !items.every((item, at) => item === this.#items[at])) return false
    this.#items = items
    return true
  }
}

/** The automaton of a list of words. */
export class Automaton extends Numbered {
  constructor(
    madeFor: number,
    readonly id: number,
    readonly section: WordSection,
  ) {
    super(madeFor)
  }
}

/** The text of a term. Where it names slots, lists and automata, an image has their numbers in it, the key their ids. */
export class TermText {
  readonly #key: string
  readonly #texts: Texts
  #numbers: readonly number[]
  #text: Text

  constructor(
    key: string,
    readonly referents: readonly Referent[],
    texts: Texts,
  ) {
    this.#key = key
    this.#texts = texts
    this.#numbers = referents.map(({ id }) => id)
    this.#text = texts.own(key)
  }

  /** With the numbers that the referents have now. */
  get text(): Text {
    if (this.referents.some(({ number }, at) => number !== this.#numbers[at])) {
      this.#numbers = this.referents.map(({ number }) => number)
      this.#text = this.#texts.own(mapReferents(this.#key, this.referents, ({ number }) => number))
    }
    return this.#text
  }
}

/**
 * The text of a term with other numbers for what it refers to. In a term every object is a term, for what authors wrote stands
 * in it as texts, numbers and booleans.
 */
function mapReferents(key: string, referents: readonly Referent[], numberOf: (referent: Referent) => number): string {
  const find = (type: typeof Slot | typeof List | typeof Automaton, id: number): number =>
    numberOf(referents.find((referent) => referent instanceof type && referent.id === id)!)
  return JSON.stringify(
    JSON.parse(key, (_, value: unknown) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
      const term = value as Term
      if (term.kind === 'slot') return { ...term, slot: find(Slot, term.slot) }
      if (term.kind === 'named-list') return { ...term, list: find(List, term.list) }
      if (term.kind !== 'relation' || term.automaton === undefined) return term
      return { ...term, automaton: find(Automaton, term.automaton) }
    }),
  )
}

/** A reading of the call (see `Reading`), with the slot of what it reads. */
export class SlotReading extends Numbered {
  constructor(
    madeFor: number,
    readonly slot: Slot,
    readonly ns: number,
    readonly mostNs: number,
  ) {
    super(madeFor)
  }
}

/** A condition that is evaluated once a decision. */
export class Predicate extends Numbered {
  /** @param term null where operation and operands say it all */
  constructor(
    madeFor: number,
    readonly op: number,
    /** The slot that is compared or tested, or the demand. */
    readonly operand: Slot | Demand | null,
    /** What a comparison compares with. */
    readonly constant: number,
    readonly term: TermText | null,
    readonly cost: number,
    readonly readsRequest: boolean,
    readonly isSlow: boolean,
    readonly readings: readonly SlotReading[],
  ) {
    super(madeFor)
  }
}

/** The predicates of a series of images: equal ones are one, whatever rule or layer they stand in. */
export class Predicates {
  readonly #series: Series
  readonly #texts: Texts
  readonly #known: Interned<string, Predicate>
  readonly #ofDemand: Readonly<Record<'tool' | 'notTool' | 'environment', Interned<Demand, Predicate>>>
  readonly #slots: Interned<string, Slot>
  readonly #references: Readonly<Record<ReferenceRoot, Interned<string, Slot>>>
  readonly #lists: Interned<string, List>
  readonly #automata: Interned<string, Automaton>
  readonly #readings: Interned<string, SlotReading>
  #made = { slots: 0, lists: 0, automata: 0 }

  constructor(series: Series, texts: Texts) {
    this.#series = series
    this.#texts = texts
    this.#known = new Interned(series)
    this.#ofDemand = { tool: new Interned(series), notTool: new Interned(series), environment: new Interned(series) }
    this.#slots = new Interned(series)
    this.#references = {
      args: new Interned(series),
      agent: new Interned(series),
      principal: new Interned(series),
      session: new Interned(series),
      context: new Interned(series),
      tool: new Interned(series),
      env: new Interned(series),
      now: new Interned(series),
    }
    this.#lists = new Interned(series)
    this.#automata = new Interned(series)
    this.#readings = new Interned(series)
  }

  get #image(): number {
    return this.#series.last + 1
  }

  /**
   * The predicate of a condition.
   * @throws {RegexError} for a pattern that has no linear-time form
   * @throws {RangeError} for a time zone that this Node does not know
   */
  ofCondition(expr: Expr, lists: ReadonlyMap<string, readonly ListItem[]>, layer: Layer): Predicate {
    const referents: Referent[] = []
    const note = (referent: Referent): number => {
      if (!referents.includes(referent)) referents.push(referent)
      return referent.id
    }
    const term = encode(expr, {
      layer,
      lists,
      listNumber: (name, list) => note(this.#list(name, list)),
      automatonNumber: ({ op, right }) => {
        if (op !== 'contains-any' && op !== 'contains-all') return undefined
        const automaton = this.#automaton(wordsOf(right, lists))
        return automaton === undefined ? undefined : note(automaton)
      },
      slotNumber: (slot) => note(this.slot(slot, referents)),
    })
    const slotOf = (id: number): Slot =>
      referents.find((referent): referent is Slot => referent instanceof Slot && referent.id === id)!
    const comparison = comparisonOf(term)
    const key = comparison === undefined ? JSON.stringify(term) : comparison.join(' ')
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const cost = staticCost(expr)
    const readsRequest = dependence(expr) === 'request'
    const readings = this.#readingsOf(expr, lists, layer)
    if (comparison !== undefined) {
      const [op, slot, number] = comparison
      return this.#add(
        key,
        new Predicate(this.#image, op, slotOf(slot), number, null, cost, readsRequest, false, readings),
      )
    }
    const isSlow = prepare(term)
    const tested = testedSlot(term)
    const [op, operand] = tested === undefined ? [OP.general, null] : [OP.test, slotOf(tested)]
    const text = new TermText(key, referents, this.#texts)
    return this.#add(key, new Predicate(this.#image, op, operand, 0, text, cost, readsRequest, isSlow, readings))
  }

  /** A predicate of the scope; it reads nothing but agent, principal, tenant and clock. */
  ofScope(condition: ScopeCondition, slots: readonly Slot[], cost: number): Predicate {
    const key = JSON.stringify(condition)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const [slot] = slots
    const op = slot === undefined ? OP.general : OP.test
    const text = new TermText(key, slots, this.#texts)
    return this.#add(key, new Predicate(this.#image, op, slot ?? null, 0, text, cost, false, false, NO_READINGS))
  }

  /** That the called tool, or the environment, meets a demand. Cheaper than anything that reads the call. */
  ofDemand(op: 'tool' | 'notTool' | 'environment', demand: Demand): Predicate {
    const known = this.#ofDemand[op].get(demand)
    if (known !== undefined) return known
    const predicate = new Predicate(this.#image, OP[op], demand, 0, null, 0, false, false, NO_READINGS)
    return this.#ofDemand[op].add(demand, predicate)
  }

  /**
   * The slot of a term.
   * @param referents among which are those of the term
   */
  slot(term: Term, referents: readonly Referent[]): Slot {
    if (term.kind !== 'reference' || term.path.length !== 1) return this.#slot(term, referents)
    // Nearly every slot is `args.KEY` or a label: no text of the term is made to find it again.
    const ofRoot = this.#references[term.root]
    const name = term.path[0]!
    return ofRoot.get(name) ?? ofRoot.add(name, this.#slot(term, referents))
  }

  sweep(live: number): void {
    const { tool, notTool, environment } = this.#ofDemand
    const tables = [this.#known, tool, notTool, environment, this.#slots, ...Object.values(this.#references)]
    for (const table of [...tables, this.#lists, this.#automata, this.#readings]) table.sweep(live)
  }

  #slot(term: Term, referents: readonly Referent[]): Slot {
    const key = JSON.stringify(term)
    const known = this.#slots.get(key)
    if (known !== undefined) return known
    prepare(term)
    const named = new Set<Referent>()
    mapReferents(key, referents, (referent) => named.add(referent) && referent.id)
    const text = new TermText(key, [...named], this.#texts)
    return this.#slots.add(key, new Slot(this.#image, this.#made.slots++, text))
  }

  #add(key: string, predicate: Predicate): Predicate {
    return this.#known.add(key, predicate)
  }

  #readingsOf(expr: Expr, lists: ReadonlyMap<string, readonly ListItem[]>, layer: Layer): readonly SlotReading[] {
    const spellList = (name: string): string => {
      const items = lists.get(name)
      return items === undefined ? '' : `${name} ${this.#list(name, items).id}`
    }
    const readings = new Set(readingsOf(expr, layer, spellList).map((reading) => this.#reading(reading)))
    return readings.size === 0 ? NO_READINGS : [...readings]
  }

  #reading({ key, of, ns, mostNs }: Reading): SlotReading {
    const known = this.#readings.get(key)
    if (known !== undefined) return known
    const slot = this.slot({ kind: 'reference', root: of.root, path: of.path }, NO_REFERENTS)
    return this.#readings.add(key, new SlotReading(this.#image, slot, ns, mostNs))
  }

  #automaton(words: readonly string[]): Automaton | undefined {
    if (!takesAutomaton(words)) return undefined
    const key = JSON.stringify(words)
    const known = this.#automata.get(key)
    if (known !== undefined) return known
    return this.#automata.add(key, new Automaton(this.#image, this.#made.automata++, buildWords(words)))
  }

  #list(name: string, items: readonly ListItem[]): List {
    for (let other = 0; ; other++) {
      const key = `${name} ${other}`
      const known = this.#lists.get(key)
      if (known?.has(items)) return known
      if (known !== undefined) continue
      return this.#lists.add(key, new List(this.#image, this.#made.lists++, items, this.#texts))
    }
  }
}

/** Everything of an image that predicates are made of, each kind by number. */
export interface PredicateParts {
  readonly predicates: readonly Predicate[]
  readonly slots: readonly Slot[]
  readonly lists: readonly List[]
  readonly automata: readonly Automaton[]
}

export function writePredicates(parts: PredicateParts, writer: TextWriter): PredicateSection {
  const { predicates, slots, lists, automata } = parts
  const starts = new Ints()
  const chunks = new Ints()
  for (const list of lists) {
    starts.push(chunks.length)
    for (const chunk of list.chunks) chunks.push(writer.add(chunk))
  }
  starts.push(chunks.length)
  const section = {
    ops: new Uint8Array(predicates.length),
    operands: new Int32Array(predicates.length),
    numbers: new Float64Array(predicates.length),
    terms: new Int32Array(predicates.length).fill(-1),
    readsRequest: new Uint8Array(predicates.length),
    costs: new Uint16Array(predicates.length),
    reads: new Uint8Array(predicates.length),
  }
  const slow: number[] = []
  for (let at = 0; at < predicates.length; at++) {
    const { op, operand, constant, term, cost, readsRequest, isSlow, readings } = predicates[at]!
    section.ops[at] = op
    if (operand !== null) section.operands[at] = operand.number
    section.numbers[at] = constant
    if (term !== null) section.terms[at] = writer.add(term.text)
    section.costs[at] = Math.min(cost, MOST_COST)
    if (readsRequest) section.readsRequest[at] = 1
    if (readings.length > 0) section.reads[at] = 1
    if (isSlow) slow.push(at)
  }
  return {
    ...section,
    slow: Int32Array.from(slow),
    slots: Int32Array.from(slots, ({ term }) => writer.add(term.text)),
    listStarts: starts.toArray(),
    listChunks: chunks.toArray(),
    automata: automata.map(({ section }) => copyOf(section)),
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

/** Operation, slot and number. */
type Comparison = readonly [op: number, slot: number, number: number]

const MIRRORED: Readonly<Record<CompareOp, CompareOp>> = {
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
  '==': '==',
  '!=': '!=',
}

/** A slot compared with a number, either way round. */
function comparisonOf(term: Term): Comparison | undefined {
  if (term.kind !== 'compare') return undefined
  const { op, left, right } = term
  const number = numberOf(right)
  if (left.kind === 'slot' && number !== undefined) return [OP[op], left.slot, number]
  const mirrored = numberOf(left)
  if (right.kind !== 'slot' || mirrored === undefined) return undefined
  return [OP[MIRRORED[op]], right.slot, mirrored]
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
