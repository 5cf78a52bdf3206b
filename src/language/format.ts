import type { Diagnostic } from '../model/diagnostic.js'
import type { Declaration, Placed } from './ast.js'
import { type Token, tokenize } from './lexer.js'
import { parseFile } from './parse.js'
import { declarationLines, type Line, MAX_WIDTH } from './print.js'
import type { LineMap } from './text.js'

export type FormatResult =
  | { readonly ok: true; readonly text: string }
  /** The text does not parse, so it is left alone. */
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] }

/**
 * A policy file in its canonical layout. Nothing is lost: every comment stays with what it stood before or behind, single
 * literals keep their spelling, and one blank line stays where there were some. Formatting twice changes nothing more.
 */
export function formatText(path: string, text: string): FormatResult {
  const parsed = parseFile(path, new TextEncoder().encode(text))
  if (parsed.diagnostics.length > 0) return { ok: false, diagnostics: parsed.diagnostics }
  const source = parsed.lines
  const { comments } = tokenize(source.text)
  const blocks = mergeComments(parsed.file.declarations, comments)
  const rows = align(blocks.map((block, at) => layOut(block, blocks[at - 1] ?? null, source)))
  const formatted = rows.map(({ separator, lines }) => separator + lines.join('\n')).join('')
  return { ok: true, text: formatted === '' ? '' : `${formatted}\n` }
}

/** A block as it will be printed. */
interface Row {
  /** What stands between the block before and this one. */
  readonly separator: string
  readonly lines: readonly string[]
  /** Comments from inside the declaration that have moved above it; they stand on lines of their own. */
  readonly head: readonly string[]
  /** The columns of a one-line declaration, and what it is, so that neighbours of a kind are aligned. */
  readonly cells: readonly string[] | null
  /** Comments from inside a one-line declaration, which have moved behind it; no part of its width, like those that stood there. */
  readonly tail: string
  readonly kind: Declaration['kind'] | 'comment'
}

/** Puts the columns of neighbouring one-line lists, tools and imports under each other, as far as the width allows. */
function align(rows: readonly Row[]): readonly Row[] {
  const aligned = [...rows]
  for (let first = 0; first < rows.length; ) {
    let end = first + 1
    while (end < rows.length && continuesRun(rows[first] as Row, rows[end] as Row)) end++
    const run = rows.slice(first, end).flatMap(({ cells }) => (cells === null ? [] : [cells]))
    const widths = columnWidths(run)
    for (let at = first; at < end; at++) {
      const row = rows[at] as Row
      if (row.cells !== null) aligned[at] = { ...row, lines: [...row.head, padCells(row.cells, widths) + row.tail] }
    }
    first = end
  }
  return aligned
}

/** A comment behind a declaration does not end a run; an empty line and a comment of its own line do. */
const continuesRun = (first: Row, row: Row): boolean =>
  first.cells !== null &&
  ((row.kind === first.kind && row.cells !== null && row.separator === '\n' && row.head.length === 0) ||
    row.separator === '  ')

function columnWidths(run: readonly (readonly string[])[]): readonly number[] {
  const columns = Math.max(0, ...run.map((cells) => cells.length))
  const widths = Array.from({ length: columns }, (_, at) => Math.max(0, ...run.map((cells) => cells[at]?.length ?? 0)))
  const fits = (width: readonly number[]): boolean => run.every((cells) => padCells(cells, width).length <= MAX_WIDTH)
  for (let kept = columns; kept > 0; kept--) {
    const some = widths.slice(0, kept)
    if (fits(some)) return some
  }
  return []
}

