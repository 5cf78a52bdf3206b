import type { CheckedRule } from '../language/checked.js'
import type { MatchedRule, Obligation } from '../model/decision.js'
import type { Effect, Outcome } from '../model/outcome.js'
import type { Location, Span } from '../model/span.js'
import { type PackedDraft, type RequirementDraft, unpackDraft, withNumbers } from './approval.js'
import type { Draft } from './draft.js'
import type { DefaultEntry, Entry, Layer, RuleEntry } from './entry.js'
import type { Findings } from './findings.js'
import { Ints } from './ints.js'
import type { StringPool, Texts, TextWriter } from './string-pool.js'

/**
 * Rules in the order in which answers list them, then defaults by policy. What deciding reads of an entry stands in columns;
 * all that an answer says about it is one text, read when the entry first matches. The text says nothing of where the rule
 * stands in its file and holds no number of another section, so that an unchanged rule has the same one in every image.
 */
export interface EntrySection {
  /** Flags, and from {@link EFFECT_AT} and {@link FINDING_AT} on numbers of a few bits. */
  readonly heads: Int32Array<ArrayBuffer>
  readonly texts: Int32Array<ArrayBuffer>
  /** Texts. */
  readonly policies: Int32Array<ArrayBuffer>
  /** By entry, {@link PLACE} integers: where the rule's declaration begins; nothing of defaults. */
  readonly places: Int32Array<ArrayBuffer>
  /**
   * By entry, and one more: where its references begin, which are predicates of the scope, of the clauses and of stages, then
   * slots that attributes of approvers are compared with.
   */
  readonly firsts: Int32Array<ArrayBuffer>
  readonly references: Int32Array<ArrayBuffer>
  /** What `on` and `for` demand of the tool and of the environment. */
  readonly toolScopes: Int32Array<ArrayBuffer>
  readonly environmentScopes: Int32Array<ArrayBuffer>
}

/** Text of the file, line, column, offset. */
const PLACE = 4

const FLAG = { tenant: 1, isDefault: 2, monitor: 4, unknownMatches: 8 } as const
/** The effect of a rule, the outcome of a default. */
const EFFECT_AT = 4
const EFFECT_MASK = 3
const FINDING_AT = 8

const EFFECTS: readonly Effect[] = ['DENY', 'DENY_EXCEPT_APPROVAL', 'REQUIRE_APPROVAL', 'ALLOW']
const OUTCOMES: readonly Outcome[] = ['DENY', 'REQUIRE_APPROVAL', 'ALLOW']

/** A place that counts from where the declaration begins; the column only where that is on the same line. */
type PackedLocation = readonly [lines: number, column: number, start: number, end: number]
type PackedRule = readonly [
  id: string,
  description: string,
  why: string,
  severity: MatchedRule['severity'],
  tags: readonly string[],
  location: PackedLocation,
  approval: PackedApproval,
  obligations: readonly Obligation[],
  /** How many of its references are predicates of the scope. */
  scope: number,
  clauses: readonly (readonly [text: string, location: PackedLocation])[],
]
type PackedDefault = readonly [scope: number, approval: PackedApproval]
/** With how many of the references are predicates of stages. */
type PackedApproval = readonly [conditions: number, draft: PackedDraft] | null

const ORIGIN: Span = { start: 0, end: 0 }

/** Where the declaration of a rule begins. */
export const originOf = (rule: Pick<CheckedRule, 'locate'>): Location => rule.locate(ORIGIN)

/** The text of a rule's entry. */
export function packRule(
  rule: CheckedRule,
  { why, approval, obligations }: Pick<RuleEntry, 'obligations'> & PackedEffect,
  conjuncts: readonly { readonly span: Span }[],
  scope: number,
): string {
  const origin = originOf(rule)
  const packed: PackedRule = [
    rule.id,
    rule.description,
    why,
    rule.severity,
    rule.tags,
    packLocation(rule.location, origin),
    approval,
    obligations,
    scope,
    conjuncts.map(({ span }) => [rule.excerpt(span), packLocation(rule.locate(span), origin)] as const),
  ]
  return JSON.stringify(packed)
}

