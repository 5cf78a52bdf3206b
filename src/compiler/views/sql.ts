import { loadModule, parseSync, SqlError } from 'libpg-query'
import { summarize } from './sql-tree.js'
import type { SqlView } from './view-value.js'

// The parser is WebAssembly and synchronous once loaded (25 ms).
await loadModule()

const MAX_CHARACTERS = 64 * 1024
/** Words and signs outside of string literals. Bounds the time (2 µs each) and the depth of the tree. */
const MAX_TOKENS = 800
/** The lexer is quadratic in the number of comments. */
const MAX_BLOCK_COMMENTS = 32

/**
 * Set when the parser died of something else than a syntax error (its stack overflowed): its memory is then in no known
 * state, and every later text is unknown. The limits keep it from happening: the first overflow was seen at twice the depth
 * that they let through.
 */
let isBroken = false

/**
 * SQL as PostgreSQL 18 reads it. Texts that MySQL, Oracle or SQLite are known to split differently (executable comments,
 * nested ones, `#`, backslash before a quote, `--` without a space, dollar and `q'` quoting) are unknown, and so is everything that does
 * not parse or is over the limits of 64 KiB and 800 tokens.
 */
export function parseSql(text: string): SqlView | undefined {
  if (isBroken || text.length > MAX_CHARACTERS || !text.isWellFormed()) return undefined
  if (/[\u0000-\u0008\u000e-\u001f\u007f]/.test(text) || readsDifferentlyElsewhere(text)) return undefined
  if (countTokens(text) > MAX_TOKENS || (text.match(/\/\*/g)?.length ?? 0) > MAX_BLOCK_COMMENTS) return undefined
  const statements = parseStatements(text)
  if (statements === undefined || statements.length === 0) return undefined
  const summary = summarize(statements)
  if (summary === undefined) return undefined
  // A dollar-quoted body is one string here and code elsewhere; where its contents are unknown anyway, that is no matter.
  if (DOLLAR_QUOTE.test(text) && summary.tables !== undefined) return undefined
  return summary
}

function parseStatements(text: string): readonly unknown[] | undefined {
  try {
    return parseSync(text).stmts ?? []
  } catch (error) {
    // The binding refuses an empty text by a plain Error, before it calls the parser.
    if (!(error instanceof SqlError) && text !== '') isBroken = true
    return undefined
  }
}

const DOLLAR_QUOTE = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/
/** `/*!` and `/*M!` run in MySQL and MariaDB; `\'` ends a string here and not there; `q'[…]'` is a string in Oracle. */
const OTHER_DIALECTS = /\/\*M?!|\\['"]|(?<![A-Za-z0-9_])n?q'/i

function readsDifferentlyElsewhere(text: string): boolean {
  if (OTHER_DIALECTS.test(text) || hasNestedComment(text)) return true
  const code = withoutPlainLiterals(text)
  // MySQL: `--1` is minus minus one, and `#` starts a comment. The JSON operators `#>`, `#>>` and `#-` stay, as their
  // operands make no sense there without the rest of the line.
  return /--(?!\s|$)/.test(code) || /#(?![>-])/.test(code)
}

/** `/* /* *\/ DELETE …`: the comment goes on here, and ends at the first `*\/` for MySQL, Oracle and SQLite. */
function hasNestedComment(text: string): boolean {
  for (let open = text.indexOf('/*'); open >= 0; ) {
    const end = text.indexOf('*/', open + 2)
    const next = text.indexOf('/*', open + 2)
    if (next >= 0 && (end < 0 || next < end)) return true
    open = end < 0 ? -1 : text.indexOf('/*', end + 2)
  }
  return false
}

/**
 * The text with string literals emptied, where quotes can be told without a full lexer: no backslashes, dollars, double
 * quotes or block comments. Elsewhere the text itself, so that what is looked for may be found in a literal, never missed.
 */
function withoutPlainLiterals(text: string): string {
  if (/[\\$"`]|\/\*/.test(text)) return text
  return text.replace(/'[^']*'|--[^\n]*/g, (match) => (match.startsWith("'") ? "''" : match.slice(0, 3)))
}

function countTokens(text: string): number {
  const code = withoutPlainLiterals(text)
  let tokens = 0
  let isInWord = false
  for (let i = 0; i < code.length; i++) {
    const c = code.charCodeAt(i)
    const isWord =
      (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a) || c === 0x5f || c > 0x7f
    if (c > 0x20 && !(isWord && isInWord)) tokens++
    isInWord = isWord
  }
  return tokens
}
