import { createServer } from 'node:net'
import t from 'tap'
import type { SendFailed } from '../../src/notify/channel.js'
import { EmailChannel, type EmailOptions, emailText } from '../../src/notify/email.js'
import { noticeOf } from '../../src/notify/notice.js'
import { makeCertificate } from './fakes/certificate.js'
import { MailServer } from './fakes/mail-server.js'
import { APPROVAL_ID, delivery, opened } from './support.js'

const LINK = 'https://desk.example.com/approvals/{id}'
const { key, cert } = makeCertificate()
const notice = noticeOf(delivery(), LINK)
const approved = noticeOf(
  delivery({
    id: `${APPROVAL_ID}:3:approved`,
    kind: 'approval.approved',
    payload: { ...opened, version: 3, state: 'APPROVED', roles: [], endedBy: 'bob@example.com' },
  }),
  LINK,
)

function channelTo(
  port: number,
  smtp: Partial<EmailOptions['smtp']> = {},
  over: Partial<EmailOptions> = {},
): EmailChannel {
  return new EmailChannel({
    smtp: { host: 'localhost', port, tls: 'starttls', login: null, ca: cert, ...smtp },
    from: 'portcullis@example.com',
    to: ['desk@example.com'],
    roles: { finance: ['ann@example.com', 'bob@example.com'], legal: ['eve@example.com'] },
    ...over,
  })
}

async function failureOf(channel: EmailChannel): Promise<SendFailed> {
  const failure = await channel.send(notice).then(
    () => null,
    (error: SendFailed) => error,
  )
  if (failure?.name !== 'SendFailed') throw new Error(`no failure to send: ${failure?.stack}`)
  return failure
}

t.test('people are asked by role, and told what became of it in the same thread', async (t) => {
  const server = await MailServer.start(t, { key, cert, authOptional: false, hideSTARTTLS: false })
  const channel = channelTo(server.port, { login: { user: 'portcullis', password: 'correct horse' } })
  const { remote } = await channel.send(notice)
  await channel.send(notice)
  const after = await channel.update(approved, `${remote} stranger@example.net`)
  const [first, again, second] = server.mails
  const people = ['desk@example.com', 'ann@example.com', 'bob@example.com']
  t.match(first, { from: 'portcullis@example.com', to: people, isEncrypted: true, user: 'portcullis' })
  const id = `<thread.${APPROVAL_ID}@example.com>`
  const headers = (mail = first): unknown[] =>
    ['message-id', 'in-reply-to', 'references', 'auto-submitted', 'subject', 'content-type'].map((name) =>
      mail?.headers.get(name),
    )
  const plain = 'text/plain; charset=utf-8'
  t.strictSame(headers(), [
    id,
    undefined,
    undefined,
    'auto-generated',
    'Approval needed: payments.transfer for billing-bot',
    plain,
  ])
  t.strictSame(
    [again?.headers.get('message-id'), again?.text, again?.headers.get('date')],
    [id, first?.text, first?.headers.get('date')],
  )
  t.strictSame(headers(second), [
    `<${approved.id}@example.com>`,
    id,
    id,
    'auto-generated',
    'Approved: payments.transfer for billing-bot',
    plain,
  ])
  t.strictSame([...(second?.to ?? [])].sort(), [...people].sort(), 'who was asked hears the outcome, and nobody else')
  t.strictSame(after.remote.split(' ').sort(), [...people].sort())
  t.equal(first?.text.trimEnd(), emailText(notice).trimEnd())
  t.match(first?.text, /Why {11}transfers above 500 need a person\n/)
  t.match(first?.text, new RegExp(`Decide here, after signing in: https://desk.example.com/approvals/${APPROVAL_ID}\n`))

  const nobody = channelTo(server.port, {}, { to: [], roles: { legal: ['eve@example.com'] } })
  t.strictSame(await nobody.send(notice), { remote: '' }, 'nobody to tell')
  t.equal(server.mails.length, 3)
})

