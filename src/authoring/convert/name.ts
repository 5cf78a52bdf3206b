import { RESERVED_WORDS } from '../../language/lexer.js'

const WORD = /^[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*$/

/** True when the text may stand as a name of the language without quotes. */
export function isName(text: string): boolean {
  return WORD.test(text) && !(RESERVED_WORDS as readonly string[]).includes(text)
}
