import type { CheckedBundle, CheckedLayer, CheckedRule } from '../language/checked.js'
import type { Diagnostic } from '../model/diagnostic.js'
import { writeBudgets } from './budgets.js'
import { CompileCache, type TenantCache } from './compile-cache.js'
import { CompileError } from './compile-error.js'
import { type DeclaredTool, packTool } from './declared-tool.js'
import { Demand, writeDemands } from './demands.js'
import { compareDrafts, type Draft, draftDefault, draftRule, type Standing, speaksForAll } from './draft.js'
import { originOf, writeEntries } from './entries.js'
import type { PolicyImage } from './image.js'
import { type Pattern, rowsOf, type Tags, writeNames } from './names.js'
import { isLive, Numbering } from './numbered.js'
import { openPolicySet, type PolicySet } from './policy-set.js'
import {
  Automaton,
  List,
  type Predicate,
  type Referent,
  type Slot,
  type SlotReading,
  writePredicates,
} from './predicates.js'
import { RuleIndex } from './rule-index.js'

const EMPTY_LAYER: CheckedLayer = { policies: [], tools: new Map(), lists: new Map(), tests: [] }

/**
 * Compiles the policies that judge one tenant's calls, the fleet's and the tenant's own, to an image. A tenant that the bundle
 * does not know has no policies of its own, so every call of it is denied.
 *
 * @param tenant null for one image that serves every tenant without policies of its own
 * @param cache keep one for the same bundle across reloads
 * @throws {CompileError} naming every rule over a limit; a bundle with errors among its diagnostics must not get here
 */
export function compile(bundle: CheckedBundle, tenant: string | null, cache?: CompileCache): PolicyImage {
  return compileToIndex(bundle, tenant, cache).image
}

/** Compiles and opens in one go, for whoever need not keep an event loop running. */
export function compilePolicySet(bundle: CheckedBundle, tenant: string | null, cache?: CompileCache): PolicySet {
  return openPolicySet(compile(bundle, tenant, cache))
}

export interface Compiled {
  readonly image: PolicyImage
  /** In the order of the entries. */
  readonly drafts: readonly Draft[]
  readonly index: RuleIndex
}

/** The image, and what the compiler knows of it that deciding does not need. */
export function compileToIndex(bundle: CheckedBundle, tenant: string | null, cache = new CompileCache()): Compiled {
  const before = cache.of(bundle, tenant)
  const drafted = draftAll(bundle, tenant, before)
  if (drafted.problems.length > 0) throw new CompileError(drafted.problems)
  return join(bundle, tenant, drafted, before)
}

/**
 * What only compiling finds, for every tenant of a bundle that has no errors, and for those that have no policies of their
 * own: a rule of the fleet is named once.
 */
export function compileDiagnostics(bundle: CheckedBundle): readonly Diagnostic[] {
  const found = new Map<string, Diagnostic>()
  const cache = new CompileCache()
  for (const tenant of [...bundle.tenants.keys(), null]) {
    for (const diagnostic of draftAll(bundle, tenant, cache.of(bundle, tenant)).problems) {
      const { file, start } = diagnostic.location
      found.set(JSON.stringify([file, start, diagnostic.code]), diagnostic)
    }
  }
  return [...found.values()]
}

// ---------------------------------------------------------------- drafts

/** Drafts in the order in which the bundle has their rules, each with its rule. */
interface AllDrafted {
  readonly drafts: Draft[]
  /** Of each draft; null for a default. */
  readonly rules: (CheckedRule | null)[]
  /** Defaults that speak for every call. */
  readonly always: Draft[]
  readonly problems: Diagnostic[]
}

function draftAll(bundle: CheckedBundle, tenant: string | null, before: TenantCache): AllDrafted {
  const all: AllDrafted = { drafts: [], rules: [], always: [], problems: [] }
  draftLayer(bundle.fleet, { layer: 'fleet', tenant, lists: bundle.fleet.lists }, all, before)
  const own = ownLayer(bundle, tenant)
  draftLayer(own, { layer: 'tenant', tenant, lists: own.lists }, all, before)
  return all
}