interface PackedEffect {
  readonly why: string
  readonly approval: PackedApproval
}

export function packDefault(scope: number, approval: PackedApproval): string {
  const packed: PackedDefault = [scope, approval]
  return JSON.stringify(packed)
}

function packLocation({ line, column, start, end }: Location, origin: Location): PackedLocation {
  const sameLine = line === origin.line
  return [line - origin.line, sameLine ? column - origin.column : column, start - origin.start, end - origin.start]
}

const headOf = ({ layer, finding }: Pick<Entry, 'layer' | 'finding'>): number =>
  (layer === 'tenant' ? FLAG.tenant : 0) | (finding << FINDING_AT)

export function headOfDefault(entry: Pick<DefaultEntry, 'layer' | 'finding' | 'outcome'>): number {
  return headOf(entry) | FLAG.isDefault | (OUTCOMES.indexOf(entry.outcome) << EFFECT_AT)
}

export function headOfRule(
  entry: Pick<RuleEntry, 'layer' | 'finding' | 'effect' | 'monitor' | 'unknownMatches'>,
): number {
  return (
    headOf(entry) |
    (entry.monitor ? FLAG.monitor : 0) |
    (entry.unknownMatches ? FLAG.unknownMatches : 0) |
    (EFFECTS.indexOf(entry.effect) << EFFECT_AT)
  )
}

/**
 * @param drafts in the order of the entries, everything of them numbered
 * @param originOf where a rule's declaration begins now; null for a default
 */
export function writeEntries(
  drafts: readonly Draft[],
  originOf: (draft: Draft) => Location | null,
  texts: Texts,
  writer: TextWriter,
): EntrySection {
  const length = drafts.length
  const heads = new Int32Array(length)
  const textNumbers = new Int32Array(length)
  const policies = new Int32Array(length)
  const places = new Int32Array(PLACE * length)
  const firsts = new Int32Array(length + 1)
  const toolScopes = new Int32Array(length)
  const environmentScopes = new Int32Array(length)
  const policyNumber = remembering((policy) => writer.add(texts.shared(policy)))
  const fileNumber = remembering((file) => writer.add(texts.shared(file)))
  const references = new Ints()
  for (let at = 0; at < length; at++) {
    const draft = drafts[at]!
    heads[at] = draft.head
    textNumbers[at] = writer.add(draft.text)
    policies[at] = policyNumber(draft.policy)
    toolScopes[at] = draft.toolScope.number
    environmentScopes[at] = draft.environmentScope.number
    firsts[at] = references.length
    for (const { number } of draft.lifted.scope) references.push(number)
    for (const { number } of draft.clauses) references.push(number)
    for (const { number } of draft.stages) references.push(number)
    for (const { number } of draft.attributes) references.push(number)
    const origin = originOf(draft)
    if (origin === null) continue
    places[PLACE * at] = fileNumber(origin.file)
    places[PLACE * at + 1] = origin.line
    places[PLACE * at + 2] = origin.column
    places[PLACE * at + 3] = origin.start
  }
  firsts[length] = references.length
  return {
    heads,
    texts: textNumbers,
    policies,
    places,
    firsts,
    references: references.toArray(),
    toolScopes,
    environmentScopes,
  }
}

/** For texts that are asked for many times in a row. */
function remembering(numberOf: (text: string) => number): (text: string) => number {
  let last: string | null = null
  let number = -1
  return (text) => {
    if (text !== last) {
      last = text
      number = numberOf(text)
    }
    return number
  }
}

/** The entries of a live policy set. */
export class Entries {
  readonly section: EntrySection
  readonly #strings: StringPool
  /** Those that were asked for. */
  readonly #read = new Map<number, Entry>()

