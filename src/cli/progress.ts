import type { Terminal } from './terminal.js'

export interface Progress {
  at(done: number): void
  end(): void
}

/** Work shorter than this shows nothing. */
const PATIENCE_MS = 500
const REDRAW_MS = 100

/** A line that counts up while long work runs, on a terminal only, and is gone when the work is done. */
export function progress(to: Terminal, what: string, of: number): Progress {
  if (!to.interactive) return { at() {}, end() {} }
  const start = performance.now()
  let drawn = 0
  return {
    at(done) {
      const now = performance.now()
      if (now - start < PATIENCE_MS || now - drawn < REDRAW_MS) return
      drawn = now
      void to.write(`\r\x1b[K${done.toLocaleString('en-US')} of ${of.toLocaleString('en-US')} ${what}`)
    },
    end() {
      if (drawn > 0) void to.write('\r\x1b[K')
    },
  }
}
