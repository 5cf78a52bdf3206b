import { compilePolicySet } from '../compiler/compile.js'
import { CompileError } from '../compiler/compile-error.js'
import type { PolicySet } from '../compiler/policy-set.js'
import { BundleCache, checkBundle } from '../language/check.js'
import type { CheckedBundle, SourceBundle } from '../language/checked.js'
import { renderDiagnostic } from '../language/render-diagnostic.js'
import type { Diagnostic } from '../model/diagnostic.js'
import type { Log } from '../model/log.js'

/** Where policy text comes from: a folder today, the control store of published versions later. */
export interface PolicySource {
  /** Names the source for people: the folder's path. */
  readonly name: string
  /** Rejects with an error whose message a person can act on. */
  read(): Promise<SourceBundle>
  /** Calls back after the texts changed, until closed; sees every change from when `ready` resolves. */
  watch(onChange: () => void): PolicyWatch
}

export interface PolicyWatch {
  readonly ready: Promise<void>
  close(): void
}

/** Everything that is live at one moment. A decision, and a batch, reads it once: no answer mixes two bundles. */
export interface Snapshot {
  readonly revision: string
  /** What judges the tenant's calls: the fleet's policies and its own. A tenant without policies has the fleet's only. */
  policySetOf(tenant: string): PolicySet
  readonly counts: PolicyCounts
  readonly loadedAtMs: number
}
export interface PolicyCounts {
  readonly policies: number
  readonly rules: number
  readonly tools: number
  readonly tenants: number
}

/** What health and operators ask for. */
export interface PolicyStatus {
  readonly revision: string
  readonly loadedAtMs: number
  readonly reloads: number
  /** Null while what is live is what the source holds; else why the source's present state did not go live. */
  readonly failure: { readonly atMs: number; readonly message: string } | null
}

/** The policies did not read or check; `message` holds every error, rendered with its excerpt. */
export class PoliciesRefused extends Error {
  override readonly name = 'PoliciesRefused'
}

export interface LivePoliciesDeps {
  readonly source: PolicySource
  readonly log: Log
  readonly nowMs: () => number
  /** Told when the source's present state was refused, and when it is live again. */
  readonly onCurrent?: (current: boolean) => void
}

/**
 * Holds each tenant's live policy set and swaps all of them at once. A new state of the source that does not check changes
 * nothing: the last good sets go on answering, and the log and {@link status} say so until the source is mended.
 */
export class LivePolicies {
  readonly #deps: LivePoliciesDeps
  /** Rules that did not change since the last load are not parsed again. */
  readonly #parsed = new BundleCache()
  #live: Snapshot | null = null
  #failure: PolicyStatus['failure'] = null
  #reloads = 0
  #watch: PolicyWatch | null = null
  #running: Promise<void> | null = null
  #again = false
  #closed = false

  constructor(deps: LivePoliciesDeps) {
    this.#deps = deps
  }

