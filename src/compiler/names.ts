import { compileGlob } from './glob.js'

export interface Pattern {
  /** `fleet-tag` is a tag that the fleet itself put on a tool; `tag` may come from the tenant's declaration, too. */
  readonly kind: 'literal' | 'glob' | 'tag' | 'fleet-tag'
  readonly text: string
}

/** The tags of a tool: everybody's, and those of them that the fleet gave. */
export interface Tags {
  readonly all: readonly string[]
  readonly fleet: readonly string[]
}
const NO_TAGS: Tags = { all: [], fleet: [] }

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
 * that grows with the name and the globs whose text occurs in it, not with the number of globs: the longest literal run of
 * each glob is a word of one Aho-Corasick automaton, and only where the word occurs is the glob itself tried.
 */
export class NamePatterns {
  readonly #patterns: Pattern[] = []
  readonly #ids = new Map<string, number>()
  readonly #literals = new Map<string, number>()
  readonly #tags = new Map<string, number>()
  readonly #fleetTags = new Map<string, number>()
  /** Globs without a literal run (`*`): they fit every name. */
  readonly #everything: number[] = []
  readonly #globs: { readonly id: number; readonly fits: (name: string) => boolean }[] = []
  readonly #root: Node = node()
  #isLinked = true

  /** The number of a pattern; equal patterns have one number. */
  intern(kind: Pattern['kind'], text: string): number {
    const key = `${kind}:${text}`
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#patterns.length
    this.#patterns.push({ kind, text })
    this.#ids.set(key, id)
    if (kind === 'literal') this.#literals.set(text, id)
    else if (kind === 'tag') this.#tags.set(text, id)
    else if (kind === 'fleet-tag') this.#fleetTags.set(text, id)
    else this.#addGlob(id, text)
    return id
  }

  /** The pattern that has this number. */
  pattern(id: number): Pattern {
    return this.#patterns[id]!
  }

  /** Names that some pattern spells out. */
  literals(): Iterable<string> {
    return this.#literals.keys()
  }

  hasGlobs(): boolean {
    return this.#globs.length > 0
  }

  /** Numbers of the patterns that a name with these tags fits, ascending. */
  match(name: string, { all, fleet }: Tags = NO_TAGS): number[] {
    const found = new Set(this.#everything)
    const literal = this.#literals.get(name)
    if (literal !== undefined) found.add(literal)
    addTagged(this.#tags, all, found)
    addTagged(this.#fleetTags, fleet, found)
    this.#matchGlobs(name, found)
    return [...found].sort((a, b) => a - b)
  }

  #addGlob(id: number, text: string): void {
    const anchor = longest(text.split('*'))
    if (anchor === '') {
      this.#everything.push(id)
      return
    }
    let at = this.#root
    for (let i = 0; i < anchor.length; i++) {
      const unit = anchor.charCodeAt(i)
      let next = at.next.get(unit)
      if (next === undefined) {
        next = node()
        at.next.set(unit, next)
      }
      at = next
    }
    at.globs.push(this.#globs.length)
    this.#globs.push({ id, fits: compileGlob(text) })
    this.#isLinked = false
  }

  #matchGlobs(name: string, found: Set<number>): void {
    if (this.#globs.length === 0) return
    if (!this.#isLinked) this.#link()
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

  /** Sets the fallbacks breadth first, as in Aho and Corasick (1975). */
  #link(): void {
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
    this.#isLinked = true
  }
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

function longest(runs: readonly string[]): string {
  return runs.reduce((best, run) => (run.length > best.length ? run : best), '')
}
