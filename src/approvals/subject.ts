import type { ApprovalSubject } from '../model/approval.js'
import { digest } from '../model/canonical-json.js'
import type { JsonObject } from '../model/json.js'

/** What an approval is bound to. Raw arguments: bound to masked ones, it would let another password pass. */
export function callDigest(call: Omit<ApprovalSubject, 'digest'>): string {
  const { tenant, agent, principal, tool, environment, arguments: args } = call
  return digest([tenant, agent, principal, tool, environment, args])
}

export function subjectOf(call: Omit<ApprovalSubject, 'digest'>): ApprovalSubject {
  return { ...call, digest: callDigest(call) }
}

/** The same call with other arguments. */
export function withArguments(subject: ApprovalSubject, args: JsonObject): ApprovalSubject {
  return subjectOf({ ...subject, arguments: args })
}
