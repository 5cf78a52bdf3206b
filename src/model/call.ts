import type { JsonObject } from './json.js'

/** An agent or a principal: an id and labels such as `team = billing`. */
export interface Subject {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
}

/** One question to the PDP: may this agent call this tool with these arguments now? All names are non-empty, at most 256 bytes. */
export interface Call {
  /** Given by the caller: idempotency and correlation. Empty when the caller gave none. */
  readonly requestId: string
  readonly tenant: string
  readonly agent: Subject
  /** On whose behalf; null when the agent acts for itself. */
  readonly principal: Subject | null
  /** Empty when the caller keeps no sessions. */
  readonly sessionId: string
  /** Agents that handed the task on, the first delegator first. */
  readonly delegationChain: readonly string[]
  readonly tool: string
  readonly environment: string
  readonly arguments: JsonObject
  /** Facts that the caller vouches for: `context.*` in the language. */
  readonly context: JsonObject
}

/** What the decision needs beyond the call. Read once a decision, given by tests, simulations and replays. */
export interface Facts {
  /** The one clock: milliseconds since the epoch, UTC. */
  readonly nowMs: number
}
