import { escapeUnseen, UNSEEN } from '../model/unseen.js'

/**
 * What is printed and how. Everything that did not come from our own source (rule ids, agents, tools, arguments, file
 * names) goes through {@link clean} first: an agent may be called `\x1b[2J` or hide text behind a bidirectional override.
 */

/** The text with everything that a terminal would act on, or hide, written as an escape. One line in, one line out. */
export function clean(text: string): string {
  return text.replace(UNSEEN, (c) => {
    if (c === '\n') return '\\n'
    if (c === '\t') return '\\t'
    if (c === '\r') return '\\r'
    const code = c.codePointAt(0)!
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}

/** The value as one line of JSON that a terminal can neither act on nor hide; its reader gets the same value. */
export function jsonLine(value: unknown): string {
  return `${escapeUnseen(JSON.stringify(value))}\n`
}

/** {@link clean} for text of several lines whose line breaks are meant. */
export function cleanLines(text: string): string {
  return text.split('\n').map(clean).join('\n')
}

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const
export type Style = keyof typeof STYLES

/** Where a command writes. `paint` leaves the text as it is unless the stream is a terminal that wants colours. */
export interface Terminal {
  /** Columns; 80 where the stream is no terminal. */
  readonly width: number
  readonly interactive: boolean
  readonly colours: boolean
  /** Resolves when the stream takes more, so that a slow reader holds us back instead of filling memory. */
  write(text: string): Promise<void>
  paint(style: Style, text: string): string
}

export function terminal(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv = process.env): Terminal {
  const interactive = stream.isTTY === true
  const colours = interactive && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
  return {
    width: interactive ? Math.max(40, stream.columns ?? 80) : 80,
    interactive,
    colours,
    write(text) {
      if (stream.write(text)) return Promise.resolve()
      return new Promise((resolve) => stream.once('drain', resolve))
    },
    paint: (style, text) => (colours ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text),
  }
}

/** `portcullis audit tail | head` is no failure: a reader that has gone ends us quietly. */
export function endWhenReaderIsGone(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
    throw error
  })
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|[\u231a\u231b\u23f0-\u23f3\u26d4\u2705\u274c]/u
const ANSI = /\x1b\[[0-9;]*m/g

/** Columns that a cleaned, perhaps painted text takes. */
export function displayWidth(text: string): number {
  let width = 0
  for (const c of text.replace(ANSI, '')) width += /\p{Mark}/u.test(c) ? 0 : WIDE.test(c) ? 2 : 1
  return width
}

/** Pads to `width` columns; never cuts. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const blanks = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'left' ? text + blanks : blanks + text
}

/** The text in at most `width` columns, with an ellipsis where it was cut. For unpainted text. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let kept = ''
  let used = 0
  for (const c of text) {
    const next = displayWidth(c)
    if (used + next > width - 1) break
    kept += c
    used += next
  }
  return `${kept}…`
}

/** The cleaned text in lines of at most `width` columns, broken between words; a longer word stands alone, uncut. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && displayWidth(last) + 1 + displayWidth(word) <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** Narrow this one when the table is wider than the terminal; without any, lines may run over. */
  readonly flexible?: boolean
}

/** A table of cleaned cells, two blanks between columns, titles dimmed. Ends with a line break. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], to: Terminal): string {
  const natural = columns.map((column, i) =>
    Math.max(displayWidth(column.title), ...rows.map((row) => displayWidth(row[i] ?? ''))),
  )
  const over = natural.reduce((sum, width) => sum + width + 2, -2) - to.width
  const widths = natural.map((width, i) =>
    over > 0 && columns[i]?.flexible === true ? Math.max(12, width - over) : width,
  )
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, i) => {
        const cell = cells[i] ?? ''
        return pad(column.flexible === true ? cut(cell, widths[i]!) : cell, widths[i]!, column.align)
      })
      .join('  ')
      .trimEnd()
  return [to.paint('dim', line(columns.map((column) => column.title))), ...rows.map(line)].join('\n').concat('\n')
}

/** `1 rule`, `2 rules`. */
export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}
