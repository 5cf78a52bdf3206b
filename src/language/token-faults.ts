import type { Token } from './lexer.js'
import { parseTimestamp } from './literals.js'

/** What is wrong with a token by itself, before any grammar: a message in the reader's terms, and a way out where we know one. */
export interface TokenFault {
  readonly message: string
  readonly hint?: string
}

/** What people write when they come from other languages. */
const HABITS: Readonly<Record<string, string>> = {
  '&': 'write `and`',
  '|': 'write `or`',
  '!': 'write `not`, or `!=` for unequal',
  ';': 'clauses need nothing between them',
  "'": 'texts stand in double quotes',
  '%': 'the arithmetic operators are `+ - * /`',
}

const FAULTY: ReadonlySet<string> = new Set(['unknown', 'bad_string', 'bad_number', 'timestamp', 'time', 'number'])

/** False for the types of tokens that {@link faultOf} finds nothing in. */
export const mayBeFaulty = ({ type }: Token): boolean => FAULTY.has(type)

/** Null for a token that is fine by itself. */
export function faultOf(token: Token): TokenFault | null {
  switch (token.type) {
    case 'unknown':
      return {
        message: `\`${brief(token.text)}\` has no meaning here`,
        hint:
          HABITS[token.text] ??
          'names are made of letters, digits, `_` and inner `-`; put any other text into double quotes',
      }
    case 'bad_string':
      return badString(token.text)
    case 'bad_number':
      return {
        message: `\`${brief(token.text)}\` is neither a number nor a duration nor a name`,
        hint: 'write numbers as 1000, 1_000 or 0.5, durations as 30s, 5m, 1h30m or 30d, and start names with a letter',
      }
    case 'timestamp':
      return parseTimestamp(token.text) === null
        ? {
            message: `\`${brief(token.text)}\` is no date that exists, or its time has no zone`,
            hint: 'write 2026-01-05, or 2026-01-05T10:00Z, or 2026-01-05T10:00+02:00',
          }
        : null
    case 'time':
      return /^(?:(?:[01]?\d|2[0-3]):[0-5]\d|24:00)$/.test(token.text)
        ? null
        : { message: `\`${brief(token.text)}\` is no time of day`, hint: 'times run from 00:00 to 24:00' }
    case 'number':
      return Number.isFinite(Number(token.text.replaceAll('_', '')))
        ? null
        : {
            message: `\`${brief(token.text)}\` is too large for a number`,
            hint: 'numbers are IEEE 754 doubles, up to about 1.8e308',
          }
    default:
      return null
  }
}

/** The beginning of a long token. */
const brief = (text: string): string => (text.length > 40 ? `${text.slice(0, 39)}…` : text)

function badString(text: string): TokenFault {
  const closed = text.length > 1 && text.endsWith('"') && !/(?<!\\)(?:\\\\)*\\"$/.test(text)
  if (!closed) {
    return {
      message: 'this text has no closing quote',
      hint: 'a text ends on the line it starts on; write `\\n` for a line break',
    }
  }
  const badEscape = /\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4}).?/.exec(text.replaceAll('\\\\', ''))
  return badEscape === null
    ? { message: 'this text holds a control character', hint: 'write it as an escape, such as `\\t` or `\\u0007`' }
    : {
        message: `\`${badEscape[0]}\` is no escape that a text may hold`,
        hint: 'the escapes are those of JSON: \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000',
      }
}
