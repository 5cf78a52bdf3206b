import type { Location, Span } from '../model/span.js'
import { conditionsOf } from './approval-clause.js'
import type { Expr, ListDeclaration, PolicyHeader, Rule, Template, TemplateUse, ToolImport } from './ast.js'
import type { Attachments } from './attachments.js'
import type { LayerView, RuleSite, TemplateSite } from './check/context.js'
import type { LayerMemory } from './check-cache.js'
import type { CheckedLayer, CheckedPolicy, CheckedRule, CheckedTest, CheckedTool, ListItem } from './checked.js'
import { expandTemplate } from './expand.js'
import { constantItem, parseListFile } from './lists.js'
import { type ParseCache, parseDeclaration } from './parse.js'
import { printRule } from './print.js'
import { placeOf, type Reporter } from './report.js'
import { type RuleCore, ruleCore } from './rule-core.js'
import type { OpenFile, Site } from './site.js'
import { didYouMean } from './suggest.js'
import { surveyOf } from './survey.js'
import { checkedPolicy, checkedRule, declaredTool } from './to-checked.js'
import { readToolList } from './tool-import.js'
import { sameFields } from './types.js'

interface Tools {
  readonly reporter: Reporter
  readonly attachments: Attachments
  readonly cache: ParseCache
  readonly memory: LayerMemory
}

type Lists = ReadonlyMap<string, readonly ListItem[]>

/** Gathers the declarations of one layer and resolves them; a tenant's layer looks names up in the fleet's, too. */
export class LayerBuilder {
  private readonly id: string | null
  private readonly fleet: LayerBuilder | null
  private readonly reporter: Reporter
  private readonly attachments: Attachments
  private readonly cache: ParseCache
  private readonly memory: LayerMemory
  private readonly lists = new Map<string, Site<ListDeclaration>>()
  private readonly templates = new Map<string, Site<Template>>()
  private readonly tools = new Map<string, CheckedTool>()
  private readonly items = new Map<string, readonly ListItem[]>()
  private readonly policies: { readonly header: Site<PolicyHeader>; readonly rules: Site<Rule | TemplateUse>[] }[] = []
  private readonly tests: CheckedTest[] = []

  constructor(id: string | null, fleet: LayerBuilder | null, { reporter, attachments, cache, memory }: Tools) {
    this.id = id
    this.fleet = fleet
    this.reporter = reporter
    this.attachments = attachments
    this.cache = cache
    this.memory = memory
  }

  addFile(file: OpenFile): void {
    const rules: Site<Rule | TemplateUse>[] = []
    let header: Site<PolicyHeader> | null = null
    for (const { node, offset, text } of file.parsed.file.declarations) {
      const site = { file, offset, text }
      switch (node.kind) {
        case 'policy':
          if (header === null) header = this.header({ node, ...site })
          else {
            const place = placeOf(file, offset, node.span)
            const message = `the file has a second policy header, \`${node.name.name}\``
            this.reporter.report('POL2005', place, message, 'one policy a file; move the second to a file of its own')
          }
          break
        case 'list':
          this.declare('list', this.lists, { node, ...site })
          break
        case 'template':
          this.declare('template', this.templates, { node, ...site })
          break
        case 'tool':
          this.addTool(declaredTool(node, placeOf(file, offset, node.span)))
          break
        case 'tool-import':
          this.importTools(node, file, placeOf(file, offset, node.span))
          break
        case 'rule':
        case 'use':
          rules.push({ node, ...site })
          break
        case 'test':
          this.tests.push({
            test: node,
            location: placeOf(file, offset, node.span),
            locate: (span) => placeOf(file, offset, span),
          })
          break
      }
    }
    if (header !== null) this.policies.push({ header, rules })
    else this.rulesWithoutPolicy(file, rules)
  }

