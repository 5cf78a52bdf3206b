import type { ReferenceRoot } from '../../language/ast.js'
import { assertNever } from '../../model/assert-never.js'
import type { Subject } from '../../model/call.js'
import type { JsonObject, JsonValue } from '../../model/json.js'
import type { Frame, ValueFn } from './frame.js'
import { Instant, type Value } from './value.js'

/** Reads `args.customer.id`, `agent.team`, `now` and the like from the call. What is not there is unknown. */
export function readReference(root: ReferenceRoot, path: readonly string[]): ValueFn {
  switch (root) {
    case 'args':
      return readPath(path, (frame) => frame.call.arguments)
    case 'context':
      return readPath(path, (frame) => frame.call.context)
    case 'agent': {
      const read = readSubject(path)
      return (frame) => read(frame.call.agent)
    }
    case 'principal': {
      const read = readSubject(path)
      return (frame) => (frame.call.principal === null ? undefined : read(frame.call.principal))
    }
    case 'session':
      return path.length === 1 && path[0] === 'id' ? (frame) => frame.call.sessionId || undefined : () => undefined
    case 'tool':
      return path.length === 1 && path[0] === 'name' ? (frame) => frame.call.tool : () => undefined
    case 'env':
      return path.length === 0 ? (frame) => frame.call.environment : () => undefined
    case 'now':
      return path.length === 0 ? (frame) => new Instant(frame.nowMs) : () => undefined
    default:
      return assertNever(root)
  }
}

function readPath(path: readonly string[], root: (frame: Frame) => JsonObject): ValueFn {
  const steps = path.map(jsonMember)
  if (steps.length === 1) {
    const step = steps[0]!
    return (frame) => step(root(frame))
  }
  return (frame) => {
    let value: JsonValue | undefined = root(frame)
    for (const step of steps) value = step(value)
    return value
  }
}

/** Reads a key of a JSON object. Only keys that every object inherits need to be asked whether the object has them itself. */
function jsonMember(key: string): (of: JsonValue | undefined) => JsonValue | undefined {
  const isInherited = key in Object.prototype
  return (of) => {
    if (typeof of !== 'object' || of === null || Array.isArray(of)) return undefined
    return isInherited && !Object.hasOwn(of, key) ? undefined : (of as JsonObject)[key]
  }
}

/** `agent.team`, also written `agent.labels.team`; a label named `id` only so. */
export function labelOf(path: readonly string[]): string | undefined {
  if (path.length === 2 && path[0] === 'labels') return path[1]
  return path.length === 1 && path[0] !== 'id' ? path[0] : undefined
}

/** `agent.id`, or a label. */
function readSubject(path: readonly string[]): (subject: Subject) => Value {
  if (path.length === 1 && path[0] === 'id') return (subject) => subject.id
  const label = labelOf(path)
  return label === undefined ? () => undefined : readLabel(label)
}

/** Reads a label of a subject; `undefined` where it has none of that name. */
export function readLabel(name: string): (subject: Subject) => string | undefined {
  // Only names that every object inherits need to be asked whether the object has them itself.
  const isInherited = name in Object.prototype
  return ({ labels }) => (isInherited && !Object.hasOwn(labels, name) ? undefined : labels[name])
}
