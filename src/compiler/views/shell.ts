import { hasInvisible } from './fold.js'
import { ShellFacts } from './shell-facts.js'
import { ShellReader, Unreadable } from './shell-reader.js'
import type { ShellView } from './view-value.js'

const MAX_CHARACTERS = 3 * 1024

/**
 * A command line for `sh -c` or `bash -c`, read by a reader that knows the common part of POSIX sh and bash and refuses the
 * rest: what it accepts, it reads as they do. Parsers for editors and formatters were measured and left: they accept broken
 * text, lose quoting, take quadratic time or abort the process on hostile text (docs/dependencies.md).
 */
export function parseShell(text: string): ShellView | undefined {
  if (text.length > MAX_CHARACTERS || /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(text)) return undefined
  if (!text.isWellFormed() || hasInvisible(text)) return undefined
  const facts = new ShellFacts()
  try {
    new ShellReader(text, facts, 0).readAll()
  } catch (error) {
    if (error instanceof Unreadable) return undefined
    throw error
  }
  return facts.view()
}
