import { readPolicyFolder } from '../authoring/policy-folder.js'
import { compileDiagnostics, compilePolicySet } from '../compiler/compile.js'
import type { PolicySet } from '../compiler/policy-set.js'
import { checkBundle } from '../language/check.js'
import type { CheckedBundle } from '../language/checked.js'
import { renderDiagnostic } from '../language/render-diagnostic.js'
import type { Diagnostic, Severity } from '../model/diagnostic.js'
import { CommandFailed, UsageError } from './command.js'
import { plural, type Terminal } from './terminal.js'

/** Diagnostics printed before the rest is only counted. */
const SHOWN = 50

/** The bundle of a folder, with everything that checking and compiling find among its diagnostics. */
export async function checkFolder(folder: string): Promise<CheckedBundle> {
  const bundle = checkBundle(await readPolicyFolder(folder))
  if (bundle.diagnostics.some(({ severity }) => severity === 'error')) return bundle
  const found = compileDiagnostics(bundle)
  return found.length === 0 ? bundle : { ...bundle, diagnostics: [...bundle.diagnostics, ...found] }
}

/**
 * The bundle of a folder, for commands that need one that may go live; its errors go to `err`.
 * @throws {CommandFailed} when the bundle has errors
 */
export async function goodBundle(folder: string, err: Terminal): Promise<CheckedBundle> {
  const bundle = await checkFolder(folder)
  const errors = bundle.diagnostics.filter((d) => d.severity === 'error')
  if (errors.length > 0) {
    await printDiagnostics(errors, err)
    throw new CommandFailed(`${plural(errors.length, 'error')} in \`${folder}\`; nothing was decided`)
  }
  return bundle
}

/** @throws {UsageError} for a tenant that the bundle does not have */
export function policySetOf(bundle: CheckedBundle, tenant: string): PolicySet {
  return compilePolicySet(bundle, knownTenant(bundle, tenant))
}

/** @throws {UsageError} for a tenant that the bundle does not have */
export function knownTenant(bundle: CheckedBundle, tenant: string): string {
  if (bundle.tenants.has(tenant)) return tenant
  throw new UsageError(
    `no tenant \`${tenant}\`; the folder has ${[...bundle.tenants.keys()].map((t) => `\`${t}\``).join(', ')}`,
  )
}

const ORDER: readonly Severity[] = ['error', 'warning', 'info']

/** Errors first, each severity in the order of files and lines. */
export async function printDiagnostics(diagnostics: readonly Diagnostic[], to: Terminal): Promise<void> {
  const sorted = [...diagnostics].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity))
  for (const diagnostic of sorted.slice(0, SHOWN))
    await to.write(`${renderDiagnostic(diagnostic, { color: to.colours })}\n\n`)
  if (sorted.length > SHOWN) await to.write(`… and ${plural(sorted.length - SHOWN, 'more finding')}\n\n`)
}

/** `2 errors, 1 warning`. */
export function countFindings(diagnostics: readonly Diagnostic[]): string {
  const count = (severity: Severity): number => diagnostics.filter((d) => d.severity === severity).length
  return `${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}`
}
