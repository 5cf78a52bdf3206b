import { parseEmail } from './email.js'
import { hasControl } from './fold.js'
import { readHost } from './host.js'
import { parseUrl } from './url.js'

const MAX_CHARACTERS = 8_192

/**
 * The host of an e-mail address, a URL or a bare host name (a port may follow), as the views show it. `undefined` where the
 * text is none of them or has no host.
 */
export function domain(text: string): string | undefined {
  if (text.length > MAX_CHARACTERS || hasControl(text)) return undefined
  if (/^[ ]*[a-z][a-z0-9+.-]*:\/\//i.test(text)) return parseUrl(text)?.host || undefined
  if (text.includes('@')) return parseEmail(text)?.domain
  return bareHost(text.trim())
}

function bareHost(text: string): string | undefined {
  if (/[\s/\\?#%<>"]/.test(text)) return undefined
  const withPort = /^(\[[^\]]*\]|[^:]*):[0-9]{1,5}$/.exec(text)
  // An IPv6 address without brackets has colons of its own.
  const host = withPort?.[1] ?? (text.includes(':') && !text.startsWith('[') ? `[${text}]` : text)
  return readHost(host)?.name
}
