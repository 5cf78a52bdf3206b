import type { Answer } from '../compiler/answers.js'
import { isSettled, type RequirementDraft } from '../compiler/approval.js'
import type { Entries } from '../compiler/entries.js'
import { compareDefaults, type DefaultEntry, type Layer, type RuleEntry } from '../compiler/entry.js'
import type { Always, PolicySet } from '../compiler/policy-set.js'
import type { Frame } from '../compiler/predicate/frame.js'
import type { Call, Facts } from '../model/call.js'
import type { Decision, MatchedRule, Obligation } from '../model/decision.js'
import type { Effect, Outcome, ReasonCode } from '../model/outcome.js'
import { type Combined, combine } from './combine.js'
import { begin, match } from './match.js'
import { nearMisses } from './near-misses.js'
import { type Decider, explainReason } from './reason.js'
import { mergeRequirements, settle, settled } from './requirements.js'

export interface DecideOptions {
  /** Also say why rules in scope did not match ({@link Decision.nearMisses}). Walks every rule: for people, not for the hot path. */
  readonly explain?: boolean
}

/**
 * Judges a call by every policy of the set. Pure: the same call, facts and policy set give the same decision, byte for byte.
 * The caller picks the policy set of the call's tenant.
 */
export function decide(call: Call, facts: Facts, policySet: PolicySet, options: DecideOptions = {}): Decision {
  const row = match(call, facts, policySet)
  const { frame, answers } = policySet
  const { isTooLong } = frame
  const isUndeclaredTool = policySet.isUndeclared(row)
  const { decision: prepared, complete } =
    answers.get(frame.matched, frame.matchedCount, isUndeclaredTool) ??
    answer(policySet, frame.matched.slice(0, frame.matchedCount), isUndeclaredTool)
  let decision = prepared
  if (complete !== null) {
    begin(call, facts, policySet)
    decision = complete(frame)
    frame.end()
  }
  if (isTooLong) decision = { ...decision, reason: `${decision.reason} ${TOO_LONG}` }
  return options.explain === true ? { ...decision, nearMisses: nearMisses(call, facts, policySet) } : decision
}

/** Said beside the reason where conditions were not evaluated, whether or not they would have changed the answer. */
const TOO_LONG =
  'This call is too long for all that the rules about its tool read of it; conditions that read much count as unknown.'

/** Rules that an answer lists, of those that matched and of those in monitor mode each; the reason counts all. */
export const MAX_LISTED = 100
/**
 * Rules of one call that may allow it or ask for its approval: what they ask must all be met, so that none can be left out.
 * A call that more of them match is denied.
 */
export const MAX_ASKING = 256

/** Everything that an answer says follows from what matched; equal answers are one object, which nobody may change. */
function answer(policySet: PolicySet, matches: Int32Array, isUndeclaredTool: boolean): Answer {
  const findings = new Findings(policySet, matches)
  const judged = combine(findings.of('fleet'), findings.of('tenant'))
  const isOver = judged.outcome !== 'DENY' && findings.asking > MAX_ASKING
  const combined: Combined = isOver ? { ...judged, outcome: 'DENY' } : judged
  const reason = isOver ? TOO_MANY : decideReason(combined, findings)
  const { outcome } = combined
  const asked = outcome === 'REQUIRE_APPROVAL' ? requirements(combined, findings) : NOTHING
  const isOpen = !asked.every(isSettled)
  const decision: Decision = Object.freeze({
    outcome,
    reasonCode: reason.code,
    reason: explainReason(reason.decider, reason.others, isUndeclaredTool),
    matched: frozen(findings.enforced.slice(0, MAX_LISTED).map((code) => findings.matched(code))),
    monitored: frozen(findings.monitored.slice(0, MAX_LISTED).map((code) => findings.matched(code))),
    obligations: outcome === 'DENY' ? NOTHING : frozen(findings.obligations()),
    approvals: isOpen ? NOTHING : frozen(mergeRequirements(asked.map(settled))),
    nearMisses: NOTHING,
    policyRevision: policySet.revision,
  })
  const complete = (frame: Frame): Decision => completed(decision, asked, reason, isUndeclaredTool, frame)
  const found: Answer = { decision, complete: isOpen ? complete : null }
  policySet.answers.set(matches, matches.length, isUndeclaredTool, found)
  return found
}

/** A decision whose approvals ask for what only the call can tell. */
function completed(
  prepared: Decision,
  asked: readonly RequirementDraft[],
  { decider, others }: Reason,
  isUndeclaredTool: boolean,
  frame: Frame,
): Decision {
  const requirements = new Map(asked.map((draft) => [draft, settle(draft, frame)]))
  return Object.freeze({
    ...prepared,
    reason: explainReason(decider, others, isUndeclaredTool, (draft) => requirements.get(draft) ?? draft),
    approvals: frozen(mergeRequirements([...requirements.values()])),
  })
}

const NOTHING: readonly never[] = Object.freeze([])

function frozen<T>(items: readonly T[]): readonly T[] {
  return items.length === 0 ? NOTHING : Object.freeze(items)
}

/**
 * What matched, sorted out: enforced rules, monitored rules and defaults, each in the order in which answers list them, as
 * `entry << 1 | indeterminate`. However many there are, only what an answer says of an entry is read.
 */
class Findings {
  readonly enforced: number[] = []
  readonly monitored: number[] = []
  /** Enforced rules that allow or ask for approval. */
  asking = 0
  readonly entries: Entries
  readonly #always: Always
  readonly #spoken: number[] = []
  readonly #bits: Record<Layer, number>