const ownLayer = ({ tenants }: CheckedBundle, tenant: string | null): CheckedLayer =>
  (tenant === null ? undefined : tenants.get(tenant)) ?? EMPTY_LAYER

function draftLayer({ policies }: CheckedLayer, standing: Standing, all: AllDrafted, before: TenantCache): void {
  for (const policy of policies) {
    const spoken = draftDefault(policy, standing, before.objects)
    if ('problem' in spoken) all.problems.push(spoken.problem)
    else {
      for (const draft of spoken.drafts) {
        if (speaksForAll(policy, draft)) all.always.push(draft)
        else addDraft(draft, null, all)
      }
    }
    for (const rule of policy.rules) {
      const known = before.rules.get(rule.core)
      const isKnown = known?.drafts.every((draft) => isLive(draft, before)) ?? false
      const drafted = isKnown ? known! : draftRule(policy, rule, standing, before.objects)
      if ('problem' in drafted) {
        all.problems.push(drafted.problem)
        continue
      }
      if (!isKnown) before.rules.set(rule.core, drafted)
      for (const draft of drafted.drafts) addDraft(draft, rule, all)
    }
  }
}

function addDraft(draft: Draft, rule: CheckedRule | null, { drafts, rules }: AllDrafted): void {
  drafts.push(draft)
  rules.push(rule)
}

// ---------------------------------------------------------------- image

/**
 * Joins drafts to an image. Every number in it follows from the bundle alone: what drafts name is numbered in the order of
 * the bundle, entries in the order of answers. So an image is the same, byte for byte, whatever the cache remembers.
 */
function join(bundle: CheckedBundle, tenant: string | null, all: AllDrafted, before: TenantCache): Compiled {
  const { texts } = before.objects
  const parts = numbered(all, before.last + 1)
  const drafts = inOrder(all.drafts, before)
  const always = all.always.sort(compareDrafts)
  const entries = new Numbering<Draft>(before.last + 1)
  entries.all(drafts)
  entries.all(always)
  const rules: (CheckedRule | null)[] = new Array(entries.items.length).fill(null)
  for (let at = 0; at < all.drafts.length; at++) rules[all.drafts[at]!.number] = all.rules[at]!

  const declared = declaredTools(bundle.fleet, ownLayer(bundle, tenant))
  const tags = new Map<string, Tags>()
  for (const { name, tags: all } of declared.values())
    tags.set(name, { all, fleet: bundle.fleet.tools.get(name)?.tags ?? null })
  const toolNames = rowsOf(parts.tools, tags)
  const receipts = toolNames.map((name) => (declared.get(name)?.receipt === true ? 1 : 0))
  const environmentNames = rowsOf(parts.environments, NO_TAGS)
  setRows(parts.environments, environmentNames)

  const index = new RuleIndex(drafts, parts.tools, before.everyTool, texts)
  const writer = texts.writer()
  const tools = writeNames(parts.tools, toolNames, tags, texts, writer)
  const image: PolicyImage = {
    revision: bundle.revision,
    tenant,
    tools,
    environments: writeNames(parts.environments, environmentNames, NO_TAGS, texts, writer),
    programs: index.write(tools, writer),
    predicates: writePredicates(parts, writer),
    entries: writeEntries(
      entries.items,
      ({ number }) => {
        const rule = rules[number]!
        return rule === null ? null : originOf(rule)
      },
      texts,
      writer,
    ),
    demands: writeDemands(parts.demands),
    budgets: writeBudgets([...drafts, ...always], parts.readings),
    declarations: Int32Array.from(toolNames, (name) => {
      const tool = declared.get(name)
      return tool === undefined ? -1 : writer.add(texts.shared(packTool(tool)))
    }),
    receipts: Uint8Array.from(receipts.includes(1) ? receipts : []),
    always: Int32Array.from(always, ({ number }) => number),
    // Last, for the other sections add their texts.
    strings: writer.finish(),
  }
  before.keep(image, drafts, index.everyTool, parts)
  return { image, drafts, index }
}

const NO_TAGS: ReadonlyMap<string, Tags> = new Map()

