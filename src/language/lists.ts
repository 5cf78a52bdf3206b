import type { Expr } from './ast.js'
import type { ListItem } from './checked.js'

/** Entries of a list file: one a line, blank lines and `#` comments left out. Always texts. */
export function parseListFile(text: string): readonly string[] {
  return text
    .split(/\r?\n|\r/)
    .map((line) => line.replace(/(?:^|\s)#.*$/, '').trim())
    .filter((line) => line !== '')
}

/** The value of an entry that is written out, or undefined where it is no constant. Addresses are kept as written. */
export function constantItem(expr: Expr): ListItem | undefined {
  if (expr.kind === 'literal') return expr.value
  return expr.kind === 'cidr' ? expr.text : undefined
}
