import { LRUCache } from 'lru-cache'
import type { Call } from '../model/call.js'
import type { Decision, MatchedRule } from '../model/decision.js'

/** How many critical violations of one agent, within which time, stop it. */
export interface AutoKillRule {
  /** 1 to 1,000. */
  readonly most: number
  /** Milliseconds. */
  readonly withinMs: number
}

export interface AutoKillOptions {
  readonly rule: AutoKillRule
  /** Engages the switch of the agent. Called again at the agent's next violation when it failed. */
  readonly engage: (tenant: string, agent: string, reason: string) => Promise<void>
}

/** Agents whose violations are remembered, so that invented names take no more memory than that. */
const MOST_AGENTS = 10_000

/**
 * Stops an agent that keeps running into what matters most: a rule of severity critical that denies, or would but for an approval.
 * Each instance counts what it decided itself, so that several stop an agent a little later, never sooner.
 */
export class AutoKill {
  readonly #options: AutoKillOptions
  /** Times of the last violations by tenant and agent, oldest first, at most as many as it takes. */
  readonly #times = new LRUCache<string, number[]>({ max: MOST_AGENTS })
  readonly #engaging = new Set<string>()

  constructor(options: AutoKillOptions) {
    this.#options = options
  }

  /** @param nowMs milliseconds since the epoch, or from any start that never goes back */
  observe({ tenant, agent }: Call, decision: Decision, nowMs: number): void {
    const by = decision.outcome === 'ALLOW' ? undefined : decision.matched.find(isCritical)
    if (by === undefined) return
    const { most, withinMs } = this.#options.rule
    const key = `${tenant}\0${agent.id}`
    const times = (this.#times.get(key) ?? []).filter((atMs) => nowMs - atMs < withinMs)
    times.push(nowMs)
    this.#times.set(key, times.slice(-most))
    if (times.length >= most && !this.#engaging.has(key)) this.#engage(key, tenant, agent.id, by)
  }

  #engage(key: string, tenant: string, agent: string, { ruleId }: MatchedRule): void {
    const { rule, engage } = this.#options
    const minutes = rule.withinMs / 60_000
    const reason = `${rule.most} critical violations within ${minutes} min, the last by rule ${ruleId}`
    this.#engaging.add(key)
    engage(tenant, agent, reason).then(
      () => {
        // Once released it starts anew.
        this.#times.delete(key)
        this.#engaging.delete(key)
      },
      () => this.#engaging.delete(key),
    )
  }
}

function isCritical({ severity, effect }: MatchedRule): boolean {
  return severity === 'critical' && (effect === 'DENY' || effect === 'DENY_EXCEPT_APPROVAL')
}
