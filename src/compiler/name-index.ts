import { LRUCache } from 'lru-cache'
import { GlobMatcher } from './glob-automaton.js'
import { ascending, type NameSection } from './names.js'
import type { Fitted } from './predicate/frame.js'
import type { StringPool } from './string-pool.js'
import { findText } from './text-table.js'

/** Names that no policy spells out and how many patterns they fit, in all: names that agents invent never grow memory beyond. */
const MAX_INVENTED = 4_096
const MAX_INVENTED_PATTERNS = 1_000_000

/** Which patterns a name fits. Immutable but for two bounded caches, which change no answer. */
export class NameIndex {
  readonly #section: NameSection
  readonly #strings: StringPool
  readonly #globs: GlobMatcher
  /** Rows of the names that were asked for; no more than policies spell out. */
  readonly #rows = new Map<string, number>()
  readonly #invented = new LRUCache<string, Int32Array>({
    max: MAX_INVENTED,
    maxSize: MAX_INVENTED_PATTERNS,
    sizeCalculation: (patterns) => 1 + patterns.length,
  })

  constructor(section: NameSection, strings: StringPool) {
    this.#section = section
    this.#strings = strings
    this.#globs = new GlobMatcher(section.globs, (text) => strings.get(text))
  }

  /** Invented names that are remembered; bounded. */
  get invented(): number {
    return this.#invented.size
  }

  /** Names that policies spell out or declare. */
  get rows(): number {
    return this.#section.starts.length - 1
  }

  /** Whether names without a row may fit different patterns. */
  get hasGlobs(): boolean {
    return !this.#globs.isEmpty
  }

  /**
   * Finds the patterns that the name fits.
   * @returns the row of a name that policies spell out or declare, else -1
   */
  fit(name: string, into: Fitted): number {
    const row = this.rowOf(name)
    if (row >= 0) {
      into.ids = this.#section.patterns
      into.start = this.#section.starts[row]!
      into.end = this.#section.starts[row + 1]!
    } else {
      into.ids = this.#fitInvented(name)
      into.start = 0
      into.end = into.ids.length
    }
    return row
  }

  /** The row of a name that policies spell out or declare, else -1. */
  rowOf(name: string): number {
    return this.#rows.get(name) ?? this.#findRow(name)
  }

  #findRow(name: string): number {
    const { table } = this.#section
    const row = findText(table, 0, table.length, this.#strings, name)
    if (row >= 0) this.#rows.set(name, row)
    return row
  }

  #fitInvented(name: string): Int32Array {
    if (this.#globs.isEmpty) return this.#section.undeclared
    const known = this.#invented.get(name)
    if (known !== undefined) return known
    const found = new Set(this.#section.undeclared)
    this.#globs.match(name, found)
    const patterns = ascending(found)
    this.#invented.set(name, patterns)
    return patterns
  }
}
