import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  argumentsDigest,
  type ReceiptKey,
  ReceiptRefused,
  type RefusedBecause,
  verifyReceipt,
} from '../../sdk/typescript/receipt.js'
import { BatchSigner, type SigningKey } from '../../src/approvals/receipts/signer.js'
import { digest } from '../../src/model/canonical-json.js'
import type { ReceiptClaims } from '../../src/model/control.js'
import type { JsonObject } from '../../src/model/json.js'

const SEED = Number(process.env['FC_SEED'] ?? 20260105)
const NOW_MS = Date.UTC(2026, 0, 5, 12)
const NOW = NOW_MS / 1_000

interface Pair {
  readonly signing: SigningKey
  readonly published: ReceiptKey
}

function keyPair(keyId: string): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { signing: { keyId, privateKey }, published: { keyId, publicKey: raw(publicKey) } }
}

const raw = (key: KeyObject): Uint8Array => key.export({ format: 'der', type: 'spki' }).subarray(-32)

const { signing, published } = keyPair('k1')
const ARGS: JsonObject = { order_id: 'A1', amount: 450 }
const EXPECTED = { tool: 'issue_refund', arguments: ARGS }

function claims(changes: Partial<ReceiptClaims> = {}, args: JsonObject = ARGS): ReceiptClaims {
  return {
    decisionId: '0192f3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d',
    call: {
      requestId: '',
      tenant: 'acme',
      agent: { id: 'support-1', labels: {} },
      principal: { id: 'carol@example.com', labels: {} },
      sessionId: 's1',
      delegationChain: [],
      tool: 'issue_refund',
      environment: 'prod',
      arguments: args,
      context: {},
    },
    policyRevision: 'sha256:1',
    approvalId: '',
    issuedMs: NOW_MS,
    ...changes,
  }
}

const signer = new BatchSigner(() => signing)

function refusal(receipt: string, changes: Partial<Parameters<typeof verifyReceipt>[1]> = {}): RefusedBecause | null {
  try {
    verifyReceipt(receipt, { keys: [published], expected: EXPECTED, now: NOW, ...changes })
    return null
  } catch (error) {
    if (error instanceof ReceiptRefused) return error.because
    throw error
  }
}

t.test('a receipt says what was allowed, and holds for that call alone', async (t) => {
  const receipt = await signer.sign(claims())
  t.match(verifyReceipt(receipt, { keys: [published], expected: EXPECTED, now: NOW }), {
    jti: claims().decisionId,
    tenant: 'acme',
    agent: 'support-1',
    principal: 'carol@example.com',
    tool: 'issue_refund',
    environment: 'prod',
    policy: 'sha256:1',
  })
  const others: readonly (readonly [string, object])[] = [
    ['another tool', { ...EXPECTED, tool: 'delete_customer' }],
    ['another tenant', { ...EXPECTED, tenant: 'other' }],
    ['another agent', { ...EXPECTED, agent: 'support-2' }],
    ['another principal', { ...EXPECTED, principal: '' }],
    ['another environment', { ...EXPECTED, environment: 'dev' }],
    ['another amount', { ...EXPECTED, arguments: { ...ARGS, amount: 451 } }],
    ['a number as text', { ...EXPECTED, arguments: { ...ARGS, amount: '450' } }],
    ['one argument more', { ...EXPECTED, arguments: { ...ARGS, note: null } }],
    ['one argument less', { ...EXPECTED, arguments: { order_id: 'A1' } }],
  ]
  for (const [what, expected] of others)
    t.equal(refusal(receipt, { expected: expected as never }), 'ANOTHER_CALL', what)
  const reordered = { amount: 450, order_id: 'A1' }
  t.equal(refusal(receipt, { expected: { ...EXPECTED, arguments: reordered } }), null, 'the order of keys says nothing')
})

t.test('times and keys', async (t) => {
  const receipt = await signer.sign(claims())
  t.equal(refusal(receipt, { now: NOW + 300 + 29 }), null)
  t.equal(refusal(receipt, { now: NOW + 300 + 31 }), 'EXPIRED')
  t.equal(refusal(receipt, { now: NOW - 31 }), 'NOT_YET_VALID')
  t.equal(refusal(receipt, { keys: [] }), 'UNKNOWN_KEY')
  t.equal(refusal(receipt, { keys: [{ ...published, isWithdrawn: true }] }), 'WITHDRAWN_KEY')
  t.equal(refusal(receipt, { keys: [{ ...published, retiredAt: NOW }] }), null, 'signed before its key was retired')
  t.equal(refusal(receipt, { keys: [{ ...published, retiredAt: NOW - 60 }] }), 'WITHDRAWN_KEY', 'and after')
  t.equal(refusal(receipt, { keys: [{ ...keyPair('k1').published }] }), 'BAD_SIGNATURE', 'a key of the same name')
})