  /**
   * Loads the first sets and begins to watch.
   * @throws {PoliciesRefused} when the source does not read or check: nothing is live then.
   */
  async start(): Promise<Snapshot> {
    // Watched before it is read, so that no change falls between the two.
    this.#watch = this.#deps.source.watch(() => void this.reload('change'))
    try {
      await this.#watch.ready
      this.#live = await this.#load()
    } catch (error) {
      this.close()
      throw error
    }
    if (this.#again) void this.reload('change')
    return this.#live
  }

  /** What is live now. INVARIANT: never null after {@link start} resolved. */
  live(): Snapshot {
    if (this.#live === null) throw new Error('no policies are live yet')
    return this.#live
  }

  status(): PolicyStatus {
    const { revision, loadedAtMs } = this.live()
    return { revision, loadedAtMs, reloads: this.#reloads, failure: this.#failure }
  }

  /** Reads the source again; never rejects. Calls during a reload lead to one more after it, for the source may have changed. */
  reload(trigger: 'change' | 'signal'): Promise<void> {
    if (this.#live === null) {
      this.#again = true
      return Promise.resolve()
    }
    if (this.#running !== null) {
      this.#again = true
      return this.#running
    }
    this.#running = this.#reloadUntilSettled(trigger)
    return this.#running
  }

  close(): void {
    this.#closed = true
    this.#watch?.close()
  }

  async #reloadUntilSettled(trigger: string): Promise<void> {
    do {
      this.#again = false
      await this.#reloadOnce(trigger)
    } while (this.#again && !this.#closed)
    // In the same turn as the look at `#again`, so that no call falls between the two.
    this.#running = null
  }

  async #reloadOnce(trigger: string): Promise<void> {
    const before = this.#live
    if (this.#closed || before === null) return
    const { log, nowMs, source, onCurrent } = this.#deps
    try {
      const next = await this.#load()
      const mended = this.#failure !== null
      this.#failure = null
      if (mended) onCurrent?.(true)
      if (next.revision === before.revision) {
        if (mended || trigger === 'signal') log.info('policies unchanged', { trigger, revision: next.revision })
        return
      }
      this.#live = next
      this.#reloads++
      log.info('policies reloaded', { trigger, revision: next.revision, was: before.revision, ...next.counts })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#failure = { atMs: nowMs(), message }
      onCurrent?.(false)
      log.error('policies refused, the last good ones stay live', {
        trigger,
        source: source.name,
        live: before.revision,
        findings: message,
        cause: error instanceof PoliciesRefused ? undefined : (error as Error),
      })
    }
  }

  async #load(): Promise<Snapshot> {
    const { source, log, nowMs } = this.#deps
    const texts = await source.read().catch((error: unknown) => {
      throw new PoliciesRefused(error instanceof Error ? error.message : String(error), { cause: error })
    })
    const bundle = checkBundle(texts, this.#parsed)
    const errors = bundle.diagnostics.filter((d) => d.severity === 'error')
    if (errors.length > 0) throw new PoliciesRefused(render(errors))
    const warnings = bundle.diagnostics.filter((d) => d.severity === 'warning')
    if (warnings.length > 0 && bundle.revision !== this.#live?.revision) {
      log.warn('policies have warnings', { count: warnings.length, findings: render(warnings) })
    }
    return { revision: bundle.revision, policySetOf: compile(bundle), counts: countsOf(bundle), loadedAtMs: nowMs() }
  }
}

/** Tenants without policies of their own are known to the identity alone: one set serves them all. */
function compile(bundle: CheckedBundle): (tenant: string) => PolicySet {
  try {
    const own = new Map([...bundle.tenants.keys()].map((tenant) => [tenant, compilePolicySet(bundle, tenant)]))
    const bare = compilePolicySet(bundle, null)
    return (tenant) => own.get(tenant) ?? bare
  } catch (error) {
    if (error instanceof CompileError) throw new PoliciesRefused(render(error.diagnostics))
    throw error
  }
}

/** Enough to mend; `portcullis check` shows the rest. */
const SHOWN_FINDINGS = 20

function render(diagnostics: readonly Diagnostic[]): string {
  const shown = diagnostics.slice(0, SHOWN_FINDINGS).map((d) => renderDiagnostic(d))
  const more = diagnostics.length - shown.length
  return [...shown, ...(more > 0 ? [`and ${more} more; \`portcullis check\` shows all`] : [])].join('\n')
}

function countsOf(bundle: CheckedBundle): PolicyCounts {
  const layers = [bundle.fleet, ...bundle.tenants.values()]
  const policies = layers.flatMap((layer) => layer.policies)
  const tools = new Set(layers.flatMap((layer) => [...layer.tools.keys()]))
  return {
    policies: policies.length,
    rules: policies.reduce((sum, policy) => sum + policy.rules.length, 0),
    tools: tools.size,
    tenants: bundle.tenants.size,
  }
}
