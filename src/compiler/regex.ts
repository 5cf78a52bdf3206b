import { RE2JS } from 're2js'

/** Longest pattern, in characters. */
export const MAX_PATTERN_CHARACTERS = 1_000

/** Why a pattern cannot be used; the message names the construct and what to write instead. */
export class RegexError extends Error {
  override readonly name = 'RegexError'
}

/**
 * Compiles `matches /pattern/flags` to a search (not anchored) whose time is linear in the text.
 *
 * @param flags out of `i` (ignore case) and `s` (`.` matches line breaks)
 * @throws {RegexError} for look-around, back-references, unknown flags and syntax errors
 */
export function compileRegex(pattern: string, flags: string): (text: string) => boolean {
  const compiled = compileLinear(pattern, flags)
  return (text) => compiled.matcher(text).find()
}

function compileLinear(pattern: string, flags: string): RE2JS {
  if (pattern.length > MAX_PATTERN_CHARACTERS) {
    throw new RegexError(`the pattern is longer than ${MAX_PATTERN_CHARACTERS} characters`)
  }
  let re2Flags = 0
  for (const flag of flags) {
    if (flag === 'i') re2Flags |= RE2JS.CASE_INSENSITIVE
    else if (flag === 's') re2Flags |= RE2JS.DOTALL
    else
      throw new RegexError(
        `unknown flag \`${flag}\`; flags are \`i\` (ignore case) and \`s\` (dot matches line breaks)`,
      )
  }
  try {
    return RE2JS.compile(pattern, re2Flags)
  } catch (error) {
    throw new RegexError(error instanceof Error ? error.message : String(error))
  }
}
