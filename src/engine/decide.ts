import type { Answer } from '../compiler/answers.js'
import { isSettled, type RequirementDraft } from '../compiler/approval.js'
import { compareDefaults, type DefaultEntry, type Entry, type Layer, type RuleEntry } from '../compiler/entry.js'
import type { PolicySet } from '../compiler/policy-set.js'
import type { Frame } from '../compiler/predicate/frame.js'
import type { Call, Facts } from '../model/call.js'
import type { Decision, MatchedRule } from '../model/decision.js'
import type { Outcome, ReasonCode } from '../model/outcome.js'
import { type Combined, combine } from './combine.js'
import { match } from './match.js'
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
  const isUndeclaredTool = policySet.isUndeclared(row)
  const { decision: prepared, complete } =
    answers.get(frame.matched, frame.matchedCount, isUndeclaredTool) ??
    answer(policySet, frame.matched.slice(0, frame.matchedCount), isUndeclaredTool)
  let decision = prepared
  if (complete !== null) {
    frame.begin(call, facts.nowMs)
    decision = complete(frame)
    frame.end()
  }
  return options.explain === true ? { ...decision, nearMisses: nearMisses(call, facts, policySet) } : decision
}

/** Everything that an answer says follows from what matched; equal answers are one object, which nobody may change. */
function answer(policySet: PolicySet, matches: Int32Array, isUndeclaredTool: boolean): Answer {
  const findings = new Findings(policySet, matches)
  const combined = combine(findings.of('fleet'), findings.of('tenant'))
  const reason = decideReason(combined, findings)
  const { outcome } = combined
  const asked = outcome === 'REQUIRE_APPROVAL' ? requirements(combined, findings) : NOTHING
  const isOpen = !asked.every(isSettled)
  const decision: Decision = Object.freeze({
    outcome,
    reasonCode: reason.code,
    reason: explainReason(reason.decider, reason.others, isUndeclaredTool),
    matched: frozen(findings.enforced.map(({ matched }) => matched)),
    monitored: frozen(findings.monitored),
    obligations: outcome === 'DENY' ? NOTHING : frozen(findings.enforced.flatMap(({ entry }) => entry.obligations)),
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

interface EnforcedRule {
  readonly entry: RuleEntry
  readonly matched: MatchedRule
}

/** What matched, sorted out: enforced rules, monitored rules and defaults, each in the order in which answers list them. */
class Findings {
  readonly enforced: EnforcedRule[] = []
  readonly monitored: MatchedRule[] = []
  readonly defaults: DefaultEntry[]
  readonly #bits: Record<Layer, number>

  constructor({ entries, always }: PolicySet, matches: Int32Array) {
    this.#bits = { ...always.findings }
    this.defaults = [...always.defaults]
    for (const code of matches) this.#add(entries.get(code >> 1), (code & 1) === 1)
    if (this.defaults.length > always.defaults.length) this.defaults.sort(compareDefaults)
  }

  of(layer: Layer): number {
    return this.#bits[layer]
  }

  #add(entry: Entry, indeterminate: boolean): void {
    this.#bits[entry.layer] |= entry.finding
    if (entry.kind === 'default') {
      this.defaults.push(entry)
      return
    }
    const matched = indeterminate ? { ...entry.matched, indeterminate } : entry.matched
    if (entry.monitor) this.monitored.push(matched)
    else this.enforced.push({ entry, matched })
  }
}

interface Reason {
  readonly code: ReasonCode
  readonly decider: Decider
  /** Rules beside the named one that say the same. */
  readonly others: number
}

/**
 * Names what decided: of the layers that say what the answer says, a rule that held, else a default, else a rule that
 * could not be evaluated. The tenant's default leads an ALLOW, since the fleet cannot open a call.
 */
function decideReason(combined: Combined, findings: Findings): Reason {
  const { outcome, fleet, tenant } = combined
  const rules = findings.enforced.filter(({ entry }) => {
    const verdict = entry.layer === 'fleet' ? fleet : tenant
    if (outcome === 'ALLOW' && entry.layer === 'fleet') return false
    return verdict?.by === 'rule' && verdict.outcome === outcome && says(entry, outcome)
  })
  const certain = rules.find(({ matched }) => !matched.indeterminate)
  if (certain !== undefined) return { code: RULE_CODES[outcome], decider: toDecider(certain), others: rules.length - 1 }
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
  return { code: 'INDETERMINATE', decider: toDecider(rules[0]!), others: rules.length - 1 }
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

function says({ effect }: RuleEntry, outcome: Outcome): boolean {
  return effect === 'DENY_EXCEPT_APPROVAL' ? outcome === 'REQUIRE_APPROVAL' : effect === outcome
}

function toDecider({ entry, matched }: EnforcedRule): Decider {
  return { kind: 'rule', layer: entry.layer, rule: matched, approval: entry.approval }
}

/** Of every layer that asks for approval: its rules' clauses, or its defaults' where no rule of it matched. */
function requirements({ fleet, tenant }: Combined, findings: Findings): readonly RequirementDraft[] {
  const asked: RequirementDraft[] = []
  for (const { entry } of findings.enforced) {
    const verdict = entry.layer === 'fleet' ? fleet : tenant
    if (verdict?.outcome === 'REQUIRE_APPROVAL' && entry.approval !== null) asked.push(entry.approval)
  }
  for (const { layer, approval } of findings.defaults) {
    const verdict = layer === 'fleet' ? fleet : tenant
    if (verdict?.by === 'default' && verdict.outcome === 'REQUIRE_APPROVAL' && approval !== null) asked.push(approval)
  }
  return asked
}
