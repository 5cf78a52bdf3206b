import { LINE_BREAK, lineEnd } from './format.js'

export interface SpooledRow {
  readonly seq: number
  /** One JSON line without its line break. */
  readonly payload: Buffer
}

const BREAK = Buffer.of(LINE_BREAK)

/**
 * Rows on their way into the store. Almost always they stay as they lie in the spool, whole frames of lines: taking them
 * apart costs more than reading them, and is left until one of them makes trouble.
 */
export class Rows {
  /** Numbers of the first and the last row; 0 and -1 when there is none. */
  readonly first: number
  readonly last: number
  readonly count: number
  /** JSON lines, each ended by a line break. */
  readonly ndjson: readonly Buffer[]
  #split: readonly SpooledRow[] | null

  private constructor(first: number, last: number, ndjson: readonly Buffer[], split: readonly SpooledRow[] | null) {
    this.first = first
    this.last = last
    this.count = split?.length ?? last - first + 1
    this.ndjson = ndjson
    this.#split = split
  }

  static readonly none = new Rows(0, -1, [], [])

  /** Rows whose numbers follow each other. */
  static run(first: number, last: number, ndjson: readonly Buffer[]): Rows {
    return new Rows(first, last, ndjson, null)
  }

  /** Any rows, in the order of their numbers. */
  static of(rows: readonly SpooledRow[]): Rows {
    const ndjson = rows.flatMap((row) => [row.payload, BREAK])
    return new Rows(rows[0]?.seq ?? 0, rows.at(-1)?.seq ?? -1, ndjson, rows)
  }

  /** True when no number between the first and the last is left out. */
  get isRun(): boolean {
    return this.last - this.first + 1 === this.count
  }

  /** Each row of its own. */
  split(): readonly SpooledRow[] {
    this.#split ??= splitRun(this.first, this.ndjson)
    return this.#split
  }

  without(stored: { readonly size: number; has(seq: number): boolean }): Rows {
    return stored.size === 0 ? this : Rows.of(this.split().filter((row) => !stored.has(row.seq)))
  }
}

/** Rows with numbers from `first` on. */
export function splitRun(first: number, ndjson: readonly Buffer[]): SpooledRow[] {
  const rows: SpooledRow[] = []
  for (const piece of ndjson) {
    for (let at = 0; at < piece.length; ) {
      const end = lineEnd(piece, at)
      rows.push({ seq: first + rows.length, payload: piece.subarray(at, end) })
      at = end + 1
    }
  }
  return rows
}

/** How much is read at once. At least one row is, however long. */
export interface ReadLimits {
  readonly maxRows: number
  readonly maxBytes: number
}

/** Gathers a run of rows out of frames, up to its limits. */
export class RunBuilder {
  readonly #first: number
  readonly #limits: ReadLimits
  readonly #pieces: Buffer[] = []
  #count = 0
  #bytes = 0

  /** @param first the number that the run begins with */
  constructor(first: number, limits: ReadLimits) {
    this.#first = first
    this.#limits = limits
  }

  get count(): number {
    return this.#count
  }

  /** The number that comes next. */
  get next(): number {
    return this.#first + this.#count
  }

  get roomBytes(): number {
    return Math.max(0, this.#limits.maxBytes - this.#bytes)
  }

  /**
   * Adds the rows of a frame that are not there yet.
   *
   * @param seq number of the frame's first row, at most {@link next}
   * @param count how many rows it has
   * @returns false when not all of them fit
   */
  add(seq: number, count: number, payload: Buffer): boolean {
    let skip = this.next - seq
    if (skip >= count) return true
    if (skip === 0 && this.#fits(count, payload.length)) {
      this.#append(payload, count)
      return true
    }
    for (let at = 0; at < payload.length; ) {
      const end = Math.min(payload.length, lineEnd(payload, at) + 1)
      if (skip > 0) skip--
      else if (this.#fits(1, end - at)) this.#append(payload.subarray(at, end), 1)
      else return false
      at = end
    }
    return true
  }

  build(): Rows {
    return Rows.run(this.#first, this.next - 1, this.#pieces)
  }

  #fits(count: number, bytes: number): boolean {
    const { maxRows, maxBytes } = this.#limits
    if (this.#count + count > maxRows) return false
    return this.#bytes + bytes <= maxBytes || (this.#count === 0 && count === 1)
  }

  #append(lines: Buffer, count: number): void {
    this.#pieces.push(lines[lines.length - 1] === LINE_BREAK ? lines : Buffer.concat([lines, BREAK]))
    this.#count += count
    this.#bytes += lines.length
  }
}
