import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { StoredKey } from '../../src/identity/api-key.js'
import { developmentIdentity } from '../../src/identity/development.js'
import { mintKey, parseKey } from '../../src/identity/key-format.js'
import { keyIdentity } from '../../src/identity/key-identity.js'
import { Keyring } from '../../src/identity/keyring.js'
import { PepperError, pepperOf, readPepper } from '../../src/identity/pepper.js'
import { PERMISSIONS } from '../../src/identity/permissions.js'
import { PermissionDenied, ROLES, type Role, Unauthenticated } from '../../src/model/identity.js'
import { packageDefinition } from '../../src/transport/grpc/proto.js'

const SEED = Number(process.env['FC_SEED'] ?? 20260105)
const pepper = pepperOf(Buffer.alloc(32, 7), 'test')
const DECIDE = '/portcullis.v1.DecisionService/Decide'
const REVIEW = '/portcullis.v1.ApprovalService/Review'

interface Made {
  readonly text: string
  readonly key: StoredKey
}

function make(changes: Partial<StoredKey> = {}): Made {
  const { text, keyId } = mintKey('live')
  const key: StoredKey = {
    keyId,
    tenant: 'acme',
    subject: 'support-1',
    roles: ['agent'],
    approverRoles: [],
    attributes: {},
    labels: { team: 'billing' },
    owner: 'owner@example.com',
    createdMs: 0,
    createdBy: 'admin@example.com',
    expiresMs: 1_000,
    revokedMs: null,
    lastUsedMs: null,
    digest: pepper.digestOf(text),
    pepperId: pepper.id,
    ...changes,
  }
  return { text, key }
}

const bearer = (text: string): { authorization: string } => ({ authorization: `Bearer ${text}` })

t.test('a key is read back, and no other text is a key', async (t) => {
  const { text, keyId } = mintKey('live')
  t.match(text, /^pk_live_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}$/)
  t.strictSame(parseKey(text), { environment: 'live', keyId })
  // Every single change of a character is found, so scanners and typing errors end before the store is asked.
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom(...'09azAZ_-.'), (at, character) => {
      const changed = text.slice(0, at) + character + text.slice(at + 1)
      return changed === text || parseKey(changed) === null
    }),
    { seed: SEED, numRuns: 2_000 },
  )
  for (const other of ['', 'pk_', 'pk_live_', `${text} `, ` ${text}`, `${text}\n`, text.toUpperCase(), `${text}0`]) {
    t.equal(parseKey(other), null, JSON.stringify(other))
  }
})

t.test('keys differ, and their secrets use the whole alphabet evenly enough', async (t) => {
  const secrets = Array.from({ length: 500 }, () => mintKey('live').text)
  t.equal(new Set(secrets).size, 500)
  const characters = new Set(secrets.flatMap((text) => [...text.slice(-49, -6)]))
  t.equal(characters.size, 62)
})

t.test('who proves what', async (t) => {
  const agent = make()
  const expired = make({ expiresMs: 500 })
  const revoked = make({ revokedMs: 100 })
  const elsewhere = make({ pepperId: 'another' })
  const stolenId = make()
  const forged = { ...stolenId, key: { ...stolenId.key, digest: pepper.digestOf('another key') } }
  const keyring = new Keyring(
    [agent, expired, revoked, elsewhere, forged].map(({ key }) => key),
    pepper,
  )
  t.match(keyring.callerOf(bearer(agent.text), 600), { tenant: 'acme', id: 'support-1', keyId: agent.key.keyId })
  t.match(
    keyring.callerOf({ authorization: `bearer  ${agent.text}` }, 600),
    { id: 'support-1' },
    'the scheme has no case',
  )
  const refused: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['a scheme alone', 'Bearer'],
    ['another scheme', `Basic ${agent.text}`],
    ['no scheme', agent.text],
    ['an expired key', `Bearer ${expired.text}`],
    ['a revoked key', `Bearer ${revoked.text}`],
    ['a key of another pepper', `Bearer ${elsewhere.text}`],
    ['a known id with another secret', `Bearer ${forged.text}`],
    ['a key that nobody made', `Bearer ${mintKey('live').text}`],
    ['two keys', `Bearer ${agent.text} ${agent.text}`],
    ['1 MB', `Bearer ${'x'.repeat(2 ** 20)}`],
  ]
  const messages = new Set<string>()
  for (const [what, authorization] of refused) {
    try {
      keyring.callerOf({ authorization }, 600)
      t.fail(what)
    } catch (error) {
      t.ok(error instanceof Unauthenticated, what)
      messages.add((error as Error).message)
      t.notMatch((error as Error).message, 'xxx', 'what was sent is not repeated')
    }
  }
  t.equal(messages.size, 1, 'one message for all, so that none is told from another')
  t.throws(
    () => keyring.callerOf(bearer(agent.text), 1_000),
    Unauthenticated,
    'a key that was proved ends with its time',
  )
  t.strictSame(
    keyring.live(600).map(({ keyId }) => keyId),
    [agent, elsewhere, forged].map(({ key }) => key.keyId),
  )
})

