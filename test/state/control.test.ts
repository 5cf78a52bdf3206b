import t from 'tap'
import { ReceiptKeyStore, type ReceiptKeys } from '../../src/approvals/receipts/key-store.js'
import { allKeys, BOOTSTRAP_SUBJECT, KeyStore } from '../../src/identity/key-store.js'
import { Keyring } from '../../src/identity/keyring.js'
import { pepperOf } from '../../src/identity/pepper.js'
import type { KeyWish } from '../../src/model/api-key.js'
import { type Caller, Unauthenticated } from '../../src/model/identity.js'
import { ControlState } from '../../src/state/control-state.js'
import { engagedSwitches, KillSwitchStore } from '../../src/state/kill-switch-store.js'
import { KillSwitches } from '../../src/state/kill-switches.js'
import type { Database } from '../../src/store/database.js'
import { currentEpoch } from '../../src/store/epoch.js'
import { TestLog } from '../server/harness.js'
import { ENGINES, freshDatabase } from '../store/databases.js'

const pepper = pepperOf(Buffer.alloc(32, 7), 'test')
const NOTHING_ENDED = { approvalsEnded: 0, grantsRevoked: 0 }

const operator = (id: string, tenant = 'acme'): Caller => ({
  tenant,
  id,
  roles: ['operator'],
  approverRoles: [],
  attributes: {},
  labels: {},
  owner: '',
  keyId: 'k',
})

const wish = (subject: string, changes: Partial<KeyWish> = {}): KeyWish => ({
  subject,
  roles: ['agent'],
  approverRoles: [],
  attributes: {},
  labels: {},
  owner: '',
  days: 0,
  ...changes,
})

const bearer = (secret: string): { authorization: string } => ({ authorization: `Bearer ${secret}` })

/** What one instance knows. */
class Instance {
  switches = KillSwitches.NONE
  keyring = new Keyring([], pepper)
  receipts: ReceiptKeys = { published: [], signing: null }
  readonly log = new TestLog()
  readonly state: ControlState
  nowMs = 0

  constructor(database: Database, name: string, hears: boolean, receiptKeys = new ReceiptKeyStore(database, pepper)) {
    this.state = new ControlState({
      database,
      instance: name,
      log: this.log,
      hears,
      pollMs: hears ? 3_600_000 : 20,
      monotonicMs: () => this.nowMs,
      parts: [
        engagedSwitches((switches) => {
          this.switches = switches
        }),
        allKeys(
          pepper,
          () => undefined,
          (keyring) => {
            this.keyring = keyring
          },
        ),
        receiptKeys.read((keys) => {
          this.receipts = keys
        }),
      ],
    })
  }

