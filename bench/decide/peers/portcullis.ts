import { compilePolicySet } from '../../../src/compiler/compile.js'
import { decide } from '../../../src/engine/decide.js'
import type { CheckedBundle } from '../../../src/language/checked.js'
import type { Call } from '../../../src/model/call.js'
import type { OpenPeer } from '../peer.js'

/** A Monday noon; no rule of the comparison reads the clock. */
export const FACTS = { nowMs: Date.UTC(2026, 0, 5, 12) }

/** Ours, with everything that a decision of ours says: every rule that matched, requirements, obligations and the reason. */
export function openOurs(bundle: CheckedBundle, calls: readonly Call[]): OpenPeer {
  const policySet = compilePolicySet(bundle, 'default')
  return { isAsync: false, decide: (call) => decide(calls[call]!, FACTS, policySet).outcome }
}
