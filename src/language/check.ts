import { createHash } from 'node:crypto'
import { Attachments, tenantOf } from './attachments.js'
import { CHECKS } from './check/all.js'
import type { LayerView } from './check/context.js'
import type { CheckedBundle, SourceBundle } from './checked.js'
import { LayerBuilder } from './layer.js'
import { ParseCache, type ParsedFile, parseFile } from './parse.js'
import { Reporter } from './report.js'
import type { OpenFile } from './site.js'

export { ParseCache } from './parse.js'

/** The tenant of files that stand in no tenant's folder. */
export const DEFAULT_TENANT = 'default'

/**
 * Texts to a checked bundle: parsed, names resolved, lists read, templates expanded, every check run. Never throws on
 * account of content; look for errors among the diagnostics before using the rest.
 * @param cache keep one across reloads, so that only changed declarations are parsed again
 */
export function checkBundle(source: SourceBundle, cache: ParseCache = new ParseCache()): CheckedBundle {
  const reporter = new Reporter()
  const attachments = new Attachments(source, reporter)
  const files = [...source.policies]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, bytes]) => openFile(parseFile(path, bytes, cache), reporter))

  const fleet = new LayerBuilder(null, null, { reporter, attachments, cache })
  const tenantIds = new Set([DEFAULT_TENANT, ...files.flatMap(({ path }) => tenantOf(path) ?? [])])
  const tenants = new Map(
    [...tenantIds].sort().map((id) => [id, new LayerBuilder(id, fleet, { reporter, attachments, cache })]),
  )
  for (const file of files) {
    const tenant = tenantOf(file.path)
    const layer = tenant === null && isFleet(file) ? fleet : tenants.get(tenant ?? DEFAULT_TENANT)
    layer?.addFile(file)
  }
  const views = [fleet, ...tenants.values()].map((layer) => layer.build())
  for (const check of CHECKS) check({ reporter, fleet: views[0] as LayerView, tenants: views.slice(1) })

  return {
    revision: revisionOf(source, attachments.used),
    fleet: (views[0] as LayerView).layer,
    tenants: new Map(views.slice(1).map((view) => [view.id as string, view.layer])),
    diagnostics: reporter.sorted(),
  }
}

function openFile(parsed: ParsedFile, reporter: Reporter): OpenFile {
  const file = { path: parsed.file.path, lines: parsed.lines, parsed }
  reporter.addSource(file)
  reporter.addAll(parsed.diagnostics)
  return file
}

const isFleet = ({ parsed }: OpenFile): boolean =>
  parsed.file.declarations.some(({ node }) => node.kind === 'policy' && node.fleet)

/** Over the paths and bytes of everything that was read, so that equal revisions mean equal decisions. */
function revisionOf(source: SourceBundle, used: ReadonlySet<string>): string {
  const hash = createHash('sha256')
  const read = new Map([...source.policies, ...[...source.attachments].filter(([path]) => used.has(path))])
  for (const path of [...read.keys()].sort()) {
    const bytes = read.get(path) as Uint8Array
    hash.update(`${Buffer.byteLength(path)}:${path}${bytes.length}:`).update(bytes)
  }
  return `sha256:${hash.digest('hex')}`
}
