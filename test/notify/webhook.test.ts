import t from 'tap'
import { readNetwork } from '../../src/notify/addresses.js'
import type { SendFailed } from '../../src/notify/channel.js'
import { noticeOf } from '../../src/notify/notice.js'
import type { Resolve } from '../../src/notify/post.js'
import { readWebhookSecret } from '../../src/notify/standard-webhooks.js'
import { WebhookChannel, type WebhookOptions } from '../../src/notify/webhook.js'
import { makeCertificate } from './fakes/certificate.js'
import { Receiver } from './fakes/receiver.js'
import { delivery, secretOf } from './support.js'

const [OLD, NEW] = [secretOf('a'), secretOf('b')]
const LOOPBACK = [readNetwork('127.0.0.0/8')]
const notice = noticeOf(delivery(), '')

function channelTo(url: URL, over: Partial<WebhookOptions> = {}): WebhookChannel {
  return new WebhookChannel({ url, keys: [readWebhookSecret(NEW)], allowed: LOOPBACK, ...over })
}

async function failureOf(channel: WebhookChannel): Promise<SendFailed> {
  const failure = await channel.send(notice).then(
    () => null,
    (error: SendFailed) => error,
  )
  if (failure?.name !== 'SendFailed') throw new Error(`no failure to send: ${failure?.stack}`)
  return failure
}

t.test('a notice arrives signed, and by either secret while one replaces the other', async (t) => {
  const receiver = await Receiver.start(t, OLD)
  const rotating = channelTo(receiver.url, { keys: [NEW, OLD].map(readWebhookSecret) })
  await rotating.send(notice)
  receiver.secret = NEW
  await rotating.send(notice)
  await channelTo(receiver.url).send(notice)
  t.strictSame([...receiver.counts], [[notice.id, 3]], 'three times the same id')
  t.match(receiver.received[0]?.body, { type: 'approval.opened', data: { approval: { tool: 'payments.transfer' } } })
  receiver.secret = OLD
  t.match(await failureOf(channelTo(receiver.url)), { message: /answered 401$/ }, 'the old secret is no good any more')
})

t.test('every other answer is a failure that says whether to try again', async (t) => {
  const receiver = await Receiver.start(t, NEW)
  const channel = channelTo(receiver.url)
  for (const status of [200, 201, 202, 204, 299]) {
    receiver.answer = () => ({ status })
    await channel.send(notice)
  }
  const failures: readonly (readonly [number, object, Record<string, string>?])[] = [
    [301, { isRetryable: true, message: /redirects are not followed/ }, { location: 'http://127.0.0.1/' }],
    [307, { isRetryable: true, isHostIll: false }, { location: receiver.url.href }],
    [400, { isRetryable: true, isHostIll: false }],
    [410, { isRetryable: false, isGone: true }],
    [429, { isRetryable: true, isHostIll: true, retryAfterMs: 17_000 }, { 'retry-after': '17' }],
    [500, { isRetryable: true, isHostIll: true, isGone: false }],
    [503, { isRetryable: true, retryAfterMs: null }, { 'retry-after': 'soon' }],
  ]
  const before = receiver.received.length
  for (const [status, expected, headers = {}] of failures) {
    receiver.answer = () => ({ status, headers })
    const failure = await failureOf(channel)
    t.match(failure, expected, String(status))
    t.notMatch(failure.stack, /URL-SECRET/, 'the URL is not told')
  }
  t.equal(receiver.received.length, before + failures.length, 'no redirect was followed')
})

t.test('who gives no answer, or is not there, fails within its time', async (t) => {
  const receiver = await Receiver.start(t, NEW)
  receiver.answer = () => null
  t.match(await failureOf(channelTo(receiver.url, { timeoutMs: 50 })), {
    isRetryable: true,
    isHostIll: true,
    message: /no answer within 50 ms$/,
  })
  const never: Resolve = () => new Promise(() => undefined)
  t.match(await failureOf(channelTo(new URL('http://slow.example/'), { timeoutMs: 50, resolve: never })), {
    message: /^slow\.example gave no answer/,
  })
  const { url } = receiver
  await receiver.stop()
  const failure = await failureOf(channelTo(url))
  t.match(failure, { isRetryable: true, isHostIll: true, message: /cannot be reached: ECONNREFUSED$/ })
  t.notMatch(failure.stack, /URL-SECRET/)
  const unknown: Resolve = async () => {
    throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
  }
  t.match(await failureOf(channelTo(new URL('https://nowhere.example/x'), { resolve: unknown })), {
    message: /ENOTFOUND/,
  })
})

t.test('nothing is sent to addresses that are not public, however they are written', async (t) => {
  const receiver = await Receiver.start(t, NEW)
  const { port } = receiver
  const hosts = ['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '[::1]', '[::ffff:127.0.0.1]']
  for (const host of hosts) {
    const failure = await failureOf(channelTo(new URL(`http://${host}:${port}/`), { allowed: [] }))
    t.match(failure, { isRetryable: true, isHostIll: false, message: /is not sent to/ }, host)
  }
  const answers: readonly (readonly [string, readonly string[]])[] = [
    ['a private address behind a public name', ['10.0.0.1']],
    ['the metadata service', ['169.254.169.254']],
    ['a bad address among good ones', ['1.1.1.1', '127.0.0.1']],
    ['in IPv6', ['::ffff:169.254.169.254']],
    ['no TLS to a public address', ['1.1.1.1']],
  ]
  for (const [name, addresses] of answers) {
    const resolve: Resolve = async () =>
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    t.match(
      await failureOf(channelTo(new URL(`http://ok.example:${port}/`), { resolve })),
      { message: /is not sent to/ },
      name,
    )
  }
  t.equal(receiver.received.length, 0)
})

t.test('the certificate is held against the name, whatever address it leads to', async (t) => {
  const certificate = makeCertificate()
  const receiver = await Receiver.start(t, NEW, certificate)
  const resolve: Resolve = async () => [{ address: '127.0.0.1', family: 4 }]
  const secureTo = (host: string, ca?: string): WebhookChannel =>
    channelTo(new URL(`https://${host}:${receiver.port}/`), { resolve, ca })
  await secureTo('localhost', certificate.cert).send(notice)
  t.strictSame([...receiver.counts.values()], [1])
  t.match(await failureOf(secureTo('localhost')), { message: /SELF_SIGNED/ }, 'an authority that nobody knows')
  t.match(await failureOf(secureTo('other.example', certificate.cert)), { message: /ALTNAME/ }, 'another name')
  t.equal(receiver.received.length, 1)
})

t.test('a name that changes its answer is asked once, and that answer is connected to', async (t) => {
  const receiver = await Receiver.start(t, NEW)
  let asked = 0
  const resolve: Resolve = async () => [{ address: asked++ === 0 ? '127.0.0.1' : '127.0.0.99', family: 4 }]
  await channelTo(new URL(`http://rebind.example:${receiver.port}/`), { resolve }).send(notice)
  t.equal(asked, 1)
  t.equal(receiver.received[0]?.headers.host, `rebind.example:${receiver.port}`)
})
