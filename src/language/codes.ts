import type { Severity } from '../model/diagnostic.js'

/**
 * Every diagnostic this folder can give. The table in docs/errors.md has a row for each, held equal by a test. Codes are
 * stable: a number is never used for another meaning. 1xxx reading, 2xxx names and types, 3xxx rules that do not do what
 * they seem to.
 */
export const CODES = {
  POL1001: { severity: 'error', title: 'file too large' },
  POL1002: { severity: 'error', title: 'file is not UTF-8' },
  POL1003: { severity: 'error', title: 'malformed word, text, number or date' },
  POL1004: { severity: 'error', title: 'clause given twice' },
  POL1005: { severity: 'error', title: 'two effects' },
  POL1006: { severity: 'error', title: 'something required is missing' },
  POL1007: { severity: 'error', title: 'nested too deeply' },
  POL1008: { severity: 'error', title: 'declaration too long' },
  POL1009: { severity: 'error', title: 'unexpected word' },
  POL1010: { severity: 'error', title: 'declaration ends too early' },
  POL1011: { severity: 'error', title: 'unknown declaration' },
  POL1012: { severity: 'error', title: 'construct not available in this version' },
  POL1013: { severity: 'error', title: 'brackets do not match' },
  POL1014: { severity: 'error', title: 'attachment missing' },
  POL1015: { severity: 'error', title: 'attachment path leaves its place' },
  POL1016: { severity: 'error', title: 'attachment cannot be read' },
  POL1099: { severity: 'error', title: 'ambiguous grammar (internal error)' },
  POL2001: { severity: 'error', title: 'name declared twice' },
  POL2002: { severity: 'error', title: 'tool declared in two ways' },
  POL2003: { severity: 'error', title: 'rule id used twice' },
  POL2004: { severity: 'error', title: 'rule outside of a policy' },
  POL2005: { severity: 'error', title: 'two policy headers' },
  POL2006: { severity: 'error', title: 'fleet policy in a tenant folder' },
  POL2007: { severity: 'error', title: 'unknown template' },
  POL2008: { severity: 'error', title: 'wrong number of template arguments' },
  POL2009: { severity: 'error', title: 'template argument of the wrong kind' },
  POL2010: { severity: 'error', title: 'list entry that is no constant' },
  POL2011: { severity: 'error', title: 'list that contains itself' },
  POL2012: { severity: 'error', title: 'unknown list' },
  POL3000: { severity: 'info', title: 'more findings than shown' },
} as const satisfies Record<string, { readonly severity: Severity; readonly title: string }>

export type Code = keyof typeof CODES
