import type { Terminal } from './terminal.js'

/** What a command gets from the process. */
export interface Io {
  readonly out: Terminal
  readonly err: Terminal
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean }
}

/** 0: fine. 1: the answer is no (diagnostics, a failed test, no ALLOW with `--exit-code`). 2: wrong use. */
export type ExitCode = 0 | 1 | 2

/** The command was called in a way that cannot work; the message says how to call it. Ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The work could not be done, through no fault of the call (a server that is down). Ends with exit code 1. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
}