  /** Until it serves this epoch. */
  async reaches(epoch: number): Promise<void> {
    while (this.state.epoch < epoch) await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const switchesOf = (database: Database): KillSwitchStore =>
  new KillSwitchStore({
    database,
    fleetTenant: 'default',
    nowMs: Date.now,
    afterChange: async () => {},
    endUnder: async () => NOTHING_ENDED,
  })

for (const { engine, skip } of ENGINES) {
  t.test(engine, { skip }, async (t) => {
    t.test('a switch engaged on one instance is known to all, by announcement and by reading alike', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const [hearing, reading] = [new Instance(database, 'a', true), new Instance(database, 'b', false)]
      for (const instance of [hearing, reading]) {
        await instance.state.start()
        t.teardown(() => instance.state.close())
      }
      const store = switchesOf(database)
      const engaged = await store.engage(operator('op1'), 'agent', 'support-1', 'an incident')
      const epoch = await currentEpoch(database)
      await Promise.all([hearing.reaches(epoch), reading.reaches(epoch)])
      const call = {
        requestId: '',
        tenant: 'acme',
        agent: { id: 'support-1', labels: {} },
        principal: null,
        sessionId: '',
        delegationChain: [],
        tool: 'x',
        environment: 'prod',
        arguments: {},
        context: {},
      }
      t.equal(hearing.switches.stopping(call)?.id, engaged.id)
      t.equal(reading.switches.stopping(call)?.id, engaged.id)
      let view = (await store.list('acme', false))[0]
      while (!view?.confirmations.every(({ isConfirmed }) => isConfirmed)) [view] = await store.list('acme', false)
      t.strictSame(
        view.confirmations.map(({ instance, isConfirmed }) => [instance, isConfirmed]),
        [
          ['a', true],
          ['b', true],
        ],
      )
      await store.release(operator('op1'), engaged.id, 'over')
      await store.release(operator('op2'), engaged.id, 'over')
      const after = await currentEpoch(database)
      await Promise.all([hearing.reaches(after), reading.reaches(after)])
      t.equal(hearing.switches.stopping(call), null)
      t.equal(reading.switches.stopping(call), null)
    })

    t.test('one engages, two release', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const store = switchesOf(database)
      const engaged = await store.engage(operator('op1'), 'tool', 'db.*', 'an incident')
      t.match(engaged, { scope: 'tool', tenant: 'acme', target: 'db.*', engagedBy: 'op1', releasedMs: null })
      const again = await store.engage(operator('op2'), 'tool', 'db.*', 'the same one')
      t.match(again, { id: engaged.id, reason: 'an incident' }, 'engaged twice is engaged once')
      t.match(await store.release(operator('op2'), engaged.id, 'it is over'), {
        releaseAskedBy: 'op2',
        releasedMs: null,
      })
      await t.rejects(store.release(operator('op2'), engaged.id, 'really'), { code: 'SAME_PERSON' })
      await t.rejects(store.release(operator('op3', 'other'), engaged.id, 'me too'), { code: 'NOT_FOUND' })
      t.match(await store.release(operator('op1'), engaged.id, 'yes'), { releasedBy: 'op1', releasedMs: Number })
      await t.rejects(store.release(operator('op3'), engaged.id, 'late'), { code: 'ALREADY_RELEASED' })
      t.strictSame(await store.list('acme', false), [])
      t.equal((await store.list('acme', true)).length, 1)
      const anew = await store.engage(operator('op1'), 'tool', 'db.*', 'once more')
      t.not(anew.id, engaged.id)
    })

    t.test('the fleet is stopped by its own operators only', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const store = switchesOf(database)
      await t.rejects(store.engage(operator('op1'), 'fleet', '', 'all of it'), { code: 'NOT_FLEET_OPERATOR' })
      const fleet = await store.engage(operator('op1', 'default'), 'fleet', '', 'all of it')
      t.equal((await store.list('acme', false))[0]?.id, fleet.id, 'every tenant sees why it stands still')
      await t.rejects(store.release(operator('op1'), fleet.id, 'no'), { code: 'NOT_FLEET_OPERATOR' })
    })

    t.test('ten operators at once engage one switch', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const store = switchesOf(database)
      const all = await Promise.all(
        Array.from({ length: 10 }, (_, i) => store.engage(operator(`op${i}`), 'agent', 'support-1', 'stop')),
      )
      t.equal(new Set(all.map(({ id }) => id)).size, 1)
    })