t.test('the credential is the authority on tenant, agent and labels', async (t) => {
  const { text, key } = make()
  const keyring = new Keyring([key], pepper)
  const identity = keyIdentity({ keyring: () => keyring, nowMs: () => 10, withoutKeys: developmentIdentity })
  const caller = identity.admit(DECIDE, bearer(text))
  const call = {
    requestId: '',
    agent: { id: 'support-1', labels: { team: 'admins', shift: 'late' } },
    principal: null,
    sessionId: '',
    delegationChain: [],
    tool: 'x',
    environment: 'prod',
    arguments: {},
    context: {},
  }
  t.match(identity.identify(call, caller), {
    tenant: 'acme',
    agent: { id: 'support-1', labels: { team: 'billing', shift: 'late' } },
  })
  const other = { ...call, agent: { id: 'support-2', labels: {} } }
  t.throws(() => identity.identify(other, caller), PermissionDenied)
  t.throws(() => identity.admit(REVIEW, bearer(text)), { message: /takes a key with role approver/ })
  t.throws(() => identity.admit('/portcullis.v1.DecisionService/Nothing', bearer(text)), { message: /nobody may/ })
  t.throws(
    () => identity.admit(DECIDE, { authorization: '' }),
    Unauthenticated,
    'no claims are believed once a key lives',
  )
})

t.test('claims are believed on loopback only, and only until the first key is made', async (t) => {
  const none = new Keyring([], pepper)
  const open = keyIdentity({ keyring: () => none, nowMs: () => 10, withoutKeys: developmentIdentity })
  t.match(open.admit(REVIEW, { authorization: '' }), { tenant: 'default', keyId: '' })
  const closed = keyIdentity({ keyring: () => none, nowMs: () => 10, withoutKeys: null })
  t.throws(() => closed.admit(REVIEW, { authorization: '' }), Unauthenticated)
  const expired = new Keyring([make({ expiresMs: 5 }).key, make({ revokedMs: 1 }).key], pepper)
  const runOut = keyIdentity({ keyring: () => expired, nowMs: () => 10, withoutKeys: developmentIdentity })
  t.throws(() => runOut.admit(REVIEW, { authorization: '' }), Unauthenticated, 'keys that ran out open nothing')
})

t.test('every method of every service stands in the table, and nothing else', async (t) => {
  const paths = Object.entries(packageDefinition).flatMap(([name, definition]) =>
    name.startsWith('portcullis.v1.') && !('format' in definition)
      ? Object.values(definition as Readonly<Record<string, { readonly path: string }>>).map(({ path }) => path)
      : [],
  )
  t.ok(paths.length > 40)
  t.strictSame(Object.keys(PERMISSIONS).sort(), paths.sort())
  const known: readonly Role[] = ROLES
  for (const [path, roles] of Object.entries(PERMISSIONS)) {
    t.ok(roles.length > 0 && roles.every((role) => known.includes(role)), path)
  }
})

t.test('the pepper is made once, is for its owner only, and is never too short', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pepper-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'pepper')
  t.throws(() => readPepper(path, false), { name: PepperError.name, message: /openssl rand -hex 32/ })
  const made = readPepper(path, true)
  t.equal(statSync(path).mode & 0o777, 0o600)
  const text = readFileSync(path, 'utf8')
  t.equal(readPepper(path, true).id, made.id)
  t.equal(readFileSync(path, 'utf8'), text)
  t.not(made.id, text.slice(0, 8))
  writeFileSync(path, 'abcd')
  t.throws(() => readPepper(path, true), { message: /shorter than 32 bytes/ })
})
