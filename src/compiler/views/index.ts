import type { ViewName } from '../../language/vocabulary.js'
import { assertNever } from '../../model/assert-never.js'
import { parseEmail } from './email.js'
import { parseIp } from './ip.js'
import { parseJsonText } from './json.js'
import { parsePath } from './path.js'
import { parseShell } from './shell.js'
import { parseSql } from './sql.js'
import { parseUrl } from './url.js'
import type { ViewValue } from './view-value.js'

export { domain, isPlainAddress } from './domain.js'
export { ipInCidr } from './ip.js'
export { underPath } from './path.js'
export type { ViewRecord, ViewValue } from './view-value.js'

/**
 * Parses a text by the rules of its field. `undefined`: it does not parse, or it is over a limit, and every field of it is
 * unknown. Never throws; time is bounded by the limits of each view, a few milliseconds at worst.
 */
export function parseView(name: ViewName, text: string): ViewValue | undefined {
  switch (name) {
    case 'sql':
      return parseSql(text)
    case 'url':
      return parseUrl(text)
    case 'email':
      return parseEmail(text)
    case 'path':
      return parsePath(text)
    case 'ip':
      return parseIp(text)
    case 'shell':
      return parseShell(text)
    case 'json':
      return parseJsonText(text)
    default:
      return assertNever(name)
  }
}