t.test('hostile text stays text, in its place', async (t) => {
  const server = await MailServer.start(t, { key, cert, authOptional: true })
  const evil = 'x\r\nBcc: eve@example.com\r\n\r\n<a href=https://evil.example>Approve</a> \u202Ekcilc www.evil.example'
  const payload = {
    ...opened,
    tool: evil,
    agent: evil,
    reason: evil,
    principal: evil,
    roles: [evil, '__proto__'],
    ruleIds: [evil],
  }
  const hostile = noticeOf(delivery({ payload, tenant: evil, kind: 'approval.opened' }), LINK)
  await channelTo(server.port).send(hostile)
  const [mail] = server.mails
  t.strictSame(mail?.to, ['desk@example.com'], 'nobody is added')
  t.notOk(mail?.headers.has('bcc'))
  t.match(mail?.headers.get('subject'), /Approval needed: x\\u000d\\u000aBcc: eve/)
  t.notMatch(mail?.text, /https:\/\/evil|www\.evil|\u202e/, 'no link but ours')
  t.equal(mail?.text.match(/https:\/\//g)?.length, 1)
  t.notMatch(mail?.text, /^Bcc/m)
  const long = noticeOf(
    delivery({ payload: { ...opened, tool: '😀'.repeat(5_000), reason: '.\r\n'.repeat(5_000) } }),
    '',
  )
  await channelTo(server.port).send(long)
  t.ok(Buffer.byteLength(server.mails[1]?.text ?? '') < 20_000)
})

t.test('nothing is said before the connection is encrypted', async (t) => {
  const clear = await MailServer.start(t, { authOptional: true, hideSTARTTLS: true })
  t.match(await failureOf(channelTo(clear.port)), { isRetryable: true, isHostIll: true })
  t.equal(clear.mails.length, 0, 'no TLS offered, nothing sent')
  await channelTo(clear.port, { tls: 'none' }).send(notice)
  t.match(clear.mails, [{ isEncrypted: false }], 'unless the configuration wants it so')

  const server = await MailServer.start(t, { key, cert, authOptional: true })
  t.match(
    await failureOf(channelTo(server.port, { ca: null })),
    { isRetryable: true, isHostIll: true },
    'a stranger’s certificate',
  )
  t.equal(server.mails.length, 0)
  const secure = await MailServer.start(t, { key, cert, secure: true, authOptional: true })
  await channelTo(secure.port, { tls: 'tls' }).send(notice)
  t.match(secure.mails, [{ isEncrypted: true }])
})

t.test('a failure says whether the message, the host or the settings are at fault', async (t) => {
  const server = await MailServer.start(t, { key, cert, authOptional: true })
  const channel = channelTo(server.port, {}, { to: ['gone@example.com'], roles: {} })
  const cases: readonly (readonly [number, object])[] = [
    [550, { isRetryable: false, isHostIll: false, message: /refused: 550 no such user$/ }],
    [450, { isRetryable: true, isHostIll: false }],
    [421, { isRetryable: true, isHostIll: true }],
  ]
  for (const [code, expected] of cases) {
    server.refuse = () => ({ code, text: 'no such user' })
    t.match(await failureOf(channel), expected, String(code))
  }
  server.refuse = (address) => (address === 'ann@example.com' ? { code: 550, text: 'gone' } : null)
  await channelTo(server.port).send(notice)
  t.strictSame(server.mails[0]?.to, ['desk@example.com', 'bob@example.com'], 'one bad address keeps none of the others')

  const locked = await MailServer.start(t, { key, cert })
  const stranger = channelTo(locked.port, { login: { user: 'portcullis', password: 'wrong SECRET' } })
  const failure = await failureOf(stranger)
  t.match(failure, { isRetryable: true, isHostIll: true })
  t.notMatch(failure.stack, /SECRET/)

  const { port } = server
  await server.stop()
  t.match(await failureOf(channelTo(port)), {
    isRetryable: true,
    isHostIll: true,
    message: /cannot be used \(E[A-Z]+\)$/,
  })
  const mute = createServer((socket) => t.teardown(() => socket.destroy()))
  await new Promise<void>((listening) => mute.listen(0, 'localhost', listening))
  const address = mute.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const slow = channelTo(address.port, {}, { timeoutMs: 50 })
  t.match(await failureOf(slow), { isRetryable: true, isHostIll: true, message: /within 50 ms/ })
  mute.close()
})
