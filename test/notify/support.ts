import type { Delivery } from '../../src/model/delivery.js'
import type { JsonObject } from '../../src/model/json.js'

export const APPROVAL_ID = '019ab1c2-0000-7000-8000-000000000001'

export const opened: JsonObject = {
  approvalId: APPROVAL_ID,
  version: 1,
  notice: 'opened',
  state: 'PENDING',
  roles: ['finance'],
  agent: 'billing-bot',
  principal: 'ann@example.com',
  tool: 'payments.transfer',
  environment: 'production',
  reason: 'transfers above 500 need a person',
  severity: 'high',
  ruleIds: ['payments/large'],
  endedBy: '',
  endedWhy: '',
  expiresMs: 1_795_400_000_000,
}

export function delivery(over: Partial<Delivery> = {}): Delivery {
  return {
    id: `${APPROVAL_ID}:1:opened`,
    tenant: 'default',
    kind: 'approval.opened',
    payload: opened,
    createdMs: 1_795_393_760_270,
    attempt: 1,
    ageMs: 0,
    isReplay: false,
    isOvertaken: false,
    earlier: '',
    ...over,
  }
}

/** `whsec_` and so many bytes of one letter. */
export function secretOf(letter: string, bytes = 32): string {
  return `whsec_${Buffer.from(letter.repeat(bytes)).toString('base64')}`
}
