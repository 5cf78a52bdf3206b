import t from 'tap'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { DEFAULT_TENANT, developmentIdentity } from '../../src/identity/development.js'
import { checkBundle } from '../../src/language/check.js'
import type { AuditRecord } from '../../src/model/audit-record.js'
import type { ApprovalDesk, Control, ReceiptSigner } from '../../src/model/control.js'
import type { Decision } from '../../src/model/decision.js'
import type { KillSwitch } from '../../src/model/kill-switch.js'
import { uuidv7 } from '../../src/model/uuid.js'
import { type Answer, Pdp, type Question } from '../../src/pdp.js'
import { AnsweredRequests } from '../../src/state/answered-requests.js'
import { KillSwitches } from '../../src/state/kill-switches.js'
import { TestLog } from '../server/harness.js'

// What surrounds the policies: switches, people and receipts. The policies and the combination of their answers are real.

const POLICY = `policy support "Support"
default allow

tool pay { amount: number } receipt
tool read {}
tool delete_customer {}
tool issue_refund {}

rule NO_DELETE "Never" {
  on tool delete_customer
  deny
}
rule BIG_REFUND "Big refunds" {
  on tool issue_refund
  require approval from manager
}
`
const SOURCES = { policies: new Map([['p.policy', new TextEncoder().encode(POLICY)]]), attachments: new Map() }
const NOW = Date.UTC(2026, 0, 5, 12)

interface Setting {
  readonly approvals?: ApprovalDesk
  readonly receipts?: ReceiptSigner
}

class Bench {
  engaged: KillSwitch[] = []
  isStale = false
  auditFails = false
  readonly records: { readonly record: AuditRecord; readonly durability: string }[] = []
  readonly log = new TestLog()
  readonly #pdp: Pdp

  constructor({ approvals, receipts }: Setting) {
    const policySet = compilePolicySet(checkBundle(SOURCES), DEFAULT_TENANT)
    const live = { revision: policySet.revision, policySetOf: () => policySet } as never
    const control: Control = {
      stopping: (call) => new KillSwitches(this.engaged).stopping(call),
      isStale: () => this.isStale,
      observe: () => undefined,
    }
    this.#pdp = new Pdp({
      identity: developmentIdentity,
      policies: { live: () => live },
      audit: {
        record: (record, durability, recorded) => {
          this.records.push({ record, durability })
          recorded(this.auditFails ? new Error('disk full') : null)
        },
      },
      control,
      approvals: approvals ?? null,
      receipts: receipts ?? null,
      answered: new AnsweredRequests<Answer>({ maxEntries: 10, ttlMs: 1_000 }),
      readQuestion: () => {
        throw new Error('not here')
      },
      clock: { nowMs: () => NOW, monotonicNs: () => 0 },
      newId: uuidv7,
      log: this.log,
    })
  }

  ask(tool: string, changes: Partial<Question> = {}, requestId = ''): Promise<Answer> {
    const question: Question = {
      call: {
        requestId,
        agent: { id: 'support-1', labels: {} },
        principal: null,
        sessionId: '',
        delegationChain: [],
        tool,
        environment: 'prod',
        arguments: {},
        context: {},
      },
      expectedPolicyRevision: '',
      explain: false,
      dryRun: false,
      approvalId: '',
      wantReceipt: false,
      bytes: Buffer.from('x'),
      from: 0,
      to: 1,
      ...changes,
    }
    const caller = developmentIdentity.admit('/portcullis.v1.DecisionService/Decide', { authorization: '' })
    return new Promise((resolve) => this.#pdp.decide(question, caller, this.#pdp.live(), resolve))
  }
}

const FLEET: KillSwitch = {
  id: '0192f3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d',
  scope: 'fleet',
  tenant: '',
  target: '',
  reason: 'an incident',
  engagedBy: 'op@example.com',
  engagedMs: NOW,
  releaseAskedBy: '',
  releaseReason: '',
  releasedBy: '',
  releasedMs: null,
}

const answering = (decision: (asked: Decision) => Decision): ApprovalDesk => ({
  settle: async (_call, asked) => decision(asked),
})
const approved = answering((asked) => ({
  ...asked,
  outcome: 'ALLOW',
  reasonCode: 'APPROVED',
  approvals: [],
  opened: { id: FLEET.id, expiresMs: NOW },
}))

t.test('an engaged switch beats every answer, a remembered one and a dry run among them', async (t) => {
  const bench = new Bench({ approvals: approved })
  t.equal((await bench.ask('read', {}, 'r1')).decision.outcome, 'ALLOW')
  bench.engaged = [FLEET]
  for (const [tool, requestId] of [
    ['read', ''],
    ['read', 'r1'],
    ['issue_refund', ''],
    ['delete_customer', ''],
  ] as const) {
    const { decision } = await bench.ask(tool, {}, requestId)
    t.match(decision, { outcome: 'DENY', reasonCode: 'KILL_SWITCH', reason: /fleet is engaged: an incident/ }, tool)
  }
  t.match((await bench.ask('read', { dryRun: true })).decision, { outcome: 'DENY', reasonCode: 'KILL_SWITCH' })
  t.match(bench.records.at(-1), { durability: 'fsync', record: { decision: { reasonCode: 'KILL_SWITCH' } } })
  bench.engaged = []
  t.equal((await bench.ask('read')).decision.outcome, 'ALLOW')
})

