import type { MatchedRule, Obligation } from '../model/decision.js'
import type { Effect, Outcome } from '../model/outcome.js'
import type { Location } from '../model/span.js'
import { type PackedDraft, packDraft, unpackDraft } from './approval.js'
import type { DefaultEntry, Entry, Layer, RuleEntry } from './entry.js'
import type { Findings } from './findings.js'
import { Ints } from './ints.js'
import type { StringPool, StringPoolBuilder } from './string-pool.js'

/**
 * Rules in the order in which answers list them, then defaults by policy. What deciding reads of an entry stands in columns;
 * all that an answer says about it is one text, read when the entry first matches.
 */
export interface EntrySection {
  /** Flags, and from {@link EFFECT_AT} and {@link FINDING_AT} on numbers of a few bits. */
  readonly heads: Int32Array<ArrayBuffer>
  readonly texts: Int32Array<ArrayBuffer>
  /** What `on` and `for` demand of the tool and of the environment. */
  readonly toolScopes: Int32Array<ArrayBuffer>
  readonly environmentScopes: Int32Array<ArrayBuffer>
}

const FLAG = { tenant: 1, isDefault: 2, monitor: 4, unknownMatches: 8 } as const
/** The effect of a rule, the outcome of a default. */
const EFFECT_AT = 4
const EFFECT_MASK = 3
const FINDING_AT = 8

const EFFECTS: readonly Effect[] = ['DENY', 'DENY_EXCEPT_APPROVAL', 'REQUIRE_APPROVAL', 'ALLOW']
const OUTCOMES: readonly Outcome[] = ['DENY', 'REQUIRE_APPROVAL', 'ALLOW']

/** The file is a text of the pool; the rest as in {@link Location}. */
type PackedLocation = readonly [file: number, line: number, column: number, start: number, end: number]
type PackedRule = readonly [
  id: string,
  policy: number,
  description: string,
  why: string,
  severity: MatchedRule['severity'],
  tags: readonly string[],
  location: PackedLocation,
  approval: PackedDraft | null,
  obligations: readonly Obligation[],
  scope: readonly number[],
  clauses: readonly (readonly [predicate: number, text: string, location: PackedLocation])[],
]
type PackedDefault = readonly [policy: number, approval: PackedDraft | null]

/** Collects entries, in their order. */
export class EntryWriter {
  readonly #strings: StringPoolBuilder
  readonly #heads = new Ints()
  readonly #texts = new Ints()
  readonly #toolScopes = new Ints()
  readonly #environmentScopes = new Ints()

  constructor(strings: StringPoolBuilder) {
    this.#strings = strings
  }

  add(entry: Entry, toolScope: number, environmentScope: number): void {
    this.#heads.push(headOf(entry))
    this.#texts.push(
      this.#strings.add(JSON.stringify(entry.kind === 'rule' ? this.#rule(entry) : this.#default(entry))),
    )
    this.#toolScopes.push(toolScope)
    this.#environmentScopes.push(environmentScope)
  }

  finish(): EntrySection {
    return {
      heads: this.#heads.toArray(),
      texts: this.#texts.toArray(),
      toolScopes: this.#toolScopes.toArray(),
      environmentScopes: this.#environmentScopes.toArray(),
    }
  }

  #rule({ matched, approval, obligations, scope, clauses }: RuleEntry): PackedRule {
    return [
      matched.ruleId,
      this.#strings.intern(matched.policy),
      matched.description,
      matched.why,
      matched.severity,
      matched.tags,
      this.#location(matched.location),
      approval && packDraft(approval),
      obligations,
      scope,
      clauses.map(({ predicate, text, location }) => [predicate, text, this.#location(location)] as const),
    ]
  }

  #default({ policy, approval }: DefaultEntry): PackedDefault {
    return [this.#strings.intern(policy), approval && packDraft(approval)]
  }

  #location({ file, line, column, start, end }: Location): PackedLocation {
    return [this.#strings.intern(file), line, column, start, end]
  }
}

function headOf(entry: Entry): number {
  const common = (entry.layer === 'tenant' ? FLAG.tenant : 0) | (entry.finding << FINDING_AT)
  if (entry.kind === 'default') return common | FLAG.isDefault | (OUTCOMES.indexOf(entry.outcome) << EFFECT_AT)
  return (
    common |
    (entry.monitor ? FLAG.monitor : 0) |
    (entry.unknownMatches ? FLAG.unknownMatches : 0) |
    (EFFECTS.indexOf(entry.effect) << EFFECT_AT)
  )
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
    const [ruleId, policyText, description, why, severity, tags, location, approval, obligations, scope, clauses] =
      packed
    const policy = this.#strings.get(policyText)
    const effect = this.effectOf(number)!
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
        location: this.#location(location),
      }),
      approval: approval && unpackDraft(approval),
      obligations,
      scope,
      clauses: clauses.map(([predicate, text, place]) => ({ predicate, text, location: this.#location(place) })),
    }
  }

  #readDefault(number: number): DefaultEntry {
    const [policy, approval] = this.#parse(number) as PackedDefault
    return {
      kind: 'default',
      layer: this.layerOf(number),
      policy: this.#strings.get(policy),
      finding: this.findingOf(number),
      outcome: OUTCOMES[(this.section.heads[number]! >> EFFECT_AT) & EFFECT_MASK]!,
      approval: approval && unpackDraft(approval),
    }
  }

  #location([file, line, column, start, end]: PackedLocation): Location {
    return { file: this.#strings.get(file), line, column, start, end }
  }
}
