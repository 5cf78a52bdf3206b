/**
 * Half-open range of UTF-16 offsets, `end` exclusive. Inside an AST the offsets count from the first character of the
 * declaration that holds the node, so that an unchanged rule that moved in its file is still the same tree.
 */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A place a person can open: line and column count from 1, column in UTF-16 units. */
export interface Location {
  /** Path of the file relative to the bundle root, with `/` as separator. */
  readonly file: string
  readonly line: number
  readonly column: number
  /** Offsets into the whole file. */
  readonly start: number
  readonly end: number
}