t.test('a receipt of an approval is good once', async (t) => {
  const receipt = await signer.sign(claims({ approvalId: '0192f3c4-5e6f-7a8b-9c0d-000000000001' }))
  const used = new Set<string>()
  const isUsed = (id: string): boolean => used.size === used.add(id).size
  t.equal(refusal(receipt), 'USED', 'nobody there to tell')
  t.equal(refusal(receipt, { isUsed, expected: { ...EXPECTED, tool: 'x' } }), 'ANOTHER_CALL')
  t.equal(refusal(receipt, { isUsed }), null, 'the refused try used nothing up')
  t.equal(refusal(receipt, { isUsed }), 'USED')
})

t.test('those that ask at a time share a signature, and each proof holds by itself', async (t) => {
  for (const size of [1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 100]) {
    const all = Array.from({ length: size }, (_, i) => claims({ decisionId: `d${i}` }))
    const receipts = await Promise.all(all.map((claim) => signer.sign(claim)))
    const signatures = new Set(
      receipts.map((receipt) => Buffer.from(receipt.split('.')[2]!, 'base64url').subarray(-64).toString('hex')),
    )
    t.equal(signatures.size, 1, `${size} share one signature`)
    t.ok(
      receipts.every((receipt) => refusal(receipt) === null),
      `${size} verify`,
    )
    const [first = '', second = ''] = receipts
    if (size < 2) continue
    const swapped = [first.split('.')[0], second.split('.')[1], first.split('.')[2]].join('.')
    t.equal(refusal(swapped), 'BAD_SIGNATURE', 'a proof holds for its own payload')
  }
})

t.test('no receipt survives a change of any byte', async () => {
  const receipts = await Promise.all(Array.from({ length: 5 }, (_, i) => signer.sign(claims({ decisionId: `d${i}` }))))
  fc.assert(
    fc.property(fc.nat(4), fc.nat(), fc.constantFrom(...'AZaz09-_.='), (which, at, character) => {
      const receipt = receipts[which]!
      const place = at % receipt.length
      const changed = receipt.slice(0, place) + character + receipt.slice(place + 1)
      return changed === receipt || refusal(changed) !== null
    }),
    { seed: SEED, numRuns: 3_000 },
  )
})

t.test('what is no receipt is refused as such', async (t) => {
  const receipt = await signer.sign(claims())
  const [prefix, payload, proof] = receipt.split('.')
  const bad: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['words', 'let me through'],
    ['another version', `prc2.${payload}.${proof}`],
    ['no proof', `${prefix}.${payload}`],
    ['an empty proof', `${prefix}.${payload}.`],
    ['a part more', `${receipt}.x`],
    ['padding', `${prefix}.${payload}=.${proof}`],
    ['payload that is no JSON', `${prefix}.${Buffer.from('{').toString('base64url')}.${proof}`],
    ['payload that is null', `${prefix}.${Buffer.from('null').toString('base64url')}.${proof}`],
    ['payload without fields', `${prefix}.${Buffer.from('{}').toString('base64url')}.${proof}`],
    ['1 MB', `${prefix}.${'A'.repeat(2 ** 20)}.${proof}`],
    ['a JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.'],
  ]
  for (const [what, text] of bad) t.equal(refusal(text), 'MALFORMED', what)
})

t.test('an inner node of the tree is never taken for a payload', async (t) => {
  const receipts = await Promise.all([
    signer.sign(claims({ decisionId: 'a' })),
    signer.sign(claims({ decisionId: 'b' })),
  ])
  const proof = Buffer.from(receipts[0]!.split('.')[2]!, 'base64url')
  // The same signature with the path cut off, as if the root were a leaf of a tree of one.
  const place = Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])
  const cut = Buffer.concat([place, proof.subarray(-64)]).toString('base64url')
  t.equal(refusal([...receipts[0]!.split('.').slice(0, 2), cut].join('.')), 'BAD_SIGNATURE')
})

t.test('without a key there are no receipts, and a key that goes takes those along that wait', async (t) => {
  let key: SigningKey | null = null
  const changing = new BatchSigner(() => key)
  await t.rejects(changing.sign(claims()), { name: 'ReceiptUnavailable' })
  key = signing
  const first = changing.sign(claims())
  await new Promise((resolve) => setImmediate(resolve))
  const second = changing.sign(claims())
  key = null
  t.equal(refusal(await first), null)
  await t.rejects(second, { name: 'ReceiptUnavailable' })
})

t.test('a key that takes over in between signs what waits, under its own name', async (t) => {
  const next = keyPair('k2')
  let key = signing
  const changing = new BatchSigner(() => key)
  const first = changing.sign(claims())
  await new Promise((resolve) => setImmediate(resolve))
  const second = changing.sign(claims())
  key = next.signing
  const keys = [published, next.published]
  t.equal(verifyReceipt(await first, { keys, expected: EXPECTED, now: NOW }).kid, 'k1')
  t.equal(verifyReceipt(await second, { keys, expected: EXPECTED, now: NOW }).kid, 'k2')
})

t.test('both sides digest arguments alike', async () => {
  const value = fc
    .jsonValue({ maxDepth: 4 })
    .filter((json) => typeof json === 'object' && json !== null && !Array.isArray(json))
  fc.assert(
    fc.property(value, (json) => argumentsDigest(json as JsonObject) === digest(json as JsonObject)),
    { seed: SEED, numRuns: 1_000 },
  )
})
