import type { Caller } from './client.js'
import { optionalDate, type Timestamp, toDate } from './timestamp.js'

export type KillScope = 'fleet' | 'tenant' | 'agent' | 'team' | 'session' | 'tool' | 'delegation'

export interface KillSwitch {
  readonly killSwitchId: string
  readonly scope: KillScope
  readonly target: string
  readonly reason: string
  readonly engagedBy: string
  readonly engagedAt: Date
  /** Empty until the first of two persons asked for the release. */
  readonly releaseAskedBy: string
  readonly releaseReason: string
  readonly releasedBy: string
  readonly releasedAt: Date | null
  /** Every instance that serves, and whether it already acts by the switch. */
  readonly confirmations: readonly { readonly instance: string; readonly confirmed: boolean; readonly seenAt: Date }[]
  readonly approvalsEnded: number
  readonly grantsRevoked: number
}

type Wire = Omit<KillSwitch, 'scope' | 'engagedAt' | 'releasedAt' | 'confirmations'> & {
  readonly scope: string
  readonly engagedAt: Timestamp
  readonly releasedAt: Timestamp | null
  readonly confirmations: readonly {
    readonly instance: string
    readonly confirmed: boolean
    readonly seenAt: Timestamp
  }[]
}

const SERVICE = 'KillSwitchService'
const PREFIX = 'KILL_SCOPE_'

/** Stopping agents, and letting them go on: one operator engages, two release. Every method throws PortcullisError. */
export class KillSwitches {
  readonly #caller: Caller

  constructor(caller: Caller) {
    this.#caller = caller
  }

  /** @param target empty for `fleet` and `tenant`; a name or glob for `tool` */
  async engage(scope: KillScope, target: string, reason: string): Promise<KillSwitch> {
    const message = { scope: PREFIX + scope.toUpperCase(), target, reason }
    return fromWire(await this.#caller.call<Wire>(SERVICE, 'engage', message))
  }

  /** The first call asks, a second person's completes it. */
  async release(killSwitchId: string, reason: string): Promise<KillSwitch> {
    return fromWire(await this.#caller.call<Wire>(SERVICE, 'release', { killSwitchId, reason }))
  }

  async list(includeReleased = false): Promise<readonly KillSwitch[]> {
    const message = { includeReleased }
    const { killSwitches } = await this.#caller.call<{ killSwitches: readonly Wire[] }>(SERVICE, 'list', message)
    return killSwitches.map(fromWire)
  }

  /** Every engaged switch, then every change. */
  async *watch(signal?: AbortSignal): AsyncGenerator<KillSwitch, void> {
    type Update = { readonly killSwitch?: Wire | null }
    for await (const { killSwitch } of this.#caller.watch<Update>(SERVICE, 'watch', {}, signal)) {
      if (killSwitch) yield fromWire(killSwitch)
    }
  }
}

function fromWire({ scope, engagedAt, releasedAt, confirmations, ...rest }: Wire): KillSwitch {
  return {
    ...rest,
    scope: scope.slice(PREFIX.length).toLowerCase() as KillScope,
    engagedAt: toDate(engagedAt),
    releasedAt: optionalDate(releasedAt),
    confirmations: confirmations.map(({ seenAt, ...each }) => ({ ...each, seenAt: toDate(seenAt) })),
  }
}
