import type { Call } from '../model/call.js'
import { compileGlob } from '../model/glob.js'
import type { KillScope, KillSwitch } from '../model/kill-switch.js'

/** The label of an agent that names its team. */
const TEAM = 'team'

/**
 * The switches that are engaged, laid out so that a call costs a few lookups however many there are; none at all while
 * nothing is engaged. Immutable.
 */
export class KillSwitches {
  static readonly NONE = new KillSwitches([])

  /** By {@link keyOf}; the oldest switch where several stop the same. */
  readonly #byTarget = new Map<string, KillSwitch>()
  readonly #toolGlobs: {
    readonly tenant: string
    readonly fits: (tool: string) => boolean
    readonly by: KillSwitch
  }[] = []
  readonly #isEmpty: boolean

  /** @param engaged in the order in which they were engaged */
  constructor(engaged: readonly KillSwitch[]) {
    this.#isEmpty = engaged.length === 0
    for (const by of engaged) {
      const { scope, tenant, target } = by
      if (scope === 'tool' && target.includes('*')) this.#toolGlobs.push({ tenant, fits: compileGlob(target), by })
      const key = keyOf(scope, tenant, target)
      if (!this.#byTarget.has(key)) this.#byTarget.set(key, by)
    }
  }

  /** The widest switch that stops this call, or null. */
  stopping(call: Call): KillSwitch | null {
    return this.#isEmpty ? null : this.#widest(call)
  }

  #widest({ tenant, agent, sessionId, delegationChain, tool }: Call): KillSwitch | null {
    const of = (scope: KillScope, target: string): KillSwitch | undefined =>
      this.#byTarget.get(keyOf(scope, tenant, target))
    const team = agent.labels[TEAM]
    return (
      this.#byTarget.get(keyOf('fleet', '', '')) ??
      of('tenant', '') ??
      (team === undefined ? undefined : of('team', team)) ??
      of('agent', agent.id) ??
      of('delegation', agent.id) ??
      first(delegationChain, (delegator) => of('delegation', delegator)) ??
      (sessionId === '' ? undefined : of('session', sessionId)) ??
      of('tool', tool) ??
      this.#toolGlobs.find((glob) => glob.tenant === tenant && glob.fits(tool))?.by ??
      null
    )
  }
}

/** No name holds NUL. */
function keyOf(scope: KillScope, tenant: string, target: string): string {
  return `${scope}\0${tenant}\0${target}`
}

function first<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}
