import type { ViewName } from '../../src/language/vocabulary.js'

/**
 * How texts are read as SQL, addresses, paths, … and searched for patterns: the one thing that the evaluator does not know by itself. The differential
 * fuzzer lends it the engine's own views, since its texts are odd on purpose and the views have corpora of their own; the
 * conflict corpus lends it a table written by hand.
 */
export interface Views {
  /** The parts of a text, or for `json` the value in it; undefined where the text does not parse. */
  view(name: ViewName, text: string): unknown
  domain(text: string): string | undefined
  /** @param flags out of `i` and `s` */
  matches(pattern: string, flags: string, text: string): boolean
  /** @param ip parts of an `ip` view */
  inRange(ip: Parts, range: string): boolean | undefined
  /** @param path parts of a `path` view */
  under(path: Parts, folder: string): boolean | undefined
}
export type Parts = Readonly<Record<string, unknown>>
