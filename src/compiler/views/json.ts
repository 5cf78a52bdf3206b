import type { JsonValue } from '../../model/json.js'
import { JsonError } from '../../model/json-error.js'
import { parseJson } from '../../model/parse-json.js'

const LIMITS = { maxBytes: 32 * 1024, maxDepth: 64 }

/** The value that a JSON text denotes, read as strictly as a call's arguments; `undefined` where it is refused. */
export function parseJsonText(text: string): JsonValue | undefined {
  try {
    return parseJson(text, LIMITS)
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}
