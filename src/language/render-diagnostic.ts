import type { Diagnostic, Severity } from '../model/diagnostic.js'
import { escapeUnseen } from '../model/unseen.js'

const ESC = '\u001b['
const COLORS: Readonly<Record<Severity, string>> = { error: '31', warning: '33', info: '36' }
/** Longer source lines are shown in part, around the place. */
const MAX_EXCERPT = 160

/**
 * The text form of a diagnostic, without a final line break:
 *
 *     payments.policy:14:8: error POL2101: `args.amout` is not an argument of tool `payments.transfer`
 *       14 |   when args.amout > 500
 *          |        ^^^^^^^^^^
 *       hint: did you mean `args.amount` (number)?
 *
 * Control characters and characters that reorder text are escaped wherever they come from.
 * @param options `color` adds terminal colours; ask whether the output is a terminal
 */
export function renderDiagnostic(diagnostic: Diagnostic, { color = false }: { readonly color?: boolean } = {}): string {
  const paint = (code: string, text: string): string => (color ? `${ESC}${code}m${text}${ESC}0m` : text)
  const { location, severity, code, message, hint, excerpt } = diagnostic
  const place = `${visible(location.file)}:${location.line}:${location.column}`
  const label = paint(`1;${COLORS[severity]}`, `${severity} ${code}`)
  const lines = [`${paint('1', place)}: ${label}: ${visible(message)}`]
  if (excerpt !== undefined) {
    const { text, mark } = underline(excerpt, location.column - 1, location.end - location.start)
    const number = String(location.line)
    lines.push(`  ${paint('2', `${number} |`)} ${text}`)
    lines.push(`  ${paint('2', `${' '.repeat(number.length)} |`)} ${paint(COLORS[severity], mark)}`)
  }
  if (hint !== undefined) lines.push(`  ${paint('1', 'hint:')} ${visible(hint)}`)
  return lines.join('\n')
}

/** The line as it can be shown, and carets under `length` units from `column` (from 0), in the same columns. */
function underline(line: string, column: number, length: number): { readonly text: string; readonly mark: string } {
  const from = column > MAX_EXCERPT - 40 ? column - 40 : 0
  const until = from + MAX_EXCERPT
  const end = Math.max(column + 1, Math.min(column + length, line.trimEnd().length, until))
  const before = visible(line.slice(from, column))
  const marked = visible(line.slice(column, end))
  const after = visible(line.slice(end, until))
  const head = from > 0 ? '…' : ''
  const tail = until < line.length ? '…' : ''
  return {
    text: `${head}${before}${marked}${after}${tail}`.trimEnd(),
    mark: ' '.repeat(width(head + before)) + '^'.repeat(Math.max(1, width(marked))),
  }
}

/** Terminal columns, near enough: combining marks take none, East Asian wide characters and emoji two. */
function width(text: string): number {
  let columns = 0
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue
    columns +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(
        character,
      )
        ? 2
        : 1
  }
  return columns
}

/** A tab is two spaces, so that carets stand right; anything else that a terminal would act on becomes an escape. */
export function visible(text: string): string {
  return escapeUnseen(text.replaceAll('\t', '  '))
}
