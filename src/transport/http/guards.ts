import { refused } from './errors.js'

/** On every answer. There is no CORS: pages of other origins may neither ask nor read. */
export const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
} as const

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

/**
 * Where nobody has to prove who calls, a page could point a name of its own at this machine and ask as the user; what it
 * cannot do is name this machine.
 *
 * @throws {RequestFailed}
 */
export function checkLoopbackHost(host: string | undefined): void {
  if (LOOPBACK_HOST.test(host ?? '')) return
  throw refused(
    'HOST_NOT_ALLOWED',
    'this listener answers to localhost, 127.0.0.1 and [::1] only, and Host names another',
  )
}

const JSON_TYPE = /^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i

/** A browser sends other types without asking first; so a form can post nothing here. @throws {RequestFailed} */
export function checkContentType(type: string | undefined): void {
  if (JSON_TYPE.test(type ?? '')) return
  throw refused('CONTENT_TYPE_UNSUPPORTED', 'the body must be JSON: send `content-type: application/json`, in UTF-8')
}
