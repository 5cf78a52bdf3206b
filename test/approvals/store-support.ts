import { Desk, type DeskOptions } from '../../src/approvals/desk.js'
import type { People, Person } from '../../src/approvals/people.js'
import { Reviews, type ReviewsOptions } from '../../src/approvals/reviews.js'
import { readRequest } from '../../src/approvals/rows.js'
import type { Call } from '../../src/model/call.js'
import { canonicalJson } from '../../src/model/canonical-json.js'
import type { ApprovalRequirement, Decision } from '../../src/model/decision.js'
import type { Caller, Role } from '../../src/model/identity.js'
import type { JsonObject, JsonValue } from '../../src/model/json.js'
import type { Database } from '../../src/store/database.js'
import { SUBJECT } from './support.js'

export function callOf(args: JsonObject = SUBJECT.arguments, changes: Partial<Call> = {}): Call {
  return {
    requestId: '',
    tenant: 'default',
    agent: { id: SUBJECT.agent, labels: {} },
    principal: { id: SUBJECT.principal, labels: {} },
    sessionId: 's-1',
    delegationChain: [],
    tool: SUBJECT.tool,
    environment: 'prod',
    arguments: args,
    context: {},
    ...changes,
  }
}

export function asks(...approvals: readonly ApprovalRequirement[]): Decision {
  return {
    outcome: 'REQUIRE_APPROVAL',
    reasonCode: 'RULE_APPROVAL',
    reason: 'a large refund',
    matched: [],
    monitored: [],
    obligations: [],
    approvals,
    nearMisses: [],
    policyRevision: 'r1',
  }
}

export function callerOf(id: string, approverRoles: readonly string[], changes: Partial<Caller> = {}): Caller {
  const roles: readonly Role[] = ['approver']
  return { tenant: 'default', id, roles, approverRoles, attributes: {}, labels: {}, owner: '', keyId: 'k', ...changes }
}

export const AGENT = callerOf(SUBJECT.agent, [], { roles: ['agent'] })
export const ANN = callerOf('ann@example.com', ['manager'])
export const BOB = callerOf('bob@example.com', ['manager', 'finance'])
export const CAT = callerOf('cat@example.com', ['finance'])
export const DAN = callerOf('dan@example.com', ['ciso'])
export const OPS = callerOf('ops@example.com', [], { roles: ['operator'] })

/** All of the above, and the agent's owner with every role. */
export const PEOPLE: People = {
  approversOf: (tenant) =>
    tenant === 'default'
      ? [ANN, BOB, CAT, DAN, callerOf('owner@example.com', ['manager', 'finance', 'ciso', 'lonely'])].map(
          ({ id, approverRoles: roles, attributes }): Person => ({ id, roles, attributes }),
        )
      : [],
  ownerOf: (_, agent) => (agent === SUBJECT.agent ? 'owner@example.com' : ''),
}

/** The parts over one database, as two instances would have them. */
export function partsOver(database: Database, options: Partial<DeskOptions & ReviewsOptions> = {}) {
  const mask = (args: JsonObject): JsonObject => ('password' in args ? { ...args, password: '***' } : args)
  const decideAnew: ReviewsOptions['decideAnew'] = () => asks()
  const deps = { database, people: PEOPLE, mask, decideAnew, ...options }
  return { desk: new Desk(deps), reviews: new Reviews(deps) }
}

/** As if the request had been there for so much longer: every time in it moves back. */
export async function age(database: Database, id: string, ms: number): Promise<void> {
  const [row] = await database.query<{ doc: string }>('SELECT doc FROM approvals WHERE id = $1', [id])
  const back = (value: JsonValue, key = ''): JsonValue => {
    if (
      typeof value === 'number' &&
      /^(?:deadline|opened|created|approved|validUntil|reviewBy|at|ended)Ms$/.test(key)
    ) {
      return value - ms
    }
    if (Array.isArray(value)) return value.map((item: JsonValue) => back(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, back(item, name)]))
  }
  const doc = canonicalJson(back(readRequest(row!.doc) as unknown as JsonValue))
  await database.execute(
    `UPDATE approvals SET doc = $2, created_at = created_at - $3 * interval '1 ms', ended_at = ended_at - $3 * interval '1 ms',
       next_timer_at = next_timer_at - $3 * interval '1 ms' WHERE id = $1`,
    [id, doc, ms],
  )
}
