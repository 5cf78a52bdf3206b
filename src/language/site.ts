import type { Declaration } from './ast.js'
import type { ParsedFile } from './parse.js'
import type { SourceText } from './report.js'

/** A parsed file with the text that diagnostics show. */
export interface OpenFile extends SourceText {
  readonly path: string
  readonly parsed: ParsedFile
}

/** A declaration and the file it stands in. */
export interface Site<N extends Declaration = Declaration> {
  readonly node: N
  readonly file: OpenFile
  readonly offset: number
  /** Its own text, in which its spans count. */
  readonly text: string
}
