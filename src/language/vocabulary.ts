import type { RelationOp } from './ast.js'

/**
 * The words that expressions may use, with their types: one table for the checker (types and hints), the compiler
 * (implementations) and the documentation. A view parses a text by the rules of its field; a text that does not parse is
 * unknown in every field. All folding is described in docs/views.md.
 */
export type Type =
  | { readonly kind: 'string' | 'number' | 'boolean' | 'null' | 'timestamp' | 'duration' | 'cidr' | 'any' }
  | { readonly kind: 'list'; readonly item: Type }
  | {
      readonly kind: 'map'
      readonly fields: ReadonlyMap<string, { readonly type: Type; readonly optional: boolean }> | null
    }
  /** The result of a view call, with the fields of {@link VIEWS}. */
  | { readonly kind: 'view'; readonly view: ViewName }

export const STRING: Type = { kind: 'string' }
export const NUMBER: Type = { kind: 'number' }
export const BOOLEAN: Type = { kind: 'boolean' }
export const ANY: Type = { kind: 'any' }
const STRINGS: Type = { kind: 'list', item: STRING }

export type ViewName = 'sql' | 'url' | 'email' | 'path' | 'ip' | 'shell' | 'json'

/** Fields of each view. `self` is the type that the view itself compares as (`path(x) under …`, `ip(x) in …`), where it does. */
export const VIEWS = {
  sql: {
    /** Kinds in the order of the text, lower case: select insert update delete merge create alter drop truncate grant revoke copy call do set begin commit explain other; statements inside CTEs, subqueries and EXPLAIN count. Like all fields but `functions` unknown where something runs that the text does not show (DO, CALL, EXECUTE, dblink). */
    statements: STRINGS,
    /** Every relation named anywhere, lower case, bare and (where written so) schema-qualified; names of CTEs too, since an author's deny-list must not be dodged by an alias. */
    tables: STRINGS,
    /** Column names, lower case; `*` for a star, whole rows, and columns that are renamed or left out. */
    columns: STRINGS,
    /** Called functions, lower case, without schema. */
    functions: STRINGS,
    /** True when every statement that returns rows has a LIMIT or FETCH FIRST. */
    has_limit: BOOLEAN,
    /** Largest outermost limit; unknown when one is missing or is no constant. */
    limit: NUMBER,
    /** True when every UPDATE and DELETE has a WHERE. */
    has_where: BOOLEAN,
    /** True when the text holds more than one statement. */
    multiple: BOOLEAN,
  },
  url: {
    scheme: STRING,
    /** Without port; IDNA A-labels, lower case; an IP address in canonical form. */
    host: STRING,
    /** Registrable domain by the Public Suffix List; the host where it has none. */
    domain: STRING,
    /** The scheme's default where none is written; unknown where the scheme has none. */
    port: NUMBER,
    /** Percent-decoded, dot segments and repeated slashes resolved; unknown where servers differ in what they would serve. */
    path: STRING,
    /** Decoded; a parameter given more than once is a list. */
    query: { kind: 'map', fields: null },
    fragment: STRING,
    has_credentials: BOOLEAN,
    is_ip: BOOLEAN,
  },
  email: {
    /** Normalised: domain in A-labels and lower case, local part lower case, display name dropped. */
    address: STRING,
    local: STRING,
    /** Everything after the `@`. */
    domain: STRING,
    /** Registrable domain of `domain`. */
    registrable: STRING,
  },
  path: {
    /** `/`-separated, dot segments resolved, percent-encoding and backslashes folded. */
    text: STRING,
    name: STRING,
    /** Lower case, without dot; empty where there is none. */
    extension: STRING,
    parent: STRING,
    segments: STRINGS,
    absolute: BOOLEAN,
    /** True when a relative path leaves the folder it starts in. */
    escapes: BOOLEAN,
  },
  ip: {
    text: STRING,
    version: NUMBER,
    /** RFC 1918, unique local, and carrier-grade NAT (100.64.0.0/10). */
    private: BOOLEAN,
    /** Unknown for 0.0.0.0 and `::`: connections there reach this host, listeners there are open to all. */
    loopback: BOOLEAN,
    link_local: BOOLEAN,
    multicast: BOOLEAN,
    /** Neither private, loopback, link-local, multicast, reserved nor unspecified. */
    global: BOOLEAN,
  },
  shell: {
    /** Base names of every program that would run, lower case, those inside substitutions, and behind `sudo env xargs nohup time` and `sh -c`, too. A program outside of the system folders is listed by its path as well. Unknown where the name is not literal. */
    programs: STRINGS,
    /** Every word of every command after quotes are removed, programs included. Unknown where an expansion hides one. */
    words: STRINGS,
    /** True when more than one simple command would run. */
    multiple: BOOLEAN,
    pipes: BOOLEAN,
    redirects: BOOLEAN,
    /** Targets of output redirections. */
    writes: STRINGS,
    /** Targets of input redirections. */
    reads: STRINGS,
    /** Command or process substitution, backticks or arithmetic expansion. */
    substitutions: BOOLEAN,
    /** True when a parameter expansion hides a word from us, or something else hides what runs. */
    variables: BOOLEAN,
    background: BOOLEAN,
  },
  /** The parsed value itself; its fields are whatever the text holds. */
  json: {},
} as const satisfies Record<ViewName, Record<string, Type>>

/** Functions that are no view. `domain(x)` is the host of an address, URL or bare host name. */
export const FUNCTIONS = {
  domain: { args: [STRING], result: STRING },
  count: { args: [{ kind: 'list', item: ANY }], result: NUMBER },
  sum: { args: [{ kind: 'list', item: NUMBER }], result: NUMBER },
  min: { args: [{ kind: 'list', item: NUMBER }], result: NUMBER },
  max: { args: [{ kind: 'list', item: NUMBER }], result: NUMBER },
  lower: { args: [STRING], result: STRING },
  /** Characters (Unicode code points) of a text, or items of a list. */
  length: { args: [ANY], result: NUMBER },
  /** Every text in a value, at any depth; keys are not among them (src/compiler/functions/strings.ts). */
  strings: { args: [ANY], result: STRINGS },
  /** Everyone whom a message with these arguments goes to (src/compiler/functions/recipients.ts); `recipients(args)`. */
  recipients: { args: [ANY], result: STRINGS },
  /** Names of arguments that no declaration of the called tool has (src/compiler/functions/undeclared.ts); `undeclared(args)`. */
  undeclared: { args: [ANY], result: STRINGS },
} as const satisfies Record<string, { args: readonly Type[]; result: Type }>
export type FunctionName = keyof typeof FUNCTIONS

/** The operators between two values, as they are written. */
export const OP_WORDS: Readonly<Record<RelationOp, string>> = {
  in: 'in',
  'not-in': 'not in',
  contains: 'contains',
  'contains-any': 'contains any of',
  'contains-all': 'contains all of',
  intersects: 'intersects',
  subset: 'subset of',
  'starts-with': 'starts with',
  'ends-with': 'ends with',
  like: 'like',
  under: 'under',
}
