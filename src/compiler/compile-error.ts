import type { Diagnostic } from '../model/diagnostic.js'

/** A bundle that the checker let through but that cannot be compiled, with every reason why. It must not go live. */
export class CompileError extends Error {
  override readonly name = 'CompileError'

  constructor(readonly diagnostics: readonly Diagnostic[]) {
    super(
      diagnostics
        .map(({ location, code, message }) => `${location.file}:${location.line}: ${code}: ${message}`)
        .join('\n'),
    )
  }
}
