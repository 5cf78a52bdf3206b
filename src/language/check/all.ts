import { activeDates } from './active-dates.js'
import { approvals } from './approvals.js'
import { unguardedArguments } from './arguments.js'
import { bareWords, templateParameters } from './bare-words.js'
import { conditions } from './conditions.js'
import type { Check } from './context.js'
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

/** Every check, in the order in which they run; the order of the findings is that of their places. */
export const CHECKS: readonly Check[] = [
  duplicateIds,
  scopes,
  conditions,
  bareWords,
  templateParameters,
  unmatchable,
  unguardedArguments,
  contradictions,
  quantifiedTooMuch,
  shadowed,
  coverage,
  regexes,
  zones,
  approvals,
  obligations,
  limits,
  emptyLists,
  listEntries,
  activeDates,
  unknownHandling,
  tests,
]
