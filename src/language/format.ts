import type { Diagnostic } from '../model/diagnostic.js'
import type { Declaration, Placed } from './ast.js'
import { type Token, tokenize } from './lexer.js'
import { parseFile } from './parse.js'
import { declarationLines, type Line } from './print.js'
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
  let formatted = ''
  let before: Block | null = null
  for (const block of blocks) {
    const lines = block.declaration === null ? [ownLine(block)] : layOut(block, block.declaration, source)
    if (before !== null) formatted += separator(source, before, block, lines.length > 1)
    formatted += lines.join('\n')
    before = block
  }
  return { ok: true, text: formatted === '' ? '' : `${formatted}\n` }
}

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

const ownLine = (block: Block): string => (block.comments[0] as Token).text.trimEnd()

/** A comment behind a declaration stays on its line; several declarations of a line get one each. */
function separator(source: LineMap, before: Block, block: Block, isLong: boolean): string {
  const gap = source.text.slice(before.end, block.start)
  const breaks = gap.match(/\r\n|\r|\n/g)?.length ?? 0
  if (breaks === 0 && block.declaration === null) return '  '
  if (breaks > 1) return '\n\n'
  const spaced = before.declaration !== null && (isLong || isBraced(before.declaration.node))
  return spaced && block.declaration !== null ? '\n\n' : '\n'
}

const isBraced = ({ kind }: Declaration): boolean => kind === 'rule' || kind === 'template' || kind === 'test'

/** The declaration's lines with its inner comments between and behind them. */
function layOut({ comments }: Block, { node, offset }: Placed, source: LineMap): readonly string[] {
  const own = source.text.slice(offset, offset + node.span.end)
  const lines = declarationLines(node, { source: own, spread: comments.length > 0 })
  const above = new Map<number, string[]>()
  const behind = new Map<number, string[]>()
  for (const comment of comments) {
    const at = comment.offset - offset
    const trailing = isBehindCode(source.text, comment.offset)
    const target = trailing ? lastBefore(lines, at) : firstAfter(lines, at)
    const map = trailing ? behind : above
    map.set(target, [...(map.get(target) ?? []), comment.text.trimEnd()])
  }
  return lines.flatMap((line, index) => {
    const isCloser = /^[\]}]/.test(line.text)
    const indent = ' '.repeat(line.indent + (isCloser ? 2 : 0))
    const tail = (behind.get(index) ?? []).map((text) => `  ${text}`).join('')
    return [...(above.get(index) ?? []).map((text) => indent + text), `${' '.repeat(line.indent)}${line.text}${tail}`]
  })
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
