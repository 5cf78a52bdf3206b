import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { NOTICES } from '../../src/approvals/acts.js'
import { open } from '../../src/approvals/machine.js'
import { writtenNotices } from '../../src/approvals/rows.js'
import type { JsonObject } from '../../src/model/json.js'
import { UNSEEN } from '../../src/model/unseen.js'
import { addressFault, readNetwork } from '../../src/notify/addresses.js'
import { Breakers } from '../../src/notify/breaker.js'
import { type Channel, type Notice, SendFailed } from '../../src/notify/channel.js'
import { Courier } from '../../src/notify/courier.js'
import { LogChannel } from '../../src/notify/log.js'
import { NOTICE_KINDS, noticeOf } from '../../src/notify/notice.js'
import { GIVE_UP_MS, PAUSES_MS, pauseAfter, retryAfterMs } from '../../src/notify/schedule.js'
import { readWebhookSecret, webhookHeaders } from '../../src/notify/standard-webhooks.js'
import { visible } from '../../src/notify/visible.js'
import { webhookBody } from '../../src/notify/webhook.js'
import { MINUTE, opening, requirement, START } from '../approvals/support.js'
import { APPROVAL_ID, delivery, opened, secretOf } from './support.js'

t.test('hostile text becomes one line that shows what is in it', (t) => {
  const cases: readonly (readonly [string, string, number, string])[] = [
    ['plain text stays', 'payments.transfer', 120, 'payments.transfer'],
    ['a line break does not begin a header', 'x\r\nBcc: eve@example.com', 120, 'x\\u000d\\u000aBcc: eve@example.com'],
    ['a right-to-left override', 'pay\u202Efdp.exe', 120, 'pay\\u202efdp.exe'],
    ['isolates', '\u2066a\u2069', 120, '\\u2066a\\u2069'],
    ['zero width', 'ad\u200Bmin', 120, 'ad\\u200bmin'],
    ['tag characters', 'a\u{e0041}', 120, 'a\\udb40\\udc41'],
    ['an escape of a terminal', '\u001b[2J', 120, '\\u001b[2J'],
    ['a lone surrogate', '\ud800', 120, '\\ud800'],
    ['markup is text', '<b onclick=x>*now*</b>', 120, '<b onclick=x>*now*</b>'],
    ['the cap is reached exactly', 'abcd', 4, 'abcd'],
    ['beyond the cap', 'abcde', 4, 'abc…'],
    ['far beyond the cap', 'a'.repeat(1_000_000), 4, 'aaa…'],
    ['no half of a character is left', '😀😀😀', 2, '😀…'],
    ['the escape counts', '\n\n', 4, '\\u0…'],
  ]
  for (const [name, text, most, expected] of cases) t.equal(visible(text, most), expected, name)
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.integer({ min: 1, max: 100 }), (text, most) => {
      const shown = visible(text, most)
      return Array.from(shown).length <= most && shown.search(UNSEEN) === -1
    }),
  )
  t.end()
})

t.test('a notice is read out of whatever the payload holds', (t) => {
  const notice = noticeOf(delivery(), 'https://desk.example.com/approvals/{id}')
  t.match(notice, {
    id: /^ntc_[0-9a-f]{32}$/,
    title: 'Approval needed: payments.transfer for billing-bot',
    thread: APPROVAL_ID,
    version: 1,
    isAsking: true,
    severity: 'high',
    link: `https://desk.example.com/approvals/${APPROVAL_ID}`,
    approval: { state: 'PENDING', roles: ['finance'], reason: 'transfers above 500 need a person' },
    killSwitch: null,
  })
  t.equal(noticeOf(delivery({ attempt: 7, earlier: 'x' }), '').id, notice.id, 'the id is the same at each try')
  t.not(noticeOf(delivery({ id: 'other' }), '').id, notice.id)

  const killed = { switchId: 's1', scope: 'agent', target: 'billing-bot', by: 'ann', reason: 'runs amok' }
  t.match(noticeOf(delivery({ kind: 'kill.engaged', payload: killed }), ''), {
    title: 'KILL SWITCH engaged: agent billing-bot',
    thread: 's1',
    approval: null,
    killSwitch: { by: 'ann', reason: 'runs amok' },
  })
  t.match(
    noticeOf(delivery({ kind: 'budget.spent\u0007', payload: { approvalId: 7, severity: 'dire' } }), 'https://x/{id}'),
    { title: 'budget.spent\\u0007', thread: '', approval: null, severity: '', link: '', isAsking: false },
    'a kind of a newer server',
  )
  const crowded = { ...opened, roles: Array.from({ length: 12 }, (_, i) => `role-${i}`), arguments: { iban: 'DE1' } }
  const { approval } = noticeOf(delivery({ payload: crowded }), '')
  t.equal(approval?.roles.at(-1), '… and 2 more')
  t.notOk(JSON.stringify(approval).includes('DE1'), 'arguments are not sent')
  t.equal(
    noticeOf(delivery({ payload: { ...opened, approvalId: '../../?x=1#' } }), 'https://d/{id}').link,
    'https://d/..%2F..%2F%3Fx%3D1%23',
    'an id does not leave its place in the link',
  )
  t.end()
})

