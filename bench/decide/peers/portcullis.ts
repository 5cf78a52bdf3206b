import { compilePolicySet } from '../../../src/compiler/compile.js'
import { decide } from '../../../src/engine/decide.js'
import type { CheckedBundle } from '../../../src/language/checked.js'
import type { Call } from '../../../src/model/call.js'
import { FACTS } from '../../support/workload.js'
import type { OpenPeer } from '../peer.js'

/** Ours, with everything that a decision of ours says: every rule that matched, requirements, obligations and the reason. */
export function openOurs(bundle: CheckedBundle, calls: readonly Call[]): OpenPeer {
  const policySet = compilePolicySet(bundle, 'default')
  return { isAsync: false, decide: (call) => decide(calls[call]!, FACTS, policySet).outcome }
}
