import { nameFault } from '../../model/plain-name.js'
import { RpcError } from './errors.js'
import { LIMITS } from './limits.js'

/** @throws {RpcError} when the text is empty or too long */
export function name(field: string, text: string): string {
  if (text === '') throw new RpcError('FIELD_REQUIRED', `${field} is empty; it must name something`, { field })
  return optional(field, text)
}

/** @throws {RpcError} when the text is empty, too long, or could be taken for another name */
export function plainName(field: string, text: string): string {
  if (wellNames.has(text)) return text
  const fault = nameFault(name(field, text))
  if (fault !== null) throw new RpcError('FIELD_INVALID', `${field} ${fault}`, { field })
  if (wellNames.size >= MOST_WELL_NAMES) wellNames.clear()
  wellNames.add(text)
  return text
}

/** Names that were looked at: the same few come in nearly every call. Bounded, for anybody can send others. */
const wellNames = new Set<string>()
const MOST_WELL_NAMES = 4_096

/** @throws {RpcError} when the text is too long */
export function optional(field: string, text: string, maxBytes: number = LIMITS.nameBytes): string {
  // A UTF-16 unit takes three bytes at most, so that short names need no count.
  if (text.length * 3 <= maxBytes) return text
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes) throw overLimit(field, `has ${bytes} bytes`, `${maxBytes} bytes`)
  return text
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** @throws {RpcError} when the text is no UUID in lower case, as we write them */
export function uuid(field: string, text: string): string {
  if (UUID.test(text)) return text
  if (text === '') throw new RpcError('FIELD_REQUIRED', `${field} is empty; it must name something`, { field })
  throw new RpcError('FIELD_INVALID', `${field} is no id; ids look like 0192f3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d`, {
    field,
  })
}

export function overLimit(field: string, found: string, limit: string): RpcError {
  return new RpcError('LIMIT_EXCEEDED', `${field} ${found}; the limit is ${limit}`, { field, limit })
}
