import type { Log, LogFields } from '../model/log.js'
import { escapeUnseen } from '../model/unseen.js'

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface LogOptions {
  /** Least level that is written. @default 'info' */
  readonly level?: LogLevel
  /** One JSON object a line for machines, or columns for a person. */
  readonly format: 'json' | 'text'
  /** Receives whole lines, each with its line break. */
  readonly write: (line: string) => void
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number
}

/** Longer values are cut: a log line is not the place for an agent's 256 KiB of arguments. */
const MAX_VALUE_CHARACTERS = 8_192

/**
 * A log to standard error: `auto` is text on a terminal and JSON elsewhere.
 *
 * @param always fields of every line, such as the number of the process
 */
export function logToStandardError(
  settings: { readonly level: LogLevel; readonly format: LogOptions['format'] | 'auto' },
  always: LogFields = {},
): Log {
  const format = settings.format === 'auto' ? (process.stderr.isTTY ? 'text' : 'json') : settings.format
  const write = (line: string): void => void process.stderr.write(line)
  const log = createLog({ level: settings.level, format, write, nowMs: () => Date.now() })
  const writer =
    (level: LogLevel): Log['info'] =>
    (event, fields) =>
      log[level](event, { ...always, ...fields })
  return { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') }
}

export function createLog(options: LogOptions): Log {
  const least = LOG_LEVELS.indexOf(options.level ?? 'info')
  const line = options.format === 'json' ? jsonLine : textLine
  const writer =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}): void => {
      if (LOG_LEVELS.indexOf(level) < least) return
      options.write(line(new Date(options.nowMs()).toISOString(), level, event, fields))
    }
  return { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') }
}

function jsonLine(time: string, level: LogLevel, event: string, fields: LogFields): string {
  const plain: Record<string, unknown> = Object.assign(Object.create(null), { time, level, event })
  // A field cannot take the place of what every line has.
  for (const [key, value] of Object.entries(fields)) plain[key in plain ? `${key}_` : key] = plainValue(value)
  return `${escapeUnseen(JSON.stringify(plain))}\n`
}

function textLine(time: string, level: LogLevel, event: string, fields: LogFields): string {
  let line = `${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${escapeUnseen(event)}`
  const blocks: string[] = []
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    const plain = plainValue(value)
    const text = typeof plain === 'string' ? plain : JSON.stringify(plain)
    // Rendered diagnostics and stacks stand on lines of their own, still escaped within each line.
    if (text.includes('\n')) blocks.push(`  ${key}:`, ...text.split('\n').map((part) => `    ${escapeUnseen(part)}`))
    else line += ` ${key}=${/[\s"=]/.test(text) ? escapeUnseen(JSON.stringify(text)) : escapeUnseen(text)}`
  }
  return `${[line, ...blocks].join('\n')}\n`
}

function plainValue(value: LogFields[string]): unknown {
  if (value instanceof Error) return cut(describeError(value, 0))
  return typeof value === 'string' ? cut(value) : value
}

/** The stack, then those of the causes. */
function describeError(error: Error, depth: number): string {
  const own = error.stack ?? `${error.name}: ${error.message}`
  return error.cause instanceof Error && depth < 5 ? `${own}\ncaused by ${describeError(error.cause, depth + 1)}` : own
}

function cut(text: string): string {
  return text.length <= MAX_VALUE_CHARACTERS
    ? text
    : `${text.slice(0, MAX_VALUE_CHARACTERS)}… (${text.length} characters)`
}
