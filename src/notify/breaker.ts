export interface BreakerOptions {
  readonly nowMs: () => number
  /** Failures in a row after which a host is left alone. @default 5 */
  readonly mostFailures?: number
  /** First and longest time that it is left alone. @default 30,000 and 300,000 */
  readonly pauseMs?: { readonly least: number; readonly most: number }
  /** Told when a host is left alone, and when it is back. */
  readonly changed?: (host: string, isOpen: boolean) => void
}

interface Circuit {
  failures: number
  /** Nothing is sent before. 0 while the circuit is closed. */
  openUntilMs: number
  pauseMs: number
  /** One try is under way that says whether the host is back. */
  isProbing: boolean
}

/**
 * One circuit for each host: after some failures in a row nothing is sent to it for a while, then one try alone finds out
 * whether it is back; each time it is not, the while doubles. Of this process, and forgotten with it.
 */
export class Breakers {
  readonly #options: Required<BreakerOptions>
  readonly #circuits = new Map<string, Circuit>()

  constructor(options: BreakerOptions) {
    this.#options = {
      mostFailures: 5,
      pauseMs: { least: 30_000, most: 300_000 },
      changed: () => undefined,
      ...options,
    }
  }

  /** How long to wait before something may be sent to the host, in milliseconds; 0 is now, and then {@link ended} must follow. */
  enter(host: string): number {
    const circuit = this.#circuits.get(host)
    if (circuit === undefined || circuit.openUntilMs === 0) return 0
    const leftMs = circuit.openUntilMs - this.#options.nowMs()
    if (leftMs > 0) return leftMs
    // Others come back soon after the try that is under way, whose outcome opens or closes the circuit for them.
    if (circuit.isProbing) return PROBE_MS
    circuit.isProbing = true
    return 0
  }

  /** @param isIll whether the try failed as it does when the whole host is ill */
  ended(host: string, isIll: boolean): void {
    const circuit = this.#circuits.get(host)
    if (!isIll) {
      if (circuit !== undefined && circuit.openUntilMs > 0) this.#options.changed(host, false)
      this.#circuits.delete(host)
      return
    }
    const { nowMs, mostFailures, pauseMs } = this.#options
    const { failures = 0, openUntilMs = 0, pauseMs: lastMs = 0, isProbing = false } = circuit ?? {}
    const next: Circuit = { failures: failures + 1, openUntilMs, pauseMs: lastMs, isProbing }
    this.#circuits.set(host, next)
    if (next.failures < mostFailures) return
    const isOpen = openUntilMs > 0
    // Tries that began before the circuit opened end after it, and say nothing new.
    if (isOpen && !isProbing) return
    next.isProbing = false
    next.pauseMs = isOpen ? Math.min(2 * lastMs, pauseMs.most) : pauseMs.least
    next.openUntilMs = nowMs() + next.pauseMs
    if (!isOpen) this.#options.changed(host, true)
  }
}

const PROBE_MS = 5_000
