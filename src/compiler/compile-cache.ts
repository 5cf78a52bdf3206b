import type { CheckedBundle } from '../language/checked.js'
import type { Parts } from './compile.js'
import { type Draft, type Drafted, Objects } from './draft.js'
import type { PolicyImage } from './image.js'
import type { Fragment } from './program.js'

/**
 * What compiling a bundle leaves for the next time, so that compiling it again costs what changed; it has no say in the
 * images. Holds what the last image of each tenant is made of, and about as much again of what came before at most.
 */
export class CompileCache {
  readonly #tenants = new Map<string | null, TenantCache>()

  /** What may be used again for the tenant: nothing, when anything but rules changed since. */
  of({ ground }: CheckedBundle, tenant: string | null): TenantCache {
    const known = this.#tenants.get(tenant)
    if (known !== undefined && known.ground === ground) return known
    const fresh = new TenantCache(ground)
    this.#tenants.set(tenant, fresh)
    return fresh
  }

  /** Forgets tenants that the bundle does not have. */
  keepOnly({ tenants }: CheckedBundle): void {
    for (const tenant of this.#tenants.keys()) {
      if (tenant !== null && !tenants.has(tenant)) this.#tenants.delete(tenant)
    }
  }
}

/** The images of one tenant, one after the other, for as long as nothing but rules changes. */
export class TenantCache {
  /** How many images there were. */
  last = 0
  readonly objects = new Objects(this)
  /** In the order of the last image. */
  entries: readonly Draft[] = []
  /** Its program of the entries that name no tool. */
  everyTool: Fragment | null = null
  /** What each rule came to. */
  readonly rules = new Map<object, Extract<Drafted, { readonly drafts: unknown }>>()

  /** @param ground see `CheckedBundle` */
  constructor(readonly ground: object) {}

  /** To be called when an image is made, with what it is made of. */
  keep({ strings }: PolicyImage, entries: readonly Draft[], everyTool: Fragment, parts: Parts): void {
    this.last++
    this.entries = entries
    this.everyTool = everyTool
    const { texts, predicates, tools, environments, toolDemands, environmentDemands } = this.objects
    texts.keep(strings)
    predicates.sweep(parts.predicates.length)
    tools.sweep(parts.tools.length)
    environments.sweep(parts.environments.length)
    toolDemands.sweep(parts.demands.length)
    environmentDemands.sweep(parts.demands.length)
    this.#sweepRules()
  }

  #sweepRules(): void {
    if (this.rules.size <= 2 * this.entries.length + FEW) return
    for (const [core, { drafts }] of this.rules) {
      if (!drafts.some(({ image }) => image === this.last)) this.rules.delete(core)
    }
  }
}

const FEW = 64
