import type { Location } from '../model/span.js'
import type { SourceBundle } from './checked.js'
import type { Reporter } from './report.js'
import { decodeUtf8 } from './text.js'

/** The most bytes of a list file or an MCP tool list. */
const MAX_ATTACHMENT_BYTES = 8 * 1_048_576

/** Reads the files that policies name, and remembers which: they are part of the bundle's revision. */
export class Attachments {
  readonly used = new Set<string>()
  /** Those, and files that were asked for and do not exist. */
  readonly wanted = new Set<string>()
  readonly #bundle: SourceBundle
  readonly #reporter: Reporter

  constructor(bundle: SourceBundle, reporter: Reporter) {
    this.#bundle = bundle
    this.#reporter = reporter
  }

  /**
   * Text of the file that the policy at `from` calls `path`, or null after a diagnostic at `place`. The path counts from
   * the policy file; it may leave neither the bundle nor, in a tenant's folder, reach into another tenant's.
   */
  read(from: string, path: string, place: Location): string | null {
    const resolved = resolvePath(from, path)
    if (resolved === null || !mayReach(from, resolved)) {
      this.#reporter.report(
        'POL1015',
        place,
        `\`${path}\` lies outside of what this policy may read`,
        resolved === null
          ? 'name a file inside the bundle, by a path that starts at the folder of this policy file'
          : "a tenant's lists stand in the tenant's own folder or outside of `tenants/`",
      )
      return null
    }
    this.wanted.add(resolved)
    const bytes = this.#bundle.attachments.get(resolved)
    if (bytes === undefined) {
      const message = `the file \`${resolved}\` does not exist in this bundle`
      this.#reporter.report('POL1014', place, message, 'the path counts from the folder of this policy file')
      return null
    }
    this.used.add(resolved)
    return this.#decode(resolved, bytes, place)
  }

  #decode(path: string, bytes: Uint8Array, place: Location): string | null {
    if (bytes.length > MAX_ATTACHMENT_BYTES) {
      const message = `\`${path}\` has ${bytes.length} bytes; the limit is ${MAX_ATTACHMENT_BYTES} (8 MiB)`
      this.#reporter.report('POL1016', place, message)
      return null
    }
    const decoded = decodeUtf8(bytes)
    if ('text' in decoded) return decoded.text
    const message = `\`${path}\` is not UTF-8: the byte at offset ${decoded.badByte} begins no character`
    this.#reporter.report('POL1016', place, message, 'save the file as UTF-8')
    return null
  }
}

/** Null when the path is absolute, holds a backslash, or climbs out of the bundle. */
function resolvePath(from: string, path: string): string | null {
  if (path === '' || path.startsWith('/') || /[\\\x00]/.test(path) || /^[A-Za-z]:/.test(path)) return null
  const parts = from.split('/').slice(0, -1)
  for (const part of path.split('/')) {
    if (part === '..') {
      if (parts.pop() === undefined) return null
    } else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts.join('/')
}

/** The tenant whose folder holds `path`, or null. */
export const tenantOf = (path: string): string | null => /^tenants\/([^/]+)\//.exec(path)?.[1] ?? null

function mayReach(from: string, to: string): boolean {
  const owner = tenantOf(to)
  return owner === null || owner === tenantOf(from)
}
