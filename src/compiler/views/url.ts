import { hasControl, percentDecodings } from './fold.js'
import { type Host, readHost, registrableDomain } from './host.js'
import type { UrlView } from './view-value.js'

const MAX_CHARACTERS = 8_192
const MAX_PARAMETERS = 256

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, ws: 80, wss: 443, ftp: 21 }

/**
 * An absolute URL, read as browsers, Node and fetch do (WHATWG). Where other programs are known to read the same text as
 * another host (backslashes or two `@` before the path, control characters, a URL inside an opaque URL), it is unknown.
 */
export function parseUrl(text: string): UrlView | undefined {
  const trimmed = text.replace(/^ +| +$/g, '')
  if (trimmed.length > MAX_CHARACTERS || hasControl(trimmed)) return undefined
  const written = /^([a-z][a-z0-9+.-]*):(\/\/([^/?#]*))?/i.exec(trimmed)
  if (written === null) return undefined
  const scheme = written[1]!.toLowerCase()
  const authority = written[3]
  if (!hasOneReading(trimmed, scheme, authority)) return undefined
  const url = URL.parse === undefined ? parseOrNull(trimmed) : URL.parse(trimmed)
  if (url === null) return undefined
  const host = readUrlHost(url, authority)
  if (host === undefined) return undefined
  return {
    scheme,
    host: host.name,
    domain: host.name === '' ? '' : registrableDomain(host),
    port: url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port),
    path: readPath(trimmed, url),
    query: readQuery(url),
    fragment: decodeFully(url.hash.slice(1)),
    has_credentials: url.username !== '' || url.password !== '' || (authority?.includes('@') ?? false),
    is_ip: host.isIp,
  }
}

function parseOrNull(text: string): URL | null {
  try {
    return new URL(text)
  } catch {
    return null
  }
}

function hasOneReading(text: string, scheme: string, authority: string | undefined): boolean {
  if (authority === undefined) {
    // `https:evil.example` and `https:\\evil.example` name a host for WHATWG alone; `blob:https://…` hides one.
    return !(scheme in DEFAULT_PORTS) && scheme !== 'file' && !text.slice(scheme.length + 1).includes('://')
  }
  if (/[\\ ]/.test(authority) || authority.split('@').length > 2) return false
  // `https://evil.example%2f@good.example/`: a program that decodes before it splits goes to evil.example.
  const user = percentDecodings(authority.slice(0, Math.max(0, authority.indexOf('@'))))
  return user !== undefined && !/[/\\?#@]/.test(user.at(-1)!)
}

const NO_HOST: Host = { name: '', isIp: false }

/** The host of the parsed URL, checked once more against the text, for WHATWG has folded what others may not. */
function readUrlHost(url: URL, authority: string | undefined): Host | undefined {
  if (authority === undefined || authority === '') return url.host === '' ? NO_HOST : undefined
  const written = authority.slice(authority.indexOf('@') + 1).replace(/:[0-9]*$/, '')
  const decoded = percentDecodings(written)
  if (decoded === undefined || decoded.length > 2) return undefined
  const host = readHost(decoded.at(-1)!)
  if (host === undefined) return undefined
  // Schemes that WHATWG does not know keep their host as written; for the others both readings must agree.
  const folded = readHost(url.hostname)
  if (url.hostname !== '' && folded?.name !== host.name && url.protocol.slice(0, -1) in DEFAULT_PORTS) return undefined
  return host
}

/** What some servers take for dots and slashes: full-width forms, look-alikes by best fit. */
const SERVER_ALIKE = /[\u2024-\u2026\u2044\u2215\u2216\u29f5\u29f8\ufe52\ufe68\uff0e\uff0f\uff3c]/

/**
 * `undefined` where servers differ in what they then serve: dot segments out of a second decoding or an encoded slash,
 * parameters (`/;x/admin` is `/admin` to Java servers), look-alikes.
 */
function readPath(text: string, url: URL): string | undefined {
  const raw = text
    .slice(text.indexOf(':') + 1)
    .split(/[?#]/, 1)[0]!
    .replace(/^\/\/[^/]*/, '')
  if (/[/\\]{2}/.test(raw) && /(?:^|[/\\])(?:\.|%2e){2}(?:[/\\]|$)/i.test(raw)) return undefined
  const decoded = percentDecodings(url.pathname)?.at(-1)
  if (decoded === undefined || hasControl(decoded) || decoded.includes(';') || SERVER_ALIKE.test(decoded))
    return undefined
  const path = decoded.replace(/\\/g, '/').replace(/\/{2,}/g, '/')
  return path.split('/').some((segment) => /^\.{1,2}$/.test(segment)) ? undefined : path
}

function decodeFully(text: string): string | undefined {
  return percentDecodings(text)?.at(-1)
}

/** A parameter given once is a string, one given repeatedly a list: which of them counts is up to the server. */
function readQuery(url: URL): Readonly<Record<string, string | readonly string[]>> | undefined {
  const query: Record<string, string | string[]> = Object.create(null)
  let parameters = 0
  for (const [name, value] of url.searchParams) {
    if (++parameters > MAX_PARAMETERS || name === '__proto__') return undefined
    const earlier = query[name]
    if (earlier === undefined) query[name] = value
    else if (typeof earlier === 'string') query[name] = [earlier, value]
    else earlier.push(value)
  }
  return query
}