t.test('what is too old to trust lets nothing through', async (t) => {
  const bench = new Bench({ approvals: approved })
  t.equal((await bench.ask('read', {}, 'r1')).decision.outcome, 'ALLOW')
  bench.isStale = true
  t.match((await bench.ask('read', {}, 'r1')).decision, { outcome: 'DENY', reasonCode: 'CONTROL_STATE_STALE' })
  bench.engaged = [FLEET]
  t.match((await bench.ask('read')).decision, { reasonCode: 'KILL_SWITCH' }, 'a switch is known however old')
})

t.test('people are asked for REQUIRE_APPROVAL alone, and never by a dry run', async (t) => {
  let asked = 0
  const desk = answering((decision) => {
    asked++
    return { ...decision, opened: { id: FLEET.id, expiresMs: NOW + 1 } }
  })
  const bench = new Bench({ approvals: desk })
  await bench.ask('read')
  await bench.ask('delete_customer')
  await bench.ask('issue_refund', { dryRun: true })
  t.equal(asked, 0)
  const { decision } = await bench.ask('issue_refund')
  t.match(decision, { outcome: 'REQUIRE_APPROVAL', opened: { id: FLEET.id } })
  t.equal(asked, 1)
})

t.test('without the store REQUIRE_APPROVAL is a denial that is not remembered', async (t) => {
  let isDown = true
  const desk: ApprovalDesk = {
    settle: async (_call, decision) => {
      if (isDown) throw new Error('connection refused')
      return decision
    },
  }
  const bench = new Bench({ approvals: desk })
  const { decision } = await bench.ask('issue_refund', {}, 'r1')
  t.match(decision, { outcome: 'DENY', reasonCode: 'APPROVAL_STORE_UNAVAILABLE', matched: [{ ruleId: 'BIG_REFUND' }] })
  t.notMatch(decision.reason, 'refused', 'causes are logged, never sent')
  t.match(bench.log.lines, [{ event: 'approvals cannot be asked' }])
  isDown = false
  t.equal((await bench.ask('issue_refund', {}, 'r1')).decision.outcome, 'REQUIRE_APPROVAL')
})

t.test('an approved call is on record, safely, before it is let through with its receipt', async (t) => {
  const claims: unknown[] = []
  const receipts: ReceiptSigner = {
    sign: async (claim) => {
      claims.push(claim)
      t.equal(bench.records.length, claims.length - 1, 'signed first: what is recorded is what is answered')
      return 'receipt'
    },
  }
  const bench = new Bench({ approvals: approved, receipts })
  const answer = await bench.ask('issue_refund')
  t.match(answer, { receipt: 'receipt', decision: { outcome: 'ALLOW', reasonCode: 'APPROVED' } })
  t.match(claims, [{ approvalId: FLEET.id, decisionId: answer.decisionId }])
  t.equal(bench.records[0]?.durability, 'fsync')
  bench.auditFails = true
  t.match(await bench.ask('issue_refund'), {
    receipt: '',
    decision: { outcome: 'DENY', reasonCode: 'AUDIT_UNAVAILABLE' },
  })
})

t.test('receipts come with ALLOW when asked for, and an ALLOW without one that was asked for is none', async (t) => {
  let signs = true
  const receipts: ReceiptSigner = {
    sign: () => (signs ? Promise.resolve('receipt') : Promise.reject(new Error('no key'))),
  }
  const bench = new Bench({ receipts })
  t.equal((await bench.ask('read')).receipt, '')
  t.equal((await bench.ask('read', { wantReceipt: true })).receipt, 'receipt')
  t.equal((await bench.ask('delete_customer', { wantReceipt: true })).receipt, '')
  signs = false
  t.match(await bench.ask('read', { wantReceipt: true }), {
    receipt: '',
    decision: { outcome: 'DENY', reasonCode: 'RECEIPT_UNAVAILABLE' },
  })
  t.match(bench.records.at(-1)?.record.decision, { outcome: 'DENY', reasonCode: 'RECEIPT_UNAVAILABLE' })
})

t.test('a tool whose declaration asks for receipts gets none of its calls through without', async (t) => {
  const receipts: ReceiptSigner = { sign: () => Promise.resolve('receipt') }
  t.equal((await new Bench({ receipts }).ask('pay')).receipt, 'receipt')
  const without = await new Bench({}).ask('pay')
  t.match(without, { receipt: '', decision: { outcome: 'DENY', reasonCode: 'RECEIPT_UNAVAILABLE' } })
})
