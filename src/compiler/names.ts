import { UNDECLARED } from '../language/patterns.js'
import { buildGlobs, GlobMatcher, type GlobSection } from './glob-automaton.js'
import { Ints } from './ints.js'
import type { StringPoolBuilder } from './string-pool.js'
import { hashText, tableLength, writeTable } from './text-table.js'

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

/** Which patterns each name fits, for one kind of name (tools, environments). A row is a name that policies spell out or declare. */
export interface NameSection {
  /** From name to row. */
  readonly table: Int32Array<ArrayBuffer>
  /** By row, and one more: where the patterns that the name fits begin. */
  readonly starts: Int32Array<ArrayBuffer>
  /** Ascending within a row. */
  readonly patterns: Int32Array<ArrayBuffer>
  readonly globs: GlobSection
  /** Patterns that every name without a row fits. */
  readonly undeclared: Int32Array<ArrayBuffer>
}

/** Collects the patterns that rules use for one kind of name; equal patterns have one number. */
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

  get size(): number {
    return this.#patterns.length
  }

  intern(kind: Pattern['kind'], text: string): number {
    const ids = this.#ids[kind]
    const known = ids.get(text)
    if (known !== undefined) return known
    const id = this.#patterns.push({ kind, text }) - 1
    ids.set(text, id)
    return id
  }

  /** The pattern that has this number. */
  pattern(id: number): Pattern {
    return this.#patterns[id]!
  }

  /** The names that have a row, in the order of their rows. */
  rows(tags: ReadonlyMap<string, Tags>): readonly string[] {
    return [...new Set([...this.#ids.literal.keys(), ...tags.keys()])]
  }

  /** @param tags of the declared names */
  finish(tags: ReadonlyMap<string, Tags>, strings: StringPoolBuilder): NameSection {
    const globs = buildGlobs(this.#ids.glob, strings)
    const texts = new Map([...this.#ids.glob.keys()].map((text) => [strings.intern(text), text]))
    const matcher = new GlobMatcher(globs, (text) => texts.get(text)!)
    const names = this.rows(tags)
    const starts = new Ints()
    const patterns = new Ints()
    for (const name of names) {
      starts.push(patterns.length)
      const found = new Set(this.#ownPatterns(name, tags.get(name)))
      matcher.match(name, found)
      for (const pattern of ascending(found)) patterns.push(pattern)
    }
    starts.push(patterns.length)
    const rows = names.map((name, row) => ({ hash: hashText(name), key: strings.intern(name), value: row }))
    const table = new Int32Array(tableLength(rows.length))
    writeTable(rows, table, 0)
    const undeclared = Int32Array.from([...this.#ids.undeclared.values(), ...this.#ids['fleet-undeclared'].values()])
    return { table, starts: starts.toArray(), patterns: patterns.toArray(), globs, undeclared }
  }

  *#ownPatterns(name: string, tags: Tags | undefined): Iterable<number> {
    const literal = this.#ids.literal.get(name)
    if (literal !== undefined) yield literal
    if (tags === undefined) yield* this.#ids.undeclared.values()
    else yield* tagged(this.#ids.tag, tags.all)
    if (tags === undefined || tags.fleet === null) yield* this.#ids['fleet-undeclared'].values()
    else yield* tagged(this.#ids['fleet-tag'], tags.fleet)
  }
}

function* tagged(ids: ReadonlyMap<string, number>, tags: readonly string[]): Iterable<number> {
  for (const tag of tags) {
    const id = ids.get(tag)
    if (id !== undefined) yield id
  }
}

export function ascending(found: Iterable<number>): Int32Array<ArrayBuffer> {
  return Int32Array.from(found).sort()
}
