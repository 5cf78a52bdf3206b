import { compileRegex } from '../../src/compiler/regex.js'
import { domain, ipInCidr, parseView, underPath } from '../../src/compiler/views/index.js'
import type { IpView, PathView } from '../../src/compiler/views/view-value.js'
import type { CheckedBundle } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import { decideByMeaning, type NaiveDecision } from './meaning.js'
import type { Views } from './views.js'

export type { NaiveDecision, NaiveMatch } from './meaning.js'

/** The engine's own views, for texts that only a full parser can read. */
const ENGINE_VIEWS: Views = {
  view: parseView,
  domain,
  matches: (pattern, flags, text) => compileRegex(pattern, flags)(text),
  inRange: (ip, range) => ipInCidr(ip as unknown as IpView, range),
  under: (path, folder) => underPath(path as unknown as PathView, folder),
}

/** {@link decideByMeaning} with the engine's views: what the compiled engine is compared with. */
export function naiveDecide(call: Call, nowMs: number, bundle: CheckedBundle, tenant: string): NaiveDecision {
  return decideByMeaning(call, nowMs, bundle, tenant, ENGINE_VIEWS)
}
