import type { Diagnostic } from '../model/diagnostic.js'

/** Codes of what only the compiler finds; the rows are in docs/errors.md. */
export const COMPILE_CODES = { tooCostly: 'POL4001', cannotCompile: 'POL4002' } as const

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