  /** The tenant's view of names includes the fleet's, and one name means one thing in it. */
  build(): LayerView {
    for (const name of this.lists.keys()) this.list(name, [])
    const lists = new Map([...(this.fleet?.items ?? []), ...this.items])
    const policies: CheckedPolicy[] = []
    const rules: RuleSite[] = []
    for (const { header, rules: sites } of this.policies) {
      const cores = this.memory.coresUnder(header.node)
      const own: Omit<RuleSite, 'policy'>[] = []
      for (const site of sites) {
        let core = cores.get(site.node)
        if (core === undefined) {
          core = this.core(header.node, site, lists) ?? undefined
          if (core === undefined) continue
          cores.set(site.node, core)
        }
        own.push({ core, rule: checkedRule(core, placesOf(core, site)) })
      }
      const policy = checkedPolicy(
        header,
        own.map(({ rule }) => rule),
        lists,
      )
      policies.push(policy)
      for (const { core, rule } of own) rules.push({ core, rule, policy })
    }
    const layer: CheckedLayer = {
      policies,
      tools: new Map([...(this.fleet?.tools ?? []), ...this.tools]),
      lists,
      tests: this.tests,
    }
    const templates: TemplateSite[] = [...this.templates.values()].map(({ node, file, offset }) => ({
      template: node,
      surveys: conditionsOf(node.body).map((expr) => surveyOf(expr)),
      locate: (span) => placeOf(file, offset, span),
    }))
    const listSites = [...this.lists.values()].map(({ node, file, offset }) => ({
      node,
      locate: (span: Span) => placeOf(file, offset, span),
    }))
    return { id: this.id, layer, rules, templates, lists: listSites }
  }

  private header(site: Site<PolicyHeader>): Site<PolicyHeader> {
    if (site.node.fleet && this.id !== null) {
      const place = placeOf(site.file, site.offset, site.node.span)
      const message = `\`fleet policy ${site.node.name.name}\` stands in a tenant's folder`
      this.reporter.report('POL2006', place, message, 'drop `fleet`, or move the file out of `tenants/`')
    }
    return site
  }

  private rulesWithoutPolicy(file: OpenFile, rules: readonly Site<Rule | TemplateUse>[]): void {
    const hasBrokenHeader = file.parsed.diagnostics.length > 0
    const [first] = rules
    if (first === undefined || hasBrokenHeader) return
    const place = placeOf(file, first.offset, first.node.id.span)
    const message = `rule \`${first.node.id.name}\` belongs to no policy`
    this.reporter.report(
      'POL2004',
      place,
      message,
      'begin the file with a header such as `policy support "what it is for"`',
    )
  }

  private declare<N extends ListDeclaration | Template>(
    what: string,
    known: Map<string, Site<N>>,
    site: Site<N>,
  ): void {
    const { name, span } = site.node.name
    const inFleet = what === 'list' ? this.fleet?.lists.get(name) : this.fleet?.templates.get(name)
    const earlier = known.get(name) ?? inFleet
    if (earlier === undefined) {
      known.set(name, site)
      return
    }
    const at = placeOf(earlier.file, earlier.offset, earlier.node.name.span)
    const message = `${what} \`${name}\` is declared twice`
    this.reporter.report(
      'POL2001',
      placeOf(site.file, site.offset, span),
      message,
      `the other one is at ${at.file}:${at.line}`,
    )
  }

  // -------------------------------------------------------------- tools

  private addTool(tool: CheckedTool): void {
    const own = this.tools.get(tool.name)
    const earlier = own ?? this.fleet?.tools.get(tool.name)
    if (earlier === undefined) {
      this.tools.set(tool.name, tool)
      return
    }
    const sameParameters = sameFields(earlier.parameters, tool.parameters)
    const newTags = tool.tags.filter((tag) => !earlier.tags.includes(tag))
    const receipt = earlier.receipt || tool.receipt
    // Within a layer the tags of two declarations add up; a tenant must not retag what fleet rules are about.
    if (sameParameters && own !== undefined)
      this.tools.set(tool.name, { ...own, tags: [...own.tags, ...newTags], receipt })
    else if (!sameParameters || newTags.length > 0) {
      const { file, line } = earlier.location
      const what = sameParameters ? 'other tags' : 'other parameters'
      const message = `tool \`${tool.name}\` was declared with ${what} before`
      this.reporter.report(
        'POL2002',
        tool.location,
        message,
        `make it equal to the declaration at ${file}:${line}, or drop one`,
      )
    } else if (receipt !== earlier.receipt) this.tools.set(tool.name, { ...earlier, receipt })
  }

  private importTools(node: ToolImport, file: OpenFile, place: Location): void {
    const text = this.attachments.read(file.path, node.path, place)
    if (text === null) return
    const list = readToolList(text)
    if ('problem' in list) {
      const hint = 'expected the answer of an MCP `tools/list` request'
      this.reporter.report('POL1016', place, `\`${node.path}\` is no tool list: ${list.problem}`, hint)
      return
    }
    const tags = node.tags.map(({ name }) => name)
    const { receipt } = node
    for (const { name, parameters } of list.tools) this.addTool({ name, parameters, tags, receipt, location: place })
  }

