import { UNDECLARED } from '../language/patterns.js'
import { compileGlob } from './glob.js'

export interface Pattern {
  /**
   * `fleet-tag` is a tag that the fleet itself put on a tool; `tag` may come from the tenant's declaration, too. Likewise
   * `fleet-undeclared` fits tools that the fleet does not declare, whatever the tenant does, `undeclared` those that neither does.
   */
  readonly kind: 'literal' | 'glob' | 'tag' | 'fleet-tag' | 'undeclared' | 'fleet-undeclared'
  readonly text: string
}

/** The tags of a declared tool: everybody's, and those of them that the fleet gave. */
export interface Tags {
  readonly all: readonly string[]
  /** Null where the fleet does not declare the tool. */
  readonly fleet: readonly string[] | null
}

/** Patterns in the author's words; a tool that is called `undeclared` keeps its quotes. */
export function spellPatterns(on: string, patterns: readonly Pattern[]): string {
  const names = patterns.map(({ kind, text }) => {
    if (kind === 'tag' || kind === 'fleet-tag') return `tag ${text}`
    return kind === 'literal' && text === UNDECLARED ? JSON.stringify(text) : text
  })
  return names.length === 1 ? `${on} ${names[0]}` : `${on} [${names.join(', ')}]`
}

interface Node {
  readonly next: Map<number, Node>
  /** The longest proper suffix of this node's text that is a node, too. */
  fallback: Node | null
  /** Globs whose anchor ends here, those of the fallbacks included through {@link more}. */
  readonly globs: number[]
  /** The nearest fallback that has globs. */
  more: Node | null
}

/**
 * The patterns that rules use for one kind of name (tools, environments). `match` finds every glob that a name fits in time
 * that grows with the name and the globs whose text occurs in it, not with the number of globs: of each glob the literal run
 * that the fewest globs have is a word of one Aho-Corasick automaton, and only where the word occurs is the glob itself tried.
 */
export class NamePatterns {
  readonly #patterns: Pattern[] = []
  readonly #ids: Readonly<Record<Pattern['kind'], Map<string, number>>> = {
    literal: new Map(),
    glob: new Map(),
    tag: new Map(),
    'fleet-tag': new Map(),
    undeclared: new Map(),
    'fleet-undeclared': new Map(),
  }
  /** Globs without a literal run (`*`): they fit every name. */
  #everything: number[] = []
  #globs: { readonly id: number; readonly fits: (name: string) => boolean }[] = []
  #root: Node = node()
  #isLinked = true

  /** The number of a pattern; equal patterns have one number. */
  intern(kind: Pattern['kind'], text: string): number {
    const ids = this.#ids[kind]
    const known = ids.get(text)
    if (known !== undefined) return known
    const id = this.#patterns.length
    this.#patterns.push({ kind, text })
    ids.set(text, id)
    if (kind === 'glob') this.#isLinked = false
    return id
  }

  /** The pattern that has this number. */
  pattern(id: number): Pattern {
    return this.#patterns[id]!
  }

  /** Names that some pattern spells out. */
  literals(): Iterable<string> {
    return this.#ids.literal.keys()
  }

  hasGlobs(): boolean {
    return this.#ids.glob.size > 0
  }

  /** Numbers of the patterns that a name fits, ascending; without tags it is the name of no declared tool. */
  match(name: string, tags?: Tags): number[] {
    if (!this.#isLinked) this.#link()
    const found = new Set(this.#everything)
    const literal = this.#ids.literal.get(name)
    if (literal !== undefined) found.add(literal)
    if (tags === undefined) addAll(this.#ids.undeclared, found)
    else addTagged(this.#ids.tag, tags.all, found)
    if (tags === undefined || tags.fleet === null) addAll(this.#ids['fleet-undeclared'], found)
    else addTagged(this.#ids['fleet-tag'], tags.fleet, found)
    this.#matchGlobs(name, found)
    return [...found].sort((a, b) => a - b)
  }

  #matchGlobs(name: string, found: Set<number>): void {
    if (this.#globs.length === 0) return
    const tried = new Set<number>()
    let at = this.#root
    for (let i = 0; i < name.length; i++) {
      at = step(at, name.charCodeAt(i))
      for (let hit: Node | null = at; hit !== null; hit = hit.more) {
        for (const glob of hit.globs) {
          if (tried.has(glob)) continue
          tried.add(glob)
          const { id, fits } = this.#globs[glob]!
          if (fits(name)) found.add(id)
        }
      }
    }
  }

  /** Makes the automaton of all globs. */
  #link(): void {
    this.#everything = []
    this.#globs = []
    this.#root = node()
    const uses = new Map<string, number>()
    const globs = [...this.#ids.glob].map(([text, id]) => ({
      text,
      id,
      runs: text.split('*').filter((run) => run !== ''),
    }))
    for (const { runs } of globs) for (const run of runs) uses.set(run, (uses.get(run) ?? 0) + 1)
    for (const { text, id, runs } of globs) {
      const anchor = rarest(runs, uses)
      if (anchor === undefined) this.#everything.push(id)
      else this.#addWord(anchor).globs.push(this.#globs.push({ id, fits: compileGlob(text) }) - 1)
    }
    this.#setFallbacks()
    this.#isLinked = true
  }

  /** The node at which the word ends. */
  #addWord(word: string): Node {
    let at = this.#root
    for (let i = 0; i < word.length; i++) {
      const unit = word.charCodeAt(i)
      let next = at.next.get(unit)
      if (next === undefined) {
        next = node()
        at.next.set(unit, next)
      }
      at = next
    }
    return at
  }

  /** Breadth first, as in Aho and Corasick (1975). */
  #setFallbacks(): void {
    const queue: Node[] = []
    for (const child of this.#root.next.values()) {
      child.fallback = this.#root
      child.more = null
      queue.push(child)
    }
    for (let head = 0; head < queue.length; head++) {
      const parent = queue[head]!
      for (const [unit, child] of parent.next) {
        const fallback = step(parent.fallback ?? this.#root, unit)
        child.fallback = fallback
        child.more = fallback.globs.length > 0 ? fallback : fallback.more
        queue.push(child)
      }
    }
  }
}

function addAll(numbers: ReadonlyMap<string, number>, found: Set<number>): void {
  for (const id of numbers.values()) found.add(id)
}

function addTagged(numbers: ReadonlyMap<string, number>, tags: readonly string[], found: Set<number>): void {
  for (const tag of tags) {
    const id = numbers.get(tag)
    if (id !== undefined) found.add(id)
  }
}

function node(): Node {
  return { next: new Map(), fallback: null, globs: [], more: null }
}

function step(from: Node, unit: number): Node {
  let at: Node = from
  for (;;) {
    const next = at.next.get(unit)
    if (next !== undefined) return next
    if (at.fallback === null) return at
    at = at.fallback
  }
}

/** The run that the fewest globs have; of several, the longest. */
function rarest(runs: readonly string[], uses: ReadonlyMap<string, number>): string | undefined {
  let best: string | undefined
  for (const run of runs) {
    const fewer = best === undefined ? -1 : uses.get(run)! - uses.get(best)!
    if (best === undefined || fewer < 0 || (fewer === 0 && run.length > best.length)) best = run
  }
  return best
}