t.test('what the machine of approvals tells is what a notice reads', (t) => {
  const { effects, ...step } = open(opening([requirement('manager and 2 finance')]), START)
  const [row] = writtenNotices({ effects, ...step })
  const told = noticeOf(delivery({ kind: String(row?.['kind']), payload: row?.['payload'] as JsonObject }), '')
  t.match(told, {
    kind: 'approval.opened',
    title: 'Approval needed: issue_refund for support-1',
    thread: step.request.id,
    version: 1,
    approval: {
      roles: ['manager', 'finance'],
      ruleIds: ['RULE'],
      reason: 'a large refund',
      expiresMs: START + 10 * MINUTE,
    },
  })
  for (const kind of NOTICES) t.ok(NOTICE_KINDS.includes(`approval.${kind}`), kind)
  t.end()
})

t.test('a webhook body is below 20 KB whatever an agent writes', (t) => {
  const texts = ['\u202e', '\0', '"', '\\', '😀', 'a', '\u{e0041}'].map((part) => part.repeat(5_000))
  for (const text of texts) {
    const all = Object.fromEntries(
      Object.keys(opened).map((key) => [key, ['roles', 'ruleIds'].includes(key) ? Array(50).fill(text) : text]),
    )
    const body = webhookBody(
      noticeOf(delivery({ kind: text, tenant: text, payload: all }), 'https://desk.example.com/{id}'),
    )
    t.ok(Buffer.byteLength(body) < 20_000, `${JSON.stringify(text.slice(0, 2))}: ${Buffer.byteLength(body)} bytes`)
    t.equal(body.search(UNSEEN), -1)
  }
  const body = JSON.parse(webhookBody(noticeOf(delivery({ payload: { ...opened, expiresMs: 9e15 } }), '')))
  t.equal(body.data.approval.expiresAt, '+275760-09-13T00:00:00.000Z', 'a time that is none is the last one')
  t.end()
})

t.test('the schedule is that of Standard Webhooks, and who asks for more time gets it', (t) => {
  const noLuck = (): number => 0
  const pauses = PAUSES_MS.map((_, tried) => pauseAfter(tried, null, noLuck)).map((ms) => ms && ms / 1_000)
  t.strictSame(pauses, [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400])
  t.equal(pauseAfter(10, null, noLuck), null, 'ten tries, then no more')
  t.equal(pauseAfter(10, 5_000, noLuck), null)
  t.equal(pauseAfter(1, 60_000, noLuck), 60_000, 'Retry-After later than the schedule')
  t.equal(pauseAfter(2, 60_000, noLuck), 300_000, 'Retry-After sooner than the schedule')
  t.equal(pauseAfter(1, 1e15, noLuck), 86_400_000, 'nobody puts us off for ever')
  t.equal(
    pauseAfter(1, null, () => 0.5),
    5_500,
    'jitter adds',
  )
  t.ok(GIVE_UP_MS > PAUSES_MS.reduce((sum, ms) => sum + ms * 1.2, 0))
  const nowMs = Date.UTC(2026, 10, 23)
  const headers: readonly (readonly [string | undefined, number | null])[] = [
    [undefined, null],
    ['120', 120_000],
    [' 0 ', 0],
    ['-1', null],
    ['1.5', null],
    ['12345678901234567890', null],
    ['Mon, 23 Nov 2026 00:01:00 GMT', 60_000],
    ['Sun, 22 Nov 2026 00:00:00 GMT', 0],
    ['tomorrow', null],
    ['2027', 2_027_000],
  ]
  for (const [header, expected] of headers) t.equal(retryAfterMs(header, nowMs), expected, String(header))
  t.end()
})

