import { canonicalJson } from '../model/canonical-json.js'
import type { ArgumentPath } from '../model/decision.js'
import type { JsonObject, JsonValue } from '../model/json.js'

/** The paths below `args` at which two calls differ. A list is one value; absent and null differ. */
export function changedPaths(before: JsonObject, after: JsonObject, at: ArgumentPath = []): readonly ArgumentPath[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].flatMap((key) => {
    const [one, other] = [before[key], after[key]]
    const path = [...at, key]
    if (isObject(one) && isObject(other)) return changedPaths(one, other, path)
    return isSame(one, other) ? [] : [path]
  })
}

/** Whether `path` is `root` or below it. The empty root holds nothing: no rule means all arguments by naming none. */
export function isBelow(path: ArgumentPath, root: ArgumentPath): boolean {
  return root.length > 0 && root.length <= path.length && root.every((step, at) => step === path[at])
}

/** Undefined where there is nothing. */
export function valueAt(root: JsonObject, path: ArgumentPath): JsonValue | undefined {
  let value: JsonValue | undefined = root
  for (const step of path) {
    if (!isObject(value) || !Object.hasOwn(value, step)) return undefined
    value = value[step]
  }
  return value
}

/** Equal in value and type: `5` is not `"5"`, null is not absent. */
export function isSame(one: JsonValue | undefined, other: JsonValue | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return canonicalJson(one) === canonicalJson(other)
}

/** As policies write it: `args.customer["odd name"]`. */
export function pathText(path: ArgumentPath): string {
  return `args${path.map((step) => (/^[A-Za-z_]\w*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`)).join('')}`
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