const padCells = (cells: readonly string[], widths: readonly number[]): string =>
  cells.map((cell, at) => (at === cells.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join(' ')

/** A declaration with the comments in and behind it, or a comment between declarations. */
interface Block {
  readonly declaration: Placed | null
  readonly comments: readonly Token[]
  readonly start: number
  readonly end: number
}

function mergeComments(declarations: readonly Placed[], comments: readonly Token[]): readonly Block[] {
  const blocks: Block[] = []
  let next = 0
  const standalone = (until: number): void => {
    for (let comment = comments[next]; comment !== undefined && comment.offset < until; comment = comments[++next]) {
      const end = comment.offset + comment.text.length
      blocks.push({ declaration: null, comments: [comment], start: comment.offset, end })
    }
  }
  for (const [at, declaration] of declarations.entries()) {
    const start = declaration.offset
    const end = start + declaration.node.span.end
    standalone(start)
    const first = next
    while (next < comments.length && (comments[next] as Token).offset < end) next++
    blocks.push({ declaration, comments: comments.slice(first, next), start, end })
    if (at === declarations.length - 1) standalone(Number.POSITIVE_INFINITY)
  }
  if (declarations.length === 0) standalone(Number.POSITIVE_INFINITY)
  return blocks
}

/** A comment behind a declaration stays on its line; several declarations of a line get one each. */
function separator(source: LineMap, before: Block | null, block: Block): string {
  if (before === null) return ''
  const gap = source.text.slice(before.end, block.start)
  const breaks = gap.match(/\r\n|\r|\n/g)?.length ?? 0
  if (breaks === 0 && block.declaration === null) return '  '
  if (breaks > 1) return '\n\n'
  if (before.declaration === null || block.declaration === null) return '\n'
  return isBraced(before.declaration.node) || isBraced(block.declaration.node) ? '\n\n' : '\n'
}

const isBraced = ({ kind }: Declaration): boolean => kind === 'rule' || kind === 'template'

function layOut(block: Block, before: Block | null, source: LineMap): Row {
  const gap = separator(source, before, block)
  if (block.declaration === null) {
    const text = (block.comments[0] as Token).text.trimEnd()
    return { separator: gap, lines: [text], head: [], cells: null, tail: '', kind: 'comment' }
  }
  const { kind } = block.declaration.node
  return { separator: gap, ...declarationText(block.comments, block.declaration, source), kind }
}

/**
 * The declaration's lines with its inner comments between and behind them. Where all comments move above it or behind it, it
 * is laid out as if it had none, for so it is from then on.
 */
function declarationText(
  comments: readonly Token[],
  { node, offset }: Placed,
  source: LineMap,
): Pick<Row, 'head' | 'lines' | 'cells' | 'tail'> {
  const own = source.text.slice(offset, offset + node.span.end)
  const spread = declarationLines(node, { source: own, spread: comments.length > 0 })
  const above = new Map<number, string[]>()
  const behind = new Map<number, string[]>()
  for (const comment of comments) {
    const at = comment.offset - offset
    const trailing = isBehindCode(source.text, comment.offset)
    const target = trailing ? lastBefore(spread, at) : firstAfter(spread, at)
    const map = trailing ? behind : above
    map.set(target, [...(map.get(target) ?? []), comment.text.trimEnd()])
  }
  const tailOf = (line: number): string => (behind.get(line) ?? []).map((text) => `  ${text}`).join('')
  const last = spread.length - 1
  const leave = [...above.keys()].every((line) => line === 0) && [...behind.keys()].every((line) => line === last)
  if (leave) {
    const lines = declarationLines(node, { source: own, spread: false })
    const [head, tail] = [above.get(0) ?? [], tailOf(last)]
    const texts = lines.map(({ indent, text }) => ' '.repeat(indent) + text)
    const cells = lines.length === 1 ? (lines[0]?.cells ?? null) : null
    return { head, lines: [...head, ...texts.slice(0, -1), `${texts.at(-1)}${tail}`], cells, tail }
  }
  const texts = spread.flatMap((line, index) => {
    const isCloser = /^[\]}]/.test(line.text)
    const indent = ' '.repeat(line.indent + (isCloser ? 2 : 0))
    const texts = (above.get(index) ?? []).map((text) => indent + text)
    return [...texts, `${' '.repeat(line.indent)}${line.text}${tailOf(index)}`]
  })
  return { head: [], lines: texts, cells: null, tail: '' }
}

function isBehindCode(text: string, offset: number): boolean {
  const lineStart = Math.max(text.lastIndexOf('\n', offset - 1), text.lastIndexOf('\r', offset - 1)) + 1
  return text.slice(lineStart, offset).trim() !== ''
}

/** Index of the line whose source stands nearest before `at`. */
function lastBefore(lines: readonly Line[], at: number): number {
  let best = 0
  let bestAt = -1
  for (const [index, line] of lines.entries()) {
    if (line.at !== null && line.at < at && line.at >= bestAt) {
      best = index
      bestAt = line.at
    }
  }
  return best
}

/** Index of the line whose source stands nearest after `at`. */
function firstAfter(lines: readonly Line[], at: number): number {
  let best = lines.length - 1
  let bestAt = Number.POSITIVE_INFINITY
  for (const [index, line] of lines.entries()) {
    if (line.at !== null && line.at > at && line.at < bestAt) {
      best = index
      bestAt = line.at
    }
  }
  return best
}