t.test('a host that fails is left alone, then tried once', (t) => {
  let nowMs = 0
  const changes: [string, boolean][] = []
  const breakers = new Breakers({ nowMs: () => nowMs, mostFailures: 3, changed: (...change) => changes.push(change) })
  const fail = (): void => {
    t.equal(breakers.enter('a'), 0)
    breakers.ended('a', true)
  }
  fail()
  fail()
  breakers.enter('a')
  breakers.ended('a', false)
  fail()
  fail()
  t.equal(breakers.enter('a'), 0, 'a success in between begins the count anew')
  breakers.ended('a', true)
  t.equal(breakers.enter('a'), 30_000)
  t.equal(breakers.enter('b'), 0, 'another host')
  breakers.ended('a', true)
  t.equal(breakers.enter('a'), 30_000, 'what began before it opened makes it no longer')
  nowMs = 30_000
  t.equal(breakers.enter('a'), 0, 'one try')
  t.ok(breakers.enter('a') > 0, 'and no second one beside it')
  breakers.ended('a', true)
  t.equal(breakers.enter('a'), 60_000, 'twice as long')
  for (let i = 0; i < 5; i++) {
    nowMs += breakers.enter('a')
    t.equal(breakers.enter('a'), 0)
    breakers.ended('a', true)
  }
  t.equal(breakers.enter('a'), 300_000, 'but not for ever')
  nowMs += 300_000
  t.equal(breakers.enter('a'), 0)
  breakers.ended('a', false)
  t.equal(breakers.enter('a'), 0)
  t.equal(breakers.enter('a'), 0, 'back for all')
  t.strictSame(changes, [
    ['a', true],
    ['a', false],
  ])
  t.end()
})

t.test('a courier turns what a channel does into what the outbox records', async (t) => {
  const sent: (readonly [string, string])[] = []
  let failure: Error | null = null
  const channel: Channel = {
    host: 'chat.example.com',
    wantsOvertaken: false,
    send: async ({ title }: Notice) => {
      if (failure) throw failure
      sent.push(['send', title])
      return { remote: 'm1' }
    },
    update: async ({ title }: Notice, remote) => {
      sent.push([`update ${remote}`, title])
      return { remote }
    },
  }
  const breakers = new Breakers({ nowMs: () => 0, mostFailures: 2 })
  const courierOf = (tenants: readonly string[] | null = null): Courier =>
    new Courier({ name: 'chat', channel, kinds: ['approval.*'], tenants, link: '', breakers, random: () => 0 })
  const courier = courierOf()
  t.ok(courier.accepts('approval.opened', 'acme'))
  t.notOk(courier.accepts('kill.engaged', 'acme'))
  t.notOk(courierOf(['other']).accepts('approval.opened', 'acme'))

  t.strictSame(await courier.deliver(delivery()), { kind: 'sent', remote: 'm1' })
  await courier.deliver(delivery({ kind: 'approval.approved', earlier: 'm1' }))
  t.strictSame(sent, [
    ['send', 'Approval needed: payments.transfer for billing-bot'],
    ['update m1', 'Approved: payments.transfer for billing-bot'],
  ])
  t.strictSame(await courier.deliver(delivery({ isOvertaken: true })), { kind: 'sent', remote: '' })
  t.equal(sent.length, 2, 'people are not asked for what is over')

  failure = new SendFailed('full', { isRetryable: true, retryAfterMs: 7_000 })
  t.strictSame(await courier.deliver(delivery()), { kind: 'retry', afterMs: 7_000, why: 'full', counts: true })
  t.strictSame(await courier.deliver(delivery({ attempt: 10 })), { kind: 'dead', why: 'full' })
  failure = new SendFailed('refused', { isRetryable: false })
  t.strictSame(await courier.deliver(delivery()), { kind: 'dead', why: 'refused' })
  failure = new SendFailed('gone', { isRetryable: true, isGone: true })
  t.strictSame(await courier.deliver(delivery()), { kind: 'dead', why: 'gone' })
  failure = null
  t.match(await courier.deliver(delivery()), { kind: 'dead', why: 'not tried: gone' })
  t.match(await courier.deliver(delivery({ isReplay: true })), { kind: 'sent' }, 'a replay asks once more')
  t.match(await courier.deliver(delivery()), { kind: 'sent' }, 'and then it is back')

  failure = new SendFailed('ill', { isRetryable: true, isHostIll: true })
  await courier.deliver(delivery())
  await courier.deliver(delivery())
  t.match(await courier.deliver(delivery()), { kind: 'retry', counts: false, why: /left alone/ })
  t.match(await courier.deliver(delivery({ ageMs: GIVE_UP_MS + 1 })), { kind: 'dead', why: /left alone/ })
  failure = new TypeError('a fault of ours')
  await t.rejects(
    new Courier({
      name: 'x',
      channel: { ...channel, host: '' },
      kinds: ['*'],
      tenants: null,
      link: '',
      breakers,
    }).deliver(delivery()),
    failure,
  )
})

