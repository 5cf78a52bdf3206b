import { Ints } from './ints.js'

/** An Aho-Corasick automaton in typed arrays: finds every word in a text in time that grows with the text alone. */
export interface Automaton {
  /** Hash table of the edges: node, unit + 1 (0: empty), next node. */
  readonly edges: Int32Array<ArrayBuffer>
  /** By node: the longest proper suffix that is a node, too. */
  readonly fallbacks: Int32Array<ArrayBuffer>
  /** By node: the nearest fallback that ends a word, or -1. */
  readonly more: Int32Array<ArrayBuffer>
}

const EDGE = 3

/** Collects words; {@link link} makes the automaton of them. Node 0 is the root. */
export class Trie {
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

  /**
   * Breadth first, as in Aho and Corasick (1975).
   * @param ends whether a word ends at the node
   */
  link(ends: (node: number) => boolean): Automaton {
    const fallbacks = new Int32Array(this.nodes)
    const more = new Int32Array(this.nodes).fill(-1)
    const queue = new Int32Array(this.nodes)
    let tail = 1
    for (let head = 0; head < tail; head++) {
      const parent = queue[head]!
      for (let child = this.#firstChild.at(parent); child >= 0; child = this.#nextSibling.at(child)) {
        const fallback = parent === 0 ? 0 : step(this.#edges, fallbacks, fallbacks[parent]!, this.#unit.at(child))
        fallbacks[child] = fallback
        more[child] = ends(fallback) ? fallback : more[fallback]!
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

/** The node for the longest end of the text so far that begins a word. */
export function step(edges: Int32Array, fallbacks: Int32Array, from: number, unit: number): number {
  for (let at = from; ; at = fallbacks[at]!) {
    const next = findEdge(edges, at, unit)
    if (next >= 0) return next
    if (at === 0) return 0
  }
}
