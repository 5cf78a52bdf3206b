import type { BudgetSection } from './budgets.js'
import type { EntrySection } from './entries.js'
import type { NameSection } from './names.js'
import type { PredicateSection } from './predicates.js'
import type { ProgramSection } from './program.js'
import type { StringSection } from './string-pool.js'

/**
 * The policies that judge one tenant's calls, compiled to plain data: typed arrays and one pool of texts. Made by `compile`,
 * in whatever thread, and opened by `openPolicySet` in constant time; handing it over with `transfersOf` copies nothing.
 */
export interface PolicyImage {
  /** `sha256:` and 64 hex digits over the files of the bundle. */
  readonly revision: string
  /** Null for the image of every tenant that has no policies of its own: what the fleet says of tenants is asked of the call. */
  readonly tenant: string | null
  readonly strings: StringSection
  readonly predicates: PredicateSection
  readonly entries: EntrySection
  readonly programs: ProgramSection
  readonly tools: NameSection
  readonly environments: NameSection
  /** What entries demand of tool and environment (see `Demands`). */
  readonly demands: Int32Array<ArrayBuffer>
  readonly budgets: BudgetSection
  /** By row of the tools: the text of its declaration, or -1. */
  readonly declarations: Int32Array<ArrayBuffer>
  /** By row of the tools: 1 where every ALLOW carries a receipt. Empty where none does. */
  readonly receipts: Uint8Array<ArrayBuffer>
  /** Entries that are defaults of policies that speak for every call. */
  readonly always: Int32Array<ArrayBuffer>
}

/** The buffers of an image, for `postMessage(image, transfersOf(image))`. The sender's image is empty afterwards. */
export function transfersOf(image: PolicyImage): ArrayBuffer[] {
  return buffersOf(image)
}

/** Bytes that an image takes, or sections of one. */
export function bytesOf(part: PolicyImage | Partial<PolicyImage>): number {
  return buffersOf(part).reduce((sum, { byteLength }) => sum + byteLength, 0)
}

function buffersOf(part: object): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  const visit = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) found.add(value.buffer as ArrayBuffer)
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit)
  }
  visit(part)
  return [...found]
}

/** Sections in buffers of their own, for one that is kept while its image is handed over. */
export function copyOf<Section extends object>(section: Section): Section {
  return structuredClone(section)
}
