import { activeDates } from './active-dates.js'
import { approvals } from './approvals.js'
import { unguardedArguments } from './arguments.js'
import { bareWords, bareWordsElsewhere, templateParameters } from './bare-words.js'
import { conditions } from './conditions.js'
import type { Check, ConditionCheck, RuleCheck } from './context.js'
import { contradictions } from './contradictions.js'
import { coverage } from './coverage.js'
import { duplicateIds } from './duplicate-ids.js'
import { limits } from './limits.js'
import { emptyLists, listEntries } from './lists.js'
import { obligations } from './obligations.js'
import { quantifiedTooMuch } from './quantified-too-much.js'
import { regexes } from './regexes.js'
import { scopes } from './scopes.js'
import { shadowed } from './shadowed.js'
import { tests } from './tests.js'
import { unknownHandling } from './unknown-handling.js'
import { unmatchable } from './unmatchable.js'
import { zones } from './zones.js'

// Every check. The order of the findings is that of their places, not of the checks.

/** Run over every rule whose text or surroundings changed. */
export const RULE_CHECKS: readonly RuleCheck[] = [
  scopes,
  conditions,
  bareWords,
  unmatchable,
  unguardedArguments,
  contradictions,
  approvals,
  obligations,
  activeDates,
  unknownHandling,
]

/** Run over every condition of those rules, and of templates. */
export const CONDITION_CHECKS: readonly ConditionCheck[] = [quantifiedTooMuch, regexes, zones, limits]

/** Run over the bundle. */
export const CHECKS: readonly Check[] = [
  duplicateIds,
  bareWordsElsewhere,
  templateParameters,
  shadowed,
  coverage,
  emptyLists,
  listEntries,
  tests,
]
