import { hasControl, hasInvisible } from './fold.js'
import { readHost, registrableDomain } from './host.js'
import type { EmailView } from './view-value.js'

const MAX_CHARACTERS = 1_000
const MAX_LOCAL = 64

/** A dot-atom without `%` and `!`: relays read those as routes (`user%evil.example@good.example`). */
const LOCAL = /^[A-Za-z0-9#$&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]+)*$/
/** `Name <address>`, the name of plain words or one quoted string. Nothing in the name can be taken for an address. */
const NAMED = /^(?:"[^"\\<>]*"|[^"\\<>()[\]:;,@]*)[ \t]*<([^<>]*)>$/

/**
 * One address, bare or as `Name <address>`. The grammar is narrower than RFC 5322 on purpose: whatever mail programs are
 * known to read in more than one way (comments, quoted local parts, encoded words, routes, groups, several addresses, IP
 * literals) is unknown.
 */
export function parseEmail(text: string): EmailView | undefined {
  if (text.length > MAX_CHARACTERS || hasControl(text) || hasInvisible(text) || text.includes('=?')) return undefined
  const trimmed = text.replace(/^[ \t]+|[ \t]+$/g, '')
  const address = trimmed.endsWith('>') ? NAMED.exec(trimmed)?.[1] : trimmed
  const at = address?.lastIndexOf('@') ?? -1
  if (address === undefined || at < 1) return undefined
  const local = address.slice(0, at)
  if (local.length > MAX_LOCAL || !LOCAL.test(local)) return undefined
  const host = readMailHost(address.slice(at + 1))
  if (host === undefined) return undefined
  const lowered = local.toLowerCase()
  return {
    address: `${lowered}@${host.name}`,
    local: lowered,
    domain: host.name,
    // The suffix list costs more than the rest, and few rules ask.
    get registrable() {
      return registrableDomain(host)
    },
  }
}

function readMailHost(text: string) {
  if (/[\s"\\<>()[\]:;,@%]/.test(text)) return undefined
  const host = readHost(text)
  return host?.isIp === false ? host : undefined
}