t.test('the log holds the notice and no line of an agent', async (t) => {
  const lines: unknown[] = []
  const info = (event: string, fields?: object): void => void lines.push([event, fields])
  const log = { debug: info, info, warn: info, error: info }
  await new LogChannel(log).send(
    noticeOf(delivery({ payload: { ...opened, tool: 'x\nnotice kind=kill.engaged' } }), ''),
  )
  t.match(lines, [
    ['notice', { kind: 'approval.opened', title: /x\\u000anotice/, approval: APPROVAL_ID, roles: ['finance'] }],
  ])
})

t.test('only public addresses are sent to', (t) => {
  const refused = [
    ...[
      '127.0.0.1',
      '127.255.255.254',
      '0.0.0.0',
      '0.1.2.3',
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
    ],
    ...['169.254.169.254', '100.64.0.1', '100.100.100.200', '192.0.0.192', '168.63.129.16', '198.18.0.1', '192.0.2.1'],
    ...[
      '224.0.0.1',
      '240.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      '::127.0.0.1',
      '::ffff:127.0.0.1',
      '::ffff:a9fe:a9fe',
    ],
    ...['64:ff9b::7f00:1', '64:ff9b:1::1', '2002:7f00:1::', '2001::1', 'fe80::1', 'fe80::1%eth0', 'fec0::1', 'fc00::1'],
    ...['fd00:ec2::254', 'ff02::1', '100::1', '2001:db8::1', '::2', '5f00::1', 'localhost', '', '1.2.3', '1'],
  ]
  for (const address of refused) t.type(addressFault(address, []), 'string', address)
  for (const address of ['1.1.1.1', '172.32.0.1', '2606:4700::1111', '2a00:1450::1', '::ffff:1.1.1.1']) {
    t.equal(addressFault(address, []), null, address)
  }
  const allowed = ['10.1.0.0/16', 'fd00::/8', '127.0.0.1'].map(readNetwork)
  for (const address of ['10.1.255.1', '::ffff:10.1.0.1', 'fd00:ec2::254', '127.0.0.1']) {
    t.equal(addressFault(address, allowed), null, `${address} is allowed`)
  }
  for (const address of ['10.2.0.1', 'fc00::1', '127.0.0.2', '::1'])
    t.type(addressFault(address, allowed), 'string', address)
  for (const text of ['10.0.0.0/33', 'x', '10.0.0.0/-1', '10/8', '']) t.throws(() => readNetwork(text), TypeError, text)
  t.end()
})

t.test('what is signed is what the official package verifies', (t) => {
  const [old, current] = [secretOf('a', 24), secretOf('b', 64)]
  const body = '{"type":"approval.opened","data":{"tool":"größer 😀"}}'
  const headers = webhookHeaders('ntc_1', Date.now(), body, [current, old].map(readWebhookSecret))
  t.strictSame(new Webhook(old).verify(body, headers), JSON.parse(body), 'by the old secret')
  t.strictSame(new Webhook(current).verify(body, headers), JSON.parse(body), 'by the new one')
  t.throws(() => new Webhook(secretOf('c')).verify(body, headers), 'by no other')
  t.throws(() => new Webhook(old).verify(`${body} `, headers), 'nor another body')
  t.throws(() => new Webhook(old).verify(body, { ...headers, 'webhook-id': 'ntc_2' }), 'nor another id')
  const faults: readonly string[] = [
    '',
    'whsec_',
    Buffer.from('a'.repeat(32)).toString('base64'),
    secretOf('a', 23),
    secretOf('a', 65),
    'whsec_not base64 at all, though it is long enough',
    `${secretOf('a').slice(0, -2)}B`,
  ]
  for (const fault of faults) t.throws(() => readWebhookSecret(fault), /^(?!.*YWFh)must/, fault)
  t.end()
})
