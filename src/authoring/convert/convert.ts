import type { JsonValue } from '../../model/json.js'
import type { ConversionProblem } from './json-bundle.js'
import { namedLists, type PrintOptions, printBundle } from './print-bundle.js'
import { readBundle } from './read-bundle.js'

export type Conversion =
  | {
      readonly ok: true
      /** Policy text that decides as the bundle does. */
      readonly text: string
      /** Lists that the bundle names and nobody gave a file for; the text declares them empty, which refuses everything. */
      readonly emptyLists: readonly string[]
    }
  | { readonly ok: false; readonly problems: readonly ConversionProblem[] }

/**
 * Turns a JSON bundle (`{"rules": [...], "defaults": {...}}`) into policy text that decides the same. What each key reads
 * is in docs/cli.md, "convert". A key that it does not know is a problem, never ignored.
 */
export function convertBundle(json: JsonValue, options: PrintOptions): Conversion {
  const read = readBundle(json)
  if ('problems' in read) return { ok: false, problems: read.problems }
  const emptyLists = namedLists(read.bundle).filter((name) => !options.lists.has(name))
  return { ok: true, text: printBundle(read.bundle, options), emptyLists }
}
