import type { NamePattern, ScopeTerm } from './ast.js'
import type { CheckedTool } from './checked.js'
import { patternMatches } from './patterns.js'
import { Recent } from './recent.js'
import { suggest } from './suggest.js'
import { commonType } from './types.js'
import { ANY, type Type } from './vocabulary.js'

/** Answers of a kind that an index remembers at least. */
const MAX_ANSWERS = 20_000

/** The tools that a layer sees, looked up in the ways that checks ask for them; each question is answered once. */
export class ToolIndex {
  readonly #tagged = new Map<string, CheckedTool[]>()
  readonly #matching = new Recent<readonly CheckedTool[]>(MAX_ANSWERS)
  readonly #scopes = new Recent<ToolsInScope>(MAX_ANSWERS)
  readonly #suggestions = new Recent<{ readonly name: string | null }>(MAX_ANSWERS)

  constructor(readonly tools: ReadonlyMap<string, CheckedTool>) {
    for (const tool of tools.values()) {
      for (const tag of tool.tags) {
        const tagged = this.#tagged.get(tag)
        if (tagged === undefined) this.#tagged.set(tag, [tool])
        else tagged.push(tool)
      }
    }
  }

  get size(): number {
    return this.tools.size
  }
  has(name: string): boolean {
    return this.tools.has(name)
  }
  tags(): Iterable<string> {
    return this.#tagged.keys()
  }
  hasTag(tag: string): boolean {
    return this.#tagged.has(tag)
  }
  tagged(tag: string): readonly CheckedTool[] {
    return this.#tagged.get(tag) ?? []
  }
  isTagged(name: string, tag: string): boolean {
    return this.tools.get(name)?.tags.includes(tag) ?? false
  }

  /** The declared name that was likely meant, or null. */
  suggestion(name: string): string | null {
    let found = this.#suggestions.get(name)
    if (found === undefined) {
      found = { name: suggest(name, this.tools.keys()) }
      this.#suggestions.set(name, found)
    }
    return found.name
  }

  /** What calls under a scope may name. */
  inScope(terms: readonly ScopeTerm[]): ToolsInScope {
    const toolTerms = terms.filter((term) => term.kind === 'scope' && term.on === 'tool')
    const [only] = toolTerms
    if (toolTerms.length === 1 && only !== undefined && only.patterns.every(isLiteral))
      return this.#named(only.patterns)
    const key = toolTerms
      .map(({ patterns }) => patterns.map(({ kind, text }) => `${kind} ${text}`).join('\n'))
      .join('\n\n')
    let found = this.#scopes.get(key)
    if (found === undefined) {
      found = this.#inScope(toolTerms.map(({ patterns }) => patterns))
      this.#scopes.set(key, found)
    }
    return found
  }

  #named(patterns: readonly NamePattern[]): ToolsInScope {
    const declared = patterns.flatMap(({ text }) => this.tools.get(text) ?? [])
    const namesUndeclared = declared.length < patterns.length
    return new ToolsInScope(declared, namesUndeclared, namesUndeclared)
  }

  #inScope(terms: readonly (readonly NamePattern[])[]): ToolsInScope {
    const [only, ...others] = terms
    const fits = (tool: CheckedTool, patterns: readonly NamePattern[]): boolean =>
      patterns.some((pattern) => patternMatches(pattern, tool.name, tool.tags))
    const candidates = only === undefined ? [...this.tools.values()] : this.#matchingAny(only)
    const declared = candidates.filter((tool) => others.every((patterns) => fits(tool, patterns)))
    const isUndeclared = ({ kind, text }: NamePattern): boolean =>
      kind === 'undeclared' || (kind === 'literal' && !this.tools.has(text))
    const open = terms.every((patterns) => patterns.some((p) => p.kind === 'glob' || isUndeclared(p)))
    return new ToolsInScope(declared, open, open && terms.some((patterns) => patterns.some(isUndeclared)))
  }

  /** In the order of declaration. */
  #matchingAny(patterns: readonly NamePattern[]): readonly CheckedTool[] {
    const [first, ...others] = patterns
    if (first !== undefined && others.length === 0) return this.#matches(first)
    const found = new Set(patterns.flatMap((pattern) => this.#matches(pattern)))
    return [...this.tools.values()].filter((tool) => found.has(tool))
  }

  #matches(pattern: NamePattern): readonly CheckedTool[] {
    if (pattern.kind === 'tag') return this.tagged(pattern.text)
    if (pattern.kind === 'literal') return [this.tools.get(pattern.text)].filter((tool) => tool !== undefined)
    if (pattern.kind === 'undeclared') return []
    let found = this.#matching.get(pattern.text)
    if (found === undefined) {
      found = [...this.tools.values()].filter(({ name }) => patternMatches(pattern, name))
      this.#matching.set(pattern.text, found)
    }
    return found
  }
}

const isLiteral = ({ kind }: NamePattern): boolean => kind === 'literal'

/** The declared tools that calls under a scope may name, and whether tools without declaration may come, too. */
export class ToolsInScope {
  #types: Map<string, Type | null> | null = null

  /**
   * @param open the scope also takes tools that are not declared: by a glob, by no word about tools, by name, or as `undeclared`
   * @param namesUndeclared it takes one by name or as `undeclared`: nothing is known about the arguments
   */
  constructor(
    readonly declared: readonly CheckedTool[],
    readonly open: boolean,
    readonly namesUndeclared: boolean,
  ) {}

  /** The type that an argument has for every tool that declares it, `any` where they differ; null where none declares it. */
  typeOf(argument: string): Type | null {
    this.#types ??= new Map()
    let type = this.#types.get(argument)
    if (type === undefined) {
      const types = this.declared.flatMap(({ parameters }) => parameters.get(argument)?.type ?? [])
      type = types.length === 0 ? null : this.namesUndeclared ? ANY : commonType(types)
      this.#types.set(argument, type)
    }
    return type
  }
}
