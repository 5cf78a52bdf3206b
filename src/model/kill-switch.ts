/** What a kill switch stops. Its target is an id of that kind; a fleet's and a tenant's own switch have none. */
export const KILL_SCOPES = ['fleet', 'tenant', 'agent', 'team', 'session', 'tool', 'delegation'] as const
export type KillScope = (typeof KILL_SCOPES)[number]

/** Stops calls as long as it is engaged, whatever the policies say. */
export interface KillSwitch {
  /** UUIDv7. */
  readonly id: string
  readonly scope: KillScope
  /** Empty for `fleet`. */
  readonly tenant: string
  /** Agent, team, session, tool (a name or a glob) or the agent whose delegates are stopped with it; empty for fleet and tenant. */
  readonly target: string
  readonly reason: string
  readonly engagedBy: string
  readonly engagedMs: number
  /** The first of the two persons who release it; empty until one did. */
  readonly releaseAskedBy: string
  readonly releaseReason: string
  readonly releasedBy: string
  readonly releasedMs: number | null
}

/** Why a call that it stops is denied, for the one who asked. */
export function stopReason({ scope, target, reason }: KillSwitch): string {
  const what = target === '' ? scope : `${scope} ${JSON.stringify(target)}`
  return `the kill switch of ${what} is engaged: ${reason}`
}
