import { activeDates } from './active-dates.js'
import { approvals } from './approvals.js'
import { unguardedArguments } from './arguments.js'
import { conditions } from './conditions.js'
import type { Check } from './context.js'
import { contradictions } from './contradictions.js'
import { coverage } from './coverage.js'
import { duplicateIds } from './duplicate-ids.js'
import { limits } from './limits.js'
import { emptyLists } from './lists.js'
import { obligations } from './obligations.js'
import { regexes } from './regexes.js'
import { scopes } from './scopes.js'
import { shadowed } from './shadowed.js'
import { tests } from './tests.js'
import { unknownHandling } from './unknown-handling.js'
import { zones } from './zones.js'

/** Every check, in the order in which they run; the order of the findings is that of their places. */
export const CHECKS: readonly Check[] = [
  duplicateIds,
  scopes,
  conditions,
  unguardedArguments,
  contradictions,
  shadowed,
  coverage,
  regexes,
  zones,
  approvals,
  obligations,
  limits,
  emptyLists,
  activeDates,
  unknownHandling,
  tests,
]