  // -------------------------------------------------------------- lists

  /** Contents of a list; a list may hold others, never itself. */
  private list(name: string, within: readonly string[]): readonly ListItem[] | null {
    const known = this.items.get(name) ?? this.fleet?.items.get(name)
    if (known !== undefined) return known
    const site = this.lists.get(name)
    if (site === undefined) return null
    const items = this.readList(site, [...within, name])
    this.items.set(name, items)
    return items
  }

  private readList({ node, file, offset }: Site<ListDeclaration>, within: readonly string[]): readonly ListItem[] {
    if (node.source.kind === 'file') {
      const text = this.attachments.read(file.path, node.source.path, placeOf(file, offset, node.source.span))
      return text === null ? [] : parseListFile(text)
    }
    return node.source.items.flatMap((item) => this.listItem(item, placeOf(file, offset, item.span), within))
  }

  private listItem(item: Expr, place: Location, within: readonly string[]): readonly ListItem[] {
    if (item.kind === 'name') {
      if (within.includes(item.name)) {
        this.reporter.report('POL2011', place, `list \`${item.name}\` contains itself`, 'remove one of the references')
        return []
      }
      const items = this.list(item.name, within)
      if (items === null) {
        const known = [...this.lists.keys(), ...(this.fleet?.lists.keys() ?? [])]
        this.reporter.report('POL2012', place, `there is no list \`${item.name}\``, didYouMean(item.name, known))
      }
      return items ?? []
    }
    const value = constantItem(item)
    if (value !== undefined) return [value]
    const hint = 'entries of a list are texts, numbers, true, false, null, addresses, or `list NAME`'
    this.reporter.report('POL2010', place, 'this entry is no constant', hint)
    return []
  }

  // -------------------------------------------------------------- rules

  /** Null for the use of a template that makes no rule, after a diagnostic. */
  private core(header: PolicyHeader, { node, ...site }: Site<Rule | TemplateUse>, lists: Lists): RuleCore | null {
    return node.kind === 'rule'
      ? ruleCore(node, header, site.text, null, lists)
      : this.expand(header, { node, ...site }, lists)
  }

  private expand(header: PolicyHeader, { node, file, offset }: Site<TemplateUse>, lists: Lists): RuleCore | null {
    const place = (span: Span): Location => placeOf(file, offset, span)
    const name = node.template.name
    const template = (this.templates.get(name) ?? this.fleet?.templates.get(name))?.node
    if (template === undefined) {
      const known = [...this.templates.keys(), ...(this.fleet?.templates.keys() ?? [])]
      this.reporter.report(
        'POL2007',
        place(node.template.span),
        `there is no template \`${name}\``,
        didYouMean(name, known),
      )
      return null
    }
    if (template.parameters.length !== node.arguments.length) {
      const wanted = template.parameters.map((parameter) => parameter.name).join(', ')
      const message = `template \`${name}\` takes ${template.parameters.length} arguments, not ${node.arguments.length}`
      this.reporter.report('POL2008', place(node.span), message, `write ${name}(${wanted})`)
      return null
    }
    const { rule, faults } = expandTemplate(template, node)
    for (const { argument, parameter, wanted } of faults) {
      const message = `template \`${name}\` uses \`${parameter}\` as ${wanted}, and this argument is none`
      this.reporter.report('POL2009', place(argument.span), message, 'give a name, or a text in double quotes')
    }
    if (faults.length > 0) return null
    // Printing and parsing again gives the rule spans and a text of its own, so that explanations show the arguments.
    const text = printRule(rule)
    const parsed = parseDeclaration(text, this.cache)
    for (const { code, message, hint } of parsed.faults) {
      this.reporter.report(
        code,
        place(node.span),
        `of what template \`${name}\` makes of these arguments: ${message}`,
        hint,
      )
    }
    return parsed.node?.kind === 'rule' ? ruleCore(parsed.node, header, text, name, lists) : null
  }
}

/** What a template made stands where it was used. */
function placesOf(
  { template, text }: RuleCore,
  { node: written, file, offset }: Site<Rule | TemplateUse>,
): Pick<CheckedRule, 'location' | 'locate' | 'excerpt'> {
  const location = placeOf(file, offset, written.id.span)
  const locate = template === null ? (span: Span) => placeOf(file, offset, span) : () => location
  return { location, locate, excerpt: ({ start, end }) => text.slice(start, end) }
}
