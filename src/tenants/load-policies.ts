import { compile } from '../compiler/compile.js'
import { CompileCache } from '../compiler/compile-cache.js'
import { CompileError } from '../compiler/compile-error.js'
import type { PolicyImage } from '../compiler/image.js'
import { BundleCache, checkBundle } from '../language/check.js'
import type { CheckedBundle, SourceBundle } from '../language/checked.js'
import { renderDiagnostic } from '../language/render-diagnostic.js'
import type { Diagnostic } from '../model/diagnostic.js'

export interface PolicyCounts {
  readonly policies: number
  readonly rules: number
  readonly tools: number
  readonly tenants: number
}

/** What policy texts came to: plain data, so that one thread may find it out for another. */
export type Loaded =
  | {
      readonly kind: 'loaded'
      readonly revision: string
      readonly counts: PolicyCounts
      readonly warnings: Findings
      /** By tenant, for those that have policies of their own. */
      readonly own: readonly (readonly [tenant: string, image: PolicyImage])[]
      /** For all others. */
      readonly bare: PolicyImage
    }
  /** The texts are those of the revision that is live. */
  | { readonly kind: 'unchanged'; readonly revision: string }
  | { readonly kind: 'refused'; readonly errors: Findings }

/** Rendered with their excerpts, some of `count`. */
export interface Findings {
  readonly count: number
  readonly text: string
}

/** What one load leaves for the next, so that a reload costs what changed. */
export class LoadCache {
  readonly checked = new BundleCache()
  readonly compiled = new CompileCache()
}

/** @param live the revision that need not be compiled again, or null */
export function loadPolicies(texts: SourceBundle, live: string | null, cache: LoadCache): Loaded {
  const bundle = checkBundle(texts, cache.checked)
  const errors = bundle.diagnostics.filter((d) => d.severity === 'error')
  if (errors.length > 0) return { kind: 'refused', errors: render(errors) }
  const { revision } = bundle
  if (revision === live) return { kind: 'unchanged', revision }
  const warnings = render(bundle.diagnostics.filter((d) => d.severity === 'warning'))
  const { compiled } = cache
  compiled.keepOnly(bundle)
  try {
    const own = [...bundle.tenants.keys()].map((tenant) => [tenant, compile(bundle, tenant, compiled)] as const)
    return { kind: 'loaded', revision, counts: countsOf(bundle), warnings, own, bare: compile(bundle, null, compiled) }
  } catch (error) {
    if (error instanceof CompileError) return { kind: 'refused', errors: render(error.diagnostics) }
    throw error
  }
}

/** Enough to mend; `portcullis check` shows the rest. */
const SHOWN_FINDINGS = 20

function render(diagnostics: readonly Diagnostic[]): Findings {
  const shown = diagnostics.slice(0, SHOWN_FINDINGS).map((d) => renderDiagnostic(d))
  const more = diagnostics.length - shown.length
  const text = [...shown, ...(more > 0 ? [`and ${more} more; \`portcullis check\` shows all`] : [])].join('\n')
  return { count: diagnostics.length, text }
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
