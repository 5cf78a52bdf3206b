import type { Clause, RuleEntry } from '../compiler/entry.js'
import type { PolicySet } from '../compiler/policy-set.js'
import type { Frame } from '../compiler/predicate/frame.js'
import { FALSE, TRUE, UNKNOWN } from '../compiler/predicate/truth.js'
import type { Call, Facts } from '../model/call.js'
import type { NearMiss } from '../model/decision.js'
import { begin, place } from './match.js'

/** Near misses in one answer; a bundle may have a hundred thousand rules about one tool. */
export const MAX_NEAR_MISSES = 100

/** Rules whose scope fits the call and whose conditions do not hold, with the conjuncts that kept each from matching: the first {@link MAX_NEAR_MISSES}. */
export function nearMisses(call: Call, facts: Facts, policySet: PolicySet): readonly NearMiss[] {
  const { frame, entries } = policySet
  begin(call, facts, policySet)
  place(call, policySet)
  const found: NearMiss[] = []
  for (let number = 0; number < entries.length && found.length < MAX_NEAR_MISSES; number++) {
    if (!isInScope(number, policySet)) continue
    const entry = entries.get(number)
    if (entry.kind === 'rule') found.push(...nearMiss(entry, frame))
  }
  frame.end()
  return found
}

/** Whether what `on` and `for` say of tool and environment holds. */
function isInScope(entry: number, { entries, predicates, frame }: PolicySet): boolean {
  const { toolScopes, environmentScopes } = entries.section
  return (
    predicates.meets(environmentScopes[entry]!, frame.environment) && predicates.meets(toolScopes[entry]!, frame.tool)
  )
}

function nearMiss(entry: RuleEntry, frame: Frame): NearMiss[] {
  if (entry.scope.some((predicate) => frame.truth(predicate) !== TRUE)) return []
  const failed = entry.clauses.filter(({ predicate }) => frame.truth(predicate) !== TRUE)
  const isMatched = failed.every(({ predicate }) => entry.unknownMatches && frame.truth(predicate) === UNKNOWN)
  if (isMatched) return []
  return [
    {
      ruleId: entry.matched.ruleId,
      policy: entry.policy,
      effect: entry.effect,
      location: entry.matched.location,
      failed: failed.map((clause) => describe(clause, frame)),
    },
  ]
}

function describe({ text, predicate, location }: Clause, frame: Frame): NearMiss['failed'][number] {
  return { text, value: frame.truth(predicate) === FALSE ? 'false' : 'unknown', location }
}
