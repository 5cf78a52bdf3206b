import type { PolicySet } from '../../src/compiler/policy-set.js'
import type { Call } from '../../src/model/call.js'

/** A call for each of some tools, with arguments that some rules match. */
export function callsOf(policySet: PolicySet): readonly Call[] {
  const tools = policySet.declaredTools().map(({ name }) => name)
  const some = Array.from({ length: 200 }, (_, at) => tools[Math.floor((at * tools.length) / 200)]!)
  return some.map((tool, at) => ({
    requestId: `r${at}`,
    tenant: 'default',
    agent: { id: 'agent-1', labels: { team: 'orders' } },
    principal: null,
    sessionId: 's',
    delegationChain: [],
    tool,
    environment: at % 2 === 0 ? 'prod' : 'dev',
    arguments: {
      amount: at * 13,
      currency: 'EUR',
      reason: 'orders',
      to: ['a@example.com', 'b@elsewhere.example'],
      subject: 'users 7',
      body: 'password',
      sql: 'delete from users',
      max: at,
      url: 'https://example.com/v7/item-7',
      method: 'POST',
      retries: at,
      path: '/srv/share-7/a.sh',
      content: 'x',
      mode: at,
    },
    context: {},
  }))
}

export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!
}
