import { compileGlob } from './glob.js'
import { Ints } from './ints.js'
import type { StringPoolBuilder } from './string-pool.js'

/**
 * An Aho-Corasick automaton over the literal runs of globs, in typed arrays. Of each glob the run that the fewest globs have
 * is a word; only where the word occurs in a name is the glob itself tried, so that a name costs what it holds, not the
 * number of globs. Node 0 is the root.
 */
export interface GlobSection {
  /** Hash table of the edges: node, unit + 1 (0: empty), next node. */
  readonly edges: Int32Array<ArrayBuffer>
  /** By node: the longest proper suffix that is a node, too. */
  readonly fallbacks: Int32Array<ArrayBuffer>
  /** By node: the nearest fallback that ends a word, or -1. */
  readonly more: Int32Array<ArrayBuffer>
  /** By node, and one more: where the globs whose word ends here begin in `globs`. */
  readonly starts: Int32Array<ArrayBuffer>
  /** Pattern and text of each glob, by node. */
  readonly globs: Int32Array<ArrayBuffer>
  /** Patterns of globs without a literal run (`*`): they fit every name. */
  readonly everything: Int32Array<ArrayBuffer>
}

const EDGE = 3

export function buildGlobs(globs: ReadonlyMap<string, number>, strings: StringPoolBuilder): GlobSection {
  const uses = new Map<string, number>()
  const runsOf = new Map([...globs.keys()].map((text) => [text, text.split('*').filter((run) => run !== '')]))
  for (const runs of runsOf.values()) for (const run of runs) uses.set(run, (uses.get(run) ?? 0) + 1)
  const trie = new Trie()
  const atNode: { readonly node: number; readonly pattern: number; readonly text: string }[] = []
  const everything: number[] = []
  for (const [text, pattern] of globs) {
    const word = rarest(runsOf.get(text)!, uses)
    if (word === undefined) everything.push(pattern)
    else atNode.push({ node: trie.add(word), pattern, text })
  }
  const starts = new Int32Array(trie.nodes + 1)
  for (const { node } of atNode) starts[node + 1]!++
  for (let node = 0; node < trie.nodes; node++) starts[node + 1]! += starts[node]!
  const at = starts.slice()
  const placed = new Int32Array(2 * atNode.length)
  for (const { node, pattern, text } of atNode) {
    const place = 2 * at[node]!++
    placed[place] = pattern
    placed[place + 1] = strings.intern(text)
  }
  return { ...trie.link(starts), starts, globs: placed, everything: Int32Array.from(everything) }
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

class Trie {
  #edges = new Int32Array(EDGE * 64)
  readonly #firstChild = new Ints()
  readonly #nextSibling = new Ints()
  readonly #unit = new Ints()

  constructor() {
    this.#addNode(0)
  }

  get nodes(): number {
    return this.#unit.length
  }

  /** The node at which the word ends. */
  add(word: string): number {
    let at = 0
    for (let i = 0; i < word.length; i++) {
      const unit = word.charCodeAt(i)
      const next = findEdge(this.#edges, at, unit)
      at = next >= 0 ? next : this.#addChild(at, unit)
    }
    return at
  }

  /** Breadth first, as in Aho and Corasick (1975). */
  link(starts: Int32Array): Pick<GlobSection, 'edges' | 'fallbacks' | 'more'> {
    const fallbacks = new Int32Array(this.nodes)
    const more = new Int32Array(this.nodes).fill(-1)
    const queue = new Int32Array(this.nodes)
    let tail = 1
    for (let head = 0; head < tail; head++) {
      const parent = queue[head]!
      for (let child = this.#firstChild.at(parent); child >= 0; child = this.#nextSibling.at(child)) {
        const fallback = parent === 0 ? 0 : step(this.#edges, fallbacks, fallbacks[parent]!, this.#unit.at(child))
        fallbacks[child] = fallback
        more[child] = starts[fallback]! < starts[fallback + 1]! ? fallback : more[fallback]!
        queue[tail++] = child
      }
    }
    return { edges: this.#edges, fallbacks, more }
  }

  #addNode(unit: number): number {
    this.#firstChild.push(-1)
    this.#nextSibling.push(-1)
    return this.#unit.push(unit)
  }

  #addChild(parent: number, unit: number): number {
    if (2 * EDGE * (this.nodes + 1) > this.#edges.length) this.#grow()
    const child = this.#addNode(unit)
    this.#nextSibling.set(child, this.#firstChild.at(parent))
    this.#firstChild.set(parent, child)
    writeEdge(this.#edges, parent, unit, child)
    return child
  }

  #grow(): void {
    const larger = new Int32Array(2 * this.#edges.length)
    for (let at = 0; at < this.#edges.length; at += EDGE) {
      const unit = this.#edges[at + 1]!
      if (unit !== 0) writeEdge(larger, this.#edges[at]!, unit - 1, this.#edges[at + 2]!)
    }
    this.#edges = larger
  }
}

function hashEdge(node: number, unit: number): number {
  const hash = Math.imul(Math.imul(node, 0x9e3779b1) ^ unit, 0x85ebca6b)
  return hash ^ (hash >>> 15)
}

function writeEdge(edges: Int32Array, node: number, unit: number, next: number): void {
  const mask = edges.length / EDGE - 1
  let at = hashEdge(node, unit) & mask
  while (edges[EDGE * at + 1] !== 0) at = (at + 1) & mask
  edges[EDGE * at] = node
  edges[EDGE * at + 1] = unit + 1
  edges[EDGE * at + 2] = next
}

function findEdge(edges: Int32Array, node: number, unit: number): number {
  const mask = edges.length / EDGE - 1
  for (let at = hashEdge(node, unit) & mask; ; at = (at + 1) & mask) {
    const found = edges[EDGE * at + 1]!
    if (found === 0) return -1
    if (found === unit + 1 && edges[EDGE * at] === node) return edges[EDGE * at + 2]!
  }
}

function step(edges: Int32Array, fallbacks: Int32Array, from: number, unit: number): number {
  for (let at = from; ; at = fallbacks[at]!) {
    const next = findEdge(edges, at, unit)
    if (next >= 0) return next
    if (at === 0) return 0
  }
}

/** Finds the globs that a name fits. */
export class GlobMatcher {
  readonly #section: GlobSection
  readonly #textOf: (text: number) => string
  /** Globs that were tried once, by text; no more than policies have. */
  readonly #compiled = new Map<number, (name: string) => boolean>()

  /** @param textOf reads a text of the pool */
  constructor(section: GlobSection, textOf: (text: number) => string) {
    this.#section = section
    this.#textOf = textOf
  }

  get isEmpty(): boolean {
    return this.#section.globs.length === 0 && this.#section.everything.length === 0
  }

  /** Adds the patterns of all globs that the name fits. */
  match(name: string, found: Set<number>): void {
    const { edges, fallbacks, more, starts, everything } = this.#section
    for (const pattern of everything) found.add(pattern)
    if (this.#section.globs.length === 0) return
    const tried = new Set<number>()
    let at = 0
    for (let i = 0; i < name.length; i++) {
      at = step(edges, fallbacks, at, name.charCodeAt(i))
      for (let hit = at; hit >= 0; hit = more[hit]!) {
        if (starts[hit]! === starts[hit + 1]! || tried.has(hit)) continue
        tried.add(hit)
        this.#tryGlobs(hit, name, found)
      }
    }
  }

  #tryGlobs(node: number, name: string, found: Set<number>): void {
    const { starts, globs } = this.#section
    for (let at = starts[node]!; at < starts[node + 1]!; at++) {
      if (this.#fits(globs[2 * at + 1]!, name)) found.add(globs[2 * at]!)
    }
  }

  #fits(text: number, name: string): boolean {
    let fits = this.#compiled.get(text)
    if (fits === undefined) {
      fits = compileGlob(this.#textOf(text))
      this.#compiled.set(text, fits)
    }
    return fits(name)
  }
}
