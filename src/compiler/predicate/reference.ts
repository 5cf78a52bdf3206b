import type { ReferenceRoot } from '../../language/ast.js'
import { assertNever } from '../../model/assert-never.js'
import type { Subject } from '../../model/call.js'
import type { ValueFn } from './frame.js'
import { Instant, member, type Value } from './value.js'

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

function readPath(path: readonly string[], root: ValueFn): ValueFn {
  if (path.length === 1) {
    const key = path[0]!
    return (frame) => member(root(frame), key)
  }
  return (frame) => {
    let value: Value = root(frame)
    for (const key of path) value = member(value, key)
    return value
  }
}

/** `agent.id`, or a label: `agent.team`, also written `agent.labels.team` (a label named `id` only so). */
function readSubject(path: readonly string[]): (subject: Subject) => Value {
  if (path.length === 1 && path[0] === 'id') return (subject) => subject.id
  const label = path.length === 2 && path[0] === 'labels' ? path[1]! : path.length === 1 ? path[0]! : undefined
  if (label === undefined) return () => undefined
  return (subject) => (Object.hasOwn(subject.labels, label) ? subject.labels[label] : undefined)
}
