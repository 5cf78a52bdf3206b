import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/**
 * How a view or function spells what it returns. A constant in any other spelling can never equal it, so that a denial by
 * it would be silently without effect.
 */
export interface Fold {
  /** Whether the value is a list of such texts. */
  readonly isList: boolean
  /** For the message: `sql(…).tables are in lower case`. */
  readonly says: string
  /** The spelling of a whole text, or null where no text of this kind could be meant. */
  readonly whole: (text: string) => string | null
  /** The spelling of a part of a text. */
  readonly part: (text: string) => string
  /** True where no capital letter ever occurs. */
  readonly isLower: boolean
}

const lower = (text: string): string => text.toLowerCase()
const same = (text: string): string => text
const name = (text: string): string => text.normalize('NFKC').toLowerCase()

const STATEMENTS: ReadonlySet<string> = new Set(
  'select insert update delete merge create alter drop truncate grant revoke copy call do set begin commit explain other'.split(
    ' ',
  ),
)

function fold(says: string, whole: Fold['whole'], part: Fold['part'] = lower, isList = false, isLower = true): Fold {
  return { says, whole, part, isList, isLower }
}

const NAMES = fold('in lower case', name, name, true)
const HOST = fold('a host in lower case and A-labels, without port, `@`, `*` or final dot', host)
const LOWER = fold('in lower case', lower)
const SLASHES = fold('with `/`, without a final one', path, slashes, false, false)
const SEGMENT = 'one segment, without slashes'

/** What {@link Fold} the fields of views have, by view and field; the others keep the spelling of the text. */
const FIELDS: Readonly<Record<string, Readonly<Record<string, Fold>>>> = {
  sql: {
    statements: fold(
      `one of ${[...STATEMENTS].join(', ')}`,
      (text) => (STATEMENTS.has(lower(text)) ? lower(text) : null),
      lower,
      true,
    ),
    tables: NAMES,
    columns: NAMES,
    functions: NAMES,
  },
  url: {
    scheme: fold('in lower case, without `:`', (text) => lower(text).replace(/:(?:\/\/)?$/, '')),
    host: HOST,
    domain: HOST,
    path: fold('percent-decoded', decoded, decoded, false, false),
  },
  email: {
    address: fold('in lower case, with an `@`', (text) => (text.includes('@') ? lower(text) : null)),
    local: LOWER,
    domain: HOST,
    registrable: HOST,
  },
  path: {
    text: SLASHES,
    parent: SLASHES,
    name: fold(SEGMENT, segment, same, false, false),
    segments: fold(SEGMENT, segment, same, true, false),
    extension: fold('in lower case, without dot', (text) => lower(text).replace(/^\.+/, '')),
  },
  ip: { text: fold('one address', (text) => (isIP(text) === 0 ? null : lower(text))) },
  shell: { programs: fold('the bare name of a program, in lower case', program, same, true, false) },
}

const FUNCTIONS: Readonly<Record<string, Fold>> = { domain: HOST, lower: LOWER }

/** Undefined where the field keeps the spelling of the text. */
export function foldOfField(view: string, field: string): Fold | undefined {
  const fields = Object.hasOwn(FIELDS, view) ? FIELDS[view] : undefined
  return fields !== undefined && Object.hasOwn(fields, field) ? fields[field] : undefined
}

export function foldOfFunction(fn: string): Fold | undefined {
  return Object.hasOwn(FUNCTIONS, fn) ? FUNCTIONS[fn] : undefined
}

/** An empty host is that of a URL without one. */
function host(text: string): string | null {
  if (text === '' || isIP(text) !== 0) return lower(text)
  const bare = text.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '').replace(/^(?:@|\*?\.)|\/$/g, '')
  return domainToASCII(bare).replace(/\.$/, '') || null
}

function slashes(text: string): string {
  return text.replaceAll('\\', '/').replace(/\/{2,}/g, '/')
}

function path(text: string): string {
  const folded = slashes(text).replace(/^(?:\.\/)+/, '')
  return folded.length > 1 ? folded.replace(/\/$/, '') : folded
}

function segment(text: string): string | null {
  return /[/\\]/.test(text) ? null : text
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A program outside of the system folders is known by its path, too, which keeps its case. */
function program(text: string): string | null {
  if (/\s/.test(text)) return null
  return text.includes('/') ? text : lower(text)
}