  constructor(section: EntrySection, strings: StringPool) {
    this.section = section
    this.#strings = strings
  }

  get length(): number {
    return this.section.heads.length
  }

  get(number: number): Entry {
    const known = this.#read.get(number)
    if (known !== undefined) return known
    const entry = this.#isDefault(number) ? this.#readDefault(number) : this.#readRule(number)
    this.#read.set(number, entry)
    return entry
  }

  layerOf(number: number): Layer {
    return (this.section.heads[number]! & FLAG.tenant) !== 0 ? 'tenant' : 'fleet'
  }

  findingOf(number: number): Findings {
    return this.section.heads[number]! >> FINDING_AT
  }

  unknownMatches(number: number): boolean {
    return (this.section.heads[number]! & FLAG.unknownMatches) !== 0
  }

  /** Whether a rule is in monitor mode. */
  isMonitored(number: number): boolean {
    return (this.section.heads[number]! & FLAG.monitor) !== 0
  }

  /** The effect of a rule; null for a default. */
  effectOf(number: number): Effect | null {
    if (this.#isDefault(number)) return null
    return EFFECTS[(this.section.heads[number]! >> EFFECT_AT) & EFFECT_MASK]!
  }

  #isDefault(number: number): boolean {
    return (this.section.heads[number]! & FLAG.isDefault) !== 0
  }

  #parse(number: number): unknown {
    return JSON.parse(this.#strings.get(this.section.texts[number]!))
  }

  #readRule(number: number): RuleEntry {
    const packed = this.#parse(number) as PackedRule
    const [ruleId, description, why, severity, tags, location, approval, obligations, scope, clauses] = packed
    const policy = this.#policyOf(number)
    const effect = this.effectOf(number)!
    const { firsts, references } = this.section
    const first = firsts[number]!
    return {
      kind: 'rule',
      layer: this.layerOf(number),
      policy,
      finding: this.findingOf(number),
      effect,
      monitor: (this.section.heads[number]! & FLAG.monitor) !== 0,
      unknownMatches: this.unknownMatches(number),
      matched: Object.freeze({
        ruleId,
        policy,
        effect,
        description,
        why,
        severity,
        tags,
        indeterminate: false,
        location: this.#location(number, location),
      }),
      approval: this.#approval(first + scope + clauses.length, approval),
      obligations,
      scope: Array.from(references.subarray(first, first + scope)),
      clauses: clauses.map(([text, place], at) => ({
        predicate: references[first + scope + at]!,
        text,
        location: this.#location(number, place),
      })),
    }
  }

  #readDefault(number: number): DefaultEntry {
    const [scope, approval] = this.#parse(number) as PackedDefault
    return {
      kind: 'default',
      layer: this.layerOf(number),
      policy: this.#policyOf(number),
      finding: this.findingOf(number),
      outcome: OUTCOMES[(this.section.heads[number]! >> EFFECT_AT) & EFFECT_MASK]!,
      approval: this.#approval(this.section.firsts[number]! + scope, approval),
    }
  }

  /** @param first where its references begin */
  #approval(first: number, packed: PackedApproval): RequirementDraft | null {
    if (packed === null) return null
    const [conditions, draft] = packed
    const { references } = this.section
    return withNumbers(
      unpackDraft(draft),
      (predicate) => references[first + predicate]!,
      (slot) => references[first + conditions + slot]!,
    )
  }

  #policyOf(number: number): string {
    return this.#strings.get(this.section.policies[number]!)
  }

  #location(number: number, [lines, column, start, end]: PackedLocation): Location {
    const { places } = this.section
    const at = PLACE * number
    const offset = places[at + 3]!
    return {
      file: this.#strings.get(places[at]!),
      line: places[at + 1]! + lines,
      column: lines === 0 ? places[at + 2]! + column : column,
      start: offset + start,
      end: offset + end,
    }
  }
}