    t.test('what an engagement ends is ended in its transaction, or nothing is engaged', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const failing = new KillSwitchStore({
        database,
        fleetTenant: 'default',
        nowMs: Date.now,
        afterChange: async () => {},
        endUnder: () => Promise.reject(new Error('no')),
      })
      await t.rejects(failing.engage(operator('op1'), 'tenant', '', 'stop'), { message: 'no' })
      t.strictSame(await failing.list('acme', true), [])
    })

    t.test('keys: made, proved, rotated, revoked', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const keys = new KeyStore(database, pepper)
      const instance = new Instance(database, 'a', false)
      await instance.state.start()
      t.teardown(() => instance.state.close())
      t.ok(instance.keyring.isEmpty)
      const proves = async (secret: string): Promise<string> => {
        await instance.reaches(await currentEpoch(database))
        return instance.keyring.callerOf(bearer(secret), Date.now()).id
      }
      const first = await keys.create(
        'acme',
        wish('support-1', { labels: { team: 'billing' }, owner: 'carol' }),
        'admin',
      )
      t.equal(await proves(first.secret), 'support-1')
      const days = (first.key.expiresMs - first.key.createdMs) / 86_400_000
      t.ok(Math.abs(days - 90) < 0.1, 'ninety days unless said')
      const second = await keys.rotate('acme', first.key.keyId, 1, 'admin')
      t.match(second.key, { subject: 'support-1', labels: { team: 'billing' }, owner: 'carol' })
      t.equal(await proves(second.secret), 'support-1')
      t.equal(await proves(first.secret), 'support-1', 'the old one goes on')
      await t.rejects(keys.rotate('acme', first.key.keyId, 0, 'admin'), { code: 'TOO_MANY' })
      await t.rejects(keys.create('acme', wish('support-1'), 'admin'), { code: 'TOO_MANY' })
      await keys.revoke('acme', first.key.keyId, 'admin', 'rotated')
      await t.rejects(proves(first.secret), Unauthenticated)
      t.match(await keys.revoke('acme', first.key.keyId, 'admin', 'again'), { revokedMs: Number })
      await t.rejects(
        keys.revoke('other', second.key.keyId, 'admin', ''),
        { code: 'NOT_FOUND' },
        'another tenant has no such key',
      )
      await t.rejects(keys.rotate('acme', first.key.keyId, 0, 'admin'), { code: 'REVOKED' })
      t.strictSame(
        (await keys.list('acme', false)).map(({ keyId }) => keyId),
        [second.key.keyId],
      )
      t.equal((await keys.list('acme', true)).length, 2)
      await keys.markUsed([second.key.keyId])
      t.match((await keys.list('acme', false))[0], { lastUsedMs: Number })
      const stored = JSON.stringify(await database.query('SELECT * FROM api_keys'))
      t.notMatch(stored, second.secret.slice(-49, -6), 'the secret is not in the store')
    })

    t.test('the first key of an installation opens the way for an admin, and then no more', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const keys = new KeyStore(database, pepper)
      const first = await keys.bootstrap('default')
      t.match(first?.key, { subject: BOOTSTRAP_SUBJECT, roles: ['admin'] })
      t.equal(await keys.bootstrap('default'), null, 'once')
      await keys.create('default', wish('alice@example.com', { roles: ['admin'] }), BOOTSTRAP_SUBJECT)
      t.strictSame(
        (await keys.list('default', false)).map(({ subject }) => subject),
        ['alice@example.com'],
      )
      t.equal(await keys.bootstrap('default'), null)
    })

    t.test('wishes that cannot be', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const keys = new KeyStore(database, pepper)
      const bad: readonly (readonly [KeyWish, RegExp])[] = [
        [wish(''), /subject is empty/],
        [wish('x', { roles: [] }), /roles is empty/],
        [wish('x', { roles: ['agent', 'approver'], approverRoles: ['manager'] }), /no other role/],
        [wish('x', { roles: ['approver'] }), /needs approver_roles/],
        [wish('x', { approverRoles: ['manager'] }), /need the role approver/],
        [wish('x', { roles: ['auditor'], labels: { team: 'a' } }), /labels are of agents/],
        [wish('x', { roles: ['auditor'], owner: 'carol' }), /only an agent has an owner/],
        [wish('x', { days: 367 }), /from 1 to 366/],
        [wish('x', { days: Number.NaN }), /from 1 to 366/],
        [wish(BOOTSTRAP_SUBJECT), /another subject/],
      ]
      for (const [asked, message] of bad)
        t.throws(() => keys.create('acme', asked, 'admin'), { code: 'INVALID', message })
      t.strictSame(await keys.list('acme', true), [])
    })

    t.test('keys of receipts: one signs, old ones verify, withdrawn ones do not', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const store = new ReceiptKeyStore(database, pepper)
      await Promise.all([store.ensure(), store.ensure(), store.ensure()])
      const instance = new Instance(database, 'a', false, store)
      await instance.state.start()
      t.teardown(() => instance.state.close())
      const fresh = async (): Promise<ReceiptKeys> => {
        await instance.reaches(await currentEpoch(database))
        return instance.receipts
      }
      const first = await fresh()
      t.equal(first.published.length, 1, 'three that start together make one')
      t.equal(first.signing?.keyId, first.published[0]?.keyId)
      const next = await store.rotate()
      t.match(await fresh(), {
        signing: { keyId: next },
        published: [{ retiredMs: Number, withdrawnMs: null }, { retiredMs: null }],
      })
      t.equal(await store.withdraw(next), true)
      const after = await fresh()
      t.equal(after.published.length, 3)
      t.not(after.signing?.keyId, next)
      t.equal(await store.withdraw(next), false)
      const another = new ReceiptKeyStore(database, pepperOf(Buffer.alloc(32, 8), 'test'))
      const lost = new Instance(database, 'b', false, another)
      await t.rejects(lost.state.start(), { name: 'PepperError', message: /another pepper/ })
    })

    t.test('what is known ages when it cannot be read, and holds until then', async (t) => {
      const { database } = await freshDatabase(t, engine)
      const instance = new Instance(database, 'a', false)
      await instance.state.start()
      t.equal(instance.state.isStale(), false)
      await database.close()
      const failed = instance.log.next('control state cannot be read, what is known goes on to hold')
      await failed
      instance.nowMs = 59_000
      t.equal(instance.state.isStale(), false)
      instance.nowMs = 61_000
      t.equal(instance.state.isStale(), true)
      await instance.state.close()
      t.equal(instance.log.lines.filter(({ level }) => level === 'warn').length, 1, 'said once')
    })
  })
}
