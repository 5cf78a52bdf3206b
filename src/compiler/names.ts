import { UNDECLARED } from '../language/patterns.js'
import { buildGlobs, GlobMatcher, type GlobSection } from './glob-automaton.js'
import { Ints } from './ints.js'
import { Interned, Numbered, type Series } from './numbered.js'
import type { Fragment } from './program.js'
import type { Texts, TextWriter } from './string-pool.js'
import { hashText, tableLength, writeTable } from './text-table.js'

/**
 * `fleet-tag` is a tag that the fleet itself put on a tool; `tag` may come from the tenant's declaration, too. Likewise
 * `fleet-undeclared` fits tools that the fleet does not declare, whatever the tenant does, `undeclared` those that neither does.
 */
type PatternKind = 'literal' | 'glob' | 'tag' | 'fleet-tag' | 'undeclared' | 'fleet-undeclared'

export class Pattern extends Numbered {
  /** In the last image: the row of the name that a literal spells out. */
  row = -1
  /** The program of the entries that a call finds by this pattern, as it was written last. */
  program: Fragment | null = null

  constructor(
    madeFor: number,
    readonly id: number,
    readonly kind: PatternKind,
    readonly text: string,
  ) {
    super(madeFor)
  }
}

/** The tags of a declared tool: everybody's, and those of them that the fleet gave. */
export interface Tags {
  readonly all: readonly string[]
  /** Null where the fleet does not declare the tool. */
  readonly fleet: readonly string[] | null
}

/** Patterns in the author's words; a tool that is called `undeclared` keeps its quotes. */
export function spellPatterns(
  on: string,
  patterns: readonly { readonly kind: PatternKind; readonly text: string }[],
): string {
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

/** The patterns that rules use for one kind of name; equal patterns are one. */
export class NamePatterns {
  readonly #series: Series
  readonly #known: Readonly<Record<PatternKind, Interned<string, Pattern>>>
  #made = 0

  constructor(series: Series) {
    this.#series = series
    this.#known = {
      literal: new Interned(series),
      glob: new Interned(series),
      tag: new Interned(series),
      'fleet-tag': new Interned(series),
      undeclared: new Interned(series),
      'fleet-undeclared': new Interned(series),
    }
  }

  of(kind: PatternKind, text: string): Pattern {
    const known = this.#known[kind].get(text)
    if (known !== undefined) return known
    return this.#known[kind].add(text, new Pattern(this.#series.last + 1, this.#made++, kind, text))
  }

  sweep(live: number): void {
    for (const known of Object.values(this.#known)) known.sweep(live)
  }
}

/** The names that have a row, in the order of their rows, which is that of their texts. */
export function rowsOf(patterns: readonly Pattern[], tags: ReadonlyMap<string, Tags>): readonly string[] {
  const literals = patterns.filter(({ kind }) => kind === 'literal').map(({ text }) => text)
  return [...new Set([...literals, ...tags.keys()])].sort()
}

/**
 * @param patterns by number
 * @param names in the order of their rows
 * @param tags of the declared names
 */
export function writeNames(
  patterns: readonly Pattern[],
  names: readonly string[],
  tags: ReadonlyMap<string, Tags>,
  texts: Texts,
  writer: TextWriter,
): NameSection {
  const ofKind = groupByKind(patterns)
  const textNumber = (text: string): number => writer.add(texts.shared(text))
  const globs = buildGlobs(ofKind.glob, textNumber)
  const globTexts = new Map([...ofKind.glob.keys()].map((text) => [textNumber(text), text]))
  const matcher = new GlobMatcher(globs, (text) => globTexts.get(text)!)
  const starts = new Ints()
  const fitted = new Ints()
  for (const name of names) {
    starts.push(fitted.length)
    const found = new Set(ownPatterns(ofKind, name, tags.get(name)))
    matcher.match(name, found)
    for (const pattern of ascending(found)) fitted.push(pattern)
  }
  starts.push(fitted.length)
  const rows = names.map((name, row) => ({ hash: hashText(name), key: textNumber(name), value: row }))
  const table = new Int32Array(tableLength(rows.length))
  writeTable(rows, table, 0)
  const undeclared = Int32Array.from([...ofKind.undeclared.values(), ...ofKind['fleet-undeclared'].values()])
  return { table, starts: starts.toArray(), patterns: fitted.toArray(), globs, undeclared }
}

type NumbersByKind = Readonly<Record<PatternKind, Map<string, number>>>

function groupByKind(patterns: readonly Pattern[]): NumbersByKind {
  const groups: NumbersByKind = {
    literal: new Map(),
    glob: new Map(),
    tag: new Map(),
    'fleet-tag': new Map(),
    undeclared: new Map(),
    'fleet-undeclared': new Map(),
  }
  for (const { kind, text, number } of patterns) groups[kind].set(text, number)
  return groups
}

function* ownPatterns(ofKind: NumbersByKind, name: string, tags: Tags | undefined): Iterable<number> {
  const literal = ofKind.literal.get(name)
  if (literal !== undefined) yield literal
  if (tags === undefined) yield* ofKind.undeclared.values()
  else yield* tagged(ofKind.tag, tags.all)
  if (tags === undefined || tags.fleet === null) yield* ofKind['fleet-undeclared'].values()
  else yield* tagged(ofKind['fleet-tag'], tags.fleet)
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
