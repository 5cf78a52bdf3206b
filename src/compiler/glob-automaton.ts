import { compileGlob } from '../model/glob.js'
import { type Automaton, step, Trie } from './trie.js'

/**
 * An automaton over the literal runs of globs. Of each glob the run that the fewest globs have
 * is a word; only where the word occurs in a name is the glob itself tried, so that a name costs what it holds, not the
 * number of globs. Node 0 is the root.
 */
export interface GlobSection extends Automaton {
  /** By node, and one more: where the globs whose word ends here begin in `globs`. */
  readonly starts: Int32Array<ArrayBuffer>
  /** Pattern and text of each glob, by node. */
  readonly globs: Int32Array<ArrayBuffer>
  /** Patterns of globs without a literal run (`*`): they fit every name. */
  readonly everything: Int32Array<ArrayBuffer>
}

/**
 * @param globs the pattern of each
 * @param textNumber of a text in the pool
 */
export function buildGlobs(globs: ReadonlyMap<string, number>, textNumber: (text: string) => number): GlobSection {
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
    placed[place + 1] = textNumber(text)
  }
  const ends = (node: number) => starts[node]! < starts[node + 1]!
  return { ...trie.link(ends), starts, globs: placed, everything: Int32Array.from(everything) }
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
