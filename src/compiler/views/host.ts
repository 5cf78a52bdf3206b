import { domainToASCII } from 'node:url'
import { getDomain } from 'tldts'
import { hasAmbiguousOctal, parseIp } from './ip.js'

/** Characters that IDNA 2003 and IDNA 2008 map to two different names (`faß.de`: `fass.de` or `xn--fa-hia.de`). */
const IDNA_DEVIATION = /[ßẞς\u200c\u200d]/u
/** Signs that look like `/`, `\\` or `?` and that IDNA 2008 forbids: some readers stop at them, some refuse, some go on. */
const SLASH_ALIKE = /[\u2044\u2215\u2216\u29f5\u29f8\u29f9\u2571\u2572\u3033\u203d\u2024-\u2026]/
const NO_HOST_CHARACTER = /[\s/\\?#@%:<>[\]"'`|^{}(),;]/
const HOST_NAME = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/

/** Names that the mapping below leaves as they are, and that are no address: their last label begins with a letter. */
const PLAIN_NAME = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** A host name in A-labels, lower case, without a trailing dot; or an IP address in the form of the `ip` view. */
export interface Host {
  readonly name: string
  readonly isIp: boolean
}

/** Whether a name is a host as it stands, and no address. */
export function isPlainName(text: string): boolean {
  return text.length <= 253 && !text.includes('--') && PLAIN_NAME.test(text)
}

/**
 * Reads a host as written: UTS 46 mapping (case, full-width letters and dots, invisible characters), A-labels, one trailing
 * dot dropped, old IPv4 forms made canonical. `undefined` for what two resolvers could take for two hosts.
 */
export function readHost(text: string): Host | undefined {
  // Most names are such, and mapping one costs more than all the rest of a condition.
  if (isPlainName(text)) return { name: text, isIp: false }
  if (text.length > 1_024 || IDNA_DEVIATION.test(text) || SLASH_ALIKE.test(text)) return undefined
  // `domainToASCII` stops at a slash and decodes escapes: what it would drop must not be there.
  if (!text.startsWith('[') && NO_HOST_CHARACTER.test(text.normalize('NFKC'))) return undefined
  if (text.startsWith('[')) {
    const ip = text.endsWith(']') && text.includes(':') ? parseIp(text) : undefined
    return ip && { name: ip.text, isIp: true }
  }
  const ascii = domainToASCII(text).replace(/\.$/, '')
  if (ascii === '' || ascii.length > 253) return undefined
  // `domainToASCII` makes numeric hosts canonical (`0x7f.1`); whether their parts were ambiguous only the text tells.
  const ip = parseIp(ascii)
  if (ip !== undefined) return hasAmbiguousOctal(foldDigits(text)) ? undefined : { name: ip.text, isIp: true }
  return HOST_NAME.test(ascii) ? { name: ascii, isIp: false } : undefined
}

function foldDigits(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/[。．｡]/g, '.')
    .replace(/\.$/, '')
}

/** By the Public Suffix List, its private part included (`evil.github.io` is no page of `github.io`); the host where it has none. */
export function registrableDomain(host: Host): string {
  if (host.isIp) return host.name
  return getDomain(host.name, { allowPrivateDomains: true, validateHostname: false }) ?? host.name
}
