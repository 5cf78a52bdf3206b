import type { Diagnostic } from '../model/diagnostic.js'
import type { Location, Span } from '../model/span.js'
import { CODES, type Code } from './codes.js'
import type { LineMap } from './text.js'

/** A file as places need it. */
export interface SourceText {
  readonly path: string
  readonly lines: LineMap
}

/** The most diagnostics of one bundle; a note says how many more there are. */
const MAX_DIAGNOSTICS = 200

/** Collects findings; checks never throw on account of what an author wrote. */
export class Reporter {
  readonly #found: Diagnostic[] = []
  readonly #sources = new Map<string, LineMap>()

  addSource({ path, lines }: SourceText): void {
    this.#sources.set(path, lines)
  }

  /** Takes over findings that were made elsewhere. */
  addAll(diagnostics: readonly Diagnostic[]): void {
    for (const diagnostic of diagnostics) this.#found.push(diagnostic)
  }

  report(code: Code, location: Location, message: string, hint?: string): void {
    const excerpt = this.#sources.get(location.file)?.excerpt(location.start)
    this.#found.push({
      code,
      severity: CODES[code].severity,
      message,
      ...(hint === undefined ? {} : { hint }),
      location,
      ...(excerpt === undefined ? {} : { excerpt }),
    })
  }

  hasErrorAt({ file, start }: Location): boolean {
    return this.#found.some(
      ({ severity, location }) => severity === 'error' && location.file === file && location.start === start,
    )
  }

  /** By file and place, without repetitions. When there are too many, errors are kept before warnings. */
  sorted(): readonly Diagnostic[] {
    const unique = [...new Map(this.#found.map((d) => [`${placeKey(d)} ${d.code} ${d.message}`, d])).values()]
    if (unique.length <= MAX_DIAGNOSTICS) return unique.sort(byPlace)
    const ranked = unique.sort((a, b) => RANK[a.severity] - RANK[b.severity] || byPlace(a, b))
    const kept = ranked.slice(0, MAX_DIAGNOSTICS).sort(byPlace)
    const last = kept.at(-1) as Diagnostic
    const note: Diagnostic = {
      code: 'POL3000',
      severity: 'info',
      message: `${unique.length - MAX_DIAGNOSTICS} more findings are not shown`,
      hint: 'mend these first; errors are shown before warnings',
      location: last.location,
    }
    return [...kept, note]
  }
}

const RANK = { error: 0, warning: 1, info: 2 } as const

const placeKey = ({ location }: Diagnostic): string => `${location.file}:${location.start}`

function byPlace(a: Diagnostic, b: Diagnostic): number {
  if (a.location.file !== b.location.file) return a.location.file < b.location.file ? -1 : 1
  if (a.location.start !== b.location.start) return a.location.start - b.location.start
  return a.code < b.code ? -1 : a.code > b.code ? 1 : 0
}

/** The place of a node of a declaration that stands at `offset` of `source`. */
export const placeOf = ({ path, lines }: SourceText, offset: number, span: Span): Location =>
  lines.locate(path, { start: span.start + offset, end: span.end + offset })
