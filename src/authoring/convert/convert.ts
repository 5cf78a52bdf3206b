import { checkBundle } from '../../language/check.js'
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
 * is in docs/cli.md, "convert". A key that it does not know is a problem, never ignored, and so is a text that the language
 * refuses, say a tool's name with control characters.
 */
export function convertBundle(json: JsonValue, options: PrintOptions): Conversion {
  const read = readBundle(json)
  if ('problems' in read) return { ok: false, problems: read.problems }
  const emptyLists = namedLists(read.bundle).filter((name) => !options.lists.has(name))
  const text = printBundle(read.bundle, options)
  const problems = refusals(text)
  return problems.length > 0 ? { ok: false, problems } : { ok: true, text, emptyLists }
}

/** List files are not here yet; whether they can be read is told when the policy stands in its folder. */
const ABOUT_FILES: ReadonlySet<string> = new Set(['POL1014', 'POL1015', 'POL1016'])

function refusals(text: string): readonly ConversionProblem[] {
  const { diagnostics } = checkBundle({
    policies: new Map([['converted.policy', Buffer.from(text)]]),
    attachments: new Map(),
  })
  return diagnostics
    .filter(({ severity, code }) => severity === 'error' && !ABOUT_FILES.has(code))
    .map(({ code, message, excerpt }) => ({
      path: '$',
      message: `cannot be said in the policy language: \`${excerpt?.trim() ?? 'the policy'}\`: ${message} (${code})`,
    }))
}
