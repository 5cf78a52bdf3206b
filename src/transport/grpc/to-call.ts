import type { Subject } from '../../model/call.js'
import type { ClaimedCall } from '../../model/identity.js'
import type { JsonObject } from '../../model/json.js'
import { quoteForMessage } from '../../model/json-error.js'
import { RpcError } from './errors.js'
import { LIMITS } from './limits.js'
import { name, optional, overLimit, plainName } from './names.js'
import type { SubjectMessage, VisibleToolsRequestMessage } from './wire.js'

const NO_FIELDS: JsonObject = Object.freeze(Object.create(null) as JsonObject)
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>)

/** A call of no tool in particular. @throws {RpcError} */
export function toVisibleToolsCall(message: VisibleToolsRequestMessage): ClaimedCall {
  return {
    requestId: '',
    agent: toSubject('agent', message.agent),
    principal: message.principal === null ? null : toSubject('principal', message.principal),
    sessionId: optional('session_id', message.sessionId),
    delegationChain: [],
    tool: '',
    environment: plainName('environment', message.environment),
    arguments: NO_FIELDS,
    context: NO_FIELDS,
  }
}

function toSubject(field: string, message: SubjectMessage | null): Subject {
  if (message === null) throw new RpcError('FIELD_REQUIRED', `${field} is missing`, { field })
  return { id: name(`${field}.id`, message.id), labels: toLabels(`${field}.labels`, message.labels) }
}

function toLabels(field: string, message: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const keys = Object.keys(message)
  if (keys.length === 0) return NO_LABELS
  if (keys.length > LIMITS.labels) throw overLimit(field, `has ${keys.length} entries`, `${LIMITS.labels}`)
  const labels: Record<string, string> = Object.create(null)
  for (const key of keys) {
    if (key === '__proto__') {
      throw new RpcError('FIELD_INVALID', `${field} has the key \`__proto__\`, which is not accepted`, { field })
    }
    name(`${field} key`, key)
    labels[key] = name(`${field}[${quoteForMessage(key)}]`, message[key] as string)
  }
  return labels
}
