import type { JsonValue } from '../../model/json.js'

/** `strings(x)`: every text in a value, at any depth, in the order of the value; keys are not among them. A text alone is its own leaf. */
export function stringsOf(value: JsonValue): readonly string[] {
  const found: string[] = []
  collect(value, found)
  return found
}

function collect(value: JsonValue, into: string[]): void {
  if (typeof value === 'string') into.push(value)
  else if (Array.isArray(value)) for (const item of value) collect(item, into)
  else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) collect(item, into)
}
