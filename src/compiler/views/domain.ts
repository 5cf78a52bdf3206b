import { parseEmail } from './email.js'
import { hasControl } from './fold.js'
import { isPlainName, readHost } from './host.js'
import { parseUrl } from './url.js'

const MAX_CHARACTERS = 8_192

const LONGEST_PLAIN = 320

/** Whether a text is a host name, an address at one, or `Name <address>`, that takes no mapping: read in a microsecond. */
export function isPlainAddress(text: string): boolean {
  if (text.length > LONGEST_PLAIN) return false
  const end = text.endsWith('>') ? text.length - 1 : text.length
  return isPlainName(text.slice(text.lastIndexOf('@') + 1, end))
}

/**
 * The host of an e-mail address, a URL or a bare host name (a port may follow), as the views show it. `undefined` where the
 * text is none of them, has no host, or is a URL with an `@`, which could be an address as well.
 */
export function domain(text: string): string | undefined {
  if (text.length > MAX_CHARACTERS || hasControl(text)) return undefined
  // Mail programs take `https://good.example/@evil.example` for a group of addresses, or for one at evil.example.
  if (text.includes('@')) return parseEmail(text)?.domain
  if (/^[ ]*[a-z][a-z0-9+.-]*:\/\//i.test(text)) return parseUrl(text)?.host || undefined
  return bareHost(text.trim())
}

function bareHost(text: string): string | undefined {
  if (/[\s/\\?#%<>"]/.test(text)) return undefined
  const withPort = /^(\[[^\]]*\]|[^:]*):[0-9]{1,5}$/.exec(text)
  // An IPv6 address without brackets has colons of its own.
  const host = withPort?.[1] ?? (text.includes(':') && !text.startsWith('[') ? `[${text}]` : text)
  return readHost(host)?.name
}
