/** Values of a log line; errors keep their stack and causes, which never leave the server otherwise. */
export type LogFields = Readonly<
  Record<string, string | number | boolean | null | undefined | Error | readonly string[] | readonly number[]>
>

/**
 * Where parts report what happened. The event is a short constant phrase in lower case, searchable; what varies goes into
 * the fields. Values may be hostile text: whoever writes them escapes them.
 */
export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}