  constructor({ entries, always }: PolicySet, matches: Int32Array) {
    this.entries = entries
    this.#always = always
    this.#bits = { ...always.findings }
    for (const code of matches) this.#add(code)
  }

  of(layer: Layer): number {
    return this.#bits[layer]
  }

  /** Defaults of the policies that speak for the call. */
  get defaults(): readonly DefaultEntry[] {
    const { defaults } = this.#always
    if (this.#spoken.length === 0) return defaults
    const spoken = this.#spoken.map((code) => this.entries.get(code >> 1)).filter((entry) => entry.kind === 'default')
    return [...defaults, ...spoken].sort(compareDefaults)
  }

  rule(code: number): RuleEntry {
    const entry = this.entries.get(code >> 1)
    if (entry.kind === 'default') throw new Error('unreachable: a default stands among the rules')
    return entry
  }

  matched(code: number): MatchedRule {
    const { matched } = this.rule(code)
    return isIndeterminate(code) ? { ...matched, indeterminate: true } : matched
  }

  obligations(): readonly Obligation[] {
    const allowing = this.enforced.filter((code) => this.entries.effectOf(code >> 1) === 'ALLOW')
    return allowing.flatMap((code) => this.rule(code).obligations)
  }

  #add(code: number): void {
    const number = code >> 1
    const { entries } = this
    this.#bits[entries.layerOf(number)] |= entries.findingOf(number)
    const effect = entries.effectOf(number)
    if (effect === null) this.#spoken.push(code)
    else if (entries.isMonitored(number)) this.monitored.push(code)
    else {
      this.enforced.push(code)
      if (effect !== 'DENY') this.asking++
    }
  }
}

function isIndeterminate(code: number): boolean {
  return (code & 1) === 1
}

interface Reason {
  readonly code: ReasonCode
  readonly decider: Decider
  /** Rules beside the named one that say the same. */
  readonly others: number
}

const TOO_MANY: Reason = { code: 'TOO_MANY_RULES', decider: { kind: 'too-many', most: MAX_ASKING }, others: 0 }

/**
 * Names what decided: of the layers that say what the answer says, a rule that held, else a default, else a rule that
 * could not be evaluated. The tenant's default leads an ALLOW, since the fleet cannot open a call.
 */
function decideReason(combined: Combined, findings: Findings): Reason {
  const { outcome, fleet, tenant } = combined
  const { entries } = findings
  const rules = findings.enforced.filter((code) => {
    const layer = entries.layerOf(code >> 1)
    const verdict = layer === 'fleet' ? fleet : tenant
    if (outcome === 'ALLOW' && layer === 'fleet') return false
    return verdict?.by === 'rule' && verdict.outcome === outcome && says(entries.effectOf(code >> 1), outcome)
  })
  const others = rules.length - 1
  const certain = rules.find((code) => !isIndeterminate(code))
  if (certain !== undefined) return { code: RULE_CODES[outcome], decider: toDecider(certain, findings), others }
  if (tenant.by === 'no-policy') return { code: 'NO_POLICY', decider: { kind: 'no-policy' }, others: 0 }
  const byDefault = findings.defaults
    .filter(({ layer, outcome: says }) => {
      const verdict = layer === 'fleet' ? fleet : tenant
      return verdict?.by === 'default' && verdict.outcome === outcome && says === outcome
    })
    .sort((a, b) => Number(a.layer === 'fleet') - Number(b.layer === 'fleet'))
  if (byDefault[0] !== undefined) {
    return { code: DEFAULT_CODES[outcome], decider: { kind: 'default', entry: byDefault[0] }, others: 0 }
  }
  return { code: 'INDETERMINATE', decider: toDecider(rules[0]!, findings), others }
}

const RULE_CODES: Readonly<Record<Outcome, ReasonCode>> = {
  ALLOW: 'RULE_ALLOW',
  DENY: 'RULE_DENY',
  REQUIRE_APPROVAL: 'RULE_APPROVAL',
}
const DEFAULT_CODES: Readonly<Record<Outcome, ReasonCode>> = {
  ALLOW: 'DEFAULT_ALLOW',
  DENY: 'DEFAULT_DENY',
  REQUIRE_APPROVAL: 'DEFAULT_APPROVAL',
}

function says(effect: Effect | null, outcome: Outcome): boolean {
  return effect === 'DENY_EXCEPT_APPROVAL' ? outcome === 'REQUIRE_APPROVAL' : effect === outcome
}

function toDecider(code: number, findings: Findings): Decider {
  const { layer, approval } = findings.rule(code)
  return { kind: 'rule', layer, rule: findings.matched(code), approval }
}

/** Of every layer that asks for approval: its rules' clauses, or its defaults' where no rule of it matched. */
function requirements({ fleet, tenant }: Combined, findings: Findings): readonly RequirementDraft[] {
  const asked: RequirementDraft[] = []
  const { entries } = findings
  for (const code of findings.enforced) {
    const verdict = entries.layerOf(code >> 1) === 'fleet' ? fleet : tenant
    if (verdict?.outcome !== 'REQUIRE_APPROVAL') continue
    const { approval } = findings.rule(code)
    if (approval !== null) asked.push(approval)
  }
  for (const { layer, approval } of findings.defaults) {
    const verdict = layer === 'fleet' ? fleet : tenant
    if (verdict?.by === 'default' && verdict.outcome === 'REQUIRE_APPROVAL' && approval !== null) asked.push(approval)
  }
  return asked
}
