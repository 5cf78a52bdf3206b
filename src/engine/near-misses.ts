import type { Clause, RuleEntry } from '../compiler/entry.js'
import type { PolicySet } from '../compiler/policy-set.js'
import type { Frame } from '../compiler/predicate/frame.js'
import { FALSE, TRUE, UNKNOWN } from '../compiler/predicate/truth.js'
import type { Call, Facts } from '../model/call.js'
import type { NearMiss } from '../model/decision.js'

/** Rules whose scope fits the call and whose conditions do not hold, with the conjuncts that kept each from matching. */
export function nearMisses(call: Call, facts: Facts, policySet: PolicySet): readonly NearMiss[] {
  const { frame, index, entries } = policySet
  frame.begin(call, facts.nowMs)
  try {
    return index.inScope(call.tool, call.environment).flatMap((number) => {
      const entry = entries[number]!
      return entry.kind === 'rule' ? nearMiss(entry, frame) : []
    })
  } finally {
    frame.end()
  }
}

function nearMiss(entry: RuleEntry, frame: Frame): NearMiss[] {
  if (entry.scope.some((predicate) => frame.truth(predicate) !== TRUE)) return []
  const failed = entry.clauses.filter(({ predicate }) => frame.truth(predicate) !== TRUE)
  const isMatched = failed.every(({ predicate }) => entry.unknownMatches && frame.truth(predicate) === UNKNOWN)
  if (isMatched) return []
  return [
    {
      ruleId: entry.rule.id,
      policy: entry.policy,
      effect: entry.effect,
      location: entry.rule.location,
      failed: failed.map((clause) => describe(clause, entry, frame)),
    },
  ]
}

function describe({ expr, predicate }: Clause, { rule }: RuleEntry, frame: Frame): NearMiss['failed'][number] {
  const value = frame.truth(predicate) === FALSE ? 'false' : 'unknown'
  return { text: rule.excerpt(expr.span), value, location: rule.locate(expr.span) }
}
