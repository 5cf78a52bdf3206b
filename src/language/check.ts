import { createHash } from 'node:crypto'
import type { Declaration, Expr } from './ast.js'
import { Attachments, tenantOf } from './attachments.js'
import { CHECKS, CONDITION_CHECKS } from './check/all.js'
import { checkDefaults } from './check/approvals.js'
import { checkTemplates } from './check/conditions.js'
import { type CheckContext, everyLayer, type LayerView, type Surroundings } from './check/context.js'
import { checkHeaders } from './check/scopes.js'
import { CheckMemory } from './check-cache.js'
import type { CheckedBundle, SourceBundle } from './checked.js'
import { LayerBuilder } from './layer.js'
import { ParseCache, type ParsedFile, parseFile } from './parse.js'
import { Reporter } from './report.js'
import type { OpenFile } from './site.js'
import { ToolIndex } from './tool-index.js'

/** The tenant of files that stand in no tenant's folder. */
export const DEFAULT_TENANT = 'default'

/** What one check of a bundle leaves for the next, so that a reload costs what changed. It has no say in what is found. */
export class BundleCache {
  readonly parsed = new ParseCache()
  readonly memory = new CheckMemory()
}

/**
 * Texts to a checked bundle: parsed, names resolved, lists read, templates expanded, every check run. Never throws on
 * account of content; look for errors among the diagnostics before using the rest.
 * @param cache keep one for the same bundle across reloads
 */
export function checkBundle(source: SourceBundle, cache: BundleCache = new BundleCache()): CheckedBundle {
  const reporter = new Reporter()
  const attachments = new Attachments(source, reporter)
  const files = [...source.policies]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, bytes]) => openFile(parseFile(path, bytes, cache.parsed), reporter))

  const { memory } = cache
  const attachmentOf = (path: string): Uint8Array | undefined => source.attachments.get(path)
  memory.stand(files.flatMap(groundOf), attachmentOf)
  const tools = (id: string | null) => ({ reporter, attachments, cache: cache.parsed, memory: memory.layer(id) })
  const fleet = new LayerBuilder(null, null, tools(null))
  const tenantIds = new Set([DEFAULT_TENANT, ...files.flatMap(({ path }) => tenantOf(path) ?? [])])
  const tenants = new Map([...tenantIds].sort().map((id) => [id, new LayerBuilder(id, fleet, tools(id))]))
  for (const file of files) {
    const tenant = tenantOf(file.path)
    const layer = tenant === null && isFleet(file) ? fleet : tenants.get(tenant ?? DEFAULT_TENANT)
    layer?.addFile(file)
  }
  const views = [fleet, ...tenants.values()].map((layer) => layer.build())
  memory.readFiles(attachments.wanted, attachmentOf)
  const context = { reporter, fleet: views[0] as LayerView, tenants: views.slice(1) }
  checkRules(context, memory)
  for (const check of CHECKS) check(context)

  return {
    revision: revisionOf(source, attachments.used),
    ground: memory.ground,
    fleet: context.fleet.layer,
    tenants: new Map(context.tenants.map((view) => [view.id as string, view.layer])),
    diagnostics: reporter.sorted(),
  }
}

/** Everything in a file but its rules and tests, and where it stands: see {@link CheckMemory}. */
function groundOf({ path, parsed }: OpenFile): readonly (Declaration | string)[] {
  const ground: (Declaration | string)[] = [path]
  for (const { node } of parsed.file.declarations) {
    if (node.kind !== 'rule' && node.kind !== 'use' && node.kind !== 'test') ground.push(node)
  }
  return ground
}

function checkRules(context: CheckContext, memory: CheckMemory): void {
  const { reporter } = context
  const faultyTemplates = checkTemplates(context)
  for (const view of everyLayer(context)) {
    const layer = memory.layer(view.id)
    layer.surroundings ??= surroundingsOf(view, context, faultyTemplates)
    checkHeaders(view, layer.surroundings, reporter)
    checkDefaults(view, layer.surroundings, CONDITION_CHECKS, reporter)
    for (const { surveys, locate } of view.templates) {
      for (const survey of surveys) {
        for (const check of CONDITION_CHECKS) {
          const [condition] = survey.nodes as [Expr]
          check(survey, (code, span, message, hint) =>
            reporter.report(code, locate(span ?? condition.span), message, hint),
          )
        }
      }
    }
    for (const site of view.rules) {
      for (const { code, span, message, hint } of layer.findingsOf(site, layer.surroundings)) {
        reporter.report(code, span === null ? site.rule.location : site.rule.locate(span), message, hint)
      }
    }
  }
}

/** Fleet rules are about the tools of every tenant; where two tenants may disagree on one, nothing is known of its arguments. */
function surroundingsOf(
  { id, layer }: LayerView,
  { tenants }: CheckContext,
  faultyTemplates: ReadonlySet<string>,
): Surroundings {
  const own = new ToolIndex(layer.tools)
  const [only, ...others] = tenants
  return {
    layer: id,
    lists: layer.lists,
    own,
    tools: id === null ? new ToolIndex(new Map(tenants.flatMap((tenant) => [...tenant.layer.tools]))) : own,
    known: id === null && only !== undefined && others.length === 0 ? new ToolIndex(only.layer.tools) : own,
    faultyTemplates,
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
