import type { Expr } from '../language/ast.js'
import type { JsonObject, JsonValue } from '../model/json.js'

/** The JSON value of an expression of constants; undefined where it holds anything else. */
export function constantOf(expr: Expr): JsonValue | undefined {
  switch (expr.kind) {
    case 'literal':
      return expr.value
    case 'negate': {
      const value = constantOf(expr.operand)
      return typeof value === 'number' ? -value : undefined
    }
    case 'list-literal': {
      const items = expr.items.map(constantOf)
      return items.every((item) => item !== undefined) ? items : undefined
    }
    case 'map-literal': {
      const map: Record<string, JsonValue> = Object.create(null) as Record<string, JsonValue>
      for (const { key, value } of expr.entries) {
        const constant = constantOf(value)
        if (constant === undefined) return undefined
        map[key] = constant
      }
      return map
    }
    default:
      return undefined
  }
}

/** The map of constants that a test gives as `args`, `context` or labels; empty where it gives none. */
export function constantMap(expr: Expr | null): JsonObject {
  const value = expr === null ? {} : constantOf(expr)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('a checked test holds constants')
  return value as JsonObject
}
