/** Text without lone surrogates: one of them makes ClickHouse refuse a whole batch. */
export function wellFormed(text: string): string {
  // In every Node that is supported; the language level that types it is not.
  return (text as string & { toWellFormed(): string }).toWellFormed()
}
