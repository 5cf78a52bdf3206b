import { RE2JS } from 're2js'

/** Longest pattern, in characters. */
export const MAX_PATTERN_CHARACTERS = 1_000

/** Why a pattern cannot be used, as one sentence for its author. */
export class RegexError extends Error {
  override readonly name = 'RegexError'
}

/**
 * Compiles `matches /pattern/flags` to a search (unanchored) in RE2 syntax, linear in the text.
 *
 * Every pattern runs on RE2's lazy automaton, none on V8's backtracking one: V8 is faster by 0.05 to 2 µs on short texts and
 * simple patterns, but `.*x.*y` or an e-mail pattern took it 40 ms on 6,000 characters, and telling safe patterns from such
 * ones would be a proof of ours to get wrong.
 *
 * @param flags out of `i` (ignore case) and `s` (`.` matches line breaks too)
 * @throws {RegexError} for look-around, back-references, unknown flags, syntax errors and patterns over the limit
 */
export function compileRegex(pattern: string, flags: string): (text: string) => boolean {
  if (pattern.length > MAX_PATTERN_CHARACTERS) {
    throw new RegexError(`the pattern is longer than ${MAX_PATTERN_CHARACTERS} characters`)
  }
  const compiled = compile(pattern, re2Flags(flags))
  return (text) => compiled.test(text)
}

function re2Flags(flags: string): number {
  let bits = 0
  for (const flag of flags) {
    if (flag === 'i') bits |= RE2JS.CASE_INSENSITIVE
    else if (flag === 's') bits |= RE2JS.DOTALL
    else
      throw new RegexError(
        `unknown flag \`${flag}\`: the flags are \`i\` (ignore case) and \`s\` (dot matches line breaks)`,
      )
  }
  return bits
}

function compile(pattern: string, flags: number): RE2JS {
  try {
    return RE2JS.compile(pattern, flags)
  } catch (error) {
    throw new RegexError(explain(pattern, error instanceof Error ? error.message : String(error)))
  }
}

/** RE2 says which characters it refused; for the two constructs that people miss, say what they are and what to do. */
function explain(pattern: string, message: string): string {
  if (/\(\?<?[=!]/.test(pattern)) {
    return 'look-around is not supported, for it has no linear-time search: write two conditions joined by `and` or `and not`'
  }
  if (/\\(?:[1-9]|k<)/.test(pattern)) {
    return 'back-references are not supported, for they have no linear-time search: write out the alternatives'
  }
  return message.replace(/^error parsing regexp: /, '')
}
