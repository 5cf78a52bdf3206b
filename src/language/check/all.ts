import type { Check } from './context.js'
import { duplicateIds } from './duplicate-ids.js'

/** Every check, in the order in which they run; the order of the findings is that of their places. */
export const CHECKS: readonly Check[] = [duplicateIds]