/** What drafts name, each kind by number. */
export interface Parts {
  readonly tools: readonly Pattern[]
  readonly environments: readonly Pattern[]
  readonly slots: readonly Slot[]
  readonly lists: readonly List[]
  readonly automata: readonly Automaton[]
  readonly predicates: readonly Predicate[]
  readonly demands: readonly Demand[]
  readonly readings: readonly SlotReading[]
}

function numbered({ drafts, always }: AllDrafted, image: number): Parts {
  const tools = new Numbering<Pattern>(image)
  const environments = new Numbering<Pattern>(image)
  const slots = new Numbering<Slot>(image)
  const lists = new Numbering<List>(image)
  const automata = new Numbering<Automaton>(image)
  const predicates = new Numbering<Predicate>(image)
  const demands = new Numbering<Demand>(image, ({ size }) => size)
  const readings = new Numbering<SlotReading>(image)
  const ofReferent = (referent: Referent): void => {
    if (referent instanceof List) lists.of(referent)
    else if (referent instanceof Automaton) automata.of(referent)
    else ofSlot(referent)
  }
  const ofSlot = (slot: Slot): void => {
    for (const referent of slot.term.referents) ofReferent(referent)
    slots.of(slot)
  }
  const ofPredicates = (used: readonly Predicate[]): void => {
    for (const predicate of used) {
      if (predicate.image === image) continue
      const { operand, term } = predicate
      for (const reading of predicate.readings) {
        ofSlot(reading.slot)
        readings.of(reading)
      }
      if (term !== null) for (const referent of term.referents) ofReferent(referent)
      if (operand instanceof Demand) demands.of(operand)
      else if (operand !== null) ofSlot(operand)
      predicates.of(predicate)
    }
  }
  for (const list of [drafts, always]) {
    for (const { lifted, clauses, stages, attributes, indexed, toolScope, environmentScope } of list) {
      for (const term of lifted.toolTerms) tools.all(term)
      for (const term of lifted.envTerms) environments.all(term)
      demands.of(toolScope)
      demands.of(environmentScope)
      ofPredicates(clauses)
      ofPredicates(stages)
      for (const slot of attributes) ofSlot(slot)
      ofPredicates(indexed.predicates)
    }
  }
  return {
    tools: tools.items,
    environments: environments.items,
    slots: slots.items,
    lists: lists.items,
    automata: automata.items,
    predicates: predicates.items,
    demands: demands.items,
    readings: readings.items,
  }
}

function setRows(patterns: readonly Pattern[], names: readonly string[]): void {
  const rows = new Map(names.map((name, row) => [name, row]))
  for (const pattern of patterns) if (pattern.kind === 'literal') pattern.row = rows.get(pattern.text)!
}

/** What the last image had in order stays in order; only what is new is sorted. */
function inOrder(drafts: readonly Draft[], { entries, last }: TenantCache): readonly Draft[] {
  const wanted = new Set(drafts)
  const known = entries.filter((draft) => wanted.has(draft))
  const added = drafts.filter(({ image }) => image !== last || last === 0).sort(compareDrafts)
  const ordered: Draft[] = []
  let at = 0
  for (const draft of added) {
    while (at < known.length && compareDrafts(known[at]!, draft) <= 0) ordered.push(known[at++]!)
    ordered.push(draft)
  }
  while (at < known.length) ordered.push(known[at++]!)
  return ordered
}

function declaredTools(fleet: CheckedLayer, own: CheckedLayer): ReadonlyMap<string, DeclaredTool> {
  const tools = new Map<string, DeclaredTool>()
  for (const layer of [fleet, own]) {
    for (const { name, tags, parameters, receipt } of layer.tools.values()) {
      const known = tools.get(name)
      tools.set(name, {
        name,
        tags: [...new Set([...(known?.tags ?? []), ...tags])].sort(),
        parameters: new Set([...(known?.parameters ?? []), ...parameters.keys()]),
        fleetParameters: layer === fleet ? new Set(parameters.keys()) : (known?.fleetParameters ?? null),
        receipt: receipt || known?.receipt === true,
      })
    }
  }
  return tools
}
