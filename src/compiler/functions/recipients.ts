import type { JsonValue } from '../../model/json.js'

/** Arguments that name who gets a message, as mail and chat tools call them. */
export const RECIPIENT_KEYS = ['to', 'recipient', 'recipients', 'cc', 'bcc'] as const

/**
 * `recipients(args)`: everyone that a message goes to, out of {@link RECIPIENT_KEYS} in any case: a text, a list of texts, or objects
 * with an `email` or `address`. One text may hold several recipients, parted by commas or semicolons outside quotes and
 * angle brackets, so that a header with 5,000 addresses does not count as one.
 *
 * @returns undefined (unknown) when the value is no map, names no recipients at all, or names them in another shape
 *   or with a quote that never ends
 */
export function recipientsOf(value: JsonValue | undefined): readonly string[] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const fields = value as { readonly [key: string]: JsonValue }
  const found: string[] = []
  let named = false
  for (const key of Object.keys(fields)) {
    const field = fields[key]!
    if (field === null || !isRecipientKey(key)) continue
    named = true
    for (const item of Array.isArray(field) ? field : [field]) {
      const text = addressText(item)
      if (text === undefined) return undefined
      if (!split(text, found)) return undefined
    }
  }
  return named ? found : undefined
}

/** Case aside: what the tool calls `bcc` another reads from `Bcc`. */
function isRecipientKey(key: string): boolean {
  return KEYS.has(key.toLowerCase())
}

const KEYS: ReadonlySet<string> = new Set(RECIPIENT_KEYS)

function addressText(item: JsonValue): string | undefined {
  if (typeof item === 'string') return item
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return undefined
  const { email, address } = item as { readonly [key: string]: JsonValue }
  if (typeof email === 'string' && address === undefined) return email
  return typeof address === 'string' && email === undefined ? address : undefined
}

/**
 * False for a quote or bracket that is never closed: it could hide any number of recipients. An empty text counts as one
 * recipient, which no list knows: an odd call is for a rule to restrict, not for us to drop.
 */
function split(text: string, into: string[]): boolean {
  let start = 0
  let quoted = false
  let bracketed = false
  const add = (end: number): void => {
    const part = text.slice(start, end).trim()
    if (part !== '' || text.trim() === '') into.push(part)
  }
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (quoted && c === '\\') i++
    else if (c === '"') quoted = !quoted
    else if (!quoted && (c === '<' || c === '>')) bracketed = c === '<'
    else if (!quoted && !bracketed && (c === ',' || c === ';')) {
      add(i)
      start = i + 1
    }
  }
  add(text.length)
  return !quoted && !bracketed
}
