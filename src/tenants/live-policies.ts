import { setImmediate } from 'node:timers/promises'
import type { PolicyImage } from '../compiler/image.js'
import { openPolicySet, type PolicySet } from '../compiler/policy-set.js'
import type { SourceBundle } from '../language/checked.js'
import type { Log } from '../model/log.js'
import type { Loaded, PolicyCounts } from './load-policies.js'
import { PolicyLoader } from './policy-loader.js'

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
  /** Closed with the policies. */
  readonly loader?: PolicyLoader
}

/**
 * Holds each tenant's live policy set and swaps all of them at once. A new state of the source that does not check changes
 * nothing: the last good sets go on answering, and the log and {@link status} say so until the source is mended.
 */
export class LivePolicies {
  readonly #deps: LivePoliciesDeps
  readonly #loader: PolicyLoader
  #live: Snapshot | null = null
  #failure: PolicyStatus['failure'] = null
  #reloads = 0
  #watch: PolicyWatch | null = null
  #running: Promise<void> | null = null
  #again = false
  #closed = false

  constructor(deps: LivePoliciesDeps) {
    this.#deps = deps
    this.#loader = deps.loader ?? new PolicyLoader()
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
      this.#live = await this.#loadFirst()
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
    this.#loader.close()
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
      if (this.#closed) return
      const mended = this.#failure !== null
      this.#failure = null
      if (mended) onCurrent?.(true)
      if (next === null) {
        if (mended || trigger === 'signal') log.info('policies unchanged', { trigger, revision: before.revision })
        return
      }
      this.#live = next
      this.#reloads++
      log.info('policies reloaded', { trigger, revision: next.revision, was: before.revision, ...next.counts })
    } catch (error) {
      if (this.#closed) return
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

  async #loadFirst(): Promise<Snapshot> {
    const first = await this.#load()
    if (first === null) throw new Error('nothing was live, so nothing can be unchanged')
    return first
  }

  /** Null where the source holds what is live. */
  async #load(): Promise<Snapshot | null> {
    const { source, log, nowMs } = this.#deps
    const texts = await source.read().catch((error: unknown) => {
      throw new PoliciesRefused(error instanceof Error ? error.message : String(error), { cause: error })
    })
    const loaded = await this.#loader.load(texts, this.#live?.revision ?? null)
    if (loaded.kind === 'unchanged') return null
    if (loaded.kind === 'refused') throw new PoliciesRefused(loaded.errors.text)
    const { revision, counts, warnings } = loaded
    if (warnings.count > 0) log.warn('policies have warnings', { count: warnings.count, findings: warnings.text })
    return { revision, policySetOf: await open(loaded), counts, loadedAtMs: nowMs() }
  }
}

/** How long the event loop may be kept waiting while a set is made ready, milliseconds. */
const SLICE_MS = 1

/** Opens every set and makes it ready, a little at a time; what is live answers meanwhile. */
async function open({ own, bare }: Extract<Loaded, { kind: 'loaded' }>): Promise<(tenant: string) => PolicySet> {
  const sets = new Map<string, PolicySet>()
  for (const [tenant, image] of own) sets.set(tenant, await openOne(image))
  // Tenants without policies of their own are known to the identity alone: one set serves them all.
  const others = await openOne(bare)
  return (tenant) => sets.get(tenant) ?? others
}

async function openOne(image: PolicyImage): Promise<PolicySet> {
  const set = openPolicySet(image)
  let startMs = performance.now()
  for (const _ of set.prepare()) {
    if (performance.now() - startMs < SLICE_MS) continue
    await setImmediate()
    startMs = performance.now()
  }
  await setImmediate()
  return set
}
